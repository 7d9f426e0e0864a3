package smtp

import (
	"errors"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Mailbox is an address as SMTP has it (RFC 5321 s4.1.2): a local part and a domain or address literal. Local is
// kept decoded: the quotes and backslashes of a quoted string are gone, so that equal addresses compare equal;
// [Mailbox.String] puts them back where they are needed.
type Mailbox struct {
	Local  string
	Domain string // as given: "example.org", "bücher.example", "[192.0.2.1]"; empty for <Postmaster>
}

// ReversePath is the argument of MAIL: who is told about failures. The zero value is the null reverse-path <>.
type ReversePath struct{ Mailbox }

// ForwardPath is the argument of RCPT. Source routes are accepted and ignored (RFC 5321 appendix C).
type ForwardPath struct{ Mailbox }

// The longest parts of an address, in octets (RFC 5321 s4.5.3.1.1 to s4.5.3.1.3).
const (
	maxLocal  = 64
	maxDomain = 255
	maxPath   = 256 // with the angle brackets
)

var (
	errMailboxSyntax = errors.New("smtp: address is not of the form local@domain")
	errLocalSyntax   = errors.New("smtp: local part is not a dot-string or quoted string")
	errLocalLong     = errors.New("smtp: local part is longer than 64 octets")
	errDomainSyntax  = errors.New("smtp: domain is not a host name or address literal")
	errPathLong      = errors.New("smtp: address is longer than 254 octets")
	errPathSyntax    = errors.New("smtp: path is not of the form <local@domain>")
	errPathNull      = errors.New("smtp: the null path <> is not a recipient")
)

// ParseMailbox parses local@domain, without angle brackets. Characters outside ASCII are taken (RFC 6531 s3.3);
// whether a peer may be sent such an address is told by [Mailbox.IsASCII].
func ParseMailbox(s string) (Mailbox, error) {
	local, rest, err := cutLocal(s)
	if err != nil {
		return Mailbox{}, err
	}
	if len(rest) < 2 || rest[0] != '@' {
		return Mailbox{}, errMailboxSyntax
	}
	m := Mailbox{Local: local, Domain: rest[1:]}
	return m, m.Validate()
}

// ParseReversePath parses the argument of MAIL: a mailbox, with or without angle brackets, or <> or nothing for the
// null reverse-path. A source route is dropped.
func ParseReversePath(s string) (ReversePath, error) {
	s, err := insidePath(s)
	if err != nil || s == "" {
		return ReversePath{}, err
	}
	m, err := ParseMailbox(s)
	return ReversePath{m}, err
}

// ParseForwardPath parses the argument of RCPT: a mailbox, with or without angle brackets, or the word Postmaster
// alone (RFC 5321 s4.1.1.3). A source route is dropped.
func ParseForwardPath(s string) (ForwardPath, error) {
	s, err := insidePath(s)
	if err != nil {
		return ForwardPath{}, err
	}
	if s == "" {
		return ForwardPath{}, errPathNull
	}
	if strings.EqualFold(s, "postmaster") {
		return ForwardPath{Mailbox{Local: s}}, nil
	}
	m, err := ParseMailbox(s)
	return ForwardPath{m}, err
}

// IsNull tells whether the path is <>, as in delivery status notifications.
func (r ReversePath) IsNull() bool { return r.Local == "" && r.Domain == "" }

// String gives the mailbox as it stands in a command, without angle brackets: the local part is quoted where it must be. It is
// empty for the zero Mailbox. Octets that no command may hold, such as CR and NUL, are written as "?"; see
// [Mailbox.Validate].
func (m Mailbox) String() string {
	if m.Domain == "" {
		if strings.EqualFold(m.Local, "postmaster") || m.Local == "" {
			return m.Local
		}
		return quoteLocal(m.Local)
	}
	return quoteLocal(m.Local) + "@" + clean(m.Domain)
}

// IsASCII tells whether the mailbox can be used without SMTPUTF8 (RFC 6531).
func (m Mailbox) IsASCII() bool { return isASCII(m.Local) && isASCII(m.Domain) }

// Validate tells what forbids the use of the mailbox in a command: nil for everything that the parsers of this package return.
// Programs that fill in a Mailbox by hand from untrusted text call it; the client of this package always does.
// The zero Mailbox is valid as a null reverse-path only.
func (m Mailbox) Validate() error {
	if m.Domain == "" {
		if m.Local == "" || strings.EqualFold(m.Local, "postmaster") {
			return nil
		}
		return errMailboxSyntax
	}
	for i, r := range m.Local {
		if !isText(m.Local[i:], r) {
			return errLocalSyntax
		}
	}
	local := len(m.Local)
	if !isDotString(m.Local) {
		local += 2 + strings.Count(m.Local, `"`) + strings.Count(m.Local, `\`)
	}
	switch {
	case local > maxLocal:
		return errLocalLong
	case !validDomain(m.Domain):
		return errDomainSyntax
	case local+1+len(m.Domain)+2 > maxPath:
		return errPathLong
	}
	return nil
}

// insidePath takes the angle brackets and the source route off a path.
func insidePath(s string) (string, error) {
	if strings.HasPrefix(s, "<") {
		if len(s) < 2 || s[len(s)-1] != '>' {
			return "", errPathSyntax
		}
		s = s[1 : len(s)-1]
	}
	if !strings.HasPrefix(s, "@") {
		return s, nil
	}
	// RFC 5321 s4.1.2: A-d-l = At-domain *( "," At-domain ), then ":"
	route, s, ok := strings.Cut(s, ":")
	if !ok || s == "" {
		return "", errPathSyntax
	}
	for hop := range strings.SplitSeq(route, ",") {
		if !strings.HasPrefix(hop, "@") || !validDomain(hop[1:]) {
			return "", errPathSyntax
		}
	}
	return s, nil
}

// cutLocal splits off the local part and decodes it.
func cutLocal(s string) (local, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, '@')
		if i < 0 || !isDotString(s[:i]) {
			return "", "", errLocalSyntax
		}
		return s[:i], s[i:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\': // quoted-pairSMTP: a backslash and one of 32 to 126
			if i++; i == len(s) || s[i] < ' ' || s[i] > '~' {
				return "", "", errLocalSyntax
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errLocalSyntax
}

// quoteLocal encodes a local part (RFC 5321 s4.1.2 Quoted-string).
func quoteLocal(s string) string {
	if isDotString(s) {
		return s
	}
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case !isText(s[i:], r):
			b = append(b, '?')
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return string(append(b, '"'))
}

// isDotString tells whether s needs no quotes: Atom *("." Atom).
func isDotString(s string) bool {
	atom := false
	for i, r := range s {
		switch {
		case r == '.':
			if !atom {
				return false
			}
			atom = false
		case r >= utf8.RuneSelf && isText(s[i:], r), r < utf8.RuneSelf && isAtext(byte(r)):
			atom = true
		default:
			return false
		}
	}
	return atom
}

// isAtext is RFC 5322 s3.2.3.
func isAtext(c byte) bool {
	return isAlnum(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isText tells whether r, which stands at the start of s, is a character for a local part: no control character, and
// outside ASCII well-formed UTF-8 that is no space or line separator.
func isText(s string, r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return ' ' <= r && r <= '~'
	case r == utf8.RuneError:
		_, n := utf8.DecodeRuneInString(s)
		return n > 1
	}
	return !unicode.IsControl(r) && !unicode.IsSpace(r) && !unicode.In(r, unicode.Zl, unicode.Zp)
}

// validDomain checks Domain or address-literal (RFC 5321 s4.1.2, s4.1.3). The underscore, which real hosts have in their
// names, is taken as a letter. General-address-literals are not: no tag but IPv6 is registered.
func validDomain(s string) bool {
	if s == "" || len(s) > maxDomain {
		return false
	}
	if s[0] == '[' {
		return validLiteral(s)
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		ascii := true
		for i, r := range label {
			switch {
			case r >= utf8.RuneSelf:
				if ascii = false; !isText(label[i:], r) {
					return false
				}
			case !isAlnum(byte(r)) && r != '-' && r != '_':
				return false
			}
		}
		if ascii && len(label) > 63 {
			return false
		}
	}
	return true
}

func validLiteral(s string) bool {
	if s[len(s)-1] != ']' {
		return false
	}
	s = s[1 : len(s)-1]
	if len(s) > 5 && strings.EqualFold(s[:5], "IPv6:") {
		a, err := netip.ParseAddr(s[5:])
		return err == nil && a.Is6() && a.Zone() == ""
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}

// clean writes "?" for what would break out of a path or a command.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || r == '<' || r == '>' || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
