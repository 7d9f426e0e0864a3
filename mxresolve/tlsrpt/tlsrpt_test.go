package tlsrpt_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/stretchr/testify/require"
)

func TestParseRecord(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"v=TLSRPTv1;rua=mailto:reports@example.com":                           {"mailto:reports@example.com"},
		"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt;":            {"https://reporting.example.com/v1/tlsrpt"},
		"v=TLSRPTv1 ;\tx=y; rua=mailto:a@b.example , https://c.example/d?e=f": {"mailto:a@b.example", "https://c.example/d?e=f"},
		"v=TLSRPTv1; rua=gopher://x,mailto:a@b":                               {"mailto:a@b"},
		"v=TLSRPTv1; rua=mailto:a@b; rua=mailto:c@d":                          {"mailto:a@b"},
		"v=TLSRPTv1":                 nil,
		"v=TLSRPTv1; rua=":           nil,
		"v=TLSRPTv1; rua=mailto:":    nil,
		"v=TLSRPTv1; nonsense":       nil,
		"v=TLSRPTv2; rua=mailto:a@b": nil,
		"rua=mailto:a@b":             nil,
		"":                           nil,
	} {
		r, err := tlsrpt.ParseRecord([]string{"other", text})
		if want == nil {
			require.ErrorIs(t, err, tlsrpt.ErrNoRecord, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, r.URIs)
		_, err = tlsrpt.ParseRecord([]string{text, text})
		require.ErrorIs(t, err, tlsrpt.ErrNoRecord, "several")
	}
}

// TestReport makes the example of RFC 8460, appendix B.
func TestReport(t *testing.T) {
	t.Parallel()
	policy := tlsrpt.Policy{Type: tlsrpt.STS, Domain: "company-y.example", MX: []string{"*.mail.company-y.example"},
		Strings: []string{"version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"}}
	at := time.Date(2016, 4, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	var c tlsrpt.Collector
	add := func(n int, o tlsrpt.Outcome) {
		o.Policy = policy
		for range n {
			o.At = at
			c.Add(o)
		}
	}
	add(5326, tlsrpt.Outcome{})
	add(100, tlsrpt.Outcome{Result: tlsrpt.CertificateExpired, SendingIP: netip.MustParseAddr("2001:db8:abcd:12::1"), MX: "mx1.mail.company-y.example"})
	add(200, tlsrpt.Outcome{Result: tlsrpt.STARTTLSNotSupported, SendingIP: netip.MustParseAddr("2001:db8:abcd:13::1"),
		MX: "mx2.mail.company-y.example", ReceivingIP: netip.MustParseAddr("::ffff:203.0.113.56"), Info: "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported"})
	add(3, tlsrpt.Outcome{Result: tlsrpt.ValidationFailure, SendingIP: netip.MustParseAddr("198.51.100.62"), ReceivingIP: netip.MustParseAddr("203.0.113.58"),
		MX: "mx-backup.mail.company-y.example", Reason: "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"})
	c.Add(tlsrpt.Outcome{At: at}) // without a domain: not counted

	sender := tlsrpt.Sender{Organization: "Company-X", Contact: "sts-reporting@company-x.example"}
	require.Empty(t, c.Reports(at.Add(12*time.Hour-time.Minute), sender), "the day is not over")
	reports := c.Reports(at.Add(20*time.Hour), sender)
	require.Len(t, reports, 1)
	require.Equal(t, reports, c.Reports(at.Add(20*time.Hour), sender), "until it is done, with the same id")
	r := reports[0]
	c.Done(r)
	require.Empty(t, c.Reports(at.Add(20*time.Hour), sender))
	require.Regexp(t, `^company-x.example!company-y.example!1459468800!1459555199![a-z0-9]+\.json\.gz$`, r.Filename())
	require.Regexp(t, `^Report Domain: company-y.example Submitter: company-x.example Report-ID: <2016-04-01.[a-z0-9]+@company-x.example>$`, r.Subject())
	require.Equal(t, [2][2]string{{"TLS-Report-Domain", "company-y.example"}, {"TLS-Report-Submitter", "company-x.example"}}, r.Header())
	r.ID = "5065427c-23d3-47ca-b6e0-946ea0e8c4be"
	got, err := r.JSON()
	require.NoError(t, err)
	const want = `{
 "organization-name": "Company-X",
 "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
 "contact-info": "sts-reporting@company-x.example",
 "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
 "policies": [{
  "policy": {"policy-type": "sts", "policy-string": ["version: STSv1","mode: testing","mx: *.mail.company-y.example","max_age: 86400"],
   "policy-domain": "company-y.example", "mx-host": ["*.mail.company-y.example"]},
  "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
  "failure-details": [
   {"result-type": "starttls-not-supported", "sending-mta-ip": "2001:db8:abcd:13::1", "receiving-mx-hostname": "mx2.mail.company-y.example",
    "receiving-ip": "203.0.113.56", "failed-session-count": 200,
    "additional-information": "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported"},
   {"result-type": "certificate-expired", "sending-mta-ip": "2001:db8:abcd:12::1", "receiving-mx-hostname": "mx1.mail.company-y.example", "failed-session-count": 100},
   {"result-type": "validation-failure", "sending-mta-ip": "198.51.100.62", "receiving-ip": "203.0.113.58",
    "receiving-mx-hostname": "mx-backup.mail.company-y.example", "failed-session-count": 3, "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"}
  ]}]}`
	require.JSONEq(t, want, string(got))
	packed, err := r.Gzip()
	require.NoError(t, err)
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	plain, err := io.ReadAll(zr)
	require.NoError(t, err)
	require.Equal(t, got, plain)
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=TLSRPTv1;rua=mailto:reports@example.com")
	f.Add("v=TLSRPTv1; rua=https://a,mailto:b;;x=")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := tlsrpt.ParseRecord([]string{text})
		require.Equal(t, err == nil, r != nil)
		if r != nil {
			require.NotEmpty(t, r.URIs)
		}
	})
}
