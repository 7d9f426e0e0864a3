package tlsrpt_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/report"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/stretchr/testify/require"
)

// An office is a Reporter with records, a mail system and an HTTPS server that are under the test's hand.
type office struct {
	*tlsrpt.Reporter
	records map[string]string

	mu   sync.Mutex
	fail func(uri string) error
	got  []posted
}

type posted struct {
	to   string
	body []byte
	at   time.Time
}

func newOffice(c *tlsrpt.Collector, records map[string]string) *office {
	o := &office{records: records, fail: func(string) error { return nil }}
	o.Reporter = &tlsrpt.Reporter{Collector: c, Sender: sender, Lookup: o.lookup, Mail: o.mail, Client: &http.Client{Transport: o}, Delay: -1}
	return o
}

func (o *office) lookup(_ context.Context, domain string) (*tlsrpt.Record, error) {
	if err := o.fail(domain); err != nil {
		return nil, err
	}
	r, err := tlsrpt.ParseRecord([]string{o.records[domain]})
	if err != nil {
		return nil, nil
	}
	return r, nil
}

func (o *office) take(to string, body []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.fail(to)
	if err == nil {
		o.got = append(o.got, posted{to, body, time.Now().UTC()})
	}
	return err
}

func (o *office) mail(_ context.Context, to string, message []byte) error { return o.take(to, message) }

func (o *office) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != tlsrpt.TypeGzip {
		return nil, errors.New("not a report")
	}
	code := http.StatusCreated
	if err := o.take(r.URL.String(), body); err != nil {
		code = http.StatusServiceUnavailable
	}
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Body: io.NopCloser(strings.NewReader("thanks"))}, nil
}

// run lets the office work for some time.
func (o *office) run(t *testing.T, d time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	require.NoError(t, o.Run(ctx))
}

func addDay(c *tlsrpt.Collector, domains ...string) {
	for _, d := range domains {
		c.Add(tlsrpt.Outcome{Policy: tlsrpt.Policy{Type: tlsrpt.NoPolicy, Domain: d}})
	}
}

func TestReporter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := new(tlsrpt.Collector)
		o := newOffice(c, map[string]string{
			"mail.example":  "v=TLSRPTv1; rua=mailto:tls%2breports@mail.example?subject=x",
			"https.example": "v=TLSRPTv1; rua=https://r.example/v1?d=1",
			"two.example":   "v=TLSRPTv1; rua=mailto:not-an-address,https://user:pw@r.example/,https://r.example/two,mailto:a@b.example",
			"odd.example":   "v=TLSRPTv1; rua=mailto:a@b.example%0d%0aBcc:%20c@d.example",
		})
		addDay(c, "mail.example", "https.example", "two.example", "odd.example", "none.example")
		o.run(t, 23*time.Hour)
		require.Empty(t, o.got, "the day is not over")
		o.run(t, 2*time.Hour)
		require.Len(t, o.got, 3)
		require.Equal(t, []string{"https://r.example/v1?d=1", "tls+reports@mail.example", "https://r.example/two"},
			[]string{o.got[0].to, o.got[1].to, o.got[2].to})
		for i, g := range o.got {
			require.Zero(t, g.at.Hour())
			if i > 0 {
				require.GreaterOrEqual(t, g.at.Sub(o.got[i-1].at), time.Second)
			}
		}
		read, err := report.ReadTLS(bytes.NewReader(o.got[0].body))
		require.NoError(t, err)
		require.Equal(t, "https.example", read.Policies[0].Domain)
		require.Empty(t, c.Reports(time.Now(), sender), "also those that nobody wants are done")
		addDay(c, "mail.example")
		o.run(t, 48*time.Hour)
		require.Len(t, o.got, 4)
	})
}

func TestReporterDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[int]bool{}
		for range 30 {
			c := new(tlsrpt.Collector)
			o := newOffice(c, map[string]string{"a.example": "v=TLSRPTv1; rua=mailto:a@a.example"})
			o.Delay = 0
			addDay(c, "a.example")
			o.run(t, 29*time.Hour)
			require.Len(t, o.got, 1)
			require.Less(t, o.got[0].at.Hour(), 5)
			seen[o.got[0].at.Hour()] = true
			time.Sleep(time.Until(time.Now().Truncate(day).Add(day)))
		}
		require.Greater(t, len(seen), 1, "not always at the same time")
	})
}

func TestReporterRetries(t *testing.T) {
	t.Parallel()
	record := map[string]string{"a.example": "v=TLSRPTv1; rua=https://r.example/,mailto:a@a.example"}
	synctest.Test(t, func(t *testing.T) {
		c := new(tlsrpt.Collector)
		o := newOffice(c, record)
		var tries []time.Time
		o.Sent = func(r *tlsrpt.Report, uri string, err error) {
			if strings.HasPrefix(uri, "https") {
				tries = append(tries, time.Now())
			}
		}
		o.fail = func(uri string) error {
			if uri != "a.example" && time.Now().UTC().Hour() < 3 {
				return errors.New("not now")
			}
			return nil
		}
		time.Sleep(5 * time.Hour)
		addDay(c, "a.example")
		o.run(t, 48*time.Hour)
		require.Len(t, o.got, 1)
		var waits []time.Duration
		for i := range tries[1:] {
			waits = append(waits, tries[i+1].Sub(tries[i]).Round(5*time.Minute))
		}
		m := time.Minute
		require.Equal(t, []time.Duration{5 * m, 10 * m, 20 * m, 40 * m, 80 * m, 160 * m}, waits)
	})
	synctest.Test(t, func(t *testing.T) { // a record that cannot be looked up, and then servers that fail for good
		c := new(tlsrpt.Collector)
		o := newOffice(c, record)
		n := 0
		o.fail = func(uri string) error { n++; return errors.New("down") }
		addDay(c, "a.example")
		o.run(t, 60*time.Hour)
		require.Less(t, n, 20, "less and less often")
		require.Greater(t, n, 7)
		require.Empty(t, c.Reports(time.Now(), sender), "given up after a day")
	})
}

