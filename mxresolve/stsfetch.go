package mxresolve

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

const (
	stsMaxSize = 64 << 10 // RFC 8461 s3.3
	stsConnect = 15 * time.Second
)

// client makes the HTTP client of one fetch: no redirects, no cache, no proxy, no compression, no cookies. What it opens ends with ctx: a
// transport by itself goes on dialing and shaking hands for a request that was given up.
func (s *sts) client(ctx context.Context) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // RFC 8461 s3.3
		Transport: &http.Transport{
			TLSClientConfig:        &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: stsMaxSize,
			DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
				nc, err := s.dialHost(ctx, addr)
				if err == nil {
					context.AfterFunc(ctx, func() { nc.Close() })
				}
				return nc, err
			},
		},
	}
}

// dialHost looks a policy host up and connects to the first of its addresses that answers.
func (s *sts) dialHost(ctx context.Context, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	addrs, err := s.e.r.LookupNetIP(ctx, s.e.network(), host)
	if err != nil {
		return nil, err
	}
	addrs = s.e.self.allowed(addrs, s.e.limits.MaxAddrs) // a stranger's zone must not aim fetches at this host
	err = errors.New("the policy host has no address that may be connected to")
	for _, a := range addrs {
		try, cancel := context.WithTimeout(ctx, stsConnect)
		var nc net.Conn
		nc, err = s.dial(try, "tcp", net.JoinHostPort(a.String(), port))
		cancel()
		if err == nil || ctx.Err() != nil {
			return nc, err
		}
	}
	return nil, err
}

// fetch gets the policy of a domain from its policy host (RFC 8461 s3.3).
func (s *sts) fetch(ctx context.Context, domain string) (*STSPolicy, *stsError) {
	fail := func(text string, err error) (*STSPolicy, *stsError) {
		if err != nil && ctx.Err() != nil {
			err = ctx.Err() // the time is over: what that did to the connection is of no interest
		}
		return nil, &stsError{tlsrpt.STSPolicyFetchError, text, err}
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return fail("too many policies are being fetched", ctx.Err())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return fail("not a policy host", err)
	}
	req.Header.Set("User-Agent", "mailroom")
	resp, err := s.client(ctx).Do(req)
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return nil, &stsError{tlsrpt.STSWebPKIInvalid, "the policy host's certificate is not valid", certificate.Err}
	}
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fail("the policy host cannot be asked", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fail("the policy host answers "+resp.Status+", not 200", nil)
	}
	kind := resp.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(kind); !strings.EqualFold(media, "text/plain") || err != nil && media == "" {
		return fail("the policy is of the type "+kind+", not text/plain", nil)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, stsMaxSize+1))
	switch {
	case err != nil:
		return fail("the policy breaks off", err)
	case len(body) > stsMaxSize:
		return fail("the policy is longer than 64 KiB", nil)
	case !utf8.Valid(body):
		return nil, &stsError{tlsrpt.STSPolicyInvalid, "the policy is not UTF-8", nil}
	}
	p, err := ParseSTSPolicy(string(body))
	if err != nil {
		return nil, &stsError{tlsrpt.STSPolicyInvalid, "the policy is invalid", err}
	}
	return p, nil
}
