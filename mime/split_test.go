package mime_test

import (
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

func TestSplitSignature(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, body, signature string }{
		{"a\n-- \nme\n", "a\n", "me\n"},
		{"a\n-- \nb\n-- \nme", "a\n-- \nb\n", "me"},
		{"-- \nme", "", "me"},
		{"a\n--\nno", "a\n--\nno", ""},
		{"a -- \nno", "a -- \nno", ""},
		{"", "", ""},
	} {
		body, signature := mime.SplitSignature(c.text)
		require.Equal(t, [2]string{c.body, c.signature}, [2]string{body, signature}, "%q", c.text)
	}
}

func TestSplitReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, reply, quoted string }{
		{"Yes.\n\nOn Monday Ann wrote:\n> Lunch?\n> \n> Ann\n", "Yes.\n\n", "On Monday Ann wrote:\n> Lunch?\n> \n> Ann\n"},
		{"Yes.\n\nOn Mon, 5 Jan 2026 at 10:00, Ann\n<ann@example.org> wrote:\n\n> Lunch?\n", "Yes.\n\n", "On Mon, 5 Jan 2026 at 10:00, Ann\n<ann@example.org> wrote:\n\n> Lunch?\n"},
		{"> Lunch?\nYes.\n> When?\nNoon.\n", "> Lunch?\nYes.\n> When?\nNoon.\n", ""},
		{"Yes.\n-----Original Message-----\nFrom: Ann\n\nLunch?\n", "Yes.\n", "-----Original Message-----\nFrom: Ann\n\nLunch?\n"},
		{"Yes.\n________________________________\nFrom: Ann\n", "Yes.\n", "________________________________\nFrom: Ann\n"},
		{"plain\n", "plain\n", ""},
		{"> only\n", "", "> only\n"},
		{"", "", ""},
	} {
		reply, quoted := mime.SplitReply(c.text)
		require.Equal(t, [2]string{c.reply, c.quoted}, [2]string{reply, quoted}, "%q", c.text)
	}
}