// TestReporterRestarts ends the reporter in the middle: what was not sent is sent by the next, under the same id.
func TestReporterRestarts(t *testing.T) {
	t.Parallel()
	store, err := tlsrpt.Dir(t.TempDir())
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		records := map[string]string{"a.example": "v=TLSRPTv1; rua=mailto:a@a.example", "b.example": "v=TLSRPTv1; rua=mailto:b@b.example"}
		c, err := tlsrpt.Open(bg, store)
		require.NoError(t, err)
		o := newOffice(c, records)
		addDay(c, "a.example", "b.example")
		o.fail = func(uri string) error {
			if uri == "b@b.example" {
				return errors.New("down")
			}
			return nil
		}
		o.run(t, 25*time.Hour)
		require.Len(t, o.got, 1)
		id := c.Reports(time.Now(), sender)[0].ID

		c, err = tlsrpt.Open(bg, store)
		require.NoError(t, err)
		o = newOffice(c, records)
		o.run(t, time.Hour)
		require.Len(t, o.got, 1)
		require.Contains(t, string(o.got[0].body), id)
		days, err := store.List(bg)
		require.NoError(t, err)
		require.Empty(t, days)
	})
}

func TestReporterIsCanceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := new(tlsrpt.Collector)
		o := newOffice(c, map[string]string{"a.example": "v=TLSRPTv1; rua=mailto:a@a.example"})
		addDay(c, "a.example")
		time.Sleep(day)
		o.Mail = func(ctx context.Context, _ string, _ []byte) error { <-ctx.Done(); return ctx.Err() }
		begin := time.Now()
		o.run(t, 5*time.Second)
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.Len(t, c.Reports(time.Now(), sender), 1, "it is not lost")
	})
}

// TestReporterKeepsToPublicAddresses posts to where a stranger's record points: into this host.
func TestReporterKeepsToPublicAddresses(t *testing.T) {
	t.Parallel()
	// Others than those of this host are asked of the rule alone: were it wrong, the test would connect to them.
	for _, ip := range []string{"10.0.0.1", "169.254.169.254", "192.168.1.1", "fd00::1", "fe80::1%lo", "100.100.100.200", "192.0.0.8", "198.18.0.1", "240.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "64:ff9b:1::1%lo"} {
		require.ErrorContains(t, tlsrpt.PublicOnly("tcp", net.JoinHostPort(ip, "443"), nil), "not a public address", ip)
	}
	for _, ip := range []string{"192.0.2.1", "2001:db8::1", "64:ff9b::192.0.2.1"} {
		require.NoError(t, tlsrpt.PublicOnly("tcp", net.JoinHostPort(ip, "443"), nil), ip)
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost"} {
		c := new(tlsrpt.Collector)
		c.Add(tlsrpt.Outcome{At: time.Now().Add(-day), Policy: tlsrpt.Policy{Type: tlsrpt.NoPolicy, Domain: "a.example"}})
		o := newOffice(c, map[string]string{"a.example": "v=TLSRPTv1; rua=https://" + host + "/x"})
		o.Client, o.Gap = nil, -1
		ctx, cancel := context.WithCancel(bg)
		var got error
		o.Sent = func(_ *tlsrpt.Report, _ string, err error) { got = err; cancel() }
		require.NoError(t, o.Run(ctx))
		require.ErrorContains(t, got, "not a public address", host)
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	c := new(tlsrpt.Collector)
	for _, o := range outcomes(noon) {
		c.Add(o)
	}
	r := c.Reports(noon.Add(day), sender)[1]
	b, err := r.Message("reports@sts.example", noon)
	require.NoError(t, err)
	require.Contains(t, string(b), "\r\nTLS-Required: No\r\n")
	for line := range strings.SplitSeq(string(b), "\r\n") {
		require.LessOrEqual(t, len(line), 998)
		require.NotContains(t, line, "\n")
	}
	m, err := mime.Parse(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	require.Empty(t, m.Defects())
	require.Equal(t, r.Subject(), m.Header().Get("Subject"))
	require.Equal(t, "mail.example", m.Header().Get("TLS-Report-Submitter"))
	read, err := report.ParseTLS(m)
	require.NoError(t, err)
	require.Equal(t, r.ID, read.ReportID)
	good, bad := r.Totals()
	require.Equal(t, []int64{good, bad}, []int64{read.Policies[0].Succeeded, read.Policies[0].Failed})

	for _, bad := range []string{"", "x", "@x", "x@", "a@b\r\nBcc: c@d", "a b@c", "<a@b>", "a@b,c@d", "ü@x", "a@b@c"} {
		_, err := r.Message(bad, noon)
		require.Error(t, err, bad)
	}
}
