package mxresolve_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

// The tests of the table of situations, rows 14 to 24: the hosts.

const twoHosts = `
example.org. MX 10 a.example.org.
example.org. MX 20 b.example.org.
example.org. A 192.0.2.99
a.example.org. A 192.0.2.1
a.example.org. AAAA 2001:db8::1
b.example.org. A 192.0.2.2
b.example.org. AAAA 2001:db8::2
`

func TestA1_14_SomeTargetsWithoutAddress(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, `
example.org. MX 5 gone.example.org.
example.org. MX 6 bare.example.org.
example.org. MX 7 broken.example.org.
example.org. MX 10 mx.example.org.
bare.example.org. TXT x
broken.example.org. A 192.0.2.3
mx.example.org. A 192.0.2.1
`)
	s.SetFault("broken.example.org", "", dnstest.Fault{Rcode: dnstest.ServFail, Extended: 22, ExtendedText: "ns1 is silent"})
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Equal(t, []string{"mx.example.org"}, names(p))
	require.Equal(t, map[string]mxresolve.SkipReason{
		"gone.example.org":   mxresolve.SkipNoAddress,
		"bare.example.org":   mxresolve.SkipNoAddress,
		"broken.example.org": mxresolve.SkipLookupFailed,
	}, skipped(p.Skipped))
	for _, h := range p.Skipped {
		require.Error(t, h.Err)
	}
	require.ErrorContains(t, p.Skipped[0].Err, "no such host")
	require.ErrorContains(t, p.Skipped[1].Err, "no address")
	require.ErrorContains(t, p.Skipped[2].Err, "ns1 is silent")
}

func TestA1_15_NoTargetHasAddress(t *testing.T) {
	t.Parallel()
	const zone = `
example.org. MX 10 gone.example.org.
example.org. MX 20 bare.example.org.
example.org. A 192.0.2.99
bare.example.org. TXT x
`
	t.Run("for good", func(t *testing.T) {
		s, r := newLab(t, zone)
		_, err := ask(r, "example.org")
		mustBounce(t, err, mxresolve.KindNoAddress, "5.4.4")
		require.Len(t, err.Skipped, 2)
		require.Zero(t, s.Count("example.org", "A"), "never the address of the domain")
	})
	t.Run("for now", func(t *testing.T) {
		s, r := newLab(t, zone)
		s.SetFault("bare.example.org", "AAAA", dnstest.Fault{Rcode: dnstest.ServFail, Extended: 7, ExtendedText: "expired"})
		_, err := ask(r, "example.org")
		mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
		require.Contains(t, err.Error(), "bare.example.org")
		require.Equal(t, "Signature Expired: expired", err.Extended)
		require.Zero(t, s.Count("example.org", "A"))
	})
}

func TestA1_16_OneFamilyFails(t *testing.T) {
	t.Parallel()
	for bad, good := range map[string]string{"AAAA": "192.0.2.1", "A": "2001:db8::1"} {
		t.Run(bad, func(t *testing.T) {
			s, r := newLab(t, twoHosts)
			s.SetFault("a.example.org", bad, dnstest.Fault{Rcode: dnstest.ServFail})
			p, err := ask(r, "example.org")
			require.Nil(t, err)
			require.Equal(t, []string{"a.example.org", "b.example.org"}, names(p))
			require.Equal(t, addrs(good), p.Hosts[0].Addrs)
			require.ErrorContains(t, p.Hosts[0].Partial, bad+": ")
			require.NoError(t, p.Hosts[1].Partial)
		})
	}
}

func TestA1_17_OneFamilyFailsOtherEmpty(t *testing.T) {
	t.Parallel()
	for have, bad := range map[string]string{"A 192.0.2.1": "A", "AAAA 2001:db8::1": "AAAA"} {
		t.Run(bad, func(t *testing.T) {
			s, r := newLab(t, "example.org. MX 10 mx.example.org.\nmx.example.org. "+have)
			s.SetFault("mx.example.org", bad, dnstest.Fault{Rcode: dnstest.ServFail})
			_, err := ask(r, "example.org")
			mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
		})
	}
}

