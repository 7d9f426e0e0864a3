package mxresolve_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/stretchr/testify/require"
)

// fetchFaults are all the ways in which a fetch must fail.
var fetchFaults = map[string]struct {
	result  tlsrpt.Result
	text    string
	policy  string
	handler http.HandlerFunc
	change  func(h *policyHost)
}{
	"redirect": {tlsrpt.STSPolicyFetchError, "302", "", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://mta-sts.example.org/other", http.StatusFound)
	}, nil},
	"404": {tlsrpt.STSPolicyFetchError, "404", "", http.NotFound, nil},
	"content type": {tlsrpt.STSPolicyFetchError, "text/html", "", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, goodPolicy)
	}, nil},
	"no content type": {tlsrpt.STSPolicyFetchError, "text/plain", "", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, goodPolicy)
	}, nil},
	"too long": {tlsrpt.STSPolicyFetchError, "64 KiB", goodPolicy + strings.Repeat("x: y\n", 20000), nil, nil},
	"broken off": {tlsrpt.STSPolicyFetchError, "breaks off", "", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, goodPolicy)
	}, nil},
	"slow body": {tlsrpt.STSPolicyFetchError, "breaks off", "", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for range 100 {
			if _, err := io.WriteString(w, "x: y\n"); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(10 * time.Second):
			}
		}
	}, nil},
	"silent": {tlsrpt.STSPolicyFetchError, "deadline", "", func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}, nil},
	"other name": {tlsrpt.STSWebPKIInvalid, "mta-sts.example.org", goodPolicy, nil, func(h *policyHost) { h.cert = h.ca.Issue("example.org") }},
	"expired":    {tlsrpt.STSWebPKIInvalid, "expired", goodPolicy, nil, func(h *policyHost) { h.cert = h.ca.IssueExpired("mta-sts.example.org") }},
	"untrusted": {tlsrpt.STSWebPKIInvalid, "unknown authority", goodPolicy, nil, func(h *policyHost) {
		h.cert = certs.NewCA().Issue("mta-sts.example.org")
	}},
	"version":    {tlsrpt.STSPolicyInvalid, "STSv1", strings.Replace(goodPolicy, "STSv1", "STSv2", 1), nil, nil},
	"mode":       {tlsrpt.STSPolicyInvalid, "mode", strings.Replace(goodPolicy, "enforce", "Enforce", 1), nil, nil},
	"no mx":      {tlsrpt.STSPolicyInvalid, "mx is missing", "version: STSv1\nmode: testing\nmax_age: 1\n", nil, nil},
	"no max_age": {tlsrpt.STSPolicyInvalid, "max_age is missing", "version: STSv1\nmode: none\n", nil, nil},
	"max_age":    {tlsrpt.STSPolicyInvalid, "max_age", strings.Replace(goodPolicy, "604800", "-1", 1), nil, nil},
	"mx":         {tlsrpt.STSPolicyInvalid, "A-labels", strings.Replace(goodPolicy, "a.example.org", "a.*.example.org", 1), nil, nil},
	"html":       {tlsrpt.STSPolicyInvalid, "line 1", "<html>no policy", nil, nil},
	"not UTF-8":  {tlsrpt.STSPolicyInvalid, "UTF-8", goodPolicy + "x: \xff\n", nil, nil},
}

