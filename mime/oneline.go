package mime

import (
	"net/url"
	"strings"
)

// oneLine makes what others wrote safe to show in a line.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(noControl, strings.ToValidUTF8(s, "?"))), " ")
}

func noControl(c rune) rune {
	if c < ' ' || c == 0x7f {
		return ' '
	}
	return c
}

// unescape undoes the percent encoding of a URL; what is broken stays.
func unescape(s string) string {
	if out, err := url.PathUnescape(s); err == nil {
		return out
	}
	return s
}
