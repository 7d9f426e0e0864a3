package tlsrpt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	maxURIs      = 5
	postTimeout  = time.Minute
	saveEvery    = time.Minute
	firstRetry   = 5 * time.Minute
	longestRetry = 4 * time.Hour
	retryFor     = 24 * time.Hour // RFC 8460 s5.5
)

// A Reporter sends the reports of a Collector to who wants them, once a day, and saves it once a minute. Collector, Sender and
// Lookup are required; the fields must not change after Run is called.
type Reporter struct {
	Collector *Collector
	Sender    Sender

	// Lookup finds out where a domain wants its reports; nil without error is nowhere. It is LookupTLSReporting of an
	// mxresolve.Resolver.
	Lookup func(ctx context.Context, domain string) (*Record, error)

	// Mail signs and sends a message that Report.Message made; see there. Nil: reports do not go by mail.
	Mail func(ctx context.Context, to string, message []byte) error

	// Client posts reports to https: URIs, which strangers choose. Nil: one that does not follow redirects, and connects to
	// public addresses only.
	Client *http.Client

	Delay time.Duration // after midnight UTC, at random up to that (RFC 8460 s4.1); default 4 hours, negative: none
	Gap   time.Duration // from one report to the next, at least; default 1 second, negative: none

	Sent   func(r *Report, uri string, err error) // each try to send a report; nil: nobody is told
	Logger *slog.Logger                           // nil: silent

	client *http.Client // Client, or its default
}

// errUnwanted says that a report has nowhere to go, now and later.
var errUnwanted = errors.New("the domain wants no reports, or none that can be sent")

// A retry is what a Reporter remembers of a report that could not be sent.
type retry struct {
	first, next time.Time
	tries       int
}

// Run may be called once. It sends reports until the context ends, and then returns nil or the error of the last Save. What cannot be sent is tried
// again for 24 hours, less and less often. After a crash a report may be sent once more, with the same id.
func (r *Reporter) Run(ctx context.Context) error {
	delay := r.Delay
	if delay == 0 {
		delay = 4 * time.Hour
	}
	if r.client = r.Client; r.client == nil {
		r.client = newPublicClient()
	}
	retries := map[key]retry{}
	timer := time.NewTimer(saveEvery)
	defer timer.Stop()
	today, begin := "", time.Time{}
	for {
		now := time.Now().UTC()
		if date := now.Format(dateFormat); date != today {
			today, begin = date, now.Truncate(day)
			if delay > 0 {
				begin = begin.Add(rand.N(delay))
			}
		}
		if !now.Before(begin) {
			r.round(ctx, now, retries)
		}
		err := r.Collector.Save(context.WithoutCancel(ctx))
		if err != nil && r.Logger != nil {
			r.Logger.LogAttrs(ctx, slog.LevelError, "TLS reports cannot be saved", slog.Any("error", err))
		}
		timer.Reset(saveEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return errors.Join(err, r.Collector.Save(context.WithoutCancel(ctx)))
		}
	}
}

// round tries to send each report that is due.
func (r *Reporter) round(ctx context.Context, now time.Time, retries map[key]retry) {
	due := r.Collector.due(now)
	for _, k := range due {
		at := retries[k]
		if now.Before(at.next) {
			continue
		}
		report := r.Collector.report(k, r.Sender)
		if report == nil {
			continue
		}
		err := r.send(ctx, report)
		if ctx.Err() != nil {
			return
		}
		now = time.Now()
		if at.tries == 0 {
			at.first = now
		}
		if err != nil && !errors.Is(err, errUnwanted) && now.Sub(at.first) < retryFor {
			at.next = now.Add(min(firstRetry<<min(at.tries, 10), longestRetry))
			at.tries++
			retries[k] = at
			continue
		}
		if err != nil && r.Logger != nil && !errors.Is(err, errUnwanted) {
			r.Logger.LogAttrs(ctx, slog.LevelWarn, "TLS report cannot be sent", slog.String("domain", k.domain), slog.Any("error", err))
		}
		r.Collector.forget(k)
		delete(retries, k)
	}
	if len(due) == 0 {
		clear(retries) // of days that were forgotten
	}
}

// send brings a report to the first of the domain's addresses that takes it.
func (r *Reporter) send(ctx context.Context, report *Report) error {
	record, err := r.Lookup(ctx, report.Domain)
	if err != nil {
		return err
	}
	failed := errUnwanted
	if record == nil {
		return failed
	}
	for _, uri := range record.URIs[:min(len(record.URIs), maxURIs)] {
		err := r.deliver(ctx, uri, report)
		if errors.Is(err, errUnwanted) {
			continue
		}
		if r.Sent != nil {
			r.Sent(report, uri, err)
		}
		r.pause(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		failed = fmt.Errorf("%s: %w", uri, err)
	}
	return failed
}

// pause keeps the rate down.
func (r *Reporter) pause(ctx context.Context) {
	gap := r.Gap
	if gap == 0 {
		gap = time.Second
	}
	timer := time.NewTimer(gap)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// deliver sends a report to one address.
func (r *Reporter) deliver(ctx context.Context, uri string, report *Report) error {
	scheme, _, _ := strings.Cut(uri, ":")
	switch {
	case strings.EqualFold(scheme, "mailto") && r.Mail != nil:
		to, err := mailAddress(uri)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", errUnwanted, uri, err)
		}
		message, err := report.Message(to, time.Now())
		if err != nil {
			return err
		}
		return r.Mail(ctx, to, message)
	case strings.EqualFold(scheme, "https"):
		return r.post(ctx, uri, report)
	}
	return errUnwanted
}

// post sends a report by HTTPS (RFC 8460 s5.4).
func (r *Reporter) post(ctx context.Context, uri string, report *Report) error {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("%w: %s is not a URL to post to", errUnwanted, uri)
	}
	body, err := report.Gzip()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", TypeGzip)
	req.Header.Set("User-Agent", "mailroom")
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, 4096)
	if resp.StatusCode/100 != 2 {
		return errors.New("the server answers " + resp.Status)
	}
	return nil
}

// newPublicClient makes one that connects to public addresses only, so that a stranger's record cannot aim posts at services
// of this host or its network.
func newPublicClient() *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Control: publicOnly, Timeout: postTimeout}).DialContext,
			TLSHandshakeTimeout:    postTimeout, // a transport goes on with both for a request that was given up
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// notPublic is what netip does not tell apart from the addresses of the internet (RFC 6890, RFC 8215).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052 s2.1

func publicOnly(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	ip := ap.Addr().Unmap().WithZone("")
	if b := ip.As16(); nat64.Contains(ip) {
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	if err != nil || !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return fmt.Errorf("tlsrpt: %s is not a public address", address)
	}
	return nil
}
