package pop3

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stuffed is the plain meaning of RETR (lines < 0) and TOP.
func stuffed(msg string, lines int) string {
	var b strings.Builder
	body := false
	for l := range strings.Lines(msg) {
		if body && lines == 0 {
			break
		}
		l = strings.TrimSuffix(strings.TrimSuffix(l, "\n"), "\r")
		if body {
			lines--
		}
		body = body || l == ""
		if strings.HasPrefix(l, ".") {
			b.WriteByte('.')
		}
		b.WriteString(l + "\r\n")
	}
	return b.String() + ".\r\n"
}

func stuff(msg string, lines, block int) string {
	var to bytes.Buffer
	out := &output{w: &to, fresh: func() []byte { return make([]byte, 0, 64) }}
	d := stuffer{out: out, top: lines >= 0, lines: int64(lines)}
	for p := []byte(msg); len(p) > 0 && !d.done; {
		n := min(block, len(p))
		d.write(p[:n])
		p = p[n:]
	}
	d.end()
	out.flush()
	return to.String()
}

var stuffCases = []string{
	"", ".", "\r", "\n", "\r\n", ".\r\n", "a: b\r\n\r\n.\r\n..\r\nend\r\n", "a: b\n\n.x\n.y", "a\r\n\r\n\r\n\r\n", "a\rb\r\n\r\r\n.\r", "\r\n.\r\n\n.\n",
	"a: b\r\n" + strings.Repeat("x", 200) + "\r\n\r\n" + strings.Repeat(".long", 50),
}

func TestStuffing(t *testing.T) {
	t.Parallel()
	for _, msg := range stuffCases {
		for lines := -1; lines < 5; lines++ {
			for block := 1; block < 70; block++ {
				require.Equal(t, stuffed(msg, lines), stuff(msg, lines, block), "%q, %d lines, blocks of %d", msg, lines, block)
			}
		}
	}
}

func FuzzStuffing(f *testing.F) {
	for i, msg := range stuffCases {
		f.Add(msg, i-1, 1+i*3)
	}
	f.Fuzz(func(t *testing.T, msg string, lines, block int) {
		lines = max(-1, lines)
		require.Equal(t, stuffed(msg, lines), stuff(msg, lines, max(1, block)))
	})
}
