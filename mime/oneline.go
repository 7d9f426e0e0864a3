package mime

import "strings"

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
