package auth

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const macroDelimiters = ".-+,/_="

// macro is one %{...} (RFC 7208 s7.1).
type macro struct {
	letter     byte
	keep       int // right-most parts; 0: all
	reverse    bool
	delimiters string
}

// parseMacro parses what follows "%{"; rest is what follows the brace.
func parseMacro(s string, explain bool) (m macro, rest string, err error) {
	body, rest, ok := strings.Cut(s, "}")
	if !ok || body == "" {
		return m, "", fmt.Errorf("macro is not closed")
	}
	m.letter = body[0]
	letters := "slodiphv"
	if explain {
		letters += "crt"
	}
	if !strings.Contains(letters, strings.ToLower(body[:1])) {
		return m, "", fmt.Errorf("no macro %q here", body[:1])
	}
	t := body[1:]
	digits := len(t) - len(strings.TrimLeft(t, "0123456789"))
	if digits > 0 {
		if m.keep, err = strconv.Atoi(t[:digits]); err != nil || m.keep == 0 {
			return m, "", fmt.Errorf("macro keeps %q parts", t[:digits])
		}
	}
	t = t[digits:]
	if t != "" && t[0]|0x20 == 'r' {
		m.reverse, t = true, t[1:]
	}
	if strings.Trim(t, macroDelimiters) != "" {
		return m, "", fmt.Errorf("%q is no delimiter of macros", t)
	}
	m.delimiters = t
	return m, rest, nil
}

// checkMacros holds the syntax of a macro-string.
func checkMacros(s string, explain bool) error {
	for {
		_, after, ok := strings.Cut(s, "%")
		if !ok {
			return nil
		}
		switch {
		case after == "":
			return fmt.Errorf("a %% stands alone")
		case after[0] == '%' || after[0] == '_' || after[0] == '-':
			s = after[1:]
		case after[0] == '{':
			var err error
			if _, s, err = parseMacro(after[1:], explain); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%%%c is no macro", after[0])
		}
	}
}

// domainSpec expands a domain-spec. What is longer than DNS has loses labels on the left (RFC 7208 s7.3).
func (e *evaluation) domainSpec(spec, domain string) (string, error) {
	name := strings.TrimSuffix(e.expand(spec, domain), ".")
	for len(name) > 253 {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			return "", permError("%q expands to a name that is too long", spec)
		}
		name = rest
	}
	return name, nil
}

// expand expands a macro-string that checkMacros has passed.
func (e *evaluation) expand(s, domain string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "%")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		switch after[0] {
		case '%':
			b.WriteByte('%')
		case '_':
			b.WriteByte(' ')
		case '-':
			b.WriteString("%20")
		default:
			m, rest, err := parseMacro(after[1:], true)
			if err != nil {
				return b.String()
			}
			b.WriteString(m.apply(e.value(m.letter, domain)))
			s = rest
			continue
		}
		s = after[1:]
	}
}

// value gives what a macro letter stands for (RFC 7208 s7.2).
func (e *evaluation) value(letter byte, domain string) string {
	switch letter | 0x20 {
	case 's':
		return e.local + "@" + e.sender
	case 'l':
		return e.local
	case 'o':
		return e.sender
	case 'd':
		return domain
	case 'i':
		if e.ip.Is4() {
			return e.ip.String()
		}
		b := e.ip.As16()
		return strings.Join(strings.Split(strings.ToUpper(hex.EncodeToString(b[:])), ""), ".")
	case 'p':
		return e.validatedName(domain)
	case 'v':
		if e.ip.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'h':
		return e.query.Hello
	case 'c':
		return e.ip.String()
	case 'r':
		if e.query.Hostname == "" {
			return "unknown"
		}
		return e.query.Hostname
	default: // t
		return strconv.FormatInt(time.Now().Unix(), 10)
	}
}

// validatedName is the p macro: the domain itself if it is among the client's confirmed names, else one below it, else any (RFC 7208 s7.3).
func (e *evaluation) validatedName(domain string) string {
	if e.validated != "" {
		return e.validated
	}
	names := e.confirmedNames()
	e.validated = "unknown"
	if len(names) > 0 {
		e.validated = names[0]
	}
	if i := slices.IndexFunc(names, func(n string) bool { return isBelow(n, domain) }); i >= 0 {
		e.validated = names[i]
	}
	if i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, domain) }); i >= 0 {
		e.validated = names[i]
	}
	return e.validated
}

// apply splits, reverses, keeps and joins as the macro says. A capital letter asks for URL escaping.
func (m macro) apply(v string) string {
	delimiters := m.delimiters
	if delimiters == "" {
		delimiters = "."
	}
	if m.keep > 0 || m.reverse || m.delimiters != "" {
		parts := strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(delimiters, r) })
		if m.reverse {
			slices.Reverse(parts)
		}
		if m.keep > 0 && m.keep < len(parts) {
			parts = parts[len(parts)-m.keep:]
		}
		v = strings.Join(parts, ".")
	}
	if m.letter < 'a' {
		v = strings.ReplaceAll(url.QueryEscape(v), "+", "%20")
		v = strings.NewReplacer("%7E", "~").Replace(v)
	}
	return v
}
