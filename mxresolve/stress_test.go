package mxresolve_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

// TestStress uses one resolver from many goroutines while its servers fail in all ways, zones change, the cache is purged
// and sockets are closed. Every call must end in time, with a plan or an error that says what to do.
func TestStress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		zone := "*.example. MX 10 a.mx.test.\n*.example. MX 10 b.mx.test.\n*.mx.test. A 192.0.2.1\n*.mx.test. AAAA 2001:db8::1\n"
		a, b, r := twoUpstreams(t, zone)
		r.Limits.InFlight = 20
		faults := []dnstest.Fault{{}, {}, {Drop: true}, {Rcode: dnstest.ServFail}, {Truncate: true}, {Truncate: true, Hangup: true}, {Delay: 700 * time.Millisecond},
			{WrongID: true}, {LowerCase: true}, {FormErrEDNS: true}, {NoChase: true}, {Mangle: func(b []byte) [][]byte { return [][]byte{b[:len(b)/2], b, b} }}}
		var wg sync.WaitGroup
		begin := time.Now()
		for g := range 40 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(g), 7))
				for range 60 {
					ctx, cancel := context.WithCancel(bg)
					if rnd.IntN(4) == 0 {
						ctx, cancel = context.WithTimeout(bg, time.Duration(rnd.IntN(900))*time.Millisecond)
					}
					p, err := r.Resolve(ctx, fmt.Sprintf("d%d.example", rnd.IntN(50)))
					var e *mxresolve.Error
					require.True(t, p != nil && err == nil && len(p.Hosts) > 0 || p == nil && errors.As(err, &e) && e.Enhanced != "")
					cancel()
					switch rnd.IntN(30) {
					case 0:
						r.Purge()
					case 1:
						r.Purge("d1.example")
					case 2:
						r.Close()
					case 3:
						a.SetFault("", "", faults[rnd.IntN(len(faults))])
					case 4:
						b.SetFault("", "", faults[rnd.IntN(len(faults))])
					}
				}
			})
		}
		wg.Wait()
		require.Less(t, time.Since(begin), time.Hour)
		a.ClearFaults()
		b.ClearFaults()
		time.Sleep(10 * time.Minute) // longer than any failure is remembered
		_, err := ask(r, "last.example")
		require.Nil(t, err, "and in the end all is well")
	})
}
