package report_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mime"
	. "github.com/gomailroom/mailroom/mime/report"
	"github.com/stretchr/testify/require"
)

type composer interface {
	ComposeFor(caps mime.Capabilities) (*mime.Composed, error)
}

// again composes a report and parses what came out.
func again(t *testing.T, r composer, caps mime.Capabilities) (*mime.Message, any) {
	t.Helper()
	c, err := r.ComposeFor(caps)
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = c.WriteTo(&b)
	require.NoError(t, err)
	m := mime.ParseBytes(b.Bytes())
	back, err := Parse(m)
	require.NoError(t, err)
	return m, back
}

// TestRoundTrip: what Compose writes parses back into the same values, and these compose to the same report.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	words := []string{"a", "b.example", "x y", "Grüße", "用户@例.example", "1", "<odd>", "50% off; really", `back\slash`, "tab\there", "(comment)", ""}
	word := func() string { return words[r.IntN(len(words))] }
	when := func() time.Time {
		if r.IntN(3) == 0 {
			return time.Time{}
		}
		return testDate.Add(time.Duration(r.IntN(1e6)) * time.Second)
	}
	for range 300 {
		caps := mime.Capabilities{UTF8: r.IntN(2) == 0, EightBit: r.IntN(2) == 0}
		d := testDSN()
		d.Subject, d.Text, d.EnvelopeID, d.ReceivedFromMTA, d.Gateway, d.Arrived, d.UTF8 = "s", "text\n", word(), word(), word(), when(), caps.UTF8
		d.HeadersOnly = r.IntN(2) == 0
		d.Recipients = nil
		for range 1 + r.IntN(4) {
			d.Recipients = append(d.Recipients, DSNRecipient{Final: []string{"bob@example.net", "用户@example.net"}[r.IntN(2)], Original: []string{"", "rfc822;x@y.example", "utf-8;用@例.example"}[r.IntN(3)],
				Action: ActionFailed, Status: "5.1.1", RemoteMTA: word(), Diagnostic: word(), DiagType: []string{"", "x-unix"}[r.IntN(2)], LastTried: when(), FinalLogID: word()})
		}
		_, first := again(t, d, caps)
		got := first.(*DSN)
		require.Len(t, got.Recipients, len(d.Recipients))
		for i, want := range d.Recipients {
			require.Equal(t, want.Final, got.Recipients[i].Final, "RFC 6533: addresses beyond ASCII come through everywhere")
			require.Equal(t, want.Original, got.Recipients[i].Original)
			require.True(t, want.LastTried.Equal(got.Recipients[i].LastTried))
		}
		_, second := again(t, *got, caps)
		same(t, first, second)

		m := MDN{From: d.From, To: d.To, Date: testDate, MessageID: "5@example.net", Subject: "s", Text: "t\n", FinalRecipient: d.Recipients[0].Final, ReportingUA: word(), Gateway: word(),
			OriginalMessageID: "1@example.org", Automatic: r.IntN(2) == 0, SentAutomatically: r.IntN(2) == 0, Disposition: "deleted", Modifiers: []string{"error", "x-mod"}[:r.IntN(3)], Original: d.Original}
		_, first = again(t, m, caps)
		require.Equal(t, m.FinalRecipient, first.(*MDN).FinalRecipient)
		require.Equal(t, m.Automatic, first.(*MDN).Automatic)
		require.Len(t, first.(*MDN).Modifiers, len(m.Modifiers))
		_, second = again(t, *first.(*MDN), caps)
		same(t, first, second)

		a := ARF{From: d.From, To: d.To, Date: testDate, MessageID: "6@example.net", Subject: "s", Text: "t\n", UserAgent: "Mailroom/1", EnvelopeID: word(), Arrived: when(), ReportingMTA: word(),
			OriginalMailFrom: "alice@example.org", OriginalRcptTo: []string{"a@b.example", "c@d.example"}, SourceIP: netip.MustParseAddr("2001:db8::1"), SourcePort: uint16(r.IntN(3)),
			Incidents: r.IntN(3), ReportedURIs: []string{"https://example.org/x"}, Original: d.Original}
		if r.IntN(2) == 0 {
			a.FeedbackType, a.Failure = "auth-failure", &AuthFailure{Kind: "dmarc", DKIMDomain: word(), SPFDNS: word(), DKIMCanonicalizedBody: strings.Repeat("QUJD", 100)}
		}
		_, first = again(t, a, caps)
		require.Equal(t, a.OriginalRcptTo, first.(*ARF).OriginalRcptTo)
		if a.Failure != nil {
			require.Equal(t, a.Failure.DKIMCanonicalizedBody, first.(*ARF).Failure.DKIMCanonicalizedBody)
		}
		_, second = again(t, *first.(*ARF), caps)
		same(t, first, second)
	}
}

// same compares two reports but for the readers of their originals, which it reads.
func same(t *testing.T, a, b any) {
	t.Helper()
	strip := func(r any) (any, string) {
		var c mime.Content
		switch r := r.(type) {
		case *DSN:
			c, r.Original = r.Original, nil
		case *MDN:
			c, r.Original = r.Original, nil
		case *ARF:
			c, r.Original = r.Original, nil
		}
		rc, err := c.Open()
		require.NoError(t, err)
		raw, err := io.ReadAll(rc)
		require.NoError(t, err)
		return r, string(raw)
	}
	ra, oa := strip(a)
	rb, ob := strip(b)
	require.Equal(t, ra, rb)
	require.Equal(t, oa, ob)
}

