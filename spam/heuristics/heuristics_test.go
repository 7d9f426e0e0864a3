package heuristics_test

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/heuristics"
	"github.com/stretchr/testify/require"
)

// normal is the header of an ordinary letter; a field given as another replaces it, and "-" leaves it out.
func normal(fields map[string]string, body string) string {
	var b strings.Builder
	all := []struct{ name, value string }{
		{"From", "Ann Example <ann@example.com>"}, {"To", "bob@example.net"}, {"Subject", "Lunch tomorrow"},
		{"Date", time.Now().Format(time.RFC1123Z)}, {"Message-ID", "<1@example.com>"}, {"MIME-Version", "1.0"},
	}
	for _, f := range all {
		if v, ok := fields[f.name]; ok {
			f.value = v
		}
		if f.value != "-" {
			fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
		}
		delete(fields, f.name)
	}
	for name, value := range fields {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	return b.String() + "\r\n" + strings.ReplaceAll(body, "\n", "\r\n")
}

func check(t testing.TB, o heuristics.Options, m *spam.Mail) *spam.Verdict {
	rules := spam.DefaultRules()
	rules.Composites = nil // what the checks find, and nothing else
	e := &spam.Engine{Checks: heuristics.Checks(o), Rules: rules}
	v, err := e.Score(t.Context(), m, spam.StageBody)
	require.NoError(t, err)
	return v
}

func names(v *spam.Verdict) []string {
	list := []string{}
	for _, s := range v.Symbols {
		list = append(list, s.Name)
	}
	return list
}

type fields = map[string]string

func html(body string) string { return normal(fields{"Content-Type": "text/html"}, body) }

func attached(name, content string) string {
	return normal(fields{"Content-Type": "multipart/mixed; boundary=b"}, "--b\n\nSee the file.\n--b\nContent-Type: application/octet-stream\n"+
		"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename*=utf-8''"+strings.ReplaceAll(name, " ", "%20")+"\n\n"+
		base64.StdEncoding.EncodeToString([]byte(content))+"\n--b--\n")
}

const prose = "dear colleagues please find below the minutes of yesterday meeting about kitchen garden where everybody agreed that spring plants ought be watered every morning "

func TestMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		raw     string
		symbols []string
	}{
		{"an ordinary letter", normal(fields{}, "Shall we?\n"), nil},
		{"no date", normal(fields{"Date": "-"}, "x"), []string{"DATE_MISSING"}},
		{"no date at all", normal(fields{"Date": "soon"}, "x"), []string{"DATE_INVALID"}},
		{"tomorrow's date", normal(fields{"Date": time.Now().Add(23 * time.Hour).Format(time.RFC1123Z)}, "x"), nil},
		{"a date to come", normal(fields{"Date": time.Now().Add(72 * time.Hour).Format(time.RFC1123Z)}, "x"), []string{"DATE_FUTURE"}},
		{"an old date", normal(fields{"Date": time.Now().Add(-8 * 24 * time.Hour).Format(time.RFC1123Z)}, "x"), []string{"DATE_OLD"}},
		{"no identifier", normal(fields{"Message-ID": "-"}, "x"), []string{"MID_MISSING"}},
		{"odd identifier", normal(fields{"Message-ID": "<abc>"}, "x"), []string{"MID_INVALID"}},
		{"no subject", normal(fields{"Subject": ""}, "x"), []string{"SUBJECT_EMPTY"}},
		{"capitals", normal(fields{"Subject": "=?utf-8?q?GR=C3=9CSSE_AUS_BERLIN?="}, "x"), []string{"SUBJECT_CAPS"}},
		{"a short name in capitals", normal(fields{"Subject": "NASA TV"}, "x"), nil},
		{"no capitals in this script", normal(fields{"Subject": "こんにちは 世界 お元気ですか"}, "x"), nil},
		{"shouting", normal(fields{"Subject": "Hurry!!! Now"}, "x"), []string{"SUBJECT_EXCLAIMS"}},
		{"answer to nothing", normal(fields{"Subject": "Re: your order"}, "x"), []string{"SUBJECT_FAKE_REPLY"}},
		{"answer", normal(fields{"Subject": "Re: your order", "In-Reply-To": "<2@example.net>"}, "x"), nil},
		{"no author", normal(fields{"From": "-"}, "x"), []string{"FROM_MISSING"}},
		{"author without address", normal(fields{"From": "Ann"}, "x"), []string{"FROM_INVALID"}},
		{"another address as name", normal(fields{"From": `"service@paypal.com" <x@example.com>`}, "x"), []string{"FROM_NAME_ADDRESS"}},
		{"the same address as name", normal(fields{"From": `"ann@example.com" <ann@example.com>`}, "x"), nil},
		{"another domain as name", normal(fields{"From": `"Service at paypal.com" <x@example.com>`}, "x"), []string{"FROM_NAME_DOMAIN"}},
		{"a subdomain as name", normal(fields{"From": `"Example.com" <news@mail.example.com>`}, "x"), nil},
		{"answers elsewhere", normal(fields{"Reply-To": "x@freemail.org"}, "x"), []string{"REPLYTO_ELSEWHERE"}},
		{"answers to the list", normal(fields{"Reply-To": "list@lists.org", "List-Id": "<list.lists.org>"}, "x"), nil},
		{"no recipient", normal(fields{"To": "-"}, "x"), []string{"TO_MISSING"}},
		{"undisclosed", normal(fields{"To": "undisclosed-recipients:;"}, "x"), []string{"TO_UNDISCLOSED"}},
		{"many", normal(fields{"To": strings.Repeat("a@example.net,\r\n ", 60) + "b@example.net"}, "x"), []string{"TO_MANY"}},
		{"to oneself", normal(fields{"To": "ANN@example.com"}, "x"), []string{"FROM_IS_TO"}},
		{"forged trace", normal(fields{"Received": "from a by b; " + time.Now().Add(100*time.Hour).Format(time.RFC1123Z)}, "x"), []string{"RECEIVED_FORGED"}},
		{"trace of qmail", normal(fields{"Received": "(qmail 4711 invoked by uid 500); " + time.Now().Format(time.RFC1123Z)}, "x"), nil},
		{"trace", normal(fields{"Received": "from a.example (a.example [192.0.2.1]) by b.example; " + time.Now().Format(time.RFC1123Z)}, "x"), nil},
		{"test text", normal(fields{}, "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n"), []string{"GTUBE"}},
		{"HTML only", html("<p>" + prose), []string{"HTML_ONLY"}},
		{"a picture", html(`<a href="https://shop.com/x"><img src="https://shop.com/y.png"></a>`), []string{"HTML_ONLY", "HTML_IMAGE_ONLY"}},
		{"hidden text", html("<p>" + prose + "<div style='DISPLAY : none'>" + strings.Repeat("random words ", 50) + "</div>"), []string{"HTML_ONLY", "HTML_HIDDEN_TEXT"}},
		{"hidden by size", html("<p>" + prose + "<span style='font-size:0px'>" + strings.Repeat("random words ", 50) + "</span>"), []string{"HTML_ONLY", "HTML_HIDDEN_TEXT"}},
		{"hidden by colour", html("<body bgcolor=#FFF><p>" + prose + "<font color=white>" + strings.Repeat("random words ", 50) + "</font>"), []string{"HTML_ONLY", "HTML_HIDDEN_TEXT"}},
		{"a hidden preview line", html("<p>" + prose + "<div style='display:none'>" + strings.Repeat("word ", 30) + "</div>"), []string{"HTML_ONLY"}},
		{"form", html("<p>" + prose + "<form action=x><input name=password></form>"), []string{"HTML_ONLY", "HTML_FORM"}},
		{"script", html("<p>" + prose + "<script>x()</script>"), []string{"HTML_ONLY", "HTML_SCRIPT"}},
		{"both sides differ", normal(fields{"Content-Type": "multipart/alternative; boundary=b"}, "--b\n\n"+prose+"\n--b\nContent-Type: text/html\n\n<p>"+
			"buy cheap tablets from online pharmacy without prescription delivered worldwide discreet package money back guarantee special discount returning customers free bonus pills every order today only limited\n--b--\n"), []string{"TEXT_HTML_DIFFER"}},
		{"both sides agree", normal(fields{"Content-Type": "multipart/alternative; boundary=b"}, "--b\n\n"+prose+"\n--b\nContent-Type: text/html\n\n<p>"+prose+"\n--b--\n"), nil},
		{"link text", html("<p>" + prose + `<a href="http://evil.ru/login">https://www.paypal.com/login</a>`), []string{"HTML_ONLY", "URL_TEXT_DIFFERS"}},
		{"link text of a subdomain", html("<p>" + prose + `<a href="https://click.example.co.uk/1">www.example.co.uk</a>`), []string{"HTML_ONLY"}},
		{"address as host", normal(fields{}, "see http://203.0.113.9/x\n"), []string{"URL_IP"}},
		{"number as host", normal(fields{}, "see http://3405803785/x\n"), []string{"URL_IP"}},
		{"user before host", normal(fields{}, "see https://paypal.com@evil.ru/x\n"), []string{"URL_USERINFO"}},
		{"user before host, backslash", html("<p>" + prose + `<a href="https:\\paypal.com@evil.ru">x</a>`), []string{"HTML_ONLY", "URL_USERINFO"}},
		{"shortener", normal(fields{}, "see https://bit.ly/abc\n"), []string{"URL_SHORTENER"}},
		{"mixed alphabets", normal(fields{}, "see https://xn--pypal-4ve.com/\n"), []string{"URL_MIXED_SCRIPT"}},
		{"script as link", html("<p>" + prose + `<a href="JavaScript:x()">x</a>`), []string{"HTML_ONLY", "URL_ACTIVE"}},
		{"many places", normal(fields{}, manyLinks(16)), []string{"URL_MANY"}},
		{"program", attached("setup.EXE", "MZ"), []string{"ATTACHMENT_EXECUTABLE"}},
		{"program as document", attached("invoice.pdf.exe", "MZ"), []string{"ATTACHMENT_DOUBLE_EXT"}},
		{"program as document, spaces", attached("invoice.pdf      .scr", "MZ"), []string{"ATTACHMENT_DOUBLE_EXT"}},
		{"document", attached("report.v2.pdf", "%PDF"), nil},
		{"macros", attached("a.docm", "PK"), []string{"ATTACHMENT_MACRO"}},
		{"page", attached("login.html", "<p>"), []string{"ATTACHMENT_HTML"}},
		{"archive", attached("a.zip", "PK\x03\x04\x14\x00\x00\x00........"), nil},
		{"encrypted archive", attached("a.zip", "PK\x03\x04\x14\x00\x01\x00........"), []string{"ATTACHMENT_ENCRYPTED"}},
		{"turned name", attached("invoice%E2%80%AEfdp.doc", "x"), []string{"ATTACHMENT_BIDI"}},
		{"no boundary", normal(fields{"Content-Type": "multipart/mixed"}, "x\n"), []string{"MIME_BROKEN"}},
		{"bad base64", normal(fields{"Content-Transfer-Encoding": "base64"}, "this, surely, is not; base64! no? (no)\n"), []string{"MIME_BAD_BASE64"}},
		{"odd charset", normal(fields{"Content-Type": `text/plain; charset="utf 8%"`}, "x\n"), []string{"CHARSET_ODD"}},
		{"raw bytes", normal(fields{"Subject": "caf\xe9 ouvert"}, "x\n"), []string{"HEADER_RAW_8BIT"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := check(t, heuristics.Options{}, &spam.Mail{Message: mime.ParseBytes([]byte(c.raw))})
			require.ElementsMatch(t, c.symbols, names(v), v.String())
			for _, s := range v.Symbols {
				require.NotEmpty(t, s.Description, "%s has no weight", s.Name)
			}
		})
	}
	require.Empty(t, names(check(t, heuristics.Options{}, &spam.Mail{Identity: "ann", Message: mime.ParseBytes([]byte("x"))})), "users are not judged")
	require.Equal(t, spam.Reject, check(t, heuristics.Options{}, &spam.Mail{Message: mime.ParseBytes([]byte("Subject: test\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"))}).Action)
}

