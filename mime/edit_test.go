package mime

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const twoFiles = "Received: a\r\nSubject: two\r\n files\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\ntext\r\n" +
	"--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nA\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Disposition: attachment; filename=x\r\n\r\nX\r\n--c--\r\n--b--\r\nepilogue\r\n"

func edited(t *testing.T, raw string, change func(*Message, *Edit)) string {
	t.Helper()
	m := ParseBytes([]byte(raw))
	e := m.Edit()
	change(m, e)
	c, err := e.Compose()
	require.NoError(t, err)
	return readContent(t, c)
}

func TestEdit(t *testing.T) {
	t.Parallel()
	require.Equal(t, twoFiles, edited(t, twoFiles, func(*Message, *Edit) {}))
	require.Equal(t, "X-Second: 2\r\nX-First: =?utf-8?b?w7w=?=\r\n"+twoFiles, edited(t, twoFiles, func(_ *Message, e *Edit) {
		e.Add("X-First", "\u00fc")
		e.Add("X-Second", "2")
	}))
	require.Equal(t, strings.Replace(twoFiles, "Subject: two\r\n files\r\n", "Subject: another\r\n", 1), edited(t, twoFiles, func(m *Message, e *Edit) {
		e.Set(m.Root(), "Subject", "another")
	}))
	require.Equal(t, strings.Replace(twoFiles, "Subject: two\r\n files\r\n", "", 1), edited(t, twoFiles, func(m *Message, e *Edit) {
		e.Set(m.Root(), "subject", "")
		e.Set(m.Root(), "X-None", "")
	}))
	require.Equal(t, strings.Replace(twoFiles, "--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nA\r\n", "", 1), edited(t, twoFiles, func(m *Message, e *Edit) {
		e.Remove(m.Part(2))
	}))
	require.Equal(t, strings.Replace(twoFiles, "Content-Disposition: attachment; filename=x\r\n\r\nX\r\n", "\r\n\r\n", 1), edited(t, twoFiles, func(m *Message, e *Edit) {
		e.Remove(m.Part(4))
	}), "a multipart has at least one part")
	require.Equal(t, strings.Replace(twoFiles, "Content-Type: application/pdf; name=a.pdf\r\n\r\nA\r\n", "Content-Type: text/plain; charset=utf-8; name=gone.txt\r\nContent-Transfer-Encoding: 7bit\r\n"+
		"Content-Disposition: attachment; filename=gone.txt\r\n\r\nremoved\r\n", 1), edited(t, twoFiles, func(m *Message, e *Edit) {
		e.Replace(m.Part(2), BytesFile("gone.txt", []byte("removed")))
	}))
	all := edited(t, twoFiles, func(m *Message, e *Edit) {
		for c := range m.Root().Children() {
			e.Remove(c)
		}
	})
	require.Equal(t, "Received: a\r\nSubject: two\r\n files\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\n\r\n--b--\r\nepilogue\r\n", all)
	require.Equal(t, "X: y\r\n\r\nno header\r\n", edited(t, "no header\r\n", func(_ *Message, e *Edit) { e.Add("X", "y") }))
	require.Equal(t, "From me Mon\nX: y\nA: b\n\n", edited(t, "From me Mon\nA: b\n\n", func(_ *Message, e *Edit) { e.Add("X", "y") }), "behind an mbox line")

	// What is new has the line ends of the message: the same changes to the same message with LF differ in nothing else.
	change := func(m *Message, e *Edit) {
		e.Add("X-First", "1")
		e.Set(m.Root(), "Subject", strings.Repeat("another subject that is folded ", 5))
		e.Replace(m.Part(1), BytesFile("new.txt", []byte("one\r\ntwo\r\n")))
		e.Replace(m.Part(2), BytesFile("new.bin", bytes.Repeat([]byte{0, '\r', '\n'}, 9000)))
		e.Remove(m.Part(4))
	}
	withLF := strings.ReplaceAll(twoFiles, "\r\n", "\n")
	require.Equal(t, strings.ReplaceAll(edited(t, twoFiles, change), "\r\n", "\n"), edited(t, withLF, change))

	c, gone, err := ParseBytes([]byte(twoFiles)).StripAttachments(func(p *Part) bool { return p.Filename() == "x" })
	require.NoError(t, err)
	require.Equal(t, []string{"a.pdf"}, gone)
	require.NotContains(t, readContent(t, c), "a.pdf")
	require.Equal(t, "two files", c.Header().Text("Subject"))
}

func TestEditRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Message, *Edit){
		"injection":        func(_ *Message, e *Edit) { e.Add("X", "a\r\nBcc: b") },
		"no field name":    func(m *Message, e *Edit) { e.Set(m.Root(), "a b", "x") },
		"the message":      func(m *Message, e *Edit) { e.Remove(m.Root()) },
		"an embedded one":  func(m *Message, e *Edit) { e.Replace(m.Part(1), BytesFile("x", nil)) },
		"a file not there": func(m *Message, e *Edit) { e.Replace(m.Part(1), OSFile("/does/not/exist")) },
	} {
		m := ParseBytes([]byte("Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nx\r\n"))
		if name == "a file not there" {
			m = ParseBytes([]byte(twoFiles))
		}
		e := m.Edit()
		change(m, e)
		_, err := e.Compose()
		require.Error(t, err, name)
	}
	p := NewParser(Limits{})
	_, err := p.Close().Edit().Compose()
	require.ErrorIs(t, err, ErrNoSource)
}

// checkEdits: a message that nobody changed is written as it came, and of one whose parts are removed or replaced the others are as they were.
func checkEdits(t *testing.T, raw []byte, r *rand.Rand) {
	t.Helper()
	m := ParseBytes(raw)
	var out bytes.Buffer
	n, err := m.WriteTo(&out)
	require.NoError(t, err)
	require.EqualValues(t, len(raw), n)
	require.True(t, bytes.Equal(raw, out.Bytes()))
	c, err := m.Edit().Compose()
	require.NoError(t, err)
	require.Equal(t, string(raw), readContent(t, c))
	require.Equal(t, m.Defects(), ParseBytes(out.Bytes()).Defects(), "what was written is read as before")

	if m.Len() < 2 {
		return
	}
	p := m.Part(1 + r.IntN(m.Len()-1))
	if in := p.Parent(); !in.IsMultipart() || len(m.Defects()) > 0 {
		return
	}
	e := m.Edit()
	replaced := r.IntN(2) == 0
	if replaced {
		e.Replace(p, BytesFile("new.bin", []byte("\x00new")))
	} else {
		e.Remove(p)
	}
	c, err = e.Compose()
	require.NoError(t, err)
	if bytes.IndexByte(raw, '\n') >= 0 && bytes.IndexByte(raw, '\r') < 0 {
		require.NotContains(t, readContent(t, c), "\r")
	}
	again := ParseBytes([]byte(readContent(t, c)))
	want, got := kept(t, m, p), kept(t, again, nil)
	if replaced || p.Parent().first == p.index && p.next == 0 {
		at := int(p.index)
		got = append(got[:at], got[at+1:]...) // the new part
	}
	require.Equal(t, want, got, "%q became %q", raw, readContent(t, c))
}

// kept are the leaves and kinds of all parts but for one and what is inside.
func kept(t *testing.T, m *Message, without *Part) (out []string) {
	for p := range m.Parts() {
		skip := false
		for in := p; in != nil && without != nil; in = in.Parent() {
			skip = skip || in == without
		}
		if skip {
			continue
		}
		s := p.MediaType() + string(p.Header().Bytes())
		if p.IsLeaf() && !p.IsMultipart() {
			b, err := io.ReadAll(p.Raw())
			require.NoError(t, err)
			s += string(b)
		}
		out = append(out, s)
	}
	return out
}

func FuzzEdit(f *testing.F) {
	f.Add([]byte(twoFiles), uint64(1))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b--"), uint64(2))
	f.Fuzz(func(t *testing.T, raw []byte, seed uint64) { checkEdits(t, raw, rand.New(rand.NewPCG(seed, 1))) })
}

// brokenFile ends in an error, and counts how many of its readers are open.
type brokenFile struct{ open *int }

func (f brokenFile) Size() int64 { return 10 }

func (f brokenFile) Open() (io.ReadCloser, error) {
	*f.open++
	return f, nil
}

func (brokenFile) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (f brokenFile) Close() error {
	*f.open--
	return nil
}

func TestReplaceByBrokenFile(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{twoFiles, strings.ReplaceAll(twoFiles, "\r\n", "\n")} {
		var open int
		m := ParseBytes([]byte(raw))
		e := m.Edit()
		e.Replace(m.Part(1), File{Name: "x.bin", ContentType: "application/octet-stream", Content: brokenFile{&open}})
		c, err := e.Compose()
		if err == nil {
			_, err = c.WriteTo(io.Discard)
		}
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Zero(t, open)
	}
}
