package mime_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, c mime.Content) string {
	t.Helper()
	rc, err := c.Open()
	require.NoError(t, err)
	defer rc.Close()
	b, err := io.ReadAll(rc)
	require.NoError(t, err)
	return string(b)
}

// TestJoinFragments is the example of RFC 2046 s5.2.2.2.
func TestJoinFragments(t *testing.T) {
	t.Parallel()
	first := mime.ParseBytes(crlf("X-Weird-Header-1: Foo\nFrom: Bill@host.com\nTo: joe@otherhost.com\nDate: Fri, 26 Mar 1993 12:59:38 -0500 (EST)\nSubject: Audio mail (part 1 of 2)\n" +
		"Message-ID: <id1@host.com>\nMIME-Version: 1.0\nContent-type: message/partial; id=\"ABC@host.com\"; number=1; total=2\n\n" +
		"X-Weird-Header-1: Bar\nX-Weird-Header-2: Hello\nMessage-ID: <anotherid@foo.com>\nSubject: Audio mail\nMIME-Version: 1.0\nContent-type: audio/basic\nContent-transfer-encoding: base64\n\nAAAA\n"))
	second := mime.ParseBytes(crlf("From: Bill@host.com\nSubject: Audio mail (part 2 of 2)\nMIME-Version: 1.0\nMessage-ID: <id2@host.com>\nContent-type: message/partial; id=\"ABC@host.com\"; number=2; total=2\n\nBBBB\n"))
	want := string(crlf("X-Weird-Header-1: Foo\nFrom: Bill@host.com\nTo: joe@otherhost.com\nDate: Fri, 26 Mar 1993 12:59:38 -0500 (EST)\n" +
		"Message-ID: <anotherid@foo.com>\nSubject: Audio mail\nMIME-Version: 1.0\nContent-type: audio/basic\nContent-transfer-encoding: base64\n\nAAAA\nBBBB\n"))
	for _, order := range [][]*mime.Message{{first, second}, {second, first}, {second, first, second}} {
		c, err := mime.JoinFragments(order...)
		require.NoError(t, err)
		require.Equal(t, want, read(t, c))
		require.EqualValues(t, len(want), c.Size())
		require.Equal(t, "Audio mail", c.Header().Text("Subject"))
	}
	var fe *mime.FragmentsError
	_, err := mime.JoinFragments(second)
	require.ErrorAs(t, err, &fe)
	require.Equal(t, []int{1}, fe.Missing)
	_, err = mime.JoinFragments(first, mime.ParseBytes([]byte("Subject: x\n\n")))
	require.ErrorAs(t, err, &fe)
	require.Equal(t, 1, fe.Stray)
	for _, ct := range []string{"id=\"ABC@host.com\"; number=3; total=2", "id=other; number=2; total=2", "id=\"ABC@host.com\"; number=2; total=3", "number=2", "id=\"ABC@host.com\"; number=x", "id=\"ABC@host.com\"; number=99999999"} {
		_, err = mime.JoinFragments(first, mime.ParseBytes([]byte("Content-Type: message/partial; "+ct+"\n\n")))
		require.ErrorAs(t, err, &fe, ct)
	}
	_, err = mime.JoinFragments()
	require.ErrorAs(t, err, &fe)
	_, err = mime.JoinFragments(mime.ParseBytes([]byte("Content-Type: message/partial; id=a; number=1\n\nx")))
	require.ErrorAs(t, err, &fe)
	require.Nil(t, fe.Missing, "nobody knows how many there are")
}

// A message that is cut anywhere in its body comes together again.
func TestJoinFragmentsCut(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	raw := newsletter(3000)
	head := bytes.Index(raw, []byte("\r\n\r\n")) + 4
	cuts := []int{0, head + r.IntN(100), head + 500, len(raw) - 3, len(raw)}
	var fragments []*mime.Message
	for i := range len(cuts) - 1 {
		h := fmt.Sprintf("Subject: piece\r\nContent-Type: message/partial; id=x; number=%d; total=4\r\n\r\n", i+1)
		fragments = append(fragments, mime.ParseBytes(append([]byte(h), raw[cuts[i]:cuts[i+1]]...)))
	}
	c, err := mime.JoinFragments(fragments...)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(read(t, c), string(raw[head:])))
	m := mime.ParseBytes([]byte(read(t, c)))
	require.Equal(t, mime.ParseBytes(raw).Len(), m.Len())
	require.Empty(t, m.Defects())
}

