package mxresolve_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

// Zones that are well-formed, and mean to be too much.

func TestThousandHostsOfHundredAddresses(t *testing.T) {
	t.Parallel()
	var zone strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&zone, "example.org. MX %d h%d.mx.example.\n", i%3, i)
	}
	for i := range 100 {
		fmt.Fprintf(&zone, "*.mx.example. A 192.0.2.%d\n*.mx.example. AAAA 2001:db8::%d\n", i+1, i+1)
	}
	s, r := newLab(t, zone.String())
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Len(t, p.Hosts, 16)
	require.Len(t, p.Skipped, 984)
	for _, h := range p.Hosts {
		require.Zero(t, h.Preference, "the best ones are kept")
		require.Len(t, h.Addrs, 8)
		require.True(t, h.Addrs[0].Is6() && h.Addrs[1].Is4())
	}
	require.LessOrEqual(t, s.Count("", "A")+s.Count("", "AAAA"), 2*2*16, "truncated, and then by TCP")
}

// TestCNAMEChainAtTheLimit: 16 links are followed, 17 are not, whoever follows them.
func TestCNAMEChainAtTheLimit(t *testing.T) {
	t.Parallel()
	zone := "end.example. MX 10 mx.example.\nmx.example. A 192.0.2.1\nc1.example. CNAME end.example.\n"
	for i := 2; i <= 17; i++ {
		zone += fmt.Sprintf("c%d.example. CNAME c%d.example.\n", i, i-1)
	}
	for _, alone := range []bool{false, true} {
		s, r := newLab(t, zone+"loop1.example. CNAME loop2.example.\nloop2.example. CNAME loop1.example.\nself.example. CNAME self.example.\n")
		s.SetFault("", "", dnstest.Fault{NoChase: alone})
		p, err := ask(r, "c16.example")
		require.Nil(t, err)
		require.Equal(t, "end.example", p.Canonical)
		for _, d := range []string{"c17.example", "loop1.example", "self.example"} {
			_, err = ask(r, d)
			mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
			require.Contains(t, err.Error(), "CNAME chain")
		}
		require.Less(t, s.Count("", ""), 100)
	}
}

func TestWildcardMX(t *testing.T) {
	t.Parallel()
	_, r := newLab(t, "*.example. MX 10 mx.example.\nmx.example. A 192.0.2.1\nhas-a.example. A 192.0.2.2\n")
	p, err := ask(r, "any.thing.example")
	require.Nil(t, err)
	require.Equal(t, []string{"mx.example"}, names(p))
	p, err = ask(r, "has-a.example")
	require.Nil(t, err)
	require.True(t, p.Implicit, "a wildcard is not for names that exist (RFC 4592 s2.2.1)")
	p, err = ask(r, "mx.example")
	require.Nil(t, err)
	require.True(t, p.Implicit)
}

func TestZoneOverTCPOnly(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, twoHosts)
	s.SetSecure(".", true)
	s.SetFault("", "", dnstest.Fault{Truncate: true})
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Len(t, p.Hosts, 2)
	require.True(t, p.Secure && p.Hosts[0].Secure)
}

// TestFlipping: a name server that fails half of the time, for ever. Each call ends with an answer or a temporary error; an
// answer is never wrong, and a failure is not kept longer than its time.
func TestFlipping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newLab(t, "*.example. 60 MX 10 mx.example.net.\nmx.example.net. 60 A 192.0.2.1\n")
		random := rand.New(rand.NewPCG(1, 2))
		flip := func(a []byte) [][]byte {
			if random.IntN(2) == 0 {
				a[3] = a[3]&0xf0 | byte(dnstest.ServFail)
				clear(a[6:12])
				a = a[:12+questionLength(a)]
			}
			return [][]byte{a}
		}
		s.SetFault("", "", dnstest.Fault{Mangle: flip})
		good := 0
		for i := range 200 {
			p, err := ask(r, fmt.Sprintf("d%d.example", i%20))
			if err != nil {
				mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
			} else {
				good++
				require.Equal(t, []netip.Addr{netip.MustParseAddr("192.0.2.1")}, p.Hosts[0].Addrs)
			}
			time.Sleep(10 * time.Second)
		}
		require.Greater(t, good, 50)
	})
}