// What programs write is not what RFC 3464 says.
func TestParseDSNAsFound(t *testing.T) {
	t.Parallel()
	d, err := ParseDSN(mime.ParseBytes([]byte("From: MAILER-DAEMON\nContent-Type: multipart/report; boundary=b\n\n--b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\n" +
		"Reporting-MTA:dns;mx.example.org\nthis is no field\n\n\n\nFinal-recipient: RFC822; <bob@example.net> (Bob)\nAction: Failed (permanent)\nStatus: 5.1.1 (unknown)\n" +
		"Diagnostic-Code: SMTP;550 no\n such user\n\nFinal-Recipient: carol@example.net\nAction: delayed\n--b\nContent-Type: text/rfc822-headers\n\nSubject: x\n--b--\n")))
	require.NoError(t, err)
	require.Equal(t, "mx.example.org", d.ReportingMTA)
	require.Equal(t, "Sorry.", d.Text)
	require.Equal(t, []DSNRecipient{
		{Final: "bob@example.net", Action: ActionFailed, Status: "5.1.1", Diagnostic: "550 no such user"},
		{Final: "carol@example.net", Action: ActionDelayed},
	}, d.Recipients)
	require.True(t, d.HeadersOnly)

	forwarded := "Content-Type: message/rfc822\n\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n"
	_, err = Parse(mime.ParseBytes([]byte(forwarded)))
	require.ErrorIs(t, err, ErrNone, "a report that somebody forwards is not a report")
	_, err = Parse(mime.ParseBytes([]byte("Subject: hello\n\nbody\n")))
	require.ErrorIs(t, err, ErrNone)
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zipped(name string, b []byte) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, _ := w.Create(name)
	f.Write(b)
	w.Close()
	return out.Bytes()
}

const feedback = "<feedback><report_metadata><org_name>x</org_name></report_metadata>%s</feedback>"

// TestBombs: documents made to cost more than their length are refused soon.
func TestBombs(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string][]byte{
		"zeros in gzip":    gz(make([]byte, MaxUnpacked+1)),
		"zeros in zip":     zipped("x.xml", make([]byte, MaxUnpacked+1)),
		"deep":             gz([]byte(fmt.Sprintf(feedback, strings.Repeat("<a>", 100000)))),
		"many records":     gz([]byte(fmt.Sprintf(feedback, strings.Repeat("<record/>", 100000)))),
		"many reasons":     gz([]byte(fmt.Sprintf(feedback, "<record><row><policy_evaluated>"+strings.Repeat("<reason/>", 300000)+"</policy_evaluated></row></record>"))),
		"entities":         []byte(`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><feedback><version>&b;</version></feedback>`),
		"external entity":  []byte(`<!DOCTYPE x SYSTEM "file:///etc/passwd"><feedback/>`),
		"another document": []byte("<html/>"),
		"cut":              []byte("<feedback><record>"),
		"cut gzip":         gz([]byte("<feedback/>"))[:20],
		"no zip":           []byte("PK\x03\x04xxxx"),
		"empty zip":        zipped("dir/", nil),
		"nothing":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := ReadDMARC(bytes.NewReader(raw))
			require.Error(t, err)
			require.Less(t, time.Since(start), 10*time.Second)
		})
	}
	for name, raw := range map[string][]byte{
		"deep": gz([]byte(`{"report-id":"x","policies":` + strings.Repeat("[", 100000))), "no JSON": []byte("{"), "another document": []byte(`{"a":1}`), "a list": []byte(`[]`),
	} {
		t.Run("TLS, "+name, func(t *testing.T) {
			_, err := ReadTLS(bytes.NewReader(raw))
			require.Error(t, err)
		})
	}
	r, err := ReadTLS(bytes.NewReader(gz([]byte(`{"report-id":"x","policies":[` + strings.Repeat("{},", 100000) + `{"policy":{"policy-type":"sts","policy-string":"one","mx-host":["a",""]}}]}`))))
	require.NoError(t, err)
	require.Equal(t, []TLSPolicy{{Type: "sts", Policy: []string{"one"}, MXHosts: []string{"a"}}}, r.Policies)
}

func FuzzParse(f *testing.F) {
	c, _ := testDSN().Compose()
	var b bytes.Buffer
	c.WriteTo(&b)
	f.Add(b.Bytes())
	f.Add([]byte("Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nSource-IP: 1\n"))
	f.Add([]byte("Content-Type: message/disposition-notification\n\nDisposition: a/b; c/d,e\nFinal-Recipient: utf-8; \\x{41}\\x{110000}\n"))
	f.Add([]byte("Content-Type: text/xml\n\n" + fmt.Sprintf(feedback, "<record><row><count>1</count></row></record>")))
	f.Add([]byte("Content-Type: application/tlsrpt+json\n\n{\"report-id\":\"x\",\"policies\":[{\"policy\":{}}]}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Parse(mime.ParseBytes(raw))
		if err != nil {
			return
		}
		c, ok := r.(composer)
		if !ok {
			return
		}
		composed, err := c.ComposeFor(mime.Capabilities{UTF8: true, EightBit: true})
		if err != nil {
			return // what a report must have is missing
		}
		var out bytes.Buffer
		if _, err := composed.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(mime.ParseBytes(out.Bytes())); err != nil {
			t.Fatal(err)
		}
	})
}
