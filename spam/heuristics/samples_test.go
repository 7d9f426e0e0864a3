package heuristics_test

import (
	"context"
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

// known is what package auth would have found.
type known []string

func (known) Name() string      { return "known" }
func (known) Stage() spam.Stage { return spam.StageBody }
func (k known) Check(context.Context, *spam.Mail) ([]spam.Symbol, error) {
	var list []spam.Symbol
	for _, name := range k {
		list = append(list, spam.Symbol{Name: name})
	}
	return list, nil
}

var (
	authenticated = known{"SPF_PASS", "DKIM_PASS", "DMARC_PASS"}
	nobody        = known{"SPF_NONE", "DKIM_NONE", "DMARC_NA"}
	softfail      = known{"SPF_SOFTFAIL", "DKIM_NONE", "DMARC_NONE"}
)

// TestSamples holds the weights to their promise: ordinary mail stays below 3, and this spam comes to 6 at least and 15 at most without anything learned.
func TestSamples(t *testing.T) {
	t.Parallel()
	resolver := zone{"192.0.2.1": "mail.example.org.", "mail.example.org.": "192.0.2.1", "203.0.113.77": "77-113-0-203.dyn.example.org.", "77-113-0-203.dyn.example.org.": "203.0.113.77"}
	for _, c := range []struct {
		name  string
		auth  known
		host  string
		hello string
		raw   string
		spam  bool
	}{
		{"personal letter", authenticated, "192.0.2.1", "mail.example.org", normal(fields{}, "Hi Bob,\n\nshall we meet at noon? The menu: https://www.example.com/menu\n\nAnn\n"), false},
		{"personal letter without authentication", nobody, "192.0.2.1", "mail.example.org", normal(fields{}, "Hi Bob,\n\nshall we meet?\n"), false},
		{"short note from a phone", nobody, "192.0.2.1", "mail.example.org", normal(fields{"Subject": ""}, "ok\n"), false},
		{"cron job", nobody, "192.0.2.1", "host.example.org", normal(fields{"From": "root@host.example.org (Cron Daemon)", "Subject": "Cron <root@host> /usr/bin/backup"}, "done\n"), false},
		{"mailing list", known{"SPF_PASS", "DKIM_FAIL", "DMARC_NONE"}, "192.0.2.1", "mail.example.org", normal(fields{"List-Id": "<dev.lists.example.org>", "Reply-To": "dev@lists.example.org",
			"Subject": "Re: [dev] crash on start", "In-Reply-To": "<7@example.net>"}, "I see it too. http://bugs.example.com/7\n"), false},
		{"newsletter with click counters", authenticated, "192.0.2.1", "out.news.com", normal(fields{"From": "Garden Club <news@garden.org>", "Reply-To": "office@garden.org", "List-Unsubscribe": "<https://garden.org/u>",
			"Subject": "Spring is here! Our tulips, 20% off", "Content-Type": "multipart/alternative; boundary=b"},
			"--b\n\n"+prose+"\n--b\nContent-Type: text/html\n\n<div style='display:none'>preview of the letter</div><p>"+prose+`<a href="https://click.tracker.com/1">www.garden.org</a> <a href="https://click.tracker.com/2">Unsubscribe</a>`+"\n--b--\n"), false},
		{"receipt, HTML only", authenticated, "192.0.2.1", "out.shop.com", normal(fields{"From": "Shop <no-reply@shop.com>", "Subject": "Your order 4711 has been shipped", "Content-Type": "text/html"},
			"<table><tr><td>"+prose+`</td></tr></table><img src="https://shop.com/logo.png"><a href="https://shop.com/orders/4711">Track your parcel</a>`), false},
		{"urgent from the boss", authenticated, "192.0.2.1", "mail.example.org", normal(fields{"Subject": "URGENT: SERVER ROOM ON FIRE!!!"}, "call me\n"), false},

		{"pharmacy", softfail, "203.0.113.77", "pc", normal(fields{"From": "Canadian Drugs <qzx81@cheap-meds.ru>", "Subject": "CHEAP PILLS NO PRESCRIPTION!!!", "Message-ID": "-", "To": "undisclosed-recipients:;"},
			"Buy now: http://203.0.113.200/pills\n"), true},
		{"advance fee", nobody, "203.0.113.77", "user", normal(fields{"From": "Barrister John Smith <john@office-desk.info>", "Reply-To": "barr.john77@gmail.com", "Subject": "URGENT BUSINESS PROPOSAL $$$ CONFIDENTIAL", "To": "-", "Date": "-"},
			"Dear friend,\n\nI am the lawyer of the late Mr. Moneybags, who left USD 18,500,000.\n"), true},
		{"bank phishing", nobody, "192.0.2.1", "mail.example.org", normal(fields{"From": `"PayPal service@paypal.com" <info@hosting-77.ru>`, "Subject": "Your account has been limited", "Content-Type": "text/html"},
			"<p>Dear customer, "+prose+`<a href="http://paypal.com.secure-login.ru/x">https://www.paypal.com/login</a>`), true},
		{"parcel phishing", softfail, "203.0.113.77", "[203.0.113.77]", normal(fields{"From": `"DHL.com Delivery" <parcel@qwe-asd.top>`, "Subject": "Re: Your parcel is waiting", "Content-Type": "text/html"},
			`<p>Pay the fee: <a href="https://bit.ly/3xyz"><img src="https://qwe-asd.top/dhl.png"></a>`), true},
		{"malware", nobody, "203.0.113.77", "localhost", attached("Invoice_2026.pdf.exe", "MZ"), true},
		{"picture spam with hidden text", nobody, "203.0.113.77", "203.0.113.77", normal(fields{"From": "Casino <win@lucky-777.win>", "Subject": "Win $$$ today!!!", "Message-ID": "<x>", "Content-Type": "text/html"},
			`<a href="http://lucky-777.win/go"><img src="http://lucky-777.win/a.gif"></a><div style="font-size:0">`+strings.Repeat("garden minutes meeting ", 40)+"</div>"), true},
		{"lottery to oneself", softfail, "203.0.113.77", "mx.example.net", normal(fields{"From": "Lottery <bob@example.net>", "Subject": "YOU HAVE WON THE LOTTERY!!!", "Date": time.Now().Add(900 * time.Hour).Format(time.RFC1123Z)},
			"Claim at http://tinyurl.com/claim\n"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := &spam.Engine{First: []spam.Check{c.auth}, Checks: heuristics.Checks(heuristics.Options{Resolver: resolver})}
			v, err := e.Score(t.Context(), &spam.Mail{Remote: netip.MustParseAddr(c.host), Hello: c.hello, Hostname: "mx.example.net", From: "x@example.com",
				To: []string{"bob@example.net"}, Message: mime.ParseBytes([]byte(c.raw))}, spam.StageBody)
			require.NoError(t, err)
			if c.spam {
				require.Equal(t, spam.Junk, v.Action, v.String())
				require.LessOrEqual(t, v.Score, 15.0)
			} else {
				require.Less(t, v.Score, 3.0, v.String())
			}
		})
	}
}

// FuzzMessage: no message makes a check fail.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(normal(fields{"Content-Type": "text/html"}, `<a href="https:\\a@b.ru">www.c.com</a><div style="display:none;color:#fff">x</div><form action=x>`)))
	f.Add([]byte(attached("invoice.pdf.exe", "MZ")))
	f.Add([]byte(attached("a.zip", "PK\x03\x04\x14\x00\x01\x00")))
	f.Add([]byte("From: \"a@b.com\" <>\r\nTo: :;\r\nReceived: ;\r\nContent-Type: multipart/mixed\r\n\r\nhttp://[::1]/ http://xn--/ www."))
	e := &spam.Engine{Checks: heuristics.Checks(heuristics.Options{})}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := e.Score(t.Context(), &spam.Mail{Message: mime.ParseBytes(raw)}, spam.StageBody)
		require.NoError(t, err)
		require.NotContains(t, names(v), "CHECK_FAILED", "%v", v)
		require.NotContains(t, v.String(), "\r")
		require.Equal(t, len(v.Symbols)+1, strings.Count(v.String(), "\n"))
	})
}

