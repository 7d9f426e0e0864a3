package mime_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

// describe prints all that parsing finds, so that two ways to parse can be compared.
func describe(m *mime.Message) string {
	var b strings.Builder
	for p := range m.Parts() {
		h, hl := p.HeaderRange()
		o, l := p.BodyRange()
		fmt.Fprintf(&b, "%d depth=%d %s %s header=%d+%d body=%d+%d lines=%d multipart=%v fields=%d %q\n",
			p.Index(), p.Depth(), p.MediaType(), p.Encoding(), h, hl, o, l, p.Lines(), p.IsMultipart(), p.Header().Len(), p.Header().Bytes())
	}
	for _, d := range m.Defects() {
		fmt.Fprintln(&b, d)
	}
	return b.String()
}

// checkTree fails if offsets of a message are not what they promise.
func checkTree(t testing.TB, m *mime.Message, raw []byte) {
	t.Helper()
	require.Equal(t, int64(len(raw)), m.Size())
	root := m.Root()
	at, hl := root.HeaderRange()
	o, l := root.BodyRange()
	require.Zero(t, at)
	require.Equal(t, hl, o, "the body follows the header")
	require.Equal(t, int64(len(raw)), o+l, "header and body are the whole message")
	for p := range m.Parts() {
		h, hl := p.HeaderRange()
		o, l := p.BodyRange()
		require.True(t, h >= 0 && hl >= 0 && h+hl == o && l >= 0 && o+l <= int64(len(raw)), "part %d: %d+%d %d+%d of %d", p.Index(), h, hl, o, l, len(raw))
		require.Equal(t, int64(bytes.Count(raw[o:o+l], []byte("\n"))), p.Lines(), "lines of part %d", p.Index())
		kept := p.Header().Bytes()
		require.Equal(t, string(raw[h:h+int64(len(kept))]), string(kept), "header of part %d", p.Index())
		last := o
		for c := range p.Children() {
			if ch, _ := c.HeaderRange(); p.IsMultipart() {
				// Between two parts there is one delimiter line and nothing else, so the pieces make up the whole.
				gap := string(raw[last:ch])
				if last == o {
					gap = gap[strings.LastIndexByte(strings.TrimSuffix(gap, "\n"), '\n')+1:] // after the preamble
				} else {
					gap = strings.TrimPrefix(strings.TrimPrefix(gap, "\r"), "\n")
				}
				require.True(t, strings.HasPrefix(gap, "--") && strings.Count(gap, "\n") <= 1, "%q before part %d", gap, c.Index())
			} else {
				require.Equal(t, o, ch)
			}
			require.Same(t, p, c.Parent())
			ch, _ := c.HeaderRange()
			co, cl := c.BodyRange()
			require.True(t, ch >= last && co+cl <= o+l, "part %d in part %d: %d..%d in %d..%d", c.Index(), p.Index(), ch, co+cl, last, o+l)
			last = co + cl
		}
	}
	for _, d := range m.Defects() {
		require.True(t, d.Offset >= 0 && d.Offset <= int64(len(raw)) && d.Part < m.Len(), "%v", d)
	}
}

// corpus returns all messages of the foreign suites.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	messages := map[string][]byte{}
	for _, dir := range []string{"mime4j", "cpython", "ruby-mail", "enmime"} {
		err := filepath.WalkDir(suite(t, "mime/"+dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			switch filepath.Ext(path) {
			case ".msg", ".eml", ".raw", ".golden", ".txt":
				b, err := os.ReadFile(path)
				messages[strings.TrimPrefix(path, suite(t, "mime"))] = b
				return err
			}
			return nil
		})
		require.NoError(t, err)
	}
	require.Greater(t, len(messages), 250)
	return messages
}

// TestCorpus reads everything there is in every message of the suites, with line ends as they are, as LF and as CRLF.
func TestCorpus(t *testing.T) {
	t.Parallel()
	for name, raw := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lf := bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
			shape := ""
			for i, b := range [][]byte{raw, lf, bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))} {
				m := mime.ParseBytes(b)
				if i == 1 {
					shape = shapeOf(t, m)
				} else if i == 2 {
					require.Equal(t, shape, shapeOf(t, m), "line ends make no difference")
				}
				checkTree(t, m, b)
				readAll(t, m)
				checkPieces(t, b, mime.Limits{})
			}
		})
	}
}

// shapeOf prints the parts of a message and their texts.
func shapeOf(t testing.TB, m *mime.Message) string {
	var b strings.Builder
	for p := range m.Parts() {
		fmt.Fprintln(&b, p.Depth(), p.MediaType(), p.Lines(), p.Header().Len(), p.Filename(), p.ContentID())
	}
	text, err := m.Text()
	require.NoError(t, err)
	return b.String() + text
}

