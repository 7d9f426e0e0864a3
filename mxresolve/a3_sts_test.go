package mxresolve_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// retire replaces the TXT record.
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

func TestA3_00_OffByDefault(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		r.STS = nil
		p := mustPlan(t, r, "example.org")
		require.Nil(t, p.Policy)
		require.Zero(t, s.Count("_mta-sts.example.org", ""))
		require.Zero(t, h.count())
		require.NoError(t, r.RefreshPolicies(bg))
	})
}

func TestA3_01_PolicyOfTheRecipientsDomain(t *testing.T) {
	const zone = `
example.com. CNAME example.org.
_mta-sts.example.com. TXT "v=STSv1;id=7;"
mta-sts.example.com. A 192.0.2.80
sub.example.org. MX 10 a.example.org.
`
	inBubble(t, zone, func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		p := mustPlan(t, r, "EXAMPLE.com")
		require.Equal(t, "example.org", p.Canonical)
		require.Equal(t, "example.com", p.Policy.Domain)
		require.Equal(t, "7", p.Policy.ID)
		require.Equal(t, []string{"mta-sts.example.com/.well-known/mta-sts.txt"}, h.urls)
		require.Zero(t, s.Count("_mta-sts.example.org", ""))
		require.Equal(t, []string{"a.example.org", "b.example.net"}, names(p))

		// RFC 8461 s3.4: not the policy of the parent
		require.Nil(t, mustPlan(t, r, "sub.example.org").Policy)
		p, err := r.Resolve(bg, "[192.0.2.1]")
		require.NoError(t, err)
		require.Nil(t, p.Policy)
	})
}

func TestA3_02_RecordNoneOrSeveral(t *testing.T) {
	t.Parallel()
	for name, record := range map[string]string{
		"none": `"v=spf1 -all"`, "several": `"v=STSv1; id=2;" "" ` + "\n_mta-sts.example.org. TXT " + `"v=STSv1; id=3;"`,
		"other version": `"v=STSv11; id=2"`, "no version": `"id=2; v=STSv1"`, "upper case": `"V=stsv1; id=2"`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
				txt(t, s, record)
				p := mustPlan(t, r, "example.org")
				require.Nil(t, p.Policy)
				require.Zero(t, h.count())
				require.Empty(t, p.Failures)

				txt(t, s, `"v=STSv1; id=1"`)
				r.Purge()
				require.NotNil(t, mustPlan(t, r, "example.org").Policy)
				txt(t, s, record)
				time.Sleep(2 * time.Hour)
				p = mustPlan(t, r, "example.org")
				require.Equal(t, "1", p.Policy.ID, "an unexpired cached policy still rules")
				require.Equal(t, []tlsrpt.Result{tlsrpt.STSPolicyFetchError}, results(p.Failures))
				require.Equal(t, tlsrpt.STS, p.Failures[0].Policy.Type)
				time.Sleep(7 * 24 * time.Hour)
				require.Nil(t, mustPlan(t, r, "example.org").Policy, "until it expires")
				require.Equal(t, 1, h.count())
			})
		})
	}
}

func TestA3_02_RecordSyntax(t *testing.T) {
	t.Parallel()
	for record, id := range map[string]string{
		`"v=STSv1; id=20160831085700Z;"`: "20160831085700Z", `"v=STSv1;id=a"`: "a", `"v=STS" "v1; i" "d=ab;"`: "ab",
		`"v=STSv1 ; ext=1 ;  id=3 "`: "3", `"v=STSv1; id=1; id=2"`: "1",
		`"v=STSv1"`: "", `"v=STSv1; id="`: "", `"v=STSv1; id=a-b"`: "", `"v=STSv1; id=a b"`: "", `"v=STSv1; foo; id=1"`: "",
		`"v=STSv1; id=` + strings.Repeat("a", 33) + `"`: "",
	} {
		t.Run(record, func(t *testing.T) {
			inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
				txt(t, s, record)
				p := mustPlan(t, r, "example.org")
				if id != "" {
					require.Equal(t, id, p.Policy.ID)
					return
				}
				require.Nil(t, p.Policy)
				require.Zero(t, h.count())
				if record != `"v=STSv1"` {
					require.Equal(t, []tlsrpt.Result{tlsrpt.STSPolicyInvalid}, results(p.Failures))
				}
			})
		})
	}
}

