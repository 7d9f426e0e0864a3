package mime

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	stdmime "mime"
	"mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestBase64Reader(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 171, 57 * base64Block, 57*base64Block + 1, 100_000} {
		raw := randomBytes(r, n)
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r },
			"bytes": iotest.OneByteReader,
			"half":  iotest.HalfReader,
			"eof":   iotest.DataErrReader,
		} {
			encoded, err := io.ReadAll(wrap(newBase64Reader(wrap(bytes.NewReader(raw)))))
			require.NoError(t, err)
			require.Equal(t, base64Size(int64(n)), int64(len(encoded)), "%d octets, %s", n, name)
			for line := range bytes.SplitSeq(bytes.TrimSuffix(encoded, crlf), crlf) {
				require.LessOrEqual(t, len(line), 76)
			}
			decoded, err := base64.StdEncoding.DecodeString(string(encoded)) // it skips CR and LF
			require.NoError(t, err)
			require.True(t, bytes.Equal(raw, decoded))
		}
	}
}

func TestBase64ReaderPassesErrorsOn(t *testing.T) {
	t.Parallel()
	_, err := io.ReadAll(newBase64Reader(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("abc")))))
	require.ErrorIs(t, err, iotest.ErrTimeout)
}

func TestQuotedPrintable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, out string }{
		{"", ""},
		{"plain\r\n", "plain\r\n"},
		{"a=b\r\n", "a=3Db\r\n"},
		{"trailing \r\ntab\t\r\nend ", "trailing=20\r\ntab=09\r\nend=20"},
		{" \r\n", "=20\r\n"},
		{"Gr\u00fc\u00dfe", "Gr=C3=BC=C3=9Fe"},
		{"From here\r\n.\r\n..\r\n", "=46rom here\r\n=2E\r\n..\r\n"},
		{"lone\rcr\nlf", "lone=0Dcr=0Alf"},
		{strings.Repeat("x", 76), strings.Repeat("x", 76)},
		{strings.Repeat("x", 77), strings.Repeat("x", 75) + "=\r\nxx"},
		{strings.Repeat("x", 73) + "=", strings.Repeat("x", 73) + "=3D"},
		{strings.Repeat("x", 74) + "=", strings.Repeat("x", 74) + "=\r\n=3D"},
		{strings.Repeat("x", 73) + "=y", strings.Repeat("x", 73) + "=\r\n=3Dy"},
		{strings.Repeat("x", 75) + " ", strings.Repeat("x", 75) + "=\r\n=20"},
	} {
		require.Equal(t, c.out, string(appendQP(nil, []byte(c.in))), "%q", c.in)
	}
}

func FuzzQuotedPrintable(f *testing.F) {
	f.Add([]byte("hello =\r\n world \r\n\x00\xff"))
	f.Add(bytes.Repeat([]byte("\u00fc "), 60))
	f.Fuzz(func(t *testing.T, text []byte) {
		encoded := appendQP(nil, text)
		for line := range bytes.SplitSeq(encoded, crlf) {
			require.LessOrEqual(t, len(line), 76)
			require.Equal(t, -1, bytes.IndexAny(line, "\r\n"))
			require.False(t, bytes.HasSuffix(line, []byte(" ")) || bytes.HasSuffix(line, []byte("\t")))
		}
		decoded, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(encoded)))
		require.NoError(t, err)
		require.Equal(t, string(text), string(decoded))
	})
}

func field(utf8Allowed bool, name string, write func(*fieldWriter)) string {
	w := fieldWriter{utf8: utf8Allowed}
	w.begin(name)
	write(&w)
	w.end()
	return string(w.buf)
}

// checkLines holds a field to the line limits and to RFC 5322's rule that no line is white space alone.
func checkLines(t *testing.T, field string, column int) {
	t.Helper()
	require.True(t, strings.HasSuffix(field, "\r\n"))
	for line := range strings.SplitSeq(strings.TrimSuffix(field, "\r\n"), "\r\n") {
		require.LessOrEqual(t, len(line), column, "%q", field)
		require.NotEmpty(t, strings.Trim(line, " \t"), "%q", field)
		require.Equal(t, -1, strings.IndexAny(line, "\r\n\x00"))
		for word := range strings.FieldsSeq(line) {
			if strings.HasPrefix(word, "=?") && strings.HasSuffix(word, "?=") {
				require.LessOrEqual(t, len(word), 75)
			}
		}
	}
}

func unfolded(field string) string {
	_, value, _ := strings.Cut(strings.TrimSuffix(field, "\r\n"), ":")
	return strings.TrimPrefix(strings.ReplaceAll(value, "\r\n", ""), " ")
}

