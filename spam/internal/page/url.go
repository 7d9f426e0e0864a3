package page

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// PlainLinks finds addresses in plain text, at most limit of them.
func PlainLinks(text string, limit int) []Link {
	var links []Link
	for len(links) < limit {
		i := next(text)
		if i < 0 {
			break
		}
		text = text[i:]
		end := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`<>"'()[]{}|`, r) || r == 0x7f })
		if end < 0 {
			end = len(text)
		}
		url := strings.TrimRight(text[:end], ".,;:!?*_")
		links = append(links, Link{URL: url})
		text = text[end:]
	}
	return links
}

// next finds where the next address begins.
func next(text string) int {
	for i := 0; i < len(text); i++ {
		switch text[i] | 0x20 {
		case 'h':
			if hasPrefixFold(text[i:], "http://") || hasPrefixFold(text[i:], "https://") {
				return i
			}
		case 'w':
			if hasPrefixFold(text[i:], "www.") && len(text) > i+4 && (i == 0 || !word(text[i-1])) {
				return i
			}
		}
	}
	return -1
}

func word(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '/' || c == '.' || c == '-'
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// Host gives the user information and the host of an address on the web, in lower case without port. A host is "" for other
// addresses (mailto, tel, relative ones). Browsers are lenient, and so is this: backslashes are slashes, white space within is left out.
func Host(url string) (user, host string) {
	if strings.ContainsAny(url, "\t\r\n\\") {
		url = strings.NewReplacer("\t", "", "\r", "", "\n", "", `\`, "/").Replace(url)
	}
	switch scheme, rest, ok := strings.Cut(url, ":"); {
	case ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "ftp")):
		url = strings.TrimLeft(rest, "/")
	case strings.HasPrefix(url, "//"):
		url = url[2:]
	case hasPrefixFold(url, "www."):
	default:
		return "", ""
	}
	if i := strings.IndexAny(url, "/?#"); i >= 0 {
		url = url[:i]
	}
	if i := strings.LastIndexByte(url, '@'); i >= 0 {
		user, url = url[:i], url[i+1:]
	}
	if strings.HasPrefix(url, "[") {
		url, _, _ = strings.Cut(url[1:], "]")
	} else {
		url, _, _ = strings.Cut(url, ":")
	}
	return user, strings.ToLower(strings.TrimRight(url, "."))
}

// IP reads a host that is an address: dotted, as one number, hexadecimal, or IPv6.
func IP(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	digits := strings.TrimPrefix(host, "0x")
	return digits != "" && len(digits) <= 10 && strings.Trim(digits, "0123456789abcdef") == "" && (digits != host || strings.Trim(host, "0123456789") == "")
}

// Organization gives the part of a host name that somebody registered: example.co.uk of www.example.co.uk.
func Organization(host string) string {
	host = strings.ToLower(strings.Trim(host, "."))
	if org, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return org
	}
	return host
}

// Domain finds the host that a text shows, as a link's text may: "https://bank.example/login", "www.bank.example" or "bank.example". It gives
// "" for other text.
func Domain(text string) string {
	text = strings.TrimSpace(text)
	if _, host := Host(text); host != "" {
		return valid(host)
	}
	if strings.ContainsAny(text, " @") {
		return ""
	}
	host, _, _ := strings.Cut(text, "/")
	return valid(strings.ToLower(host))
}

// valid gives host if its suffix is on the public list.
func valid(host string) string {
	host = strings.TrimRight(host, ".")
	suffix, icann := publicsuffix.PublicSuffix(host)
	if !icann && !strings.Contains(suffix, ".") || suffix == host || strings.ContainsAny(host, " \t,;:!()<>\"'") {
		return ""
	}
	return host
}