func TestA3_03_RecordFails(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		s.SetFault("_mta-sts.example.org", "", dnstest.Fault{Rcode: dnstest.ServFail})
		p := mustPlan(t, r, "example.org") // mail must not stand still for it
		require.Nil(t, p.Policy)
		require.Empty(t, p.Failures)
		s.ClearFaults()
		time.Sleep(time.Minute)
		require.NotNil(t, mustPlan(t, r, "example.org").Policy)
		s.SetFault("_mta-sts.example.org", "", dnstest.Fault{Drop: true})
		time.Sleep(time.Hour)
		p = mustPlan(t, r, "example.org")
		require.Equal(t, "1", p.Policy.ID)
		require.Equal(t, []tlsrpt.Result{tlsrpt.STSPolicyFetchError}, results(p.Failures))
	})
}

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

func TestA3_05_IDUnchanged(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		p := mustPlan(t, r, "example.org")
		require.Equal(t, "enforce", p.Policy.Mode)
		for range 20 {
			time.Sleep(time.Hour)
			require.Equal(t, "1", mustPlan(t, r, "example.org").Policy.ID)
		}
		require.Equal(t, 1, h.count(), "no refetch")
		require.Greater(t, s.Count("_mta-sts.example.org", "TXT"), 10)
		time.Sleep(5 * time.Hour)
		h.set(strings.Replace(goodPolicy, "604800", "1209600", 1), nil)
		p = mustPlan(t, r, "example.org")
		require.Equal(t, 7*24*time.Hour, p.Policy.MaxAge, "the refresh is in the background")
		synctest.Wait()
		require.Equal(t, 2, h.count(), "daily")
		require.Equal(t, 14*24*time.Hour, mustPlan(t, r, "example.org").Policy.MaxAge)
	})
}

func TestA3_05_IDChanges(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		mustPlan(t, r, "example.org")
		txt(t, s, `"v=STSv1; id=2"`)
		h.set(strings.Replace(goodPolicy, "enforce", "none", 1), nil)
		time.Sleep(61 * time.Second)
		p := mustPlan(t, r, "example.org")
		require.Equal(t, "2", p.Policy.ID)
		require.False(t, required(p.Hosts[0]))
		require.Equal(t, 2, h.count())
	})
}

func TestA3_05_Expiry(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		h.set(strings.Replace(goodPolicy, "604800", "600", 1), nil)
		mustPlan(t, r, "example.org")
		h.set("", http.NotFound)
		time.Sleep(9 * time.Minute)
		require.NotNil(t, mustPlan(t, r, "example.org").Policy)
		time.Sleep(2 * time.Minute)
		require.Nil(t, mustPlan(t, r, "example.org").Policy)
		h.set(strings.Replace(goodPolicy, "604800", "0", 1), nil)
		time.Sleep(10 * time.Minute)
		p := mustPlan(t, r, "example.org")
		require.Nil(t, p.Policy)
		require.Empty(t, p.Failures)
	})
}

func TestA3_05_RefreshPolicies(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		store, err := mxresolve.STSDir(t.TempDir())
		require.NoError(t, err)
		r.STS.Store = store
		mustPlan(t, r, "example.org")
		for range 20 * 24 { // nothing is sent to the domain
			time.Sleep(time.Hour)
			require.NoError(t, r.RefreshPolicies(bg))
		}
		require.InDelta(t, 20, h.count(), 2)
		p, err := store.Load(bg, "example.org")
		require.NoError(t, err)
		require.True(t, p.Expires.After(time.Now()))

		txt(t, s, `"none any more"`)
		time.Sleep(7 * 24 * time.Hour)
		require.NoError(t, r.RefreshPolicies(bg))
		list, err := store.List(bg)
		require.NoError(t, err)
		require.Empty(t, list, "what has expired is deleted")
	})
}

func TestA3_05_OneFlight(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		h.set("", func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(10 * time.Second)
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, goodPolicy)
		})
		ctx, cancel := contextWithTimeout(time.Second)
		defer cancel()
		_, err := r.Resolve(ctx, "example.org")
		var e *mxresolve.Error
		require.ErrorAs(t, err, &e)
		mustDefer(t, e, mxresolve.KindCanceled, "4.4.3")
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { mustPlan(t, r, "example.org") })
		}
		wg.Wait()
		require.Equal(t, 1, h.count())
	})
}