// TestBounds: what is made to be slow is not.
func TestBounds(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"open elements":  strings.Repeat("<div><span style='color:red'>", 100_000),
		"links":          strings.Repeat(`<a href="http://a.com/">www.b.com</a>`, 50_000),
		"one long style": "<p style='" + strings.Repeat("color:red;", 100_000) + "'>x",
		"no end of tag":  strings.Repeat("<a href='", 200_000),
		"plain links":    strings.Repeat("http://a.com/x ", 200_000),
		"w":              strings.Repeat("www.", 500_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			check(t, heuristics.Options{}, &spam.Mail{Message: mime.ParseBytes([]byte(html(body)))})
			check(t, heuristics.Options{}, &spam.Mail{Message: mime.ParseBytes([]byte(normal(fields{}, body)))})
			require.Less(t, time.Since(start), 3*time.Second)
		})
	}
}

func BenchmarkMessage(b *testing.B) {
	raw := []byte(normal(fields{"Content-Type": "multipart/alternative; boundary=b"}, "--b\n\n"+strings.Repeat(prose, 20)+"\n--b\nContent-Type: text/html\n\n<p>"+strings.Repeat(prose+"<br><a href='https://example.com/'>x</a>", 20)+"\n--b--\n"))
	e := &spam.Engine{Checks: heuristics.Checks(heuristics.Options{})}
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := e.Score(b.Context(), &spam.Mail{Message: mime.ParseBytes(raw)}, spam.StageBody); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleChecks() {
	engine := &spam.Engine{Checks: heuristics.Checks(heuristics.Options{})}
	m := &spam.Mail{Message: mime.ParseBytes([]byte("From: \"service@paypal.com\" <x@example.com>\r\nTo: bob@example.net\r\nSubject: Your account\r\nMessage-ID: <1@example.com>\r\n" +
		"Date: " + time.Now().Format(time.RFC1123Z) + "\r\n\r\nhttp://203.0.113.9/login\r\n"))}
	v, err := engine.Score(context.Background(), m, spam.StageBody)
	fmt.Println(v.Action, err)
	for _, s := range v.Symbols {
		fmt.Println(s.Score, s.Name)
	}
	// Output:
	// junk <nil>
	// 3 PHISHING
	// 2.5 FROM_NAME_ADDRESS
	// 2.5 URL_IP
	// 0 IMPERSONATION
}
