package page

import (
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

func TestHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, user, host string }{
		{"http://www.Example.com/x", "", "www.example.com"},
		{"HTTPS://example.com:8443?x", "", "example.com"},
		{"https:example.com", "", "example.com"},
		{`https:\\example.com\x`, "", "example.com"},
		{"//example.com/x", "", "example.com"},
		{"www.example.com", "", "www.example.com"},
		{"https://user:pass@example.com@evil.ru/@x", "user:pass@example.com", "evil.ru"},
		{"ht\ntps://exam\tple.com.", "", "example.com"},
		{"http://[2001:db8::1]:80/", "", "2001:db8::1"},
		{"mailto:a@example.com", "", ""},
		{"/relative", "", ""},
		{"", "", ""},
	} {
		user, host := Host(c.url)
		require.Equal(t, c.user, user, c.url)
		require.Equal(t, c.host, host, c.url)
	}
	for host, is := range map[string]bool{"192.0.2.1": true, "2001:db8::1": true, "3405803785": true, "0xcb007109": true, "example.com": false, "abc": false, "cafe": false, "": false} {
		require.Equal(t, is, IP(host), host)
	}
	for text, domain := range map[string]string{"https://Bank.com/x": "bank.com", "bank.com/x": "bank.com", "click here": "", "a@bank.com": "", "Mr.Smith": "", "v1.2": "", "com": "", "me.github.io": "me.github.io"} {
		require.Equal(t, domain, Domain(text), text)
	}
	require.Equal(t, "example.co.uk", Organization("a.b.example.co.uk"))
}

func TestPlainLinks(t *testing.T) {
	t.Parallel()
	links := PlainLinks("see (http://a.example/x), <https://b.example/?q=1> or www.c.example. Not awww.d.example", 10)
	var urls []string
	for _, l := range links {
		urls = append(urls, l.URL)
	}
	require.Equal(t, []string{"http://a.example/x", "https://b.example/?q=1", "www.c.example"}, urls)
	require.Len(t, PlainLinks(strings.Repeat("http://a/ ", 100), 7), 7)
}

func TestHTML(t *testing.T) {
	t.Parallel()
	h := ParseHTML(`<html><head><title>t</title><style>x{}</style><body bgcolor=white><p>Fr<b>ee</b> m<unknown>oney</unknown><script>no()</script>` +
		`<div style="display:none">secret <b>stuff</b></div><a href=" http://a.example/ "><b>Click</b>  here</a><img src=x><a href="#top">top</a><form action="/f"></form>`)
	require.Equal(t, []string{"Free", "money", "Click", "here", "top"}, strings.Fields(h.Text))
	require.Equal(t, 11, h.Hidden)
	require.Equal(t, []Link{{"http://a.example/", "Click here"}, {"/f", ""}}, h.Links)
	require.Equal(t, []int{1, 1, 1}, []int{h.Images, h.Forms, h.Scripts})
	require.LessOrEqual(t, len(ParseHTML(strings.Repeat("<a href=http://x.example/>", 5000)).Links), MaxLinks)
}

func TestRead(t *testing.T) {
	t.Parallel()
	b := Read(mime.ParseBytes([]byte("Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nplain http://p.example/\r\n--b\r\n" +
		"Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>caf=E9 <a href=3D\"http://h.example/\">x</a>\r\n--b--\r\n")))
	require.True(t, b.HasText && b.HasHTML)
	require.Contains(t, b.Text, "plain")
	require.Contains(t, b.HTML.Text, "café")
	require.Equal(t, []Link{{"http://h.example/", "x"}, {"http://p.example/", ""}}, b.Links())
	require.False(t, b.CutShort)

	long := Read(mime.ParseBytes([]byte("\r\n" + strings.Repeat("word ", 100_000))))
	require.True(t, long.CutShort)
	require.LessOrEqual(t, len(long.Text), MaxText+1)
}
