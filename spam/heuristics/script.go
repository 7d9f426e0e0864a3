package heuristics

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// mixed tells hosts with letters of several alphabets in one label, as in pаypal with a Cyrillic a (UTS 39 s5).
func mixed(host string) bool {
	name, _ := idna.ToUnicode(limit(host, 253))
	for label := range strings.SplitSeq(name, ".") {
		alphabets := 0
		for _, alphabet := range []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian} {
			if strings.ContainsFunc(label, func(r rune) bool { return unicode.Is(alphabet, r) }) {
				alphabets++
			}
		}
		if alphabets > 1 {
			return true
		}
	}
	return false
}