// readAll calls every view of a message.
func readAll(t testing.TB, m *mime.Message) {
	t.Helper()
	_, err := m.Text()
	require.NoError(t, err)
	_, err = m.HTML()
	require.NoError(t, err)
	_, err = m.Preview(100)
	require.NoError(t, err)
	for p := range m.Parts() {
		_, err := io.Copy(io.Discard, p.Decoded())
		require.NoError(t, err)
		_, err = p.Check()
		require.NoError(t, err)
		p.Filename()
		p.ContentID()
		h := p.Header()
		h.Date()
		h.References()
		h.Textproto()
		for f := range h.Fields() {
			f.Text()
			h.Addresses(f.Name())
		}
		if e, err := p.Embedded(); err == nil {
			e.Len()
		}
	}
	s := m.Structure()
	b, err := s.AppendBinary(nil)
	require.NoError(t, err)
	again, err := mime.DecodeStructure(b)
	require.NoError(t, err)
	require.Equal(t, s, again)
}

// checkPieces fails if a message parsed from pieces differs from one parsed at once.
func checkPieces(t testing.TB, raw []byte, limits mime.Limits) {
	t.Helper()
	want := describe(mime.ParseBytesLimits(raw, limits))
	r := rand.New(rand.NewPCG(uint64(len(raw)), 1))
	for _, size := range []int{1, 2, 7, 100, 5000} {
		p := mime.NewParser(limits)
		for rest := raw; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(size))
			p.Write(rest[:n])
			rest = rest[n:]
		}
		require.Equal(t, want, describe(p.Close()), "pieces of up to %d bytes of %q", size, raw[:min(len(raw), 2000)])
	}
	m, err := mime.ParseLimits(bytes.NewReader(raw), int64(len(raw)), limits)
	require.NoError(t, err)
	require.Equal(t, want, describe(m))
}

// scraps are pieces of which random messages are made: they reach the corners that whole messages do not.
var scraps = []string{
	"Content-Type: multipart/mixed; boundary=a\n", "Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: message/rfc822\n",
	"Content-Type: multipart/mixed\n", "Content-Type: multipart/digest; boundary=\"a b\"\n", "Content-Type: text/plain\r\n", "Content-Transfer-Encoding: base64\n",
	"\n", "\r\n", "\n", "\r\n", "--a\n", "--b\r\n", "--a b\n", "--a--\n", "--b--\r\n", "--a", "--b--", "--a  \n", "--a text\n", "-", "--", "\r", " ",
	"text\n", "text", " folded\n", "From me today\n", "Subject: x\n", "no field\n", "no field either\r\n", "\x00", "\xff",
	"Content-Type: multipart/mixed; boundary=a--\n", "--a----\n", strings.Repeat("x", 200) + "\n",
}

func scrapMessage(r *rand.Rand) []byte {
	var b []byte
	for range r.IntN(30) {
		b = append(b, scraps[r.IntN(len(scraps))]...)
	}
	return b
}

// TestPieces is the property that pieces make no difference, on random messages and with limits that are reached.
func TestPieces(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	rounds := 10000
	if raceEnabled {
		rounds = 1000
	}
	for range rounds {
		raw := scrapMessage(r)
		limits := mime.Limits{}
		if r.IntN(2) == 0 {
			limits = mime.Limits{HeaderBytes: 1 + r.IntN(120), TotalHeaderBytes: 1 + r.IntN(300), Fields: 1 + r.IntN(4), Depth: 1 + r.IntN(4), Parts: 1 + r.IntN(6)}
		}
		checkTree(t, mime.ParseBytesLimits(raw, limits), raw)
		checkPieces(t, raw, limits)
	}
}

func allOf(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return b
}

