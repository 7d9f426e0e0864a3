package line_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/internal/line"
	"github.com/stretchr/testify/require"
)

// events runs the input through a buffer in pieces that cut says, and writes
// down every line and error.
func events(b *line.Buffer, pieces ...[]byte) []string {
	var out []string
	for _, p := range pieces {
		b.Feed(p)
		for {
			l, ok, err := b.Line()
			if !ok {
				break
			}
			out = append(out, fmt.Sprintf("%q %v", l, err))
		}
	}
	return out
}

// model is the plain meaning: split the whole input, then judge each line.
func model(in []byte, limit int, ending line.Ending) []string {
	var out []string
	sep := "\r\n"
	if ending == line.LF {
		sep = "\n"
	}
	rest := string(in)
	for {
		l, after, found := strings.Cut(rest, sep)
		body := l
		if ending == line.LF && found {
			body = strings.TrimSuffix(l, "\r")
		}
		if !found {
			body = strings.TrimSuffix(body, "\r")
		}
		switch {
		case len(body) > limit:
			out = append(out, fmt.Sprintf("%q %v", "", line.ErrTooLong))
		case !found:
		case ending == line.CRLF && strings.ContainsAny(body, "\r\n"):
			out = append(out, fmt.Sprintf("%q %v", body, line.ErrBareNewline))
		default:
			out = append(out, fmt.Sprintf("%q %v", body, error(nil)))
		}
		if !found {
			return out
		}
		rest = after
	}
}

var samples = []string{
	"",
	"NOOP\r\nQUIT\r\n",
	"\r\n\r\n",
	"a\nb\r\nc\rd\r\n",
	"\n\r\n",
	"\r\r\n\n\r\n",
	"12345678\r\n123456789\r\nnext\r\n",
	"123456789\nabc\r\nnext\r\n",
	"1234567\r89\r\nnext\r\n",
	"12345678\r",
	"12345678\rx\r\nnext\r\n",
	"1234567890123456789012345678901234567890",
	"123456789012345\r\r\nnext\r\n",
	"12345678901\rx\r\nnext\r\n",
	"1234567\n\n\n\r\nnext\r\n",
}

func TestSplitAnywhere(t *testing.T) {
	t.Parallel()
	for _, ending := range []line.Ending{line.CRLF, line.LF} {
		for _, s := range samples {
			want := model([]byte(s), 8, ending)
			for i := range len(s) + 1 {
				b := &line.Buffer{MaxLine: 8, Ending: ending}
				require.Equal(t, want, events(b, []byte(s[:i]), []byte(s[i:])), "%q cut at %d, ending %d", s, i, ending)
			}
			b := &line.Buffer{MaxLine: 8, Ending: ending}
			require.Equal(t, want, events(b, bytes.SplitAfter([]byte(s), nil)...), "%q by octet", s)
		}
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	var b line.Buffer
	b.Feed([]byte("A {5}\r\nhel"))
	l, ok, err := b.Line()
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "A {5}", string(l))
	require.Equal(t, "hel", string(b.Take(5)))
	require.Nil(t, b.Take(2))
	b.Feed([]byte("l\n\r\nB\r\n"))
	require.Equal(t, "l\n", string(b.Take(2)))
	l, ok, err = b.Line()
	require.NoError(t, err)
	require.True(t, ok)
	require.Empty(t, l)
	require.Equal(t, "B\r\n", string(b.Buffered()))
	b.Reset()
	require.Zero(t, b.Len())
	_, ok, _ = b.Line()
	require.False(t, ok)
}

// A partly searched line must not mark the counted octets behind it.
func TestTakeAfterPartialSearch(t *testing.T) {
	t.Parallel()
	var b line.Buffer
	b.Feed([]byte("ab\ncd"))
	_, ok, _ := b.Line()
	require.False(t, ok)
	require.Equal(t, "ab\ncd", string(b.Take(5)))
	b.Feed([]byte("X\r\n"))
	l, ok, err := b.Line()
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, "X", string(l))
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	b := &line.Buffer{MaxLine: 100}
	chunk := bytes.Repeat([]byte("x"), 1000)
	seen := 0
	for range 1000 {
		b.Feed(chunk)
		if _, ok, err := b.Line(); ok {
			require.ErrorIs(t, err, line.ErrTooLong)
			seen++
		}
		require.LessOrEqual(t, b.Len(), 1)
	}
	require.Equal(t, 1, seen)
	b.Feed([]byte("\r\nNOOP\r\n"))
	l, ok, err := b.Line()
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, "NOOP", string(l))
}

func FuzzBuffer(f *testing.F) {
	for i, s := range samples {
		f.Add([]byte(s), uint8(i), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8, lf bool) {
		ending := line.CRLF
		if lf {
			ending = line.LF
		}
		b := &line.Buffer{MaxLine: 8, Ending: ending}
		var pieces [][]byte
		for p := in; len(p) > 0; {
			n := min(int(step%16)+1, len(p))
			pieces = append(pieces, p[:n])
			p = p[n:]
		}
		require.Equal(t, model(in, 8, ending), events(b, pieces...))
	})
}

func BenchmarkLine(b *testing.B) {
	in := bytes.Repeat([]byte("RETR 12345\r\n"), 340)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var buf line.Buffer
	for b.Loop() {
		buf.Feed(in)
		for {
			if _, ok, _ := buf.Line(); !ok {
				break
			}
		}
	}
}
