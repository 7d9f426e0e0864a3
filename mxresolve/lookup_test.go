package mxresolve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

// lookups is the interface that checks of mail use: both resolvers fit.
type lookups interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

var (
	_ lookups = (*mxresolve.Resolver)(nil)
	_ lookups = (*net.Resolver)(nil)
)

const policies = `
example.org.        TXT "v=spf1 " "include:_spf.example.org " "-all"
example.org.        TXT "other"
sel._domainkey.example.org. TXT "v=DKIM1; p=` + "\\\"\\\\\\195\\188" + `"
empty.example.org.  TXT ""
example.org.        MX 20 b.example.org.
example.org.        MX 10 a.example.org.
null.example.org.   MX 0 .
a.example.org.      A 192.0.2.1
a.example.org.      AAAA 2001:db8::1
mapped.example.org. AAAA ::ffff:192.0.2.1
four.example.org.   A 192.0.2.4
1.2.0.192.in-addr.arpa. PTR a.example.org.
1.2.0.192.in-addr.arpa. PTR liar.example.org.
1.2.0.192.in-addr.arpa. PTR gone.example.org.
liar.example.org.   A 192.0.2.77
2.2.0.192.in-addr.arpa. PTR liar.example.org.
3.2.0.192.in-addr.arpa. CNAME 3.classless.example.org.
3.classless.example.org. PTR a.example.org.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR a.example.org.
ü.example.org.      TXT wrong
xn--tda.example.org. TXT right
`

// is finds out what kind of failure an error is, as a caller of package net does.
func is(t *testing.T, err error) (notFound, temporary bool) {
	t.Helper()
	var de *net.DNSError
	require.True(t, errors.As(err, &de), "%v", err)
	return de.IsNotFound, de.IsTemporary
}

func mustBeMissing(t *testing.T, err error) {
	t.Helper()
	nf, temp := is(t, err)
	require.True(t, nf && !temp, "%v", err)
}

func TestLookupTXT(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, policies)
	for name, want := range map[string][]string{
		"example.org":                {"v=spf1 include:_spf.example.org -all", "other"},
		"EXAMPLE.org.":               {"v=spf1 include:_spf.example.org -all", "other"},
		"sel._domainkey.example.org": {"v=DKIM1; p=\"\\\xc3\xbc"},
		"empty.example.org":          {""},
		"ü.example.org":              {"right"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.LookupTXT(bg, name)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	long := strings.Repeat("a", 63) + "."
	for _, name := range []string{"gone.example.org", "a.example.org", "", "a..example.org", long + "x" + long[:63] + "y", strings.Repeat(long, 4)} {
		t.Run("none "+name, func(t *testing.T) {
			_, err := r.LookupTXT(bg, name)
			mustBeMissing(t, err)
		})
	}
	t.Run("NXDOMAIN and NODATA differ", func(t *testing.T) {
		var e *mxresolve.Error
		_, err := r.LookupTXT(bg, "gone.example.org")
		require.ErrorAs(t, err, &e)
		require.Equal(t, mxresolve.KindNoSuchDomain, e.Kind)
		_, err = r.LookupTXT(bg, "a.example.org")
		require.ErrorAs(t, err, &e)
		require.Equal(t, mxresolve.KindNoRecord, e.Kind)
	})
	t.Run("temporary", func(t *testing.T) {
		s.SetFault("broken.example.org", "", dnstest.Fault{Rcode: dnstest.ServFail})
		_, err := r.LookupTXT(bg, "broken.example.org")
		nf, temp := is(t, err)
		require.True(t, temp && !nf)
	})
	t.Run("any octets", func(t *testing.T) { // SPF macros make such names
		_, err := r.LookupTXT(bg, "we ird*\x80+/@.example.org")
		mustBeMissing(t, err)
	})
}

func TestLookupMX(t *testing.T) {
	t.Parallel()
	_, r := newLab(t, policies)
	mx, err := r.LookupMX(bg, "example.org")
	require.NoError(t, err)
	require.Equal(t, []*net.MX{{Host: "a.example.org.", Pref: 10}, {Host: "b.example.org.", Pref: 20}}, mx)
	mx, err = r.LookupMX(bg, "null.example.org")
	require.NoError(t, err)
	require.Equal(t, []*net.MX{{Host: ".", Pref: 0}}, mx)
	_, err = r.LookupMX(bg, "a.example.org")
	mustBeMissing(t, err)
}

func TestLookupNetIP(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, policies)
	for _, c := range []struct {
		network, host string
		want          []netip.Addr
	}{
		{"ip", "a.example.org", addrs("2001:db8::1", "192.0.2.1")},
		{"ip4", "a.example.org", addrs("192.0.2.1")},
		{"ip6", "a.example.org.", addrs("2001:db8::1")},
		{"ip", "four.example.org", addrs("192.0.2.4")},
		{"ip", "192.0.2.9", addrs("192.0.2.9")},
		{"ip6", "2001:db8::9", addrs("2001:db8::9")},
	} {
		got, err := r.LookupNetIP(bg, c.network, c.host)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%v", c)
	}
	for _, c := range [][2]string{{"ip6", "four.example.org"}, {"ip", "gone.example.org"}, {"ip4", "2001:db8::9"}, {"ip", "a..b"}} {
		_, err := r.LookupNetIP(bg, c[0], c[1])
		mustBeMissing(t, err)
	}
	_, err := r.LookupNetIP(bg, "tcp", "a.example.org")
	require.Error(t, err)
	s.SetFault("", "AAAA", dnstest.Fault{Rcode: dnstest.ServFail})
	r.Purge()
	got, err := r.LookupNetIP(bg, "ip", "a.example.org")
	require.NoError(t, err)
	require.Equal(t, addrs("192.0.2.1"), got, "one family does not spoil the other")
	_, err = r.LookupNetIP(bg, "ip", "null.example.org")
	_, temp := is(t, err)
	require.True(t, temp, "but it may be the only one")
}