func TestUnstructured(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, out string }{
		{"Hello", "Subject: Hello\r\n"},
		{"Gr\u00fc\u00dfe aus K\u00f6ln am Rhein", "Subject: =?utf-8?b?R3LDvMOfZQ==?= aus =?utf-8?b?S8O2bG4=?= am Rhein\r\n"},
		{"caf\u00e9 at noon", "Subject: =?utf-8?b?Y2Fmw6k=?= at noon\r\n"},
		{"a =?b", "Subject: a =?utf-8?b?PT9i?=\r\n"},
		{"a?=?b", "Subject: =?utf-8?b?YT89P2I=?=\r\n"},
		{"two  spaces", "Subject: two  spaces\r\n"},
		{"a \u00e9  \u00e9", "Subject: a =?utf-8?b?w6kgIMOp?=\r\n"},
	} {
		require.Equal(t, c.out, field(false, "Subject", func(w *fieldWriter) { w.text(c.in) }))
	}
	raw := field(true, "Subject", func(w *fieldWriter) { w.text("Gr\u00fc\u00dfe") })
	require.Equal(t, "Subject: Gr\u00fc\u00dfe\r\n", raw)
}

func FuzzUnstructured(f *testing.F) {
	for _, s := range []string{"plain", strings.Repeat("word ", 40), strings.Repeat("\u65e5\u672c", 60), strings.Repeat("x", 3000),
		"a" + strings.Repeat(" ", 2000) + "b", "=?utf-8?q?x?=", "?=?u8-?q?x?=", "\u00fc   b \u00fc  c", "\xff\xfe", strings.Repeat("\U0001F600", 50)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n\x00") {
			return // refused before it gets here
		}
		want := strings.Trim(strings.ToValidUTF8(s, "\uFFFD"), " ")
		for _, utf8Allowed := range []bool{false, true} {
			out := field(utf8Allowed, "Subject", func(w *fieldWriter) { w.text(s) })
			if want == "" {
				continue
			}
			checkLines(t, out, hardColumn)
			got, err := new(stdmime.WordDecoder).DecodeHeader(unfolded(out))
			require.NoError(t, err)
			require.Equal(t, want, got, "%q", out)
			if !utf8Allowed {
				require.True(t, isPrintable(strings.ReplaceAll(out, "\r\n", "")))
			}
		}
	})
}

func FuzzParameters(f *testing.F) {
	for _, s := range []string{"report.pdf", "a b.txt", `q"\.txt`, "\u00fcbersicht.pdf", strings.Repeat("long name ", 30) + ".txt",
		strings.Repeat("\u65e5\u672c\u8a9e", 40) + ".txt", "it's 100%.txt"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n\x00") || s == "" || !utf8.ValidString(s) {
			return
		}
		out := field(false, "Content-Disposition", func(w *fieldWriter) {
			w.token(" ", "attachment")
			w.param("filename", s)
		})
		checkLines(t, out, foldColumn)
		_, params, err := stdmime.ParseMediaType(unfolded(out))
		require.NoError(t, err, "%q", out)
		require.Equal(t, s, params["filename"], "%q", out)

		old := field(false, "Content-Type", func(w *fieldWriter) {
			w.token(" ", "application/octet-stream")
			w.oldParam("name", s)
		})
		checkLines(t, old, hardColumn)
		if !strings.Contains(s, "=?") {
			_, params, err = stdmime.ParseMediaType(unfolded(old))
			require.NoError(t, err, "%q", old)
			name, err := new(stdmime.WordDecoder).DecodeHeader(params["name"])
			require.NoError(t, err)
			require.Equal(t, s, name, "%q", old)
		}
	})
}

func TestPhrase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, out string }{
		{"Alice Example", "From: Alice Example\r\n"},
		{"Example, Alice", "From: \"Example, Alice\"\r\n"},
		{`say "hi"`, "From: \"say \\\"hi\\\"\"\r\n"},
		{"J\u00fcrgen Mustermann", "From: =?utf-8?q?J=C3=BCrgen_Mustermann?=\r\n"},
		{"two  spaces", "From: \"two  spaces\"\r\n"},
		{"x =?utf-8?q?y?=", "From: =?utf-8?b?eCA9P3V0Zi04P3E/eT89?=\r\n"},
	} {
		require.Equal(t, c.out, field(false, "From", func(w *fieldWriter) { w.phrase(c.in) }))
	}
}

func BenchmarkBase64Reader(b *testing.B) {
	raw := randomBytes(rand.New(rand.NewPCG(1, 2)), 1<<20)
	buf := make([]byte, 64<<10)
	b.ReportAllocs()
	b.SetBytes(int64(base64Size(1 << 20)))
	for b.Loop() {
		r := newBase64Reader(bytes.NewReader(raw))
		for {
			if _, err := r.Read(buf); err != nil {
				break
			}
		}
	}
}

func BenchmarkQuotedPrintable(b *testing.B) {
	text := bytes.Repeat([]byte("A line of German text: Gr\u00fc\u00dfe aus K\u00f6ln, with an equals = sign.\r\n"), 1000)
	var buf []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		buf = appendQP(buf[:0], text)
	}
}
