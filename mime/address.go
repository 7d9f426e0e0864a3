package mime

import "strings"

// Address is one mailbox of an address field (RFC 5322 s3.4).
type Address struct {
	Name string // display name, decoded; "" if there is none
	Addr string // addr-spec as text, "local@domain", the local part quoted where it has to be
}

// Addr returns the address with a display name and an addr-spec.
func Addr(name, addr string) Address { return Address{Name: name, Addr: addr} }

// Split returns the two sides of the addr-spec's last at sign that is not quoted. Without one, domain is "".
func (a Address) Split() (local, domain string) {
	quoted := false
	at := -1
	for i := 0; i < len(a.Addr); i++ {
		switch a.Addr[i] {
		case '"':
			quoted = !quoted
		case '\\':
			if quoted {
				i++
			}
		case '@':
			if !quoted {
				at = i
			}
		}
	}
	if at < 0 {
		return a.Addr, ""
	}
	return a.Addr[:at], a.Addr[at+1:]
}

// String returns the mailbox as people read it: `Name <local@domain>`, the name quoted where RFC 5322 wants it.
// Text beyond ASCII stays as it is (RFC 6532); it is not for a header that has to be ASCII.
func (a Address) String() string {
	if a.Name == "" {
		return a.Addr
	}
	return quotePhrase(a.Name) + " <" + a.Addr + ">"
}

// AddressGroup is a run of mailboxes: a named group (RFC 5322 s3.4, `Name: a@x, b@y;`), or the mailboxes that stand
// between groups.
type AddressGroup struct {
	Name    string // name of the group, decoded; "" outside groups
	IsGroup bool   // whether this is a named group; it may be empty ("undisclosed-recipients:;")
	Members []Address
}

// AddressList is the value of an address field: its groups, and the runs of mailboxes outside groups, in order.
type AddressList []AddressGroup

// All returns every mailbox in order, whether or not it stands in a group.
func (l AddressList) All() []Address {
	if len(l) == 1 {
		return l[0].Members
	}
	var all []Address
	for _, g := range l {
		all = append(all, g.Members...)
	}
	return all
}

// String returns the list as people read it.
func (l AddressList) String() string {
	var b strings.Builder
	for i, g := range l {
		if i > 0 {
			b.WriteString(", ")
		}
		if g.IsGroup {
			b.WriteString(quotePhrase(g.Name))
			b.WriteString(": ")
		}
		for j, a := range g.Members {
			if j > 0 {
				b.WriteString(", ")
			}
			b.WriteString(a.String())
		}
		if g.IsGroup {
			b.WriteByte(';')
		}
	}
	return b.String()
}

// quotePhrase quotes s unless it is a phrase of atoms (RFC 5322 s3.2.5).
func quotePhrase(s string) string {
	plain := s != "" && s[0] != ' ' && s[len(s)-1] != ' '
	for i := 0; i < len(s) && plain; i++ {
		plain = isAtext(s[i]) || s[i] >= 0x80 || s[i] == ' ' && s[i-1] != ' '
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\r', '\n', 0:
			b.WriteByte(' ') // never a second header line
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// isAtext reports whether c may stand in an atom (RFC 5322 s3.2.3).
func isAtext(c byte) bool {
	return isAlnum(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}
