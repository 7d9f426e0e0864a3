package auth

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gomailroom/mailroom/spam"
)

// spfRecord is a parsed policy (RFC 7208 s4.6.1).
type spfRecord struct {
	terms         []spfTerm
	redirect, exp string
}

// spfTerm is a mechanism with its qualifier.
type spfTerm struct {
	text         string
	result       spam.AuthResult
	kind         string
	spec         string // domain-spec, or "" for the current domain
	prefix       netip.Prefix
	bits4, bits6 int
}

// parseSPF checks a whole record: an error anywhere in it is a permerror whatever would match before (RFC 7208 s4.6).
func parseSPF(text string) (*spfRecord, error) {
	if !isPrintable(text) {
		return nil, fmt.Errorf("only printable ASCII is allowed")
	}
	r := &spfRecord{}
	seen := map[string]bool{}
	for term := range strings.SplitSeq(text[len("v=spf1"):], " ") {
		if term == "" {
			continue
		}
		if name, value, ok := cutModifier(term); ok {
			name = strings.ToLower(name)
			if err := r.modifier(name, value, seen[name]); err != nil {
				return nil, fmt.Errorf("%q: %w", term, err)
			}
			seen[name] = true
			continue
		}
		t, err := parseMechanism(term)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", term, err)
		}
		r.terms = append(r.terms, t)
	}
	return r, nil
}

// cutModifier recognises name=value, where name begins with a letter.
func cutModifier(term string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(term, "=")
	if !ok || name == "" || !isAlpha(name[0]) {
		return "", "", false
	}
	for i := range len(name) {
		if !isAlpha(name[i]) && !isDigit(name[i]) && name[i] != '-' && name[i] != '_' && name[i] != '.' {
			return "", "", false
		}
	}
	return name, value, true
}

func (r *spfRecord) modifier(name, value string, again bool) error {
	switch name {
	case "redirect", "exp":
		if again {
			return fmt.Errorf("given twice")
		}
		if err := checkDomainSpec(value); err != nil {
			return err
		}
		if name == "exp" {
			r.exp = value
		} else {
			r.redirect = value
		}
		return nil
	default:
		return checkMacros(value, false)
	}
}

var qualifiers = map[byte]spam.AuthResult{'+': spam.AuthPass, '-': spam.AuthFail, '~': spam.AuthSoftFail, '?': spam.AuthNeutral}

func parseMechanism(term string) (spfTerm, error) {
	t := spfTerm{text: term, result: spam.AuthPass, bits4: 32, bits6: 128}
	rest := term
	if q, ok := qualifiers[term[0]]; ok {
		t.result, rest = q, term[1:]
	}
	end := strings.IndexAny(rest, ":/")
	if end < 0 {
		end = len(rest)
	}
	t.kind = strings.ToLower(rest[:end])
	arg, hasArg := strings.CutPrefix(rest[end:], ":")
	if hasArg && arg == "" {
		return t, fmt.Errorf("nothing after the colon")
	}
	var err error
	switch t.kind {
	case "all":
		if rest[end:] != "" {
			err = fmt.Errorf("all takes no argument")
		}
	case "ip4", "ip6":
		if !hasArg {
			return t, fmt.Errorf("an address is missing")
		}
		t.prefix, err = parseNetwork(arg, t.kind == "ip4")
	case "include", "exists":
		if !hasArg {
			return t, fmt.Errorf("a domain is missing")
		}
		t.spec = arg
		err = checkDomainSpec(arg)
	case "ptr":
		if !hasArg && arg != "" {
			return t, fmt.Errorf("ptr takes no prefix length")
		}
		t.spec = arg
		if hasArg {
			err = checkDomainSpec(arg)
		}
	case "a", "mx":
		err = t.hostArgument(arg, hasArg)
	default:
		err = fmt.Errorf("no such mechanism")
	}
	return t, err
}

// hostArgument parses [":" domain-spec] ["/" bits4] ["//" bits6].
func (t *spfTerm) hostArgument(arg string, hasSpec bool) error {
	// A domain-spec may have slashes as well, but it ends in a label or a macro: what ends in digits after slashes is a length.
	spec := arg
	six, hasSix := cutLength(&spec, "//")
	four, hasFour := cutLength(&spec, "/")
	if !hasSpec && spec != "" {
		return fmt.Errorf("%q is no prefix length", spec)
	}
	if hasSpec {
		if err := checkDomainSpec(spec); err != nil {
			return err
		}
		t.spec = spec
	}
	var err error
	if hasFour {
		if t.bits4, err = parseBits(four, 32); err != nil {
			return err
		}
	}
	if hasSix {
		t.bits6, err = parseBits(six, 128)
	}
	return err
}

// cutLength takes the separator and the digits at the end of s off.
func cutLength(s *string, separator string) (digits string, ok bool) {
	head := strings.TrimRight(*s, "0123456789")
	if len(head) == len(*s) || !strings.HasSuffix(head, separator) {
		return "", false
	}
	digits = (*s)[len(head):]
	*s = strings.TrimSuffix(head, separator)
	return digits, true
}

func parseBits(s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most || strconv.Itoa(n) != s {
		return 0, fmt.Errorf("prefix length %q is not between 0 and %d", s, most)
	}
	return n, nil
}

func parseNetwork(s string, four bool) (netip.Prefix, error) {
	addr, length, hasLength := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Is4() != four || ip.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("not an address of that family")
	}
	bits := ip.BitLen()
	if hasLength {
		if bits, err = parseBits(length, bits); err != nil {
			return netip.Prefix{}, err
		}
	}
	return ip.Prefix(bits)
}

// checkDomainSpec holds RFC 7208 s7.1: macros, then a top label or a macro at the end.
func checkDomainSpec(s string) error {
	if s == "" {
		return fmt.Errorf("a domain is missing")
	}
	if err := checkMacros(s, false); err != nil {
		return err
	}
	if strings.HasSuffix(s, "}") || strings.HasSuffix(s, "%%") || strings.HasSuffix(s, "%_") || strings.HasSuffix(s, "%-") {
		if strings.HasSuffix(s, "}") {
			return nil
		}
		return fmt.Errorf("the domain does not end in a label")
	}
	s = strings.TrimSuffix(s, ".")
	dot := strings.LastIndexByte(s, '.')
	if dot < 0 || !isTopLabel(s[dot+1:]) {
		return fmt.Errorf("the domain does not end in a top-level label")
	}
	return nil
}

func isTopLabel(s string) bool {
	letter := false
	for i := range len(s) {
		switch {
		case isAlpha(s[i]) || s[i] == '-' && i > 0 && i < len(s)-1:
			letter = true
		case !isDigit(s[i]):
			return false
		}
	}
	return letter
}

// isPrintable tells whether a text can go into a reply: printable ASCII, which leaves no way to break a line.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
