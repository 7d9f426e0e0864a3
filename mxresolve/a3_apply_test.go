package mxresolve_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
	"github.com/stretchr/testify/require"
)

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
				c.Add(o)
			}
		}
		time.Sleep(24 * time.Hour)
		reports := c.Reports(time.Now(), tlsrpt.Sender{Organization: "E", Contact: "tls@example.com"})
		require.Len(t, reports, 1)
		good, bad := reports[0].Totals()
		require.EqualValues(t, []int64{1, 1}, []int64{good, bad}, "timeouts are not reported")
	})
}
