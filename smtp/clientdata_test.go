package smtp

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// wireOf gives the wire form of a message that comes in pieces of a size.
func wireOf(in string, piece int, dots, binary bool) (string, int64) {
	w := wireForm{dots: dots, binary: binary}
	var out []byte
	for len(in) > 0 {
		n := min(piece, len(in))
		out = w.append(out, []byte(in[:n]))
		in = in[n:]
	}
	return string(w.end(out)), w.size
}

func TestWireForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, data, bdat string }{
		{"", ".\r\n", ""},
		{"a", "a\r\n.\r\n", "a"},
		{"a\r\n", "a\r\n.\r\n", "a\r\n"},
		{"a\n", "a\r\n.\r\n", "a\r\n"},
		{"a\r", "a\r\n.\r\n", "a\r\n"},
		{"a\rb", "a\r\nb\r\n.\r\n", "a\r\nb"},
		{"a\n\rb", "a\r\n\r\nb\r\n.\r\n", "a\r\n\r\nb"},
		{".", "..\r\n.\r\n", "."},
		{".\r\n", "..\r\n.\r\n", ".\r\n"},
		{"..\r\n.a\r\n", "...\r\n..a\r\n.\r\n", "..\r\n.a\r\n"},
		{"a.b\r\n", "a.b\r\n.\r\n", "a.b\r\n"},
		{"\r\n\r\n", "\r\n\r\n.\r\n", "\r\n\r\n"},
		{"\r\r\n", "\r\n\r\n.\r\n", "\r\n\r\n"},
		// What some servers take for the end of the message.
		{"a\n.\nb", "a\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\nb"},
		{"a\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\nb"},
		{"a\r.\rb", "a\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\nb"},
		{"a\r\n.\rb", "a\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\nb"},
		{"a\r\n\x00.\r\nb", "a\r\n\x00.\r\nb\r\n.\r\n", "a\r\n\x00.\r\nb"},
	} {
		for piece := 1; piece <= len(c.in)+1; piece++ {
			got, _ := wireOf(c.in, piece, true, false)
			require.Equal(t, c.data, got, "%q in pieces of %d", c.in, piece)
			got, size := wireOf(c.in, piece, false, false)
			require.Equal(t, c.bdat, got, "%q in pieces of %d", c.in, piece)
			require.Equal(t, int64(len(c.bdat)), size)
			got, _ = wireOf(c.in, piece, false, true)
			require.Equal(t, c.in, got)
		}
	}
}

func FuzzWireForm(f *testing.F) {
	f.Add("a\r\n.\r\nb\r.\n", uint8(1))
	f.Add("..\r\r\n\n", uint8(2))
	f.Fuzz(func(t *testing.T, in string, piece uint8) {
		data, size := wireOf(in, int(piece)+1, true, false)
		whole, _ := wireOf(in, len(in)+1, true, false)
		require.Equal(t, whole, data)
		// Nothing but the end is the end, and no CR or LF stands alone.
		require.Equal(t, len(data)-3, strings.Index("\r\n"+data, "\r\n.\r\n"))
		require.Equal(t, strings.Count(data, "\r\n"), strings.Count(data, "\n"))
		require.Equal(t, strings.Count(data, "\r\n"), strings.Count(data, "\r"))
		// Undone, it is the message with its line ends put right.
		var back []string
		for line := range strings.SplitSeq(strings.TrimSuffix(data, ".\r\n"), "\r\n") {
			back = append(back, strings.TrimPrefix(line, "."))
		}
		plain := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(in)
		if plain != "" && !strings.HasSuffix(plain, "\r\n") {
			plain += "\r\n"
		}
		require.Equal(t, plain, strings.Join(back, "\r\n"))
		require.Equal(t, int64(len(plain)), size)
	})
}

type readers func() io.Reader

func (r readers) Open() (io.ReadCloser, error) { return io.NopCloser(r()), nil }
func (r readers) Size() int64                  { return -1 }

func TestSourceASCII(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef\r\n", 4000)
	for _, c := range []struct {
		name, in     string
		header, body bool
	}{
		{"plain", "A: b\r\n\r\nc", true, true},
		{"8-bit body", "A: b\r\n\r\nü", true, false},
		{"8-bit body, LF", "A: b\n\nü", true, false},
		{"8-bit header", "A: ü\r\n\r\nc", false, false},
		{"8-bit far behind", "A: b\r\n\r\n" + long + "ü", true, false},
		{"long", "A: b\r\n\r\n" + long, true, true},
		{"long header", long + "\r\n" + "ü", true, false},
		{"8-bit in a long header", long + "ü\r\n\r\n", false, false},
		{"header only", "A: b\r\n", true, true},
		{"empty", "", true, true},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader, "data and error": iotest.DataErrReader,
		} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				content := readers(func() io.Reader { return wrap(strings.NewReader(c.in)) })
				for _, headerOnly := range []bool{true, false} {
					s, err := openSource(content)
					require.NoError(t, err)
					got, err := s.ascii(content, headerOnly)
					require.NoError(t, err)
					if headerOnly {
						require.Equal(t, c.header, got)
					} else {
						require.Equal(t, c.body, got)
					}
					var all []byte
					for {
						block, err := s.next()
						require.NoError(t, err)
						all = append(all, block...)
						if s.eof {
							break
						}
					}
					require.Equal(t, c.in, string(all), "nothing is lost by looking")
					s.close()
				}
			})
		}
	}
}

type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

func TestSourceWithoutProgress(t *testing.T) {
	t.Parallel()
	_, err := openSource(readers(func() io.Reader { return idleReader{} }))
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func BenchmarkWireForm(b *testing.B) {
	block := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", blockSize/78))
	out := make([]byte, 0, 2*blockSize)
	for name, w := range map[string]wireForm{"DATA": {dots: true}, "BDAT": {}, "binary": {binary: true}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(block)))
			b.ReportAllocs()
			for b.Loop() {
				out = w.append(out[:0], block)
			}
		})
	}
	b.Run("lone LF", func(b *testing.B) {
		w := wireForm{dots: true}
		in := bytes.ReplaceAll(block, []byte("\r\n"), []byte("\n"))
		b.SetBytes(int64(len(in)))
		for b.Loop() {
			out = w.append(out[:0], in)
		}
	})
}
