package report_test

import (
	"bytes"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mime"
	. "github.com/gomailroom/mailroom/mime/report"
	"github.com/stretchr/testify/require"
)

var testDate = time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("", 3600))

func content(s string) mime.Content { return mime.BytesFile("", []byte(s)).Content }

const original = "Received: from a by b\r\nFrom: alice@example.org\r\nSubject: the original\r\n\r\nGr\u00fc\u00dfe\r\n"

func testDSN() DSN {
	return DSN{
		From: mime.Addr("Mail Delivery System", "mailer-daemon@mx.example.org"), To: mime.Addr("", "alice@example.org"), Date: testDate, MessageID: "2@mx.example.org",
		InReplyTo: "1@example.org", ReportingMTA: "mx.example.org", ReceivedFromMTA: "client.example.org", EnvelopeID: "QQ314159", Arrived: testDate,
		Recipients: []DSNRecipient{
			{Final: "bob@example.net", Original: "rfc822;robert@example.net", Action: ActionFailed, Status: "5.1.1", RemoteMTA: "mx.example.net",
				Diagnostic: "550 5.1.1 no such\r\nuser \u00fc", LastTried: testDate, FinalLogID: "L1"},
			{Final: "carol@example.com", Action: ActionDelayed, Status: "4.4.1", RetryUntil: testDate.Add(time.Hour)},
		},
		Original: content(original),
	}
}

// reportParts composes and gives the decoded parts of a multipart/report.
func reportParts(t *testing.T, c *mime.Composed, err error, caps mime.Capabilities) (*mime.Message, []*mime.Part, []string) {
	t.Helper()
	require.NoError(t, err)
	var b bytes.Buffer
	n, err := c.WriteTo(&b)
	require.NoError(t, err)
	require.Equal(t, c.Size(), n)
	m := mime.ParseBytes(b.Bytes())
	require.Empty(t, m.Defects())
	require.Equal(t, "multipart/report", m.Root().MediaType())
	require.Equal(t, "", c.From(), "a report has the null reverse path")
	var parts []*mime.Part
	var bodies []string
	for p := range m.Root().Children() {
		b, err := io.ReadAll(p.Decoded())
		require.NoError(t, err)
		parts = append(parts, p)
		bodies = append(bodies, string(b))
	}
	return m, parts, bodies
}

func TestDSN(t *testing.T) {
	t.Parallel()
	c, err := testDSN().Compose()
	m, parts, bodies := reportParts(t, c, err, mime.Capabilities{})
	h := m.Header()
	require.Equal(t, "delivery-status", h.ContentType().Params.Get("report-type"))
	require.Equal(t, "auto-replied", h.Get("Auto-Submitted"))
	require.Equal(t, "<1@example.org>", h.Get("In-Reply-To"))
	require.Equal(t, []string{"alice@example.org"}, c.Recipients())
	require.Len(t, parts, 3)
	require.Equal(t, "This is the mail system at mx.example.org.\r\n\r\n"+
		"Your message could not be delivered to these recipients, and will not be tried again:\r\n\r\n"+
		"  bob@example.net\r\n    mx.example.net said: 550 5.1.1 no such user \u00fc\r\n\r\n"+
		"Your message has not been delivered to these recipients yet. You need not send it again:\r\n\r\n"+
		"  carol@example.com\r\n    It will be tried until Sat, 21 Nov 2026 11:00:00 +0100.\r\n", bodies[0])
	require.Equal(t, "message/delivery-status", parts[1].MediaType())
	require.Equal(t, "Original-Envelope-Id: QQ314159\r\nReporting-MTA: dns; mx.example.org\r\nReceived-From-MTA: dns; client.example.org\r\n"+
		"Arrival-Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n\r\n"+
		"Original-Recipient: rfc822; robert@example.net\r\nFinal-Recipient: rfc822; bob@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"+
		"Remote-MTA: dns; mx.example.net\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user ?\r\n"+
		"Last-Attempt-Date: Sat, 21 Nov 2026 10:00:00 +0100\r\nFinal-Log-Id: L1\r\n\r\n"+
		"Final-Recipient: rfc822; carol@example.com\r\nAction: delayed\r\nStatus: 4.4.1\r\nWill-Retry-Until: Sat, 21 Nov 2026 11:00:00 +0100\r\n", bodies[1])
	require.Equal(t, "message/rfc822", parts[2].MediaType())
	require.Equal(t, original, bodies[2])
	require.True(t, c.Needs8BitMIME(), "the original is 8bit, and message/rfc822 may not be encoded")
}

