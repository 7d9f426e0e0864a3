package smtp

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

var errXtext = errors.New("smtp: malformed xtext")

const upperHex = "0123456789ABCDEF"

// appendXtext encodes s as xtext (RFC 3461 s4): "+" and two hexadecimal digits for everything that is not a printable ASCII character, and
// for "+" and "=".
func appendXtext(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '+' || c == '=' {
			b = append(b, '+', upperHex[c>>4], upperHex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// decodeXtext is the reverse. What comes out is printable ASCII, as RFC 3461 s4.2 and s4.4 ask of the decoded values,
// so that it can go into a header field of a report.
func decodeXtext(s string) (string, error) {
	s, err := xtextOctets(s)
	if err == nil && !isPrintable(s) {
		err = errXtext
	}
	return s, err
}

// xtextOctets decodes xtext, whatever comes out.
func xtextOctets(s string) (string, error) {
	if strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) {
				return "", errXtext
			}
			hi, lo := strings.IndexByte(upperHex, s[i+1]), strings.IndexByte(upperHex, s[i+2])
			if hi < 0 || lo < 0 {
				return "", errXtext
			}
			c = byte(hi<<4 | lo)
			i += 2
		}
		b = append(b, c)
	}
	return string(b), nil
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// appendUnitext encodes an address of type utf-8 in the form that every session can carry, utf-8-addr-xtext (RFC 6533 s3).
func appendUnitext(b []byte, s string) []byte {
	for _, r := range s {
		if r < '!' || r > '~' || r == '+' || r == '=' || r == '\\' {
			b = append(b, `\x{`...)
			b = append(b, strings.ToUpper(strconv.FormatInt(int64(r), 16))...)
			b = append(b, '}')
		} else {
			b = append(b, byte(r))
		}
	}
	return b
}

// decodeUnitext is the reverse; it also takes characters that stand for themselves.
func decodeUnitext(s string) (string, error) {
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if strings.HasPrefix(s, `\x{`) {
			hex, _, ok := strings.Cut(s[3:], "}")
			v, err := strconv.ParseUint(hex, 16, 21)
			if !ok || err != nil {
				return "", errXtext
			}
			r, n = rune(v), 4+len(hex)
			if !utf8.ValidRune(r) {
				return "", errXtext
			}
		} else if r == utf8.RuneError && n == 1 {
			return "", errXtext
		}
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return "", errXtext
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String(), nil
}
