package mxresolve_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

func twoUpstreams(t *testing.T, zones string) (a, b *dnstest.Server, r *mxresolve.Resolver) {
	n := new(memnet.Network)
	a = addServer(t, n, "192.0.2.1:53", zones)
	b = addServer(t, n, "192.0.2.2:53", zones)
	r = &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: "192.0.2.1"}, {Addr: "192.0.2.2"}}, Dial: n.DialContext}
	t.Cleanup(func() { r.Close() })
	return a, b, r
}

func TestFailover(t *testing.T) {
	t.Parallel()
	const zone = "*.example. TXT x"
	t.Run("steady", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, b, r := twoUpstreams(t, zone)
			for i := range 20 {
				_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
				require.NoError(t, err)
			}
			require.Zero(t, b.Count("", ""), "the first is asked while it is well")
		})
	})
	for _, rcode := range []dnstest.Rcode{dnstest.ServFail, dnstest.Refused, dnstest.NotImp} {
		t.Run(fmt.Sprintf("rcode %d", rcode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, r := twoUpstreams(t, zone)
				a.SetFault("", "", dnstest.Fault{Rcode: rcode})
				begin := time.Now()
				_, err := r.LookupTXT(bg, "n.example")
				require.NoError(t, err)
				require.Zero(t, time.Since(begin), "at once")
				b.SetFault("", "", dnstest.Fault{Rcode: dnstest.Refused, Extended: 18})
				_, err = r.LookupTXT(bg, "m.example")
				require.ErrorContains(t, err, "192.0.2.2: REFUSED")
				require.ErrorContains(t, err, "192.0.2.1: ")
				require.ErrorContains(t, err, "Prohibited")
			})
		})
	}
	t.Run("NXDOMAIN is an answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, b, r := twoUpstreams(t, zone)
			_, err := r.LookupTXT(bg, "gone.invalid")
			require.Error(t, err)
			require.Zero(t, b.Count("", ""))
		})
	})
	t.Run("silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, r := twoUpstreams(t, zone)
			a.SetFault("", "", dnstest.Fault{Drop: true})
			for i := range 10 {
				begin := time.Now()
				_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
				require.NoError(t, err)
				require.LessOrEqual(t, time.Since(begin), 300*time.Millisecond)
			}
			require.Equal(t, 3, a.Count("", ""), "then it is known to be dead")
			time.Sleep(6 * time.Second)
			r.LookupTXT(bg, "again.example")
			require.Equal(t, 4, a.Count("", ""), "one question finds out")
			r.LookupTXT(bg, "more.example")
			require.Equal(t, 4, a.Count("", ""))

			a.ClearFaults()
			time.Sleep(time.Minute)
			r.LookupTXT(bg, "probe.example")
			b.ResetQueries()
			for i := range 10 {
				r.LookupTXT(bg, fmt.Sprintf("m%d.example", i))
			}
			require.Zero(t, b.Count("", ""), "back at the first")
		})
	})
	t.Run("refused connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, _, r := twoUpstreams(t, zone)
			a.Close()
			for i := range 5 {
				begin := time.Now()
				_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
				require.NoError(t, err)
				require.LessOrEqual(t, time.Since(begin), 300*time.Millisecond)
			}
		})
	})
	t.Run("slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, r := twoUpstreams(t, zone)
			a.SetFault("", "", dnstest.Fault{Delay: 290 * time.Millisecond})
			b.SetFault("", "", dnstest.Fault{Delay: 10 * time.Millisecond})
			a.SetFault("first.example", "", dnstest.Fault{Drop: true})
			r.LookupTXT(bg, "first.example") // acquaints it with the second
			begin := time.Now()
			const n = 100
			for i := range n {
				_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
				require.NoError(t, err)
			}
			require.Less(t, time.Since(begin)/n, 60*time.Millisecond)
			require.Greater(t, a.Count("", ""), 1, "but it is tried again now and then")
		})
	})
	t.Run("all dead", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, r := twoUpstreams(t, zone)
			a.SetFault("", "", dnstest.Fault{Drop: true})
			b.SetFault("", "", dnstest.Fault{Drop: true})
			begin := time.Now()
			_, err := r.LookupTXT(bg, "n.example")
			require.Equal(t, 10*time.Second, time.Since(begin))
			require.ErrorContains(t, err, "192.0.2.1: no answer; 192.0.2.2: no answer within 10s")
		})
	})
}
