package mime_test

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

// TestBodyRFC8621 is the example of RFC 8621 s4.1.4, whose table of parts is given there.
func TestBodyRFC8621(t *testing.T) {
	t.Parallel()
	leaf := func(kind, name string) string {
		if strings.HasPrefix(kind, "text/") || strings.HasSuffix(name, "*") {
			return fmt.Sprintf("Content-Type: %s\nX-Name: %s\n\n%s\n", kind, name, name)
		}
		return fmt.Sprintf("Content-Type: %s; name=%s\nX-Name: %s\n\n%s\n", kind, name, name, name)
	}
	multi := func(sub, b string, parts ...string) string {
		s := "Content-Type: multipart/" + sub + "; boundary=" + b + "\n\n"
		for _, p := range parts {
			s += "--" + b + "\n" + p
		}
		return s + "--" + b + "--\n"
	}
	attach := func(s string) string {
		return strings.Replace(s, "\nX-Name", "\nContent-Disposition: attachment\nX-Name", 1)
	}
	raw := multi("mixed", "m1",
		leaf("text/plain", "A"),
		multi("mixed", "m2",
			multi("alternative", "alt",
				multi("mixed", "m3", leaf("text/plain", "B"), leaf("image/jpeg", "C*"), leaf("text/plain", "D")),
				multi("related", "rel", leaf("text/html", "E"), leaf("image/jpeg", "F"))),
			attach(leaf("image/jpeg", "G*")), attach(leaf("application/x-excel", "H")), "Content-Type: message/rfc822\nX-Name: J\n\nSubject: inside\n\nx\n"),
		leaf("text/plain", "K"))
	m := mime.ParseBytes(crlf(raw))
	names := func(parts []*mime.Part) (s string) {
		for _, p := range parts {
			s += strings.TrimSuffix(p.Header().Get("X-Name"), "*")
		}
		return s
	}
	body := m.Body()
	require.Equal(t, "ABCDK", names(body.Text))
	require.Equal(t, "AEK", names(body.HTML))
	require.Equal(t, "CFGHJ", names(body.Attachments))
	text, err := m.Text()
	require.NoError(t, err)
	require.Equal(t, "A\nB\nD\nK", text)
	preview, err := m.Preview(4)
	require.NoError(t, err)
	require.Equal(t, "A B", preview)
}

