package smtp

// A Mailbox is an address as SMTP has it (RFC 5321 s4.1.2): a local part and a domain or address literal. Local is
// kept decoded: the quotes and backslashes of a quoted string are gone, so that equal addresses compare equal; String puts them back where they are needed.
type Mailbox struct {
	Local  string
	Domain string // as given: "example.org", "bücher.example", "[192.0.2.1]"; empty for <Postmaster>
}

// ReversePath is the argument of MAIL: who is told about failures. The zero value is the null reverse-path <>.
type ReversePath struct{ Mailbox }

// ForwardPath is the argument of RCPT. Source routes are accepted and ignored (RFC 5321 appendix C).
type ForwardPath struct{ Mailbox }

// IsNull tells whether the path is <>, as in delivery status notifications.
func (r ReversePath) IsNull() bool { return r.Local == "" && r.Domain == "" }
