package mxresolve_test

import (
	"testing"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/stretchr/testify/require"
)

// TestA2_10_Mandatory: DANE is demanded of a domain (RFC 7672 s6), in each situation of the table.
func TestA2_10_Mandatory(t *testing.T) {
	t.Parallel()
	good := tlsaAt("a.example.org", "3 1 1 "+digest)
	for name, c := range map[string]struct {
		zone    string
		fault   func(s *dnstest.Server)
		hosts   []string
		skipped map[string]mxresolve.SkipReason
		results []tlsrpt.Result
		kind    mxresolve.Kind
		code    string
	}{
		"all have records": {zone: good + tlsaAt("b.example.org", "2 1 1 "+digest), hosts: []string{"a.example.org", "b.example.org"}},
		"one has none": {zone: good, hosts: []string{"a.example.org"},
			skipped: map[string]mxresolve.SkipReason{"b.example.org": mxresolve.SkipNoDANE}, results: []tlsrpt.Result{tlsrpt.DANERequired}},
		"none": {skipped: map[string]mxresolve.SkipReason{"a.example.org": mxresolve.SkipNoDANE, "b.example.org": mxresolve.SkipNoDANE},
			results: []tlsrpt.Result{tlsrpt.DANERequired, tlsrpt.DANERequired}, kind: mxresolve.KindNoDANE, code: "4.7.5"},
		"unusable": {zone: tlsaAt("a.example.org", "1 1 1 "+digest), kind: mxresolve.KindNoDANE, code: "4.7.5",
			skipped: map[string]mxresolve.SkipReason{"a.example.org": mxresolve.SkipNoDANE, "b.example.org": mxresolve.SkipNoDANE},
			results: []tlsrpt.Result{tlsrpt.TLSAInvalid, tlsrpt.DANERequired}},
		"MX insecure": {zone: good, fault: func(s *dnstest.Server) { s.SetFault("example.org", "MX", dnstest.Fault{Insecure: true}) },
			skipped: map[string]mxresolve.SkipReason{"a.example.org": mxresolve.SkipNoDANE, "b.example.org": mxresolve.SkipNoDANE},
			results: []tlsrpt.Result{tlsrpt.DANERequired, tlsrpt.DANERequired}, kind: mxresolve.KindNoDANE, code: "4.7.5"},
		"host insecure": {zone: good, fault: func(s *dnstest.Server) { s.SetFault("a.example.org", "", dnstest.Fault{Insecure: true}) },
			skipped: map[string]mxresolve.SkipReason{"a.example.org": mxresolve.SkipNoDANE, "b.example.org": mxresolve.SkipNoDANE},
			results: []tlsrpt.Result{tlsrpt.DANERequired, tlsrpt.DANERequired}, kind: mxresolve.KindNoDANE, code: "4.7.5"},
		"records insecure": {zone: good, fault: func(s *dnstest.Server) { s.SetFault("", "TLSA", dnstest.Fault{Insecure: true}) },
			skipped: map[string]mxresolve.SkipReason{"a.example.org": mxresolve.SkipNoDANE, "b.example.org": mxresolve.SkipNoDANE},
			results: []tlsrpt.Result{tlsrpt.DANERequired, tlsrpt.DANERequired}, kind: mxresolve.KindNoDANE, code: "4.7.5"},
		"lookup fails": {zone: good, fault: func(s *dnstest.Server) { s.SetFault("", "TLSA", dnstest.Fault{Rcode: dnstest.ServFail}) },
			skipped: map[string]mxresolve.SkipReason{"a.example.org": mxresolve.SkipLookupFailed, "b.example.org": mxresolve.SkipLookupFailed},
			results: []tlsrpt.Result{tlsrpt.DNSSECInvalid, tlsrpt.DNSSECInvalid}, kind: mxresolve.KindLookupFailed, code: "4.4.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := daneLab(t, c.zone+"opportunistic.example. MX 10 b.example.org.\n")
			if c.fault != nil {
				c.fault(s)
			}
			r.RequireDANE = func(domain string) bool { return domain == "example.org" }
			p, err := ask(r, "EXAMPLE.org.")
			var failures []tlsrpt.Outcome
			if c.kind != 0 {
				mustDefer(t, err, c.kind, c.code)
				require.Equal(t, c.skipped, skipped(err.Skipped))
				failures = err.Failures
			} else {
				require.Nil(t, err)
				require.Equal(t, c.hosts, names(p))
				if len(c.skipped) > 0 {
					require.Equal(t, c.skipped, skipped(p.Skipped))
				}
				failures = p.Failures
			}
			var results []tlsrpt.Result
			for _, f := range failures {
				results = append(results, f.Result)
				require.Equal(t, tlsrpt.TLSA, f.Policy.Type)
				require.Equal(t, "example.org", f.Policy.Domain)
				require.NotEmpty(t, f.Reason)
			}
			require.ElementsMatch(t, c.results, results)
			if name != "lookup fails" {
				p, err = ask(r, "opportunistic.example")
				require.Nil(t, err, "other domains are not held to it")
				require.Len(t, p.Hosts, 1)
			}
			_, err = ask(r, "[192.0.2.1]")
			require.Nil(t, err, "nor are address literals")
		})
	}
}