func TestText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, text string }{
		"no header":           {"just text\nin two lines\n", "just text\nin two lines\n"},
		"latin-1":             {"Content-Type: text/plain; charset=iso-8859-1\n\nGr\xfc\xdfe\n", "Grüße\n"},
		"windows as latin":    {"Content-Type: text/plain; charset=iso-8859-1\n\n\x80\n", "€\n"},
		"no charset":          {"Content-Type: text/plain\n\nGr\xfc\xdfe\n", "Grüße\n"},
		"unknown charset":     {"Content-Type: text/plain; charset=klingon\n\nGrüße\n", "Grüße\n"},
		"utf-8 broken":        {"Content-Type: text/plain; charset=utf-8\n\nGr\xfc\xdfe\n", "Gr\uFFFDe\n"},
		"utf-7":               {"Content-Type: text/plain; charset=utf-7\n\nHi Mom +Jjo--! A+ImIDkQ. +ZeVnLIqe- 1 +- 1 +2D3cqQ-\n", "Hi Mom ☺-! A≢Α. 日本語 1 + 1 💩\n"},
		"iso-2022-jp":         {"Content-Type: text/plain; charset=ISO-2022-JP\n\n\x1b$BF|K\\8l\x1b(B\n", "日本語\n"},
		"gb2312":              {"Content-Type: text/plain; charset=gb2312\n\n\xd6\xd0\xce\xc4\n", "中文\n"},
		"koi8-r":              {"Content-Type: text/plain; charset=koi8-r\n\n\xf0\xd2\xc9\xd7\xc5\xd4\n", "Привет\n"},
		"bom":                 {"Content-Type: text/plain; charset=utf-8\n\n\xef\xbb\xbfx\n", "x\n"},
		"qp":                  {"Content-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe=\n =20  \nx=zz=\n", "Grüße  \nx=zz"},
		"base64 broken":       {"Content-Transfer-Encoding: BASE64\n\nSGVs\n bG8*gd29y\n\nbGQ\n", "Hello world"},
		"html only":           {"Content-Type: text/html; charset=utf-8\n\n<style>x{}</style><p>One</p><p>Two &amp; <b>three</b><br>four</p><ul><li>a<li>b</ul>\n", "One\n\nTwo & three\nfour\n\n- a\n- b"},
		"html meta":           {"Content-Type: text/html\n\n<html><head><meta charset=koi8-r></head><body>\xf0\xd2\xc9\xd7\xc5\xd4</body>\n", "Привет"},
		"html meta, upper":    {"Content-Type: text/html; charset=us-ascii\n\n<HTML><META HTTP-EQUIV=\"Content-Type\" CONTENT=\"text/html; CHARSET=koi8-r\"><BODY>\xf0\xd2\xc9\xd7\xc5\xd4\n", "Привет"},
		"html header wins":    {"Content-Type: text/html; charset=koi8-r\n\n<meta charset=utf-8>\xf0\xd2\xc9\xd7\xc5\xd4\n", "Привет"},
		"xhtml":               {"Content-Type: text/html\n\n<?xml version='1.0' encoding='koi8-r'?><html>\xf0\xd2\xc9\xd7\xc5\xd4\n", "Привет"},
		"utf-16 mark":         {"Content-Transfer-Encoding: base64\n\n/v8A6QAK\n", "é\n"},
		"boundary guessed":    {"Content-Type: multipart/mixed\n\npreamble\n-- \n--\n--=_part\n\none\n--=_part\n\ntwo\n--=_part--\n", "one\ntwo"},
		"flowed":              {"Content-Type: text/plain; format=flowed\n\nOne \nparagraph.\n> Quoted \n> text\n>> more\n stuffed\n-- \nme\n", "One paragraph.\n> Quoted text\n>> more\nstuffed\n-- \nme\n"},
		"flowed delsp":        {"Content-Type: text/plain; format=flowed; delsp=yes\n\n日本 \n語\n", "日本語\n"},
		"attachment only":     {"Content-Type: text/plain\nContent-Disposition: attachment\n\nx\n", ""},
		"empty":               {"", ""},
		"no boundary":         {"Content-Type: multipart/mixed\n\ntext\n", "text\n"},
		"related, start":      {"Content-Type: multipart/related; boundary=x; start=\"<2>\"\n\n--x\nContent-Type: image/png\nContent-ID: <1>\n\nP\n--x\nContent-Type: text/html\nContent-ID: <2>\n\n<p>text\n--x--\n", "text"},
		"related, no start":   {"Content-Type: multipart/related; boundary=x; start=\"<3>\"\n\n--x\nContent-Type: text/html\nContent-ID: <1>\n\n<p>text\n--x\nContent-Type: image/png\nContent-ID: <2>\n\nP\n--x--\n", "text"},
		"no delimiter":        {"Content-Type: multipart/alternative; boundary=x\n\nGr\u00fc\u00dfe\n", "Gr\u00fc\u00dfe\n"},
		"no delimiter inside": {"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/alternative; boundary=y\n\ntext\n--x--\n", "text"},
		"footer below base64": {"Content-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQ=\n\n____________\nlist mailing list\nlist@example.org\n", "hello world"},
		"uuencode":            {"Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 f\n#0V%T\n`\nend\n", "Cat"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, raw := range [][]byte{[]byte(c.raw), crlf(c.raw)} {
				text, err := mime.ParseBytes(raw).Text()
				require.NoError(t, err)
				require.Equal(t, c.text, text)
			}
		})
	}
}

