package mime_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

// decodeAll decodes in several ways of reading, which have to agree.
func decodeAll(t *testing.T, e mime.Encoding, s string) string {
	t.Helper()
	want, err := io.ReadAll(mime.NewDecoder(e, strings.NewReader(s)))
	require.NoError(t, err)
	for _, r := range []io.Reader{
		mime.NewDecoder(e, iotest.OneByteReader(strings.NewReader(s))),
		mime.NewDecoder(e, iotest.DataErrReader(strings.NewReader(s))),
		iotest.OneByteReader(mime.NewDecoder(e, iotest.HalfReader(strings.NewReader(s)))),
	} {
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
	return string(want)
}

// TestDecodersAgainstOthers decodes what the standard library encodes.
func TestDecodersAgainstOthers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		b := make([]byte, r.IntN(20000))
		for i := range b {
			b[i] = byte(r.UintN(256))
		}
		text := base64.StdEncoding.EncodeToString(b)
		width := 1 + r.IntN(100)
		var lines strings.Builder
		for len(text) > width {
			lines.WriteString(text[:width] + "\r\n")
			text = text[width:]
		}
		got, err := io.ReadAll(mime.NewDecoder(mime.EncodingBase64, strings.NewReader(lines.String()+text)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, got))

		var qp bytes.Buffer
		w := quotedprintable.NewWriter(&qp)
		w.Binary = true
		w.Write(b)
		w.Close()
		got, err = io.ReadAll(mime.NewDecoder(mime.EncodingQuotedPrintable, &qp))
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, got))
	}
}

func TestDecodeQuotedPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                "",
		"a=3Db":                           "a=b",
		"a=\r\nb":                         "ab",
		"a= \t\nb":                        "ab",
		"a \t\r\nb  ":                     "a\r\nb",
		"=":                               "",
		"a=b =4 =4g":                      "a=b =4 =4g",
		"=c3=bc":                          "ü",
		"raw \xfc\x00":                    "raw \xfc\x00",
		strings.Repeat("=41b", 5000):      strings.Repeat("Ab", 5000), // no line end for longer than any buffer
		strings.Repeat("=41", 5000) + "=": strings.Repeat("A", 5000),
		strings.Repeat(" ", 20000) + "x":  strings.Repeat(" ", 20000) + "x",
	} {
		require.Equal(t, want, decodeAll(t, mime.EncodingQuotedPrintable, in), "%.60q", in)
	}
}

// TestDecodeLongLines decodes lines whose end lies around the end of the decoder's buffer: it must not matter where that is.
func TestDecodeLongLines(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"=   \nb":     "b",
		"= \t\r\nb":   "b",
		"=\r\nb":      "b",
		"   \r\nb":    "\r\nb",
		" \t\nb":      "\nb",
		"   ":         "",
		"=C3=BC \r\n": "ü\r\n",
		"=4\nb":       "=4\nb",
		"=  x\nb":     "=  x\nb",
		" \r \nb":     " \r\nb",
	} {
		for n := 4070; n < 4110; n++ {
			line := strings.Repeat("a", n)
			got := decodeAll(t, mime.EncodingQuotedPrintable, line+in)
			require.True(t, line+want == got, "%q behind %d octets: %q", in, n, strings.TrimPrefix(got, line))
		}
	}
}

func TestDecodeBase64(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                   "",
		"aGVsbG8=":           "hello",
		"aGVsbG8":            "hello",
		"aGVs\r\n\r\nbG8=":   "hello",
		" a G\tV s!b*G-8 =":  "hello",
		"aGVsbG8=d29ybGQ=":   "helloworld", // two, one after the other
		"====":               "",
		"a":                  "",
		"aGVsbG8=\nd29ybGQ=": "helloworld",
		"aGVsbG8=\n-- \nads": "hello", // a footer that was put below
		"aGVs*bG8=":          "hello",
	} {
		require.Equal(t, want, decodeAll(t, mime.EncodingBase64, in), "%q", in)
	}
}

func TestDecoderKeepsErrors(t *testing.T) {
	t.Parallel()
	for e := mime.Encoding7Bit; e <= mime.EncodingUnknown; e++ {
		_, err := io.ReadAll(mime.NewDecoder(e, io.MultiReader(strings.NewReader("QUFB\n"), iotest.ErrReader(io.ErrUnexpectedEOF))))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%v", e)
	}
}

func TestParseEncoding(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]mime.Encoding{
		"": mime.Encoding7Bit, "7BIT": mime.Encoding7Bit, " 8bit (yes)": mime.Encoding8Bit, "binary": mime.EncodingBinary,
		"Quoted-Printable": mime.EncodingQuotedPrintable, "\"base64\"": mime.EncodingBase64, "base64; x=y": mime.EncodingBase64,
		"x-uuencode": mime.EncodingUU, "rot13": mime.EncodingUnknown,
	} {
		require.Equal(t, want, mime.ParseEncoding(value), "%q", value)
		if want != mime.EncodingUnknown {
			require.Equal(t, want, mime.ParseEncoding(want.String()))
		}
	}
}

func TestPartText(t *testing.T) {
	t.Parallel()
	m := mime.ParseBytes([]byte("Content-Type: text/plain; charset=ISO-8859-1\nContent-Disposition: attachment\n\n\xe9\n"))
	text, err := m.Root().Text()
	require.NoError(t, err)
	require.Equal(t, "é\n", text)
	require.Equal(t, "iso-8859-1", m.Root().Charset())
	require.Equal(t, "us-ascii", mime.ParseBytes(nil).Root().Charset())
	require.Same(t, m, m.Root().Message())
	require.Zero(t, m.Header().Offset())
}

// TestDecodedInPlace: a text is decoded in its own bytes, and comes out as the streaming decoder gives it.
func TestDecodedInPlace(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 12))
	pieces := []string{"QUJD", "QQ==", "QQ", "=", "A", "\r\n", "\n", "\r", " ", "=\r\n", "=41", "=4", "text and more ", "=C3=BC", "\t \r\n", "*", "=0D", "=0A", "=20"}
	for range 3000 {
		var b strings.Builder
		for range r.IntN(40) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		for _, e := range []string{"base64", "quoted-printable", "7bit"} {
			p := mime.ParseBytes([]byte("Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: " + e + "\n\n" + b.String())).Root()
			raw, err := io.ReadAll(p.Decoded())
			require.NoError(t, err)
			want := strings.ReplaceAll(strings.ReplaceAll(mime.DecodeCharset("iso-8859-1", raw), "\r\n", "\n"), "\r", "\n")
			got, err := p.Text()
			require.NoError(t, err)
			require.Equal(t, want, got, "%s of %q", e, b.String())
		}
	}
}