func TestA3_06_Enforce(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		h.set(strings.Replace(goodPolicy, "a.example.org", "other.example.org", 1), nil)
		p := mustPlan(t, r, "example.org")
		require.Equal(t, []string{"b.example.net"}, names(p))
		require.Equal(t, mxresolve.SkipPolicy, skipped(p.Skipped)["a.example.org"])
		require.Equal(t, []tlsrpt.Result{tlsrpt.ValidationFailure}, results(p.Failures))
		require.Equal(t, "a.example.org", p.Failures[0].MX)

		req := p.Hosts[0].TLS
		cfg, ok := req.Config(nil)
		require.True(t, ok)
		require.Equal(t, "b.example.net", cfg.ServerName)
		require.False(t, cfg.InsecureSkipVerify)
		base := &tls.Config{ServerName: "not.this", InsecureSkipVerify: true}
		require.NoError(t, handshake(t, h.ca.Issue("b.example.net"), req, base))
		for cert, want := range map[*tls.Certificate]tlsrpt.Result{
			ptr(h.ca.Issue("example.org")):                   tlsrpt.CertificateHostMismatch,
			ptr(h.ca.IssueExpired("b.example.net")):          tlsrpt.CertificateExpired,
			ptr(certs.NewCA().Issue("b.example.net")):        tlsrpt.CertificateNotTrusted,
			ptr(certs.NewCA().IssueExpired("b.example.net")): tlsrpt.CertificateExpired,
		} {
			err := handshake(t, *cert, req, base)
			require.Error(t, err)
			o, ok := req.Outcome(err)
			require.True(t, ok)
			require.Equal(t, want, o.Result, err)
			require.Equal(t, tlsrpt.STS, o.Policy.Type)
			require.Equal(t, []string{"version: STSv1", "mode: enforce", "mx: other.example.org", "mx: *.example.net", "max_age: 604800"}, o.Policy.Strings)
		}
	})
}

func ptr[T any](v T) *T { return &v }

func TestA3_06_EnforceNothingLeft(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		h.set("version: STSv1\nmode: enforce\nmx: elsewhere.example\nmax_age: 604800", nil)
		_, err := ask(r, "example.org")
		mustDefer(t, err, mxresolve.KindPolicy, "4.7.0")
		require.Len(t, err.Skipped, 2)
		require.Len(t, err.Failures, 2)
		// RFC 8461 s5.1: it is not final before a new policy was looked for
		txt(t, s, `"v=STSv1; id=2"`)
		h.set(goodPolicy, nil)
		time.Sleep(61 * time.Second)
		require.Equal(t, []string{"a.example.org", "b.example.net"}, names(mustPlan(t, r, "example.org")))
	})
}

func TestA3_06_EnforceKeepsLoopsOut(t *testing.T) {
	const zone = "example.org. MX 15 self.example.net.\nself.example.net. A 192.0.2.99\n"
	inBubble(t, zone, func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		r.Addrs = addrs("192.0.2.99")
		h.set("version: STSv1\nmode: enforce\nmx: b.example.net\nmax_age: 604800", nil)
		_, err := ask(r, "example.org") // b is behind this host, though this host is not in the policy
		mustDefer(t, err, mxresolve.KindPrimaryMissing, "4.4.4")
	})
}

func TestA3_06_Patterns(t *testing.T) {
	t.Parallel()
	p, err := mxresolve.ParseSTSPolicy("version: STSv1\nmode: enforce\nmx: Mail.Example.COM\nmx: *.example.net\nmx:*.xn--bcher-kva.example \nmax_age: 9999999999")
	require.NoError(t, err)
	require.Equal(t, 31557600*time.Second, p.MaxAge, "at most a year")
	for host, want := range map[string]bool{
		"mail.example.com": true, "x.mail.example.com": false, "example.com": false, "a.example.net": true, "example.net": false,
		"a.b.example.net": false, ".example.net": false, "": false, "aexample.net": false, "a.xn--bcher-kva.example": true,
	} {
		require.Equal(t, want, p.Matches(host), host)
	}
}

func TestA3_07_Testing(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		h.set("version: STSv1\nmode: testing\nmx: b.example.net\nmax_age: 604800", nil)
		p := mustPlan(t, r, "example.org")
		require.Equal(t, []string{"a.example.org", "b.example.net"}, names(p), "deliver anyway")
		require.Equal(t, []tlsrpt.Result{tlsrpt.ValidationFailure}, results(p.Failures), "and report")
		b := p.Hosts[1].TLS
		cfg, ok := b.Config(nil)
		require.False(t, ok)
		require.True(t, cfg.InsecureSkipVerify)
		for name, want := range map[string]tlsrpt.Result{"b.example.net": "", "c.example.net": tlsrpt.CertificateHostMismatch} {
			a, peer := memnet.Pipe()
			server := tls.Server(peer, h.ca.Server(name))
			go server.Handshake()
			client := tls.Client(a, cfg)
			require.NoError(t, client.Handshake())
			o, ok := b.Outcome(b.Check(client.ConnectionState()))
			require.True(t, ok)
			require.Equal(t, want, o.Result)
			a.Close()
			peer.Close()
		}
	})
}

