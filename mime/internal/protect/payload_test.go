package protect

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

type text string

func (t text) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(t))), nil }
func (t text) Size() int64                  { return int64(len(t)) }

func crlfText(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func payload(t *testing.T, message string, o Options) (inner, outer string) {
	t.Helper()
	p, err := New(text(message), o)
	require.NoError(t, err)
	defer p.Close()
	var once, again bytes.Buffer
	require.NoError(t, p.Write(&once))
	require.NoError(t, p.Write(&again))
	require.Equal(t, once.String(), again.String())
	return once.String(), string(p.Outer)
}

// TestSigned holds what is signed against RFC 3156 s3: 7 bits, no white space at line ends, no line that starts with "From ".
func TestSigned(t *testing.T) {
	t.Parallel()
	const hp = " hp=\"clear\"; protected-headers=\"v1\"\r\n"
	for _, c := range []struct{ name, in, want string }{
		{"bare LF becomes CRLF", "Subject: x\nContent-Type: text/plain\n\none\ntwo", "Subject: x\r\nContent-Type: text/plain;\r\n" + hp + "\r\none\r\ntwo"},
		{"white space and From lines become quoted-printable", crlfText("Subject: x\nContent-Type: text/plain\nContent-Transfer-Encoding: 7bit\n\n-- \nFrom me\n.\n a=b\n"),
			"Subject: x\r\nContent-Type: text/plain;\r\n" + hp + "Content-Transfer-Encoding: quoted-printable\r\n\r\n--=20\r\n=46rom me\r\n=2E\r\n a=3Db\r\n"},
		{"8 bits become quoted-printable", crlfText("Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße \n"),
			"Subject: x\r\nContent-Type: text/plain; charset=utf-8;\r\n" + hp + "Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe=20\r\n"},
		{"parts, delimiters and headers", crlfText("Subject: x \n y\n \n z\nContent-Type: multipart/mixed; boundary=b;\n\npreamble \n--b  \nContent-Type: text/plain \n\nline \n--b\nContent-Transfer-Encoding: base64\n\nYWJj \n--b-- \n"),
			crlfText("Subject: x\n y\n z\nContent-Type: multipart/mixed; boundary=b;\n" + strings.ReplaceAll(hp, "\r\n", "\n") + "\npreamble\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nline=20\n--b\nContent-Transfer-Encoding: base64\n\nYWJj\n--b--\n")},
		{"a signed part stays", crlfText("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/signed; boundary=c\n\n--c\n\nsigned \n--c\nContent-Type: application/x\n\nsig\n--c--\n--b--\n"),
			crlfText("Content-Type: multipart/mixed; boundary=b;\n" + strings.ReplaceAll(hp, "\r\n", "\n") + "\n--b\nContent-Type: multipart/signed; boundary=c\n\n--c\n\nsigned \n--c\nContent-Type: application/x\n\nsig\n--c--\n--b--\n")},
		{"no Content-Type", "Subject: x\r\n\r\nbody\r\n", "Subject: x\r\nContent-Type: text/plain; charset=us-ascii;\r\n" + hp + "\r\nbody\r\n"},
		{"old protection is replaced", "Content-Type: text/plain; hp=cipher; charset=utf-8\r\nHP-Outer: Subject: x\r\n\r\nbody\r\n", "Content-Type: text/plain;\r\n charset=utf-8;\r\n" + hp + "\r\nbody\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, _ := payload(t, c.in, Options{Sign: true})
			require.Equal(t, c.want, got)
		})
	}
}

