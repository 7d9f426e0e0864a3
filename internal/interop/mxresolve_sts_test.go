//go:build unix

package interop

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// testMXPolicyHost lets a web server on the loopback interface be the policy host of sts.dane.test.
func testMXPolicyHost(t *testing.T, l *mxLab) {
	const policy = "version: STSv1\nmode: enforce\nmx: plain.dane.test\nmax_age: 86400\n"
	serve := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		}
	}
	good := l.ca.Issue("mta-sts.sts.dane.test")
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		cert    tls.Certificate
		result  tlsrpt.Result // empty: the policy is enforced
	}{
		"enforce":     {serve("text/plain", policy), good, ""},
		"redirect":    {http.RedirectHandler("/x", http.StatusMovedPermanently).ServeHTTP, good, tlsrpt.STSPolicyFetchError},
		"404":         {http.NotFound, good, tlsrpt.STSPolicyFetchError},
		"type":        {serve("text/html", policy), good, tlsrpt.STSPolicyFetchError},
		"long":        {serve("text/plain", policy+strings.Repeat("x: y\n", 20000)), good, tlsrpt.STSPolicyFetchError},
		"nonsense":    {serve("text/plain", "hello"), good, tlsrpt.STSPolicyInvalid},
		"other name":  {serve("text/plain", policy), l.ca.Issue("sts.dane.test"), tlsrpt.STSWebPKIInvalid},
		"expired":     {serve("text/plain", policy), l.ca.IssueExpired("mta-sts.sts.dane.test"), tlsrpt.STSWebPKIInvalid},
		"not trusted": {serve("text/plain", policy), l.otherCA.Issue("mta-sts.sts.dane.test"), tlsrpt.STSWebPKIInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			web := &http.Server{Handler: c.handler, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 10 * time.Second,
				TLSConfig: &tls.Config{Certificates: []tls.Certificate{c.cert}}}
			done := make(chan struct{})
			go func() {
				web.ServeTLS(ln, "", "")
				close(done)
			}()
			defer func() { web.Close(); <-done }()
			r := l.resolver(t, &mxresolve.STS{RootCAs: l.ca.Pool(), Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != "127.0.0.1:443" {
					return nil, fmt.Errorf("dialed %s", addr)
				}
				return new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
			}})
			p, err := r.Resolve(context.Background(), "sts.dane.test")
			require.NoError(t, err)
			if c.result != "" {
				require.Nil(t, p.Policy)
				require.Len(t, p.Hosts, 2)
				require.Equal(t, c.result, p.Failures[0].Result, p.Failures[0].Reason)
				return
			}
			require.Len(t, p.Hosts, 1)
			require.Equal(t, mxresolve.SkipPolicy, p.Skipped[0].Reason)
			require.NoError(t, shake(t, p.Hosts[0].TLS, l.ca.Issue("plain.dane.test")))
			err = shake(t, p.Hosts[0].TLS, l.ca.Issue("plain2.dane.test"))
			o, ok := p.Hosts[0].TLS.Outcome(err)
			require.True(t, ok)
			require.Equal(t, tlsrpt.CertificateHostMismatch, o.Result)
			record, err := r.LookupTLSReporting(context.Background(), "sts.dane.test")
			require.NoError(t, err)
			require.Equal(t, []string{"mailto:tls@dane.test"}, record.URIs)
		})
	}
}