func TestA3_07_None(t *testing.T) {
	inBubble(t, "", func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		h.set("version: STSv1\nmode: none\nmax_age: 86400", nil)
		p := mustPlan(t, r, "example.org")
		require.Equal(t, mxresolve.STSNone, p.Policy.Mode)
		require.Len(t, p.Hosts, 2)
		require.False(t, required(p.Hosts[0]))
		require.Empty(t, p.Failures)
		o, _ := p.Hosts[0].TLS.Outcome(nil)
		require.Equal(t, tlsrpt.NoPolicy, o.Policy.Type)
		s.SetFault("_mta-sts.example.org", "", dnstest.Fault{Rcode: dnstest.ServFail})
		time.Sleep(time.Hour)
		require.Empty(t, mustPlan(t, r, "example.org").Failures)
	})
}

func TestA3_08_DANEFirst(t *testing.T) {
	zone := tlsaAt("a.example.org", "3 1 1 "+digest) + tlsaAt("b.example.net", "1 1 1 "+digest)
	inBubble(t, zone, func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		s.SetSecure(".", true)
		p := mustPlan(t, r, "example.org")
		a, b := p.Hosts[0].TLS, p.Hosts[1].TLS
		require.Contains(t, a.String(), "DANE 3 1 1")
		err := handshake(t, h.ca.Issue("a.example.org"), a, h.ca.Client())
		require.ErrorIs(t, err, mxresolve.ErrTLSA, "MTA-STS must not override a failing DANE")
		o, _ := a.Outcome(err)
		require.Equal(t, tlsrpt.CertificateNotTrusted, o.Result)
		require.Equal(t, tlsrpt.Policy{Type: tlsrpt.TLSA, Domain: "example.org", Strings: []string{"3 1 1 " + digest}}, o.Policy)

		require.Equal(t, []tlsrpt.Result{tlsrpt.TLSAInvalid}, results(p.Failures))
		require.Contains(t, b.String(), "MTA-STS", "no usable TLSA record: the policy verifies")
		require.NoError(t, handshake(t, h.ca.Issue("b.example.net"), b, nil))
		require.Error(t, handshake(t, h.ca.Issue("c.example.net"), b, nil))

		s.SetFault("_25._tcp.a.example.org", "TLSA", dnstest.Fault{Rcode: dnstest.ServFail})
		r.Purge()
		p = mustPlan(t, r, "example.org")
		require.Equal(t, []string{"b.example.net"}, names(p))
		require.Contains(t, results(p.Failures), tlsrpt.DNSSECInvalid)
	})
}

func TestA3_09_SharedHosts(t *testing.T) {
	const zone = "other.example. MX 10 a.example.org.\nthird.example. MX 10 a.example.org.\n"
	inBubble(t, zone, func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		require.True(t, required(mustPlan(t, r, "example.org").Hosts[0]))
		require.False(t, required(mustPlan(t, r, "other.example").Hosts[0]), "the policy is the domain's, not the host's")
	})
}

func TestA3_10_Reporting(t *testing.T) {
	const zone = `
_smtp._tls.example.org. TXT "v=TLSRPTv1;rua=mailto:a@example.org,https://r.example.org/x"
_smtp._tls.two.example. TXT "v=TLSRPTv1; rua=mailto:a@example.org"
_smtp._tls.two.example. TXT "v=TLSRPTv1; rua=mailto:b@example.org"
`
	inBubble(t, zone, func(t *testing.T, h *policyHost, s *dnstest.Server, r *mxresolve.Resolver) {
		rec, err := r.LookupTLSReporting(bg, "Example.org")
		require.NoError(t, err)
		require.Equal(t, []string{"mailto:a@example.org", "https://r.example.org/x"}, rec.URIs)
		for _, d := range []string{"two.example", "none.example", "[192.0.2.1]"} {
			rec, err := r.LookupTLSReporting(bg, d)
			require.NoError(t, err)
			require.Nil(t, rec, d)
		}
		s.SetFault("_smtp._tls.example.com", "", dnstest.Fault{Rcode: dnstest.Refused})
		_, err = r.LookupTLSReporting(bg, "example.com")
		require.Error(t, err)

		p := mustPlan(t, r, "example.org")
		var c tlsrpt.Collector
		for _, err := range []error{nil, errors.New("tls: handshake failure"), fmt.Errorf("dial: %w", contextDeadline)} {
			if o, ok := p.Hosts[0].TLS.Outcome(err); ok {
				c.Add(time.Now(), o)
			}
		}
		time.Sleep(24 * time.Hour)
		reports := c.Take(time.Now(), tlsrpt.Sender{Organization: "E", Contact: "tls@example.com"})
		require.Len(t, reports, 1)
		good, bad := reports[0].Totals()
		require.EqualValues(t, []int64{1, 1}, []int64{good, bad}, "timeouts are not reported")
	})
}
