package sasl

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

var errPrepare = errors.New("sasl: name or password has characters that are not allowed")

// Prepare makes strings that look the same equal, by SASLprep (RFC 4013):
// other spaces become spaces, what has no width is dropped, compatibility
// forms are folded (NFKC). Control characters and the like are an error.
// Characters newer than Unicode 3.2 are let through, emoji among them, and
// the rule on mixed directions is not applied: both only lock users out.
func Prepare(s string) (string, error) {
	if isPlainASCII(s) {
		return s, nil
	}
	if !utf8.ValidString(s) {
		return "", errPrepare
	}
	s = norm.NFKC.String(strings.Map(func(r rune) rune {
		switch {
		case mappedToNothing(r):
			return -1
		case r > 0x7f && unicode.Is(unicode.Zs, r) || r == 0x200b: // RFC 4013 s2.1
			return ' '
		}
		return r
	}, s))
	for _, r := range s {
		if prohibited(r) {
			return "", errPrepare
		}
	}
	return s, nil
}

func isPlainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// mappedToNothing: RFC 3454 table B.1.
func mappedToNothing(r rune) bool {
	switch r {
	case 0x00ad, 0x034f, 0x1806, 0x200c, 0x200d, 0x2060, 0xfeff:
		return true
	}
	return r >= 0x180b && r <= 0x180d || r >= 0xfe00 && r <= 0xfe0f
}

// prohibited: RFC 4013 s2.3.
func prohibited(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) ||
		r >= 0xfff9 && r <= 0xfffd || r >= 0x2ff0 && r <= 0x2ffb || // inappropriate for plain text, for canonical form
		r == 0x0340 || r == 0x0341 || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x206a && r <= 0x206f || // change display
		r == 0x06dd || r == 0x070f || r == 0x180e || r >= 0x2061 && r <= 0x2063 || r >= 0x1d173 && r <= 0x1d17a ||
		r == 0xe0001 || r >= 0xe0020 && r <= 0xe007f // tags
}
