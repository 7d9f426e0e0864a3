package mime

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// addrSpec returns the address as it goes into a message or an envelope. Without utf8, the domain becomes A-labels (RFC 5891), and a local
// part that is not ASCII is left to the caller: it has no other form (RFC 6532 s3.2).
func addrSpec(a Address, utf8 bool) (spec, reason string) {
	local, domain := a.Split()
	switch {
	case a.Addr == "":
		return "", "has no address"
	case local == "" || domain == "":
		return "", "is not an address of the form local@domain: " + a.Addr
	case !isDotAtom(local) && !isQuotedString(local):
		return "", "has a local part that must be quoted: " + a.Addr
	}
	if !utf8 && !isASCII(domain) {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return "", "has a domain that is no internationalised name: " + a.Addr
		}
		domain = ascii
	}
	if !isDotAtom(domain) && !isDomainLiteral(domain) {
		return "", "has a domain that is no host name: " + a.Addr
	}
	return local + "@" + domain, ""
}

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if !isAtom(atom) {
			return false
		}
	}
	return true
}

// isDomainLiteral reports an address in brackets (RFC 5321 s4.1.3).
func isDomainLiteral(s string) bool {
	literal, open := strings.CutPrefix(s, "[")
	literal, closed := strings.CutSuffix(literal, "]")
	literal, v6 := strings.CutPrefix(literal, "IPv6:")
	ip, err := netip.ParseAddr(literal)
	return open && closed && err == nil && ip.Is6() == v6 && ip.Zone() == ""
}

// isQuotedString reports RFC 5322 s3.2.4's quoted-string without folds.
func isQuotedString(s string) bool {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		switch c := s[i]; {
		case c < ' ' && c != '\t' || c == 0x7f || c == '"':
			return false
		case c == '\\':
			if i++; i == len(s)-1 || s[i] < ' ' {
				return false
			}
		}
	}
	return true
}

// addresses writes an address field; without addresses, nothing.
func (b *builder) addresses(name string, list ...Address) {
	if len(list) == 0 {
		return
	}
	b.begin(name)
	b.mailboxes(name, list)
	b.end()
}

func (b *builder) mailboxes(field string, list []Address) {
	for i, a := range list {
		if i > 0 {
			b.glue(",")
		}
		b.address(field, a)
	}
}

// to writes the To field with its groups; one without any recipient says so (RFC 5322 appendix A.1.3).
func (b *builder) to(l *Letter) {
	groups := l.ToGroups
	if len(l.To)+len(l.Cc)+len(groups) == 0 {
		groups = []AddressGroup{{Name: "undisclosed-recipients"}}
	}
	if len(l.To)+len(groups) == 0 {
		return
	}
	b.begin("To")
	b.mailboxes("To", l.To)
	for i, g := range groups {
		if i > 0 || len(l.To) > 0 {
			b.glue(",")
		}
		if b.check("ToGroups", g.Name); strings.TrimSpace(g.Name) == "" {
			b.fail("ToGroups", "has a group without a name")
		}
		b.phrase(g.Name)
		b.glue(":")
		b.mailboxes("ToGroups", g.Members)
		b.glue(";")
	}
	b.end()
}

func (b *builder) address(field string, a Address) {
	b.check(field, a.Name)
	b.check(field, a.Addr)
	spec, reason := addrSpec(a, b.utf8)
	if reason != "" {
		b.fail(field, reason)
	}
	if a.Name == "" {
		b.token(" ", spec)
		return
	}
	b.phrase(a.Name)
	b.token(" ", "<"+spec+">")
}
