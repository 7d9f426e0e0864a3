//go:build unix

package interop

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

func TestMXResolveUnboundKnot(t *testing.T) {
	if testing.Short() {
		t.Skip("starts name servers")
	}
	l := newMXLab(t)
	ctx := context.Background()
	r := l.resolver(t, nil)
	plan := func(t *testing.T, domain string) *mxresolve.Plan {
		t.Helper()
		p, err := r.Resolve(ctx, domain)
		require.NoError(t, err)
		return p
	}
	t.Run("diagnosis", func(t *testing.T) {
		list, err := r.Diagnose(ctx, "dane.test")
		require.NoError(t, err)
		ok, text := list[0].DNSSEC()
		require.True(t, ok, text)
		knot := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: l.knot}}}
		defer knot.Close()
		list, err = knot.Diagnose(ctx, "dane.test")
		require.NoError(t, err)
		_, text = list[0].DNSSEC()
		require.Contains(t, text, "does not validate")
	})
	t.Run("DANE-EE", func(t *testing.T) {
		p := plan(t, "dane.test")
		require.True(t, p.Secure)
		require.True(t, p.Hosts[0].Secure)
		mx := p.Hosts[0].TLS
		require.NoError(t, shake(t, mx, l.leaf))
		require.NoError(t, shake(t, mx, l.rolled), "rollover: two records")
		require.NoError(t, shake(t, mx, l.expired), "dates do not count")
		require.ErrorIs(t, shake(t, mx, l.otherCA.Issue("mx.dane.test")), mxresolve.ErrTLSA)
	})
	t.Run("DANE-TA", func(t *testing.T) {
		mx2 := plan(t, "dane.test").Hosts[1].TLS
		require.NoError(t, shake(t, mx2, l.ta))
		require.NoError(t, shake(t, mx2, l.ca.Issue("dane.test")), "the name of the domain will do as well")
		require.ErrorIs(t, shake(t, mx2, l.ca.Issue("mx9.dane.test")), mxresolve.ErrTLSA)
		require.ErrorIs(t, shake(t, mx2, l.ca.IssueExpired("mx2.dane.test")), mxresolve.ErrTLSA)
		require.ErrorIs(t, shake(t, mx2, l.otherCA.Issue("mx2.dane.test")), mxresolve.ErrTLSA)
	})
	t.Run("alias", func(t *testing.T) {
		p := plan(t, "alias.dane.test")
		require.True(t, p.Secure)
		require.Equal(t, "dane.test", p.Canonical)
		require.Contains(t, p.Hosts[0].TLS.String(), "DANE")
	})
	t.Run("no TLSA", func(t *testing.T) {
		p := plan(t, "toplain.dane.test")
		require.True(t, p.Secure)
		require.Equal(t, "opportunistic", p.Hosts[0].TLS.String())
		require.True(t, l.asked("_25._tcp.plain.dane.test", "TLSA"))
	})
	t.Run("host in an unsigned zone", func(t *testing.T) {
		p := plan(t, "mixed.dane.test")
		require.True(t, p.Secure)
		require.False(t, p.Hosts[0].Secure)
		require.Equal(t, "opportunistic", p.Hosts[0].TLS.String())
		require.False(t, l.asked("_25._tcp.host.unsigned.test", "TLSA"), "no question must leave")
		require.Contains(t, p.Hosts[1].TLS.String(), "DANE")
	})
	t.Run("alias into an unsigned zone", func(t *testing.T) {
		p := plan(t, "byalias.dane.test")
		require.NoError(t, shake(t, p.Hosts[0].TLS, l.leaf))
		require.Error(t, shake(t, p.Hosts[0].TLS, l.rolled))
		require.False(t, l.asked("_25._tcp.host.unsigned.test", "TLSA"))
	})
	t.Run("unsigned", func(t *testing.T) {
		p := plan(t, "unsigned.test")
		require.False(t, p.Secure)
		require.Equal(t, mxresolve.InsecureNoAD, p.Insecure)
		require.Equal(t, "opportunistic", p.Hosts[0].TLS.String())
	})
	t.Run("unusable TLSA", func(t *testing.T) {
		p := plan(t, "unusable.dane.test")
		_, mandatory := p.Hosts[0].TLS.Config(nil)
		require.True(t, mandatory)
		require.NoError(t, shake(t, p.Hosts[0].TLS, l.otherCA.Issue("anything.test")))
		require.Equal(t, tlsrpt.TLSAInvalid, p.Failures[0].Result)
	})
	t.Run("TLSA fails", func(t *testing.T) {
		p := plan(t, "fails.dane.test")
		require.Equal(t, "mx.dane.test", p.Hosts[0].Name)
		require.Equal(t, mxresolve.SkipLookupFailed, p.Skipped[0].Reason)
		require.Equal(t, tlsrpt.DNSSECInvalid, p.Failures[0].Result)
		_, err := r.Resolve(ctx, "onlyfails.dane.test")
		var e *mxresolve.Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Temporary)
		require.Equal(t, "4.4.3", e.Enhanced)
	})
	t.Run("bogus", func(t *testing.T) {
		_, err := r.Resolve(ctx, "broken.test")
		var e *mxresolve.Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Temporary)
		require.Regexp(t, "DNSSEC Bogus|DNSKEY Missing", e.Extended, "the Extended DNS Error says why")
	})
	t.Run("NXDOMAIN and null MX", func(t *testing.T) {
		_, err := r.Resolve(ctx, "none.dane.test")
		var e *mxresolve.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, mxresolve.KindNoSuchDomain, e.Kind)
		_, err = r.Resolve(ctx, "null.dane.test")
		require.ErrorAs(t, err, &e)
		require.Equal(t, mxresolve.KindNullMX, e.Kind)
	})
	t.Run("mandatory DANE", func(t *testing.T) {
		strict := l.resolver(t, nil)
		strict.RequireDANE = func(string) bool { return true }
		p, err := strict.Resolve(ctx, "mixed.dane.test")
		require.NoError(t, err)
		require.Equal(t, "mx.dane.test", p.Hosts[0].Name)
		require.Equal(t, mxresolve.SkipNoDANE, p.Skipped[0].Reason)
		for _, domain := range []string{"toplain.dane.test", "unusable.dane.test", "unsigned.test"} {
			_, err := strict.Resolve(ctx, domain)
			var e *mxresolve.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, mxresolve.KindNoDANE, e.Kind)
			require.True(t, e.Temporary)
		}
	})
	t.Run("zones signed by dnstest", func(t *testing.T) {
		for domain, canonical := range map[string]string{"made.test": "made.test", "alias.made.test": "made.test", "x.wild.made.test": "x.wild.made.test", "y.alias.made.test": "made.test"} {
			p := plan(t, domain)
			require.True(t, p.Secure, domain)
			require.Equal(t, canonical, p.Canonical)
			require.NoError(t, shake(t, p.Hosts[0].TLS, l.leaf), domain)
			_, mandatory := p.Hosts[0].TLS.Config(nil)
			require.True(t, mandatory)
		}
		implicit := plan(t, "ns.made.test")
		require.True(t, implicit.Secure && implicit.Implicit, "the proof that there is no MX record")
		_, err := r.Resolve(ctx, "none.made.test")
		var e *mxresolve.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, mxresolve.KindNoSuchDomain, e.Kind)
		_, err = r.Resolve(ctx, "bad.made.test")
		require.ErrorAs(t, err, &e)
		require.True(t, e.Temporary)
		require.Contains(t, e.Extended, "Bogus")
	})
	t.Run("MTA-STS", func(t *testing.T) { testMXPolicyHost(t, l) })
}
