package imap

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Mailbox names travel in modified UTF-7 (RFC 3501 s5.1.3): printable US-ASCII stands for itself, "&" is "&-", and everything else is base64 of UTF-16BE, with ","
// for "/" and without padding, between "&" and "-".

var utf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// maxMailboxName bounds a name in octets of UTF-8.
const maxMailboxName = 1000

// decodeMailbox gives the name as backends know it: UTF-8 in NFC, INBOX in capitals.
func decodeMailbox(s string) (string, error) {
	name, err := decodeUTF7(s)
	if err != nil {
		return "", err
	}
	return canonicalName(name)
}

// canonicalName also refuses what could never be shown again.
func canonicalName(name string) (string, error) {
	name = norm.NFC.String(name)
	if len(name) > maxMailboxName {
		return "", no("LIMIT", "Mailbox name too long")
	}
	for _, r := range name {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError { // RFC 5198 s2
			return "", no("CANNOT", "Mailbox name has a control character")
		}
	}
	// INBOX in any case is INBOX, also where it is the first level (RFC 3501 s5.1).
	if first, rest, below := strings.Cut(name, "/"); strings.EqualFold(first, "INBOX") {
		name = "INBOX"
		if below {
			name += "/" + rest
		}
	}
	return name, nil
}

func decodeUTF7(s string) (string, error) {
	if strings.IndexByte(s, '&') < 0 {
		if !utf8.ValidString(s) {
			return "", bad("Mailbox name is neither modified UTF-7 nor UTF-8")
		}
		return s, nil
	}
	bad := func() (string, error) { return "", bad("Mailbox name is not modified UTF-7") }
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		end := strings.IndexByte(s, '-')
		if end < 0 {
			return bad()
		}
		if end == 0 {
			b.WriteByte('&')
		} else {
			raw, err := utf7.DecodeString(s[:end])
			if err != nil || len(raw)%2 != 0 {
				return bad()
			}
			units := make([]uint16, len(raw)/2)
			for j := range units {
				units[j] = uint16(raw[2*j])<<8 | uint16(raw[2*j+1])
			}
			for _, r := range utf16.Decode(units) {
				if r == utf8.RuneError || 0x20 <= r && r < 0x7f { // broken, or a second spelling of US-ASCII
					return bad()
				}
				b.WriteRune(r)
			}
		}
		s = s[end+1:]
	}
	if !utf8.ValidString(b.String()) {
		return bad()
	}
	return b.String(), nil
}

func encodeUTF7(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f || s[i] == '&' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	var raw []byte
	flush := func() {
		if len(raw) > 0 {
			b.WriteByte('&')
			b.WriteString(utf7.EncodeToString(raw))
			b.WriteByte('-')
			raw = raw[:0]
		}
	}
	for _, r := range s {
		if 0x20 <= r && r < 0x7f {
			flush()
			if b.WriteByte(byte(r)); r == '&' {
				b.WriteByte('-')
			}
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			raw = append(raw, byte(u>>8), byte(u))
		}
	}
	flush()
	return b.String()
}