func TestA3_04_FetchFails(t *testing.T) {
	t.Parallel()
	for name, c := range fetchFaults {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
				var fetched []mxresolve.FetchedInfo
				r.Trace = &mxresolve.Trace{Fetched: func(i mxresolve.FetchedInfo) { fetched = append(fetched, i) }}
				good := h.cert
				h.set(c.policy, c.handler)
				if c.change != nil {
					c.change(h)
				}
				begin := time.Now()
				p := mustPlan(t, r, "example.org")
				require.LessOrEqual(t, time.Since(begin), time.Minute+time.Second)
				require.Nil(t, p.Policy, "none in the cache: as if there were none")
				require.Equal(t, "opportunistic", p.Hosts[0].TLS.String())
				require.Equal(t, []tlsrpt.Result{c.result}, results(p.Failures))
				require.Contains(t, p.Failures[0].Reason, c.text)
				require.Equal(t, tlsrpt.NoPolicy, p.Failures[0].Policy.Type)
				require.Equal(t, "example.org", p.Failures[0].Policy.Domain)
				require.Len(t, fetched, 1)
				require.ErrorContains(t, fetched[0].Err, c.text)
				tries := h.count()

				time.Sleep(4 * time.Minute)
				p = mustPlan(t, r, "example.org")
				require.Equal(t, []tlsrpt.Result{c.result}, results(p.Failures))
				require.Equal(t, tries, h.count(), "not again within 5 minutes")
				time.Sleep(90 * time.Second)
				h.set(goodPolicy, nil)
				h.mu.Lock()
				h.cert = good
				h.mu.Unlock()
				p = mustPlan(t, r, "example.org")
				require.NotNil(t, p.Policy)
				require.Empty(t, p.Failures)

				// The same failure with a policy in the cache
				txt(t, s, `"v=STSv1; id=2"`)
				h.set(c.policy, c.handler)
				if c.change != nil {
					h.mu.Lock()
					c.change(h)
					h.mu.Unlock()
				}
				time.Sleep(2 * time.Minute)
				p = mustPlan(t, r, "example.org")
				require.Equal(t, "1", p.Policy.ID)
				require.Equal(t, []tlsrpt.Result{c.result}, results(p.Failures))
				require.Equal(t, tlsrpt.STS, p.Failures[0].Policy.Type)
			})
		})
	}
}

func TestA3_04_BackoffIsPerID(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		h.set("", http.NotFound)
		require.Nil(t, mustPlan(t, r, "example.org").Policy)
		h.set(goodPolicy, nil)
		txt(t, s, `"v=STSv1; id=2"`)
		time.Sleep(61 * time.Second)
		require.Equal(t, "2", mustPlan(t, r, "example.org").Policy.ID)
	})
}

func TestA3_04_PolicyHostAddresses(t *testing.T) {
	t.Parallel()
	for name, zone := range map[string]string{"loopback": "mta-sts.example.com. A 127.0.0.1\n", "none": "", "link-local": "mta-sts.example.com. AAAA fe80::1\n"} {
		t.Run(name, func(t *testing.T) {
			zone += "example.com. MX 10 a.example.org.\n_mta-sts.example.com. TXT \"v=STSv1; id=1\"\n"
			inBubble(t, zone, func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
				p := mustPlan(t, r, "example.com")
				require.Equal(t, []tlsrpt.Result{tlsrpt.STSPolicyFetchError}, results(p.Failures))
				require.Zero(t, h.count())
			})
		})
	}
}

// TestA3_04_ManyFetches: mail to a stranger's many domains, whose policy hosts never answer, must not open a connection for each.
func TestA3_04_ManyFetches(t *testing.T) {
	zone := "*.flood.test. MX 10 a.example.org.\n*.flood.test. A 192.0.2.80\n*.flood.test. TXT \"v=STSv1; id=1\"\n"
	inBubble(t, zone, func(t *testing.T, _ *policyHost, _ *dnstest.Server, r *mxresolve.Resolver) {
		var open, most atomic.Int32
		r.STS.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			n := open.Add(1)
			defer open.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		r.STS.Timeout = 10 * time.Second
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				ctx, cancel := contextWithTimeout(30 * time.Second)
				defer cancel()
				p, err := r.Resolve(ctx, fmt.Sprintf("d%d.flood.test", i))
				if err != nil || p.Policy != nil {
					t.Errorf("%v %v", p, err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 100, most.Load())
	})
}

// TestA3_04_SilentPolicyHost: one that takes connections and says nothing, not even of TLS. Nothing of it is left when the fetch has ended.
func TestA3_04_SilentPolicyHost(t *testing.T) {
	inBubble(t, "", func(t *testing.T, _ *policyHost, _ *dnstest.Server, r *mxresolve.Resolver) {
		theirs := make(chan net.Conn, 1)
		r.STS.Dial = func(context.Context, string, string) (net.Conn, error) {
			a, b := memnet.Pipe()
			theirs <- b
			return a, nil
		}
		begin := time.Now()
		p := mustPlan(t, r, "example.org")
		require.Equal(t, time.Minute, time.Since(begin))
		require.Equal(t, []tlsrpt.Result{tlsrpt.STSPolicyFetchError}, results(p.Failures))
		b := <-theirs
		b.SetReadDeadline(time.Now().Add(time.Hour))
		_, err := io.Copy(io.Discard, b)
		require.NoError(t, err, "the connection was closed")
		require.Equal(t, time.Minute, time.Since(begin))
	})
}