func TestDSNReturn(t *testing.T) {
	t.Parallel()
	t.Run("headers", func(t *testing.T) {
		d := testDSN()
		d.HeadersOnly = true
		c, err := d.Compose()
		_, parts, bodies := reportParts(t, c, err, mime.Capabilities{})
		require.Equal(t, "text/rfc822-headers", parts[2].MediaType())
		require.Equal(t, original[:strings.Index(original, "\r\n\r\n")+2], bodies[2])
		require.False(t, c.Needs8BitMIME())
	})
	t.Run("nothing", func(t *testing.T) {
		d := testDSN()
		d.Original = nil
		c, err := d.Compose()
		_, parts, _ := reportParts(t, c, err, mime.Capabilities{})
		require.Len(t, parts, 2)
	})
	t.Run("a message that no part can hold", func(t *testing.T) {
		d := testDSN()
		d.Original = content("Subject: x\r\n\r\n" + strings.Repeat("x", 5000))
		c, err := d.Compose()
		_, parts, bodies := reportParts(t, c, err, mime.Capabilities{})
		require.Equal(t, "text/rfc822-headers", parts[2].MediaType())
		require.Equal(t, "Subject: x\r\n", bodies[2])
	})
}

// RFC 6533: addresses beyond ASCII, over a way back that carries them and one that does not.
func TestDSNInternational(t *testing.T) {
	t.Parallel()
	d := testDSN()
	d.Recipients = []DSNRecipient{{Final: "\u7528\u6237@example.net", Original: "utf-8;\u7528@example.net", Action: ActionFailed, Status: "5.1.1"}}
	d.Original, d.OriginalUTF8 = content("From: \u7528\u6237@example.net\r\n\r\nx\r\n"), true

	c, err := d.Compose()
	_, parts, bodies := reportParts(t, c, err, mime.Capabilities{})
	require.Equal(t, "message/delivery-status", parts[1].MediaType())
	require.Contains(t, bodies[1], `Original-Recipient: utf-8; \x{7528}@example.net`)
	require.Contains(t, bodies[1], `Final-Recipient: utf-8; \x{7528}\x{6237}@example.net`)
	require.Equal(t, "message/global", parts[2].MediaType())
	require.Equal(t, mime.EncodingBase64, parts[2].Encoding())
	require.False(t, c.NeedsSMTPUTF8() || c.Needs8BitMIME())

	d.UTF8, d.HeadersOnly = true, true
	c, err = d.ComposeFor(mime.Capabilities{EightBit: true, UTF8: true})
	_, parts, bodies = reportParts(t, c, err, mime.Capabilities{EightBit: true})
	require.Equal(t, "message/global-delivery-status", parts[1].MediaType())
	require.Contains(t, bodies[1], "Final-Recipient: utf-8; \u7528\u6237@example.net")
	require.Equal(t, "message/global-headers", parts[2].MediaType())
	require.Equal(t, "From: \u7528\u6237@example.net\r\n", bodies[2])
	require.Equal(t, mime.Encoding8Bit, parts[2].Encoding())
}

// What other systems wrote must neither break the report nor get into its header.
func TestDSNHostile(t *testing.T) {
	t.Parallel()
	evil := "x\r\n\r\nAction: delivered\x00\xff " + strings.Repeat("long", 1000)
	d := testDSN()
	d.EnvelopeID, d.ReceivedFromMTA = evil, evil
	d.Recipients = []DSNRecipient{{Final: evil, Original: "rfc822;" + evil, Action: ActionFailed, Status: "5.0.0", RemoteMTA: evil, Diagnostic: evil, FinalLogID: evil}}
	c, err := d.Compose()
	_, _, bodies := reportParts(t, c, err, mime.Capabilities{})
	require.Equal(t, 2, strings.Count("\r\n"+bodies[1], "\r\n\r\n")+1, "two groups of fields")
	require.NotContains(t, bodies[1], "\nAction: delivered")

	for name, change := range map[string]func(*DSN){
		"no recipients": func(d *DSN) { d.Recipients = nil }, "no MTA": func(d *DSN) { d.ReportingMTA = "" },
		"no status": func(d *DSN) { d.Recipients[0].Status = "" }, "no To": func(d *DSN) { d.To = mime.Address{} },
		"injection": func(d *DSN) { d.Subject = "x\r\nBcc: y" },
	} {
		d := testDSN()
		change(&d)
		_, err := d.Compose()
		var fe *mime.FieldError
		require.ErrorAs(t, err, &fe, name)
	}
}

