package smtp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOriginalRecipient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value string
		want  OriginalRecipient
		bad   bool
	}{
		{"rfc822;bob+2Blist@b.test", OriginalRecipient{"rfc822", "bob+list@b.test"}, false},
		{`utf-8;j\x{FC}rgen@b.test`, OriginalRecipient{"utf-8", "jürgen@b.test"}, false},
		{"utf-8;jürgen@b.test", OriginalRecipient{"utf-8", "jürgen@b.test"}, false},
		{"rfc822;j+C3+BCrgen@b.test", OriginalRecipient{"utf-8", "jürgen@b.test"}, false}, // as Postfix 3.7 has it
		{"rfc822;j+FCrgen@b.test", OriginalRecipient{}, true},
		{"rfc822;bob+0D+0A@b.test", OriginalRecipient{}, true},
		{"rfc822;j+C2+85rgen@b.test", OriginalRecipient{}, true},
		{"x400;j+C3+BCrgen", OriginalRecipient{}, true},
		{"rfc822;bob+2", OriginalRecipient{}, true},
		{"rfc822;", OriginalRecipient{}, true},
		{"bob@b.test", OriginalRecipient{}, true},
	} {
		t.Run(c.value, func(t *testing.T) {
			t.Parallel()
			got, ok := parseOriginalRecipient(c.value)
			require.Equal(t, !c.bad, ok)
			if ok {
				require.Equal(t, c.want, got)
			}
		})
	}
}
