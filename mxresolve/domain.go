package mxresolve

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// parseDomain reads what stands after the @ of an address: a domain, given back in lower-case A-labels, or an address
// literal. A plain lower-case domain costs nothing.
func parseDomain(s string) (ascii string, literal netip.Addr, err *Error) {
	if strings.HasPrefix(s, "[") {
		literal, detail := parseLiteral(s)
		if detail != "" {
			err = newError(s, KindInvalidDomain)
			err.Enhanced, err.Detail = "5.1.3", detail // RFC 3463 s3.2, bad destination address syntax
		}
		return "", literal, err
	}
	invalid := func(detail string) (string, netip.Addr, *Error) {
		err := newError(s, KindInvalidDomain)
		err.Detail = detail
		return "", netip.Addr{}, err
	}
	ascii = strings.TrimSuffix(s, ".")
	if !isASCII(ascii) {
		if !utf8.ValidString(ascii) {
			return invalid("not UTF-8")
		}
		a, e := idna.Lookup.ToASCII(ascii) // RFC 5891 s5 with the usual mappings, NFC among them
		if e != nil {
			return invalid("not an internationalized domain name: " + e.Error())
		}
		ascii = a
	}
	ascii = lower(ascii)
	if detail := checkName(ascii); detail != "" {
		return invalid(detail)
	}
	if ip, ok := parseIP(ascii); ok {
		return invalid("an IP address is written as an address literal, " + literalOf(ip))
	}
	return ascii, netip.Addr{}, nil
}

// parseIP reads an IP address in text form, and tells quickly what is none.
func parseIP(s string) (netip.Addr, bool) {
	if s == "" || s[len(s)-1] > '9' && strings.IndexByte(s, ':') < 0 {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(s)
	return ip.Unmap(), err == nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// checkName tests a name in ASCII by the rules of the wire and of RFC 5321 s4.1.2, but lets underscores pass, which occur.
func checkName(s string) (detail string) {
	if s == "" {
		return "empty"
	}
	if len(s) > 253 {
		return "longer than 253 octets"
	}
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if label == 0 {
				return "empty label"
			}
			label = 0
			continue
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return "character not allowed in a domain name"
		}
		if label++; label > 63 {
			return "label longer than 63 octets"
		}
	}
	if label == 0 {
		return "empty label"
	}
	return ""
}

// parseLiteral reads [192.0.2.1] and [IPv6:2001:db8::1] (RFC 5321 s4.1.3).
func parseLiteral(s string) (ip netip.Addr, detail string) {
	body, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return ip, "address literal without closing bracket"
	}
	if tag, rest, tagged := strings.Cut(body, ":"); tagged {
		if !strings.EqualFold(tag, "IPv6") {
			return ip, "address literal of an unknown kind; IPv6 is written [IPv6:2001:db8::1]"
		}
		a, err := netip.ParseAddr(rest)
		if err != nil || !a.Is6() || a.Zone() != "" {
			return ip, "not an IPv6 address"
		}
		return a.Unmap(), ""
	}
	a, err := netip.ParseAddr(body)
	if err != nil || !a.Is4() {
		return ip, "not an IPv4 address"
	}
	return a, ""
}

func literalOf(ip netip.Addr) string {
	if ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}

// lookupName reads the name of a Lookup method, which may be any DNS name: _dmarc.example.org, for instance.
func lookupName(s string) (string, error) {
	if !isASCII(s) && utf8.ValidString(s) {
		if a, err := idna.Lookup.ToASCII(strings.TrimSuffix(s, ".")); err == nil {
			return a, nil
		}
	}
	name := canonicalName(s)
	var buf [300]byte
	if _, err := appendQuestion(buf[:0], question{name: name}); err != nil || name == "" && s != "." {
		return "", errBadName
	}
	return name, nil
}