// TestDefects has for every kind of defect a message with it.
func TestDefects(t *testing.T) {
	t.Parallel()
	kinds := map[mime.DefectKind]string{
		mime.DefectMboxLine:             "From me\nA: b\n\n",
		mime.DefectHeaderLine:           "A: b\nno field\nC: d\n\n",
		mime.DefectHeaderEnd:            "A: b\n",
		mime.DefectContentType:          "Content-Type: nonsense\n\n",
		mime.DefectNoBoundary:           "Content-Type: multipart/mixed\n\n",
		mime.DefectNoParts:              "Content-Type: multipart/mixed; boundary=x\n\n",
		mime.DefectNoClose:              "Content-Type: multipart/mixed; boundary=x\n\n--x\n\n",
		mime.DefectMultipartEncoding:    "Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n--x\n\n--x--",
		mime.DefectEncoding:             "Content-Transfer-Encoding: rot13\n\n",
		mime.DefectLimitHeaderBytes:     "A: " + strings.Repeat("b", 200) + "\n\n",
		mime.DefectLimitFields:          "A: b\nA: b\nA: b\nA: b\n\n",
		mime.DefectLimitDepth:           strings.Repeat("Content-Type: message/rfc822\n\n", 4),
		mime.DefectLimitParts:           "Content-Type: multipart/mixed; boundary=x\n\n--x\n\n--x\n\n--x\n\n--x\n\n--x--",
		mime.DefectNUL:                  "A: \x00\n\n",
		mime.DefectBareCR:               "A: \rb\n\n",
		mime.DefectRaw8Bit:              "A: \xff\n\n",
		mime.DefectDuplicateContentType: "Content-Type: text/plain\nContent-Type: text/html\n\n",
		mime.DefectLimitAddresses:       "To: a@b, G: c@d;, e@f\n\n",
		mime.DefectByteOrderMark:        "\xef\xbb\xbfA: b\n\n",
		mime.DefectLimitParams:          "Content-Type: text/plain; a=b; c=d; e=f\n\n",
	}
	limits := mime.Limits{HeaderBytes: 150, Fields: 3, Depth: 2, Parts: 4, Addresses: 2, Params: 2}
	bodies := map[mime.DefectKind][]string{
		mime.DefectBase64: {
			"Content-Transfer-Encoding: base64\n\nAAA!A\n", "Content-Transfer-Encoding: base64\n\nAAA", "Content-Transfer-Encoding: base64\n\nAA==AAAA",
			"Content-Transfer-Encoding: base64\n\nA===", "Content-Transfer-Encoding: base64\n\n=",
		},
		mime.DefectQuotedPrintable: {
			"Content-Transfer-Encoding: quoted-printable\n\n=ZZ\n", "Content-Transfer-Encoding: quoted-printable\n\n=A", "Content-Transfer-Encoding: quoted-printable\n\n\xff",
			"Content-Transfer-Encoding: quoted-printable\n\n= x", "Content-Transfer-Encoding: quoted-printable\n\n=AZ",
		},
	}
	for kind, raws := range bodies {
		for _, raw := range raws {
			m := mime.ParseBytes([]byte(raw))
			require.Empty(t, m.Defects())
			defects, err := m.Root().Check()
			require.NoError(t, err)
			require.Len(t, defects, 1, "%q", raw)
			require.Equal(t, kind, defects[0].Kind)
			require.LessOrEqual(t, defects[0].Offset, int64(len(raw)))

			want, err := io.ReadAll(m.Root().Decoded())
			require.NoError(t, err)
			got, err := io.ReadAll(iotest.OneByteReader(m.Root().DecodedStrict()))
			var broken *mime.DefectError
			require.ErrorAs(t, err, &broken, "%q", raw)
			require.Equal(t, defects[0], broken.Defect)
			require.Equal(t, string(want), string(got))
		}
	}
	for _, raw := range []string{
		"Content-Transfer-Encoding: base64\n\nAAAA\r\n AA==\n", "Content-Transfer-Encoding: base64\n\n", "\n\xff=ZZ",
		"Content-Transfer-Encoding: quoted-printable\n\na=3D=3d= \t\r\nb=\n\n", "Content-Transfer-Encoding: quoted-printable\n\na=",
	} {
		root := mime.ParseBytes([]byte(raw)).Root()
		defects, err := root.Check()
		require.NoError(t, err)
		require.Empty(t, defects, "%q", raw)
		require.NoError(t, iotest.TestReader(root.DecodedStrict(), allOf(t, root.Decoded())))
	}
	for kind := mime.DefectNone + 1; !strings.HasPrefix(kind.String(), "defect "); kind++ {
		raw, ok := kinds[kind]
		if bodies[kind] != nil {
			continue
		}
		require.True(t, ok, "no message for %q", kind)
		m := mime.ParseBytesLimits([]byte(raw), limits)
		require.Len(t, m.Defects(), 1, "%q: %v", kind, m.Defects())
		require.Equal(t, kind, m.Defects()[0].Kind, "%q", raw)
	}
	require.Empty(t, mime.ParseBytes(structured[:bytes.Index(structured, []byte("Content-Type: multipart/mixed; boundary=never"))]).Defects()[1:], "but for the end that was cut")
	many := mime.ParseBytesLimits(bytes.Repeat([]byte("Content-Type: message/rfc822\nContent-Type: x\n\n"), 50), mime.Limits{Defects: 10})
	require.Len(t, many.Defects(), 10)
}

func TestParseReaderFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	_, err := mime.Parse(readerAt(func([]byte, int64) (int, error) { return 0, broken }), 10)
	require.ErrorIs(t, err, broken)
	_, err = mime.Parse(strings.NewReader("short"), 10)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

type readerAt func([]byte, int64) (int, error)

func (f readerAt) ReadAt(b []byte, off int64) (int, error) { return f(b, off) }