func TestExternal(t *testing.T) {
	t.Parallel()
	m := mime.ParseBytes([]byte("Content-Type: message/external-body; access-type=ANON-FTP; name=\"RFC.ps\"; site=\"ftp.example.org\"; mode=image; directory=pub; size=100;\n" +
		" permission=read; expiration=\"Fri, 14 Jun 1991 19:13:14 -0400 (EDT)\"\n\nContent-type: application/postscript\nContent-ID: <id@example.org>\n\nget RFC\n"))
	e, ok, err := m.Root().External()
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "application/postscript", e.Header.ContentType().String())
	require.Equal(t, "get RFC\n", e.Phantom)
	require.Equal(t, "1991-06-14", e.Expires.Format("2006-01-02"))
	require.Equal(t, []any{"anon-ftp", "RFC.ps", "ftp.example.org", "image", "pub", int64(100), "read"}, []any{e.Access, e.Name, e.Site, e.Mode, e.Directory, e.Size, e.Permission})
	e, _, err = mime.ParseBytes([]byte("Content-Type: message/external-body; access-type=URL; URL=\"https://example.org/a\n /b\"; size=x\n\n")).Root().External()
	require.NoError(t, err)
	require.Equal(t, "https://example.org/a/b", e.URL) // RFC 2017 s3.1: white space is not part of it
	require.EqualValues(t, -1, e.Size)
	_, ok, err = mime.ParseBytes(nil).Root().External()
	require.False(t, ok)
	require.NoError(t, err)
}

func TestCutUU(t *testing.T) {
	t.Parallel()
	const cat = "begin 644 cat.txt\n#0V%T\n`\nend\n"
	for _, c := range []struct{ text, rest, files string }{
		{"hello\n" + cat + "bye\n", "hello\nbye\n", "cat.txt=Cat"},
		{cat + cat, "", "cat.txt=Cat cat.txt=Cat"},
		{"begin 0644 my cat\r\n#0V%T\r\n \r\nend\r\nx", "x", "my cat=Cat"},
		{"begin 644 empty\n`\nend\n", "begin 644 empty\n`\nend\n", ""},
		{"begin 644 cut\n#0V%T\n", "begin 644 cut\n#0V%T\n", ""},
		{"begin 644 the work\nof many lines that are no data\nend\n", "begin 644 the work\nof many lines that are no data\nend\n", ""},
		{"begin at noon\nend\n", "begin at noon\nend\n", ""},
		{"we begin 644 x\n", "we begin 644 x\n", ""},
		{"", "", ""},
	} {
		rest, files := mime.CutUU(c.text)
		var got []string
		for _, f := range files {
			got = append(got, f.Name+"="+read(t, f.Content))
		}
		require.Equal(t, c.rest, rest, "%q", c.text)
		require.Equal(t, c.files, strings.Join(got, " "), "%q", c.text)
	}
}

// TestGuessedBoundary: only what is a multipart and has no boundary gets one, and delimiters of those around it are none.
func TestGuessedBoundary(t *testing.T) {
	t.Parallel()
	for raw, parts := range map[string]int{
		"Content-Type: multipart/mixed\n\n--x\n\na\n--x\n\nb\n--x--\n":                                                                          3,
		"Content-Type: multipart/mixed\n\ntext only\n":                                                                                          1,
		"Content-Type: multipart/mixed\n\n--------\n-- \n--no boundary\n--=--\n":                                                                1,
		"Content-Type: text/plain\n\n--x\n\na\n--x--\n":                                                                                         1,
		"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed\n\n--o\n\na\n--o--\n":                                  3,
		"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed\n\n--i\n\na\n--i--\n--o\n\nb\n--o--\n":                 4,
		"Content-Type: multipart/mixed; boundary=o\n\n--o\n\n--i\n--o\nContent-Type: multipart/alternative\n\n--i\n\na\n--i\n\nb\n--i--\n--o--": 5,
	} {
		for _, b := range [][]byte{[]byte(raw), crlf(raw)} {
			require.Equal(t, parts, mime.ParseBytes(b).Len(), "%q", b)
			checkTree(t, mime.ParseBytes(b), b)
			checkPieces(t, b, mime.Limits{})
		}
	}
}

// TestCheckMessage: what parsing found and what bodies have, in the order of the message.
func TestCheckMessage(t *testing.T) {
	t.Parallel()
	m := mime.ParseBytes([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n!!!!\n--b\nno field\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\n=ZZ\n"))
	all, err := m.Check()
	require.NoError(t, err)
	var kinds []mime.DefectKind
	last := int64(0)
	for _, d := range all {
		kinds = append(kinds, d.Kind)
		require.GreaterOrEqual(t, d.Offset, last)
		last = d.Offset
	}
	require.Equal(t, []mime.DefectKind{mime.DefectBase64, mime.DefectHeaderEnd, mime.DefectQuotedPrintable, mime.DefectNoClose}, kinds)
	require.NotEqual(t, len(all), len(m.Defects()))
}