func TestHeaderProtection(t *testing.T) {
	t.Parallel()
	in := crlfText("Received: from here\nFrom: a@example.org\nTo: b@example.net\nSubject: secret\n plan\nKeywords: war\nBcc: c@example.net\nAutocrypt: addr=a\nContent-Type: text/plain\n\nbody\n")
	inner, outer := payload(t, in, Options{Encrypt: true, Subject: "..."})
	require.Equal(t, crlfText("Received: from here\nFrom: a@example.org\nTo: b@example.net\nSubject: ...\nAutocrypt: addr=a\n"), outer)
	require.Equal(t, crlfText("From: a@example.org\nTo: b@example.net\nSubject: secret\n plan\nKeywords: war\nHP-Outer: From: a@example.org\nHP-Outer: To: b@example.net\nHP-Outer: Subject: ...\n"+
		"Content-Type: text/plain;\n hp=\"cipher\"; protected-headers=\"v1\"\n\nbody\n"), inner)

	for _, c := range []struct {
		name, outer, inner string
		trusted            bool
		want               string
	}{
		{"protected", "Received: r\nFrom: a@x\nSubject: ...\nReply-To: evil@x\nList-Id: l\n", "From: a@x\nSubject: real\nHP-Outer: Subject: ...\nContent-Type: text/plain; hp=cipher\n", true,
			"Received: r\nList-Id: l\nFrom: a@x\nSubject: real\nMIME-Version: 1.0\nContent-Type: text/plain; hp=cipher\n\n"},
		{"the older draft", "From: a@x\nSubject: ...\nReply-To: r@x\n", "Subject: real\nContent-Type: text/plain; protected-headers=v1\n", true,
			"From: a@x\nReply-To: r@x\nSubject: real\nMIME-Version: 1.0\nContent-Type: text/plain; protected-headers=v1\n\n"},
		{"not trusted", "From: a@x\nSubject: out\n", "Subject: in\nContent-Type: text/plain; hp=clear\n", false, "From: a@x\nSubject: out\nMIME-Version: 1.0\nContent-Type: text/plain; hp=clear\n\n"},
		{"no sign of protection", "From: a@x\nSubject: out\nContent-Type: x/y\n", "Subject: in\nContent-Type: text/html\n", true, "From: a@x\nSubject: out\nMIME-Version: 1.0\nContent-Type: text/html\n\n"},
		{"another From inside", "From: mallory@x\nSubject: out\n", "From: boss@x\nSubject: in\nContent-Type: text/plain; hp=cipher\n", true,
			"From: mallory@x\nSubject: in\nMIME-Version: 1.0\nContent-Type: text/plain; hp=cipher\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := Merge(mime.ParseHeader([]byte(crlfText(c.outer))), mime.ParseHeader([]byte(crlfText(c.inner))), c.trusted)
			require.Equal(t, crlfText(c.want), string(m.Header))
		})
	}
}

// TestLines feeds lines that end at every place of the buffer.
func TestLines(t *testing.T) {
	t.Parallel()
	for n := lineBuffer - 4; n < lineBuffer+4; n++ {
		long := strings.Repeat("x", n)
		for _, mode := range []lineMode{keep, strip, field} {
			var out bytes.Buffer
			require.NoError(t, copyLines(&out, strings.NewReader(long+"\r\n"+long+"\r"+long+"\n"+long), mode))
			require.True(t, long+"\r\n"+long+"\r"+long+"\r\n"+long == out.String(), "%d %d", n, mode)
		}
		var out bytes.Buffer
		require.NoError(t, encodeQP(&out, strings.NewReader(long+" \r\nend")))
		back, err := io.ReadAll(mime.NewDecoder(mime.EncodingQuotedPrintable, &out))
		require.NoError(t, err)
		require.True(t, long+" \r\nend" == string(back), "%d", n)
	}
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte("Subject: x\n\nFrom \n"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx \r\n--b--"))
	f.Add([]byte("Content-Type: message/rfc822\r\n\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xbc \r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := New(text(b), Options{Sign: true})
		if err != nil {
			return
		}
		defer p.Close()
		var out bytes.Buffer
		require.NoError(t, p.Write(&out))
		// Every line end is CRLF.
		require.Equal(t, bytes.Count(out.Bytes(), []byte("\n")), bytes.Count(out.Bytes(), crlf))
		h := mime.ParseHeader(p.header)
		require.Equal(t, "clear", h.ContentType().Params.Get("hp"))
	})
}
