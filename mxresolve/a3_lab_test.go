package mxresolve_test

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/stretchr/testify/require"
)

// The tests of the table of MTA-STS and TLSRPT (RFC 8461, RFC 8460), with a policy host on a network in memory.

const stsZone = `
example.org.  MX 10 a.example.org.
example.org.  MX 20 b.example.net.
a.example.org. A 192.0.2.1
b.example.net. A 192.0.2.2
mta-sts.example.org. A 192.0.2.80
_mta-sts.example.org. 60 TXT "v=STSv1; id=1"
_mta-sts.example.org. 60 TXT "something else"
`

const goodPolicy = "version: STSv1\r\nmode: enforce\r\nmx: a.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n"

// A policyHost serves one policy, and fails on demand.
type policyHost struct {
	ca *certs.CA

	mu      sync.Mutex
	gets    int
	urls    []string
	handler http.HandlerFunc // nil: policy
	policy  string
	cert    tls.Certificate
}

func (h *policyHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.gets++
	h.urls = append(h.urls, r.Host+r.URL.Path)
	handler, policy := h.handler, h.policy
	h.mu.Unlock()
	if handler != nil {
		handler(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, policy)
}

func (h *policyHost) set(policy string, handler http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.policy, h.handler = policy, handler
}

func (h *policyHost) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gets
}

// stsLab is a name server, a policy host and a resolver with MTA-STS.
func stsLab(t *testing.T, more string) (*policyHost, *dnstest.Server, *mxresolve.Resolver) {
	t.Helper()
	n := new(memnet.Network)
	s := addServer(t, n, dnsAddr, stsZone+more)
	h := &policyHost{ca: certs.NewCA(), policy: goodPolicy}
	h.cert = h.ca.Issue("mta-sts.example.org", "mta-sts.example.com")
	l, err := n.Listen("tcp", "192.0.2.80:443")
	require.NoError(t, err)
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	config := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return &h.cert, nil
	}}
	done := make(chan struct{})
	go func() {
		srv.Serve(tls.NewListener(l, config))
		close(done)
	}()
	t.Cleanup(func() { srv.Close(); <-done })
	r := s.Resolver()
	r.Limits.MinWait, r.AllowLoopback, r.Dial = 0, false, n.DialContext
	r.STS = &mxresolve.STS{RootCAs: h.ca.Pool(), Dial: n.DialContext}
	t.Cleanup(func() { r.Close() })
	return h, s, r
}

// inBubble runs a test with simulated time.
func inBubble(t *testing.T, zone string, f func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s, r := stsLab(t, zone)
		f(t, h, s, r)
	})
}

// txt replaces the TXT record.
func txt(t *testing.T, s *dnstest.Server, record string) {
	t.Helper()
	zone := strings.ReplaceAll(stsZone, `"v=STSv1; id=1"`, record)
	require.NoError(t, s.SetZones(zone))
}

// results are the result types among the failures of a plan.
func results(list []tlsrpt.Outcome) (out []tlsrpt.Result) {
	for _, o := range list {
		out = append(out, o.Result)
	}
	return out
}

func mustPlan(t *testing.T, r *mxresolve.Resolver, domain string) *mxresolve.Plan {
	t.Helper()
	p, err := r.Resolve(bg, domain)
	require.NoError(t, err)
	return p
}