// questionLength is how long the question of a message is.
func questionLength(m []byte) int {
	n := 12
	for m[n] != 0 {
		n += int(m[n]) + 1
	}
	return n + 5 - 12
}

// TestHugeTXT serves records of nearly 64 KiB where policies and reports are looked for.
func TestHugeTXT(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat(` "`+strings.Repeat("x", 250)+`"`, 255)
	zone := oneHost
	for _, n := range []string{"_mta-sts.example.org", "_smtp._tls.example.org", "spf.example"} {
		zone += n + ". TXT" + huge + "\n"
	}
	zone += `_mta-sts.many.example. TXT "v=STSv1; id=1;` + strings.Repeat("a=b;", 50) + `"` + huge + "\n"
	_, r := newLab(t, zone)
	r.STS = &mxresolve.STS{}
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Nil(t, p.Policy)
	rec, e := r.LookupTLSReporting(bg, "example.org")
	require.NoError(t, e)
	require.Nil(t, rec)
	texts, e := r.LookupTXT(bg, "spf.example")
	require.NoError(t, e)
	require.Len(t, texts[0], 250*255)
}

// TestLiesAboutCounts announces more records than there are, in each section: the answer counts for nothing.
func TestLiesAboutCounts(t *testing.T) {
	t.Parallel()
	for section := range 3 {
		for _, more := range []uint16{1, 255, 65535} {
			s, r := newLab(t, oneHost)
			s.SetFault("example.org", "MX", dnstest.Fault{Mangle: func(a []byte) [][]byte {
				at := a[6+2*section:]
				binary.BigEndian.PutUint16(at, max(more, binary.BigEndian.Uint16(at)+more))
				return [][]byte{a}
			}})
			_, err := ask(r, "example.org")
			mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
			require.Contains(t, err.Error(), "malformed")
		}
	}
}

// TestHostNameTooLongForTLSA: a secure host with a name of 250 octets has no TLSA records, since there is no room for their
// name. It must not wait for them for ever.
func TestHostNameTooLongForTLSA(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(strings.Repeat("x", 61)+".", 4)[:247]
	s, r := newLab(t, "example.org. MX 10 "+long+".\n"+long+". A 192.0.2.1\n")
	s.SetSecure(".", true)
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Equal(t, []string{long}, names(p))
}

// TestCacheHoldsWhatItSays fills the caches with answers whose meaning is many times as big as they were on the wire, and weighs the
// memory. Not parallel, for the sake of its measurement.
func TestCacheHoldsWhatItSays(t *testing.T) {
	s, r := newLab(t, "")
	const bytes = 4 << 20
	r.Limits.CacheBytes = bytes
	label := "\x3f" + strings.Repeat("\x01", 63) // four characters an octet when written out
	for i := range 300 {
		name := fmt.Sprintf("d%d.example", i)
		target := label + label + label + "\x00"
		body := rr(15, "\x00\x01"+target)
		at := 12 + questionLen(name) + 12 + 2
		for n := range 60 {
			body += rr(15, string([]byte{0, byte(n), 1, byte('a' + n%26), byte(0xc0 | at>>8), byte(at)}))
		}
		s.SetFault(name, "MX", crafted(name, 61, []byte(body)))
		s.SetFault(name, "TXT", crafted(name, 1, []byte(rr(16, strings.Repeat("\xff"+strings.Repeat("x", 255), 4)))))
	}
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	for i := range 300 {
		ctx, cancel := context.WithTimeout(bg, time.Minute)
		_, err := r.Resolve(ctx, fmt.Sprintf("d%d.example", i))
		require.Error(t, err)
		_, err = r.LookupTXT(ctx, fmt.Sprintf("d%d.example", i))
		require.NoError(t, err)
		cancel()
	}
	s.ClearFaults()
	s.ResetQueries()
	grown := heap() - before
	t.Logf("%.1f MiB", float64(grown)/(1<<20))
	require.Less(t, grown, 2*bytes, "two caches, about")
	runtime.KeepAlive(r)
}
