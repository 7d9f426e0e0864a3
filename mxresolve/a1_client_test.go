package mxresolve_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

// The tests of the table of situations, rows 25 to 29: how questions are asked and answers kept.

const oneHost = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.0.2.1\nexample.org. A 192.0.2.9\n"

func TestA1_25_TruncationGoesToTCP(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, oneHost)
	s.SetFault("", "", dnstest.Fault{Truncate: true})
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Equal(t, addrs("192.0.2.1"), p.Hosts[0].Addrs)
	tcp := 0
	for _, q := range s.Queries() {
		if q.Network == "tcp" {
			tcp++
		}
	}
	require.Equal(t, 3, tcp)
}

func TestA1_26_EDNSRefused(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, oneHost+"two.example. MX 10 mx.example.org.")
	s.SetFault("", "", dnstest.Fault{FormErrEDNS: true})
	_, err := ask(r, "example.org")
	require.Nil(t, err)
	log := s.Queries()
	require.Equal(t, 1232, log[0].EDNS)
	require.Equal(t, "example.org", log[1].Name)
	require.Zero(t, log[1].EDNS)
	s.ResetQueries()
	_, err = ask(r, "two.example")
	require.Nil(t, err)
	require.Equal(t, 1, s.Count("", ""), "remembered")
	t.Run("once", func(t *testing.T) {
		s, r := newLab(t, oneHost)
		s.SetFault("", "", dnstest.Fault{Rcode: dnstest.FormErr})
		_, err := ask(r, "example.org")
		mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
		require.LessOrEqual(t, s.Count("", ""), 2)
	})
}

func TestA1_27_Caching(t *testing.T) {
	t.Parallel()
	const zones = `
pos.example.   100 CNAME to.example.
to.example.    300 MX 10 mx.example.
mx.example.    200 A 192.0.2.1
zero.example.  0 MX 10 mx.example.
long.example.  2000000000 MX 10 mx.long.example.
mx.long.example. 2000000000 A 192.0.2.1
mx.long.example. 2000000000 AAAA 2001:db8::1
neg.example.   3600 SOA ns.neg.example. x.neg.example. 1 1 1 1 50
low.example.   40 SOA ns.low.example. x.low.example. 1 1 1 1 5000
high.example.  90000 SOA ns.high.example. x.high.example. 1 1 1 1 90000
`
	// After which time a domain is asked about again, and no second before.
	for domain, want := range map[string]time.Duration{
		"pos.example":       60 * time.Second, // the AAAA answer is negative: 60 s in dnstest's root zone
		"to.example":        60 * time.Second,
		"zero.example":      0,
		"long.example":      24 * time.Hour,
		"gone.neg.example":  50 * time.Second,
		"neg.example":       50 * time.Second,
		"gone.low.example":  40 * time.Second,
		"gone.high.example": 3 * time.Hour,
	} {
		t.Run(domain, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, r := newLab(t, zones)
				asks := func() bool {
					s.ResetQueries()
					ask(r, domain)
					return s.Count("", "") > 0
				}
				p, _ := ask(r, domain)
				if p != nil {
					require.Equal(t, want, time.Until(p.Expires))
				}
				if want > 0 {
					require.False(t, asks())
					time.Sleep(want - time.Second)
					require.False(t, asks())
					time.Sleep(time.Second)
				}
				require.True(t, asks())
			})
		})
	}
	t.Run("TTL along the chain", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, r := newLab(t, zones)
			_, err := r.LookupMX(context.Background(), "pos.example")
			require.NoError(t, err)
			time.Sleep(99 * time.Second)
			r.LookupMX(context.Background(), "pos.example")
			require.Equal(t, 1, s.Count("", ""))
			time.Sleep(time.Second)
			r.LookupMX(context.Background(), "pos.example")
			require.Equal(t, 2, s.Count("", ""))
		})
	})
	t.Run("failures", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, r := newLab(t, oneHost)
			s.SetFault("", "", dnstest.Fault{Rcode: dnstest.ServFail})
			var at []time.Duration // when questions were asked
			begin := time.Now()
			for range 3600 {
				n := s.Count("", "")
				_, err := ask(r, "example.org")
				mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
				if s.Count("", "") > n {
					at = append(at, time.Since(begin))
				}
				time.Sleep(time.Second)
			}
			require.Equal(t, 5*time.Second, at[1]-at[0], "RFC 9520: at least a second")
			require.Equal(t, 10*time.Second, at[2]-at[1])
			for i := 2; i < len(at); i++ {
				require.LessOrEqual(t, at[i]-at[i-1], 5*time.Minute, "RFC 9520: at most five minutes")
			}
			s.ClearFaults()
			time.Sleep(5 * time.Minute)
			_, err := ask(r, "example.org")
			require.Nil(t, err)
		})
	})
	t.Run("no SOA", func(t *testing.T) {
		s, r := newLab(t, "")
		s.SetFault("", "", dnstest.Fault{Rcode: dnstest.NXDomain})
		ask(r, "gone.example")
		ask(r, "gone.example")
		require.Equal(t, 2, s.Count("", ""), "RFC 2308 s5: negative answers without SOA are not cached")
	})
}

func TestA1_28_ServeStale(t *testing.T) {
	t.Parallel()
	lab := func(t *testing.T, stale time.Duration) (*dnstest.Server, *mxresolve.Resolver) {
		s, r := newLab(t, oneHost)
		r.ServeStale = stale
		s.SetSecure(".", true)
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.True(t, p.Secure)
		time.Sleep(time.Hour)
		return s, r
	}
	t.Run("off", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, r := lab(t, 0)
			s.SetFault("", "", dnstest.Fault{Rcode: dnstest.ServFail})
			_, err := ask(r, "example.org")
			mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
		})
	})
	t.Run("on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, r := lab(t, 24*time.Hour)
			s.SetFault("", "", dnstest.Fault{Rcode: dnstest.ServFail})
			p, err := ask(r, "example.org")
			require.Nil(t, err)
			require.Equal(t, addrs("192.0.2.1"), p.Hosts[0].Addrs)
			require.False(t, p.Secure || p.Hosts[0].Secure, "no longer proven")
			require.Equal(t, 30*time.Second, time.Until(p.Expires))
			time.Sleep(24 * time.Hour)
			_, err = ask(r, "example.org")
			mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
		})
	})
	t.Run("not after NXDOMAIN", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, r := lab(t, 24*time.Hour)
			require.NoError(t, s.SetZones(""))
			_, err := ask(r, "example.org")
			mustBounce(t, err, mxresolve.KindNoSuchDomain, "5.1.2")
		})
	})
}

func TestA1_29_NoOtherTypes(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, oneHost+`
example.org. HTTPS 1 other.example. alpn=h2
_smtp._tcp.example.org. SRV 0 0 25 other.example.
mx.example.org. SVCB 1 other.example.
`)
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Equal(t, []string{"mx.example.org"}, names(p))
	for _, q := range s.Queries() {
		require.Contains(t, []string{"MX", "A", "AAAA"}, q.Type)
	}
}