func TestA1_18_SelfAmongHosts(t *testing.T) {
	t.Parallel()
	const zone = `
example.org. MX 10 a.example.org.
example.org. MX 20 b.example.org.
example.org. MX 20 me.example.org.
example.org. MX 30 c.example.org.
a.example.org. A 192.0.2.1
b.example.org. A 192.0.2.2
c.example.org. A 192.0.2.3
me.example.org. A 192.0.2.25
me.example.org. AAAA 2001:db8::25
`
	for name, set := range map[string]func(*mxresolve.Resolver){
		"by name": func(r *mxresolve.Resolver) { r.Names = []string{"ME.Example.Org."} },
		"by IPv4": func(r *mxresolve.Resolver) { r.Addrs = addrs("192.0.2.25") },
		"by IPv6": func(r *mxresolve.Resolver) { r.Addrs = addrs("2001:db8::25") },
		"mapped":  func(r *mxresolve.Resolver) { r.Addrs = addrs("::ffff:192.0.2.25") },
	} {
		t.Run(name, func(t *testing.T) {
			_, r := newLab(t, zone)
			set(r)
			p, err := ask(r, "example.org")
			require.Nil(t, err)
			require.Equal(t, []string{"a.example.org"}, names(p))
			require.Equal(t, map[string]mxresolve.SkipReason{
				"me.example.org": mxresolve.SkipSelf,
				"b.example.org":  mxresolve.SkipAfterSelf,
				"c.example.org":  mxresolve.SkipAfterSelf,
			}, skipped(p.Skipped))
		})
	}
}

func TestA1_19_SelfIsBest(t *testing.T) {
	t.Parallel()
	_, r := newLab(t, twoHosts+"implicit.example. A 192.0.2.1\nequal.example. MX 10 a.example.org.\nequal.example. MX 10 b.example.org.\n"+
		"odd.example. MX 5 192.0.2.77.\nodd.example. MX 10 a.example.org.")
	r.Addrs = addrs("192.0.2.1")
	for _, d := range []string{"example.org", "implicit.example", "equal.example", "odd.example", "[192.0.2.1]"} {
		t.Run(d, func(t *testing.T) {
			_, err := ask(r, d)
			mustBounce(t, err, mxresolve.KindLoop, "5.4.6")
		})
	}
}

func TestA1_20_PrimaryMissing(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]dnstest.Fault{"no address": {Rcode: dnstest.NXDomain}, "failing": {Rcode: dnstest.ServFail}} {
		t.Run(name, func(t *testing.T) {
			s, r := newLab(t, twoHosts)
			r.Names = []string{"b.example.org"}
			s.SetFault("a.example.org", "", f)
			_, err := ask(r, "example.org")
			mustDefer(t, err, mxresolve.KindPrimaryMissing, "4.4.4")
			require.Contains(t, err.Error(), "a.example.org")
		})
	}
}

func TestA1_21_EqualPreference(t *testing.T) {
	t.Parallel()
	_, r := newLab(t, `
example.org. MX 10 a.example.org.
example.org. MX 10 b.example.org.
example.org. MX 10 c.example.org.
example.org. MX 5 first.example.org.
example.org. MX 20 first.example.org.
example.org. MX 20 A.example.org.
example.org. MX 30 last.example.org.
*.example.org. A 192.0.2.1
`)
	count := map[string]int{}
	const rounds = 600
	for range rounds {
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.Len(t, p.Hosts, 5, "a host listed twice keeps its best preference")
		require.Equal(t, "first.example.org", p.Hosts[0].Name)
		require.EqualValues(t, 5, p.Hosts[0].Preference)
		require.Equal(t, "last.example.org", p.Hosts[4].Name)
		count[strings.Join(names(p)[1:4], " ")]++
	}
	require.Len(t, count, 6, "all orders of three occur")
	for order, n := range count {
		require.Greater(t, n, rounds/6/2, order) // a fair shuffle misses this once in 10^8 runs or so
	}
}

func TestA1_22_FamiliesInTurn(t *testing.T) {
	t.Parallel()
	zone := "example.org. MX 10 mx.example.org.\n"
	for i := range 4 {
		zone += fmt.Sprintf("mx.example.org. A 192.0.2.%d\n", i+1)
	}
	zone += "mx.example.org. AAAA 2001:db8::1\nmx.example.org. AAAA 2001:db8::2\n"
	for network, want := range map[string][]netip.Addr{
		"":    addrs("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3", "192.0.2.4"),
		"ip":  addrs("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3", "192.0.2.4"),
		"ip4": addrs("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"),
		"ip6": addrs("2001:db8::1", "2001:db8::2"),
	} {
		t.Run("network "+network, func(t *testing.T) {
			s, r := newLab(t, zone)
			r.Network = network
			p, err := ask(r, "example.org")
			require.Nil(t, err)
			require.Equal(t, want, p.Hosts[0].Addrs)
			if network == "ip4" {
				require.Zero(t, s.Count("", "AAAA"))
			}
			if network == "ip6" {
				require.Zero(t, s.Count("", "A"))
			}
		})
	}
}