func TestReverse(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, policies)
	got, err := r.LookupAddr(bg, "192.0.2.1")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"a.example.org.", "liar.example.org.", "gone.example.org."}, got)
	for _, a := range []string{"2001:db8::1", "192.0.2.3", "::ffff:192.0.2.3"} {
		got, err = r.LookupAddr(bg, a)
		require.NoError(t, err)
		require.Equal(t, []string{"a.example.org."}, got)
	}
	for _, a := range []string{"192.0.2.99", "nonsense", ""} {
		_, err = r.LookupAddr(bg, a)
		mustBeMissing(t, err)
	}

	confirm := func(a string) ([]string, error) { return r.ForwardConfirmed(bg, netip.MustParseAddr(a)) }
	for _, a := range []string{"192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"} {
		got, err = confirm(a)
		require.NoError(t, err)
		require.Equal(t, []string{"a.example.org"}, got)
	}
	for _, a := range []string{"192.0.2.2", "192.0.2.3", "192.0.2.99"} {
		_, err = confirm(a)
		mustBeMissing(t, err)
	}
	r.Purge()
	s.SetFault("liar.example.org", "A", dnstest.Fault{Rcode: dnstest.ServFail})
	_, err = confirm("192.0.2.2")
	_, temp := is(t, err)
	require.True(t, temp)

	var zone strings.Builder
	for i := range 300 {
		fmt.Fprintf(&zone, "9.2.0.192.in-addr.arpa. PTR n%d.example.org.\n", i)
	}
	require.NoError(t, s.SetZones(zone.String()))
	s.ResetQueries()
	_, err = confirm("192.0.2.9")
	require.Error(t, err)
	require.LessOrEqual(t, s.Count("", "A"), 10, "a reverse zone cannot make us ask thousands of questions")
}

func TestPurge(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, oneHost+"other.example. MX 10 mx.example.org.")
	both := func() int {
		s.ResetQueries()
		for _, d := range []string{"example.org", "other.example"} {
			_, err := ask(r, d)
			require.Nil(t, err)
		}
		return s.Count("", "")
	}
	require.Equal(t, 4, both())
	require.Zero(t, both())
	r.Purge("EXAMPLE.org.", "[192.0.2.1]", "nobody.example")
	require.Equal(t, 3, both())
	r.Purge()
	require.Equal(t, 4, both())
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, "*.example. TXT x")
	r.Limits.CacheBytes = 50_000
	for i := range 500 {
		_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
		require.NoError(t, err)
	}
	s.ResetQueries()
	for i := range 500 {
		r.LookupTXT(bg, fmt.Sprintf("n%d.example", 499-i))
	}
	again := s.Count("", "")
	require.Greater(t, again, 250)
	require.Less(t, again, 450, "the newest are kept")

	s, r = newLab(t, oneHost)
	r.Limits.CacheBytes = -1
	ask(r, "example.org")
	ask(r, "example.org")
	require.Equal(t, 6, s.Count("", ""), "nothing is cached")
}

func TestTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newLab(t, oneHost)
		s.SetFault("", "", dnstest.Fault{Delay: 10 * time.Millisecond})
		var mu sync.Mutex
		var answered, resolved []string
		r.Trace = &mxresolve.Trace{
			Answered: func(i mxresolve.AnsweredInfo) {
				mu.Lock()
				defer mu.Unlock()
				answered = append(answered, fmt.Sprintln(i.Name, i.Type, i.Upstream, i.Rcode, i.Took, i.Err))
			},
			Resolved: func(i mxresolve.ResolvedInfo) {
				resolved = append(resolved, fmt.Sprint(i.Domain, " ", i.Plan != nil, i.Err != nil, i.Cached, i.Took))
			},
		}
		ask(r, "example.org")
		ask(r, "example.org")
		ask(r, "gone.invalid")
		ask(r, "a..b")
		require.ElementsMatch(t, []string{
			"example.org MX 192.0.2.53:53 NOERROR 10ms <nil>\n",
			"mx.example.org AAAA 192.0.2.53:53 NOERROR 10ms <nil>\n",
			"mx.example.org A 192.0.2.53:53 NOERROR 10ms <nil>\n",
			"gone.invalid MX 192.0.2.53:53 NXDOMAIN 10ms <nil>\n",
		}, answered)
		require.Equal(t, []string{"example.org true false false 20ms", "example.org true false true 0s",
			"gone.invalid false true false 10ms", "a..b false true false 0s"}, resolved)
	})
}