func TestMDN(t *testing.T) {
	t.Parallel()
	m := MDN{From: mime.Addr("Bob", "bob@example.net"), To: mime.Addr("", "alice@example.org"), Date: testDate, ReportingUA: "pc; Mailroom", FinalRecipient: "bob@example.net",
		OriginalMessageID: "<1@example.org>", Original: content("Subject: x\r\n\r\nx\r\n"), HeadersOnly: true, Modifiers: []string{"error"}, Errors: []string{"disk full"}}
	c, err := m.Compose()
	msg, parts, bodies := reportParts(t, c, err, mime.Capabilities{})
	require.Equal(t, "disposition-notification", msg.Header().ContentType().Params.Get("report-type"))
	require.Equal(t, "message/disposition-notification", parts[1].MediaType())
	require.Equal(t, "Reporting-UA: pc; Mailroom\r\nFinal-Recipient: rfc822; bob@example.net\r\nOriginal-Message-ID: <1@example.org>\r\n"+
		"Disposition: manual-action/MDN-sent-manually; displayed/error\r\nError: disk full\r\n", bodies[1])
	m.Disposition = "seen it"
	_, err = m.Compose()
	require.Error(t, err)
}

func TestARF(t *testing.T) {
	t.Parallel()
	a := ARF{From: mime.Addr("", "abuse@example.net"), To: mime.Addr("", "abuse@example.org"), Date: testDate, UserAgent: "Mailroom/1", OriginalMailFrom: "alice@example.org",
		OriginalRcptTo: []string{"bob@example.net"}, SourceIP: netip.MustParseAddr("192.0.2.1"), Incidents: 2, ReportedDomains: []string{"example.org"},
		Original: content("Subject: spam\r\n\r\nbuy\r\n")}
	c, err := a.Compose()
	msg, parts, bodies := reportParts(t, c, err, mime.Capabilities{})
	require.Equal(t, "feedback-report", msg.Header().ContentType().Params.Get("report-type"))
	require.Equal(t, "message/feedback-report", parts[1].MediaType())
	require.Equal(t, "Feedback-Type: abuse\r\nUser-Agent: Mailroom/1\r\nVersion: 1\r\nOriginal-Mail-From: <alice@example.org>\r\n"+
		"Original-Rcpt-To: <bob@example.net>\r\nSource-IP: 192.0.2.1\r\nIncidents: 2\r\nReported-Domain: example.org\r\n", bodies[1])
	require.Equal(t, "Subject: spam\r\n\r\nbuy\r\n", bodies[2])
	a.Original = nil
	_, err = a.Compose()
	require.Error(t, err)
}

func FuzzDSN(f *testing.F) {
	f.Add("bob@example.net", "550 no", "rfc822;x@y", []byte(original))
	f.Fuzz(func(t *testing.T, final, diagnostic, orcpt string, raw []byte) {
		d := testDSN()
		d.Recipients[0].Final, d.Recipients[0].Diagnostic, d.Recipients[0].Original = "x"+final, diagnostic, orcpt
		d.Original = content(string(raw))
		c, err := d.Compose()
		require.NoError(t, err, "a report is never lost because of what it reports")
		var b bytes.Buffer
		_, err = c.WriteTo(&b)
		require.NoError(t, err)
		require.EqualValues(t, c.Size(), b.Len())
		for line := range bytes.SplitSeq(b.Bytes(), []byte("\r\n")) {
			require.LessOrEqual(t, len(line), 998)
		}
	})
}