func TestA1_23_Limits(t *testing.T) {
	t.Parallel()
	zone := ""
	for i := range 40 {
		zone += fmt.Sprintf("example.org. MX %d h%d.example.org.\nh%d.example.org. A 192.0.2.%d\nh0.example.org. A 198.51.100.%d\nh0.example.org. AAAA 2001:db8::%d\n",
			i, i, i, i+1, i+1, i+1)
	}
	t.Run("defaults", func(t *testing.T) {
		s, r := newLab(t, zone)
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.Len(t, p.Hosts, 16)
		require.Len(t, p.Skipped, 24)
		require.Equal(t, "h15.example.org", p.Hosts[15].Name, "the best preferences are kept")
		require.Equal(t, mxresolve.SkipLimit, p.Skipped[0].Reason)
		require.Len(t, p.Hosts[0].Addrs, 8)
		require.True(t, p.Hosts[0].Addrs[6].Is6() && p.Hosts[0].Addrs[7].Is4(), "the limit hides no family")
		require.Equal(t, 16, s.Count("", "A"), "no questions about the others")
	})
	t.Run("nonsense is the default", func(t *testing.T) {
		_, r := newLab(t, zone)
		r.Limits = mxresolve.Limits{MaxHosts: -1, MaxAddrs: -1, MaxCNAME: -1, InFlight: -1, Timeout: -1}
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.Len(t, p.Hosts, 16)
	})
	t.Run("the same address twice", func(t *testing.T) {
		_, r := newLab(t, "example.org. MX 1 a.example.\na.example. A 192.0.2.1\na.example. AAAA ::ffff:192.0.2.1")
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.Equal(t, addrs("192.0.2.1"), p.Hosts[0].Addrs)
	})
	t.Run("set", func(t *testing.T) {
		_, r := newLab(t, zone)
		r.Limits.MaxHosts, r.Limits.MaxAddrs = 2, 3
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.Len(t, p.Hosts, 2)
		require.Len(t, p.Hosts[0].Addrs, 3)
	})
}

func TestA1_24_ForbiddenAddresses(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		"loopback":    "A 127.0.0.1",
		"loopback 2":  "A 127.1.2.3",
		"loopback 6":  "AAAA ::1",
		"mapped":      "AAAA ::ffff:127.0.0.1",
		"unspecified": "A 0.0.0.0",
		"network 0":   "A 0.1.2.3",
		"unspec 6":    "AAAA ::",
		"multicast":   "A 224.0.0.1",
		"multicast 6": "AAAA ff02::1",
		"link-local":  "A 169.254.169.254",
		"link 6":      "AAAA fe80::1",
		"broadcast":   "A 255.255.255.255",
		"refused":     "A 10.1.2.3",
	}
	for name, rr := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, r := newLab(t, "only.example. MX 10 bad.example.\nmixed.example. MX 10 bad.example.\nmixed.example. MX 20 good.example.\n"+
				"part.example. MX 10 both.example.\nboth.example. "+rr+"\nboth.example. A 192.168.1.1\nbad.example. "+rr+"\ngood.example. A 192.0.2.1")
			r.Refuse = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			_, err := ask(r, "only.example")
			mustBounce(t, err, mxresolve.KindNoAddress, "5.4.4")
			require.Contains(t, err.Error(), "must not be connected to")
			require.NotEmpty(t, err.Skipped[0].Addrs)
			require.NoError(t, err.Skipped[0].Err)
			p, err := ask(r, "mixed.example")
			require.Nil(t, err)
			require.Equal(t, []string{"good.example"}, names(p))
			require.Equal(t, mxresolve.SkipForbidden, skipped(p.Skipped)["bad.example"])
			p, err = ask(r, "part.example")
			require.Nil(t, err)
			require.Equal(t, addrs("192.168.1.1"), p.Hosts[0].Addrs, "private addresses are allowed")
		})
	}
	t.Run("literals", func(t *testing.T) {
		_, r := newLab(t, "")
		for _, d := range []string{"[127.0.0.1]", "[IPv6:::1]", "[0.0.0.0]", "[IPv6:::ffff:127.0.0.1]"} {
			_, err := ask(r, d)
			mustBounce(t, err, mxresolve.KindNoAddress, "5.4.4")
		}
	})
	t.Run("loopback allowed", func(t *testing.T) {
		_, r := newLab(t, "example.org. MX 10 a.example.\na.example. A 127.0.0.1\na.example. A 0.0.0.0")
		r.AllowLoopback = true
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.Equal(t, addrs("127.0.0.1"), p.Hosts[0].Addrs)
		_, err = ask(r, "[127.0.0.1]")
		require.Nil(t, err)
	})
}