func manyLinks(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "http://www.shop%d.com/\n", i)
	}
	return b.String()
}

func TestHello(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		hello  string
		remote string
		symbol string
	}{
		{"mail.example.org", "192.0.2.1", ""},
		{"192.0.2.1", "192.0.2.1", "HELO_BARE_IP"},
		{"[192.0.2.1]", "192.0.2.1", ""},
		{"[192.0.2.1]", "::ffff:192.0.2.1", ""},
		{"[IPv6:2001:db8::1]", "2001:db8::1", ""},
		{"[192.0.2.9]", "192.0.2.1", "HELO_LITERAL_DIFFERS"},
		{"[nonsense]", "192.0.2.1", "HELO_LITERAL_DIFFERS"},
		{"localhost", "192.0.2.1", "HELO_LOCALHOST"},
		{"localhost.localdomain", "192.0.2.1", "HELO_LOCALHOST"},
		{"localhost", "127.0.0.1", ""},
		{"MX.example.net.", "192.0.2.1", "HELO_OURS"},
		{"other.example.net", "192.0.2.1", "HELO_OURS"},
		{"pc", "192.0.2.1", "HELO_NOT_FQDN"},
	} {
		t.Run(c.hello+" of "+c.remote, func(t *testing.T) {
			t.Parallel()
			v := check(t, heuristics.Options{Names: []string{"other.example.net"}}, &spam.Mail{Remote: netip.MustParseAddr(c.remote), Hello: c.hello, Hostname: "mx.example.net"})
			require.Equal(t, c.symbol, strings.Join(names(v), " "))
		})
	}
}
