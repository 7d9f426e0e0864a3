package dkim

import (
	"bytes"
	mrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// canonical is RFC 6376 s3.4.3 and s3.4.4 word by word.
func canonical(body string, relaxed bool) string {
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\n", "\r\n")
	lines := strings.Split(body, "\r\n")
	for i, line := range lines {
		if !relaxed {
			continue
		}
		var b strings.Builder
		for j := 0; j < len(line); j++ {
			if line[j] == ' ' || line[j] == '\t' {
				if j+1 < len(line) && (line[j+1] == ' ' || line[j+1] == '\t') {
					continue
				}
				b.WriteByte(' ')
				continue
			}
			b.WriteByte(line[j])
		}
		lines[i] = strings.TrimRight(b.String(), " ")
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if len(lines) == 0 {
		if relaxed {
			return ""
		}
		return "\r\n"
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

// recorder is a hash that keeps what it is given.
type recorder struct{ bytes.Buffer }

func (r *recorder) Sum(b []byte) []byte { return append(b, r.Bytes()...) }
func (r *recorder) Size() int           { return 0 }
func (r *recorder) BlockSize() int      { return 1 }

func checkBody(t *testing.T, body string, cut func(n int) int) {
	t.Helper()
	for _, relaxed := range []bool{false, true} {
		want := canonical(body, relaxed)
		for _, limit := range []int64{-1, 0, 3, int64(len(want))} {
			h := newBodyHash(relaxed, limit, &recorder{})
			for rest := body; rest != ""; {
				n := cut(len(rest))
				h.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			got := string(h.sum())
			expected := want
			if limit >= 0 {
				expected = want[:min(limit, int64(len(want)))]
			}
			require.Equal(t, expected, got, "relaxed %v, limit %d, %q", relaxed, limit, body)
			require.EqualValues(t, len(want), h.total)
		}
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "\r\n", "\r\n\r\n", "a", "a\r\n", " \r\n", "a \r\n\t b\tc  d\r\n\r\n\r\n", "a\r\n\r\nb\r\n", " C \r\nD \t E\r\n\r\n\r\n",
		"\r", "a\r", "a \r", "\r\r\n", "a\rb\r\n", "bare\nlf\n\n", "x \rb", "\r\n\r\nx"} {
		checkBody(t, body, func(n int) int { return n })
		checkBody(t, body, func(int) int { return 1 })
	}
}

// Bodies of a few pieces that matter, cut anywhere, agree with the definition.
func TestBodyProperty(t *testing.T) {
	t.Parallel()
	r := mrand.New(mrand.NewPCG(1, 2))
	pieces := []string{"\r\n", "\r\n", "\r\n", "\n", "\r", " ", "  ", "\t", "a", "word", "two words", "\r\n\r\n\r\n", strings.Repeat("x", 100)}
	for range 5000 {
		var b strings.Builder
		for range r.IntN(20) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		checkBody(t, b.String(), func(n int) int { return 1 + r.IntN(n) })
	}
}

func TestHeaderCanonicalization(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ raw, relaxed, simple string }{ // RFC 6376 s3.4.5
		{"A: X\r\n", "a:X\r\n", "A: X\r\n"},
		{"B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n", "B : Y\t\r\n\tZ  \r\n"},
		{"C:\r\n", "c:\r\n", "C:\r\n"},
		{"D: a\n b\n", "d:a b\r\n", "D: a\r\n b\r\n"},
		{"E: last", "e:last\r\n", "E: last\r\n"},
	} {
		require.Equal(t, c.relaxed, string(appendHeader(nil, []byte(c.raw), true)))
		require.Equal(t, c.simple, string(appendHeader(nil, []byte(c.raw), false)))
	}
}