func TestHTML(t *testing.T) {
	t.Parallel()
	m := mime.ParseBytes([]byte("Content-Type: text/plain\n\n1 < 2\n& so on\n"))
	html, err := m.HTML()
	require.NoError(t, err)
	require.Equal(t, "<div>1 &lt; 2<br>\n&amp; so on</div>\n", html)
}

func TestHTMLText(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		"a  b\n c":                         "a b c",
		"<p>a<p>b":                         "a\n\nb",
		"<pre>a\n  b</pre>c":               "a\n  b\n\nc",
		"<blockquote>a<br>b</blockquote>c": "> a\n> b\n\nc",
		"<script>x</script>a<!-- c -->b":   "ab",
		"<img alt='a cat'> x":              "a cat x",
		"<tr><td>1<td>2<tr><td>3":          "1 2\n3",
		"a<head>no body":                   "a",
		"":                                 "",
	} {
		require.Equal(t, want, mime.HTMLText(document), document)
	}
}

func TestTextTooLong(t *testing.T) {
	t.Parallel()
	m := mime.ParseBytesLimits([]byte("Subject: x\n\n0123456789"), mime.Limits{DecodedBytes: 4})
	text, err := m.Text()
	require.ErrorIs(t, err, mime.ErrTooLong)
	require.Equal(t, "0123", text)
	m = mime.ParseBytesLimits([]byte("\n0123"), mime.Limits{DecodedBytes: math.MaxInt64, Parts: math.MaxInt})
	text, err = m.Text()
	require.NoError(t, err)
	require.Equal(t, "0123", text)
}

func TestNoSource(t *testing.T) {
	t.Parallel()
	raw := "Subject: x\n\nbody\n"
	p := mime.NewParser(mime.Limits{})
	io.WriteString(p, raw)
	m := p.Close()
	_, err := m.Text()
	require.ErrorIs(t, err, mime.ErrNoSource)
	_, err = m.Open()
	require.ErrorIs(t, err, mime.ErrNoSource)
	m.SetSource(strings.NewReader(raw))
	text, err := m.Text()
	require.NoError(t, err)
	require.Equal(t, "body\n", text)
}

func TestPart(t *testing.T) {
	t.Parallel()
	m := mime.ParseBytes(crlf(`Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: application/pdf; name=old.pdf
Content-Disposition: attachment; filename*0*=utf-8'de'Gr%C3; filename*1*=%BC%C3%9Fe; filename*2=.pdf
Content-ID: <id@x>
Content-Transfer-Encoding: base64

aGVsbG8=
--b
Content-Type: message/rfc822
Content-Transfer-Encoding: base64

U3ViamVjdDogaW5zaWRlDQoNCmJvZHk=
--b--
`))
	require.Equal(t, 3, m.Len())
	p := m.Part(1)
	require.Equal(t, "Grüße.pdf", p.Filename())
	require.Equal(t, "attachment", p.Disposition().Type)
	require.Equal(t, "de", p.Disposition().Params[0].Language)
	require.Equal(t, "id@x", p.ContentID())
	b, err := io.ReadAll(p.Decoded())
	require.NoError(t, err)
	require.Equal(t, "hello", string(b))
	b, err = io.ReadAll(p.Raw())
	require.NoError(t, err)
	require.Equal(t, "aGVsbG8=", string(b))
	_, err = p.Embedded()
	require.Error(t, err)
	inside, err := m.Part(2).Embedded()
	require.NoError(t, err)
	require.Equal(t, "inside", inside.Header().Get("Subject"))
	require.Equal(t, "a b c", mime.ParseBytes([]byte("Content-Disposition: attachment; filename*=utf-8''a%0D%0Ab%00c\n\n")).Root().Filename())
	require.Nil(t, m.Root().Parent())
	require.Same(t, m.Root(), p.Parent())
}
