package mxresolve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

var bg = context.Background()

// since records when packets go out, and where to.
func since(r *mxresolve.Resolver) func() []string {
	var mu sync.Mutex
	var log []string
	begin := time.Now()
	r.Trace = &mxresolve.Trace{Sent: func(i mxresolve.SentInfo) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, fmt.Sprintf("%dms %s %s", time.Since(begin).Milliseconds(), strings.TrimSuffix(i.Upstream, ":53"), i.Network))
	}}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return log
	}
}

func TestRetransmission(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newLab(t, oneHost)
		sent := since(r)
		s.SetFault("", "", dnstest.Fault{Drop: true})
		begin := time.Now()
		_, err := r.LookupTXT(bg, "example.org")
		require.Equal(t, 10*time.Second, time.Since(begin))
		var de *net.DNSError
		require.ErrorAs(t, err, &de)
		require.True(t, de.IsTimeout && de.IsTemporary && !de.IsNotFound)
		require.Contains(t, err.Error(), "192.0.2.53:53: no answer within 10s (6 tries)")
		const at = " 192.0.2.53 udp"
		require.Equal(t, []string{"0ms" + at, "300ms" + at, "900ms" + at, "2100ms" + at, "4500ms" + at, "7500ms" + at}, sent())
	})
}

func TestLostPacketCostsOneTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newLab(t, oneHost)
		s.SetFault("example.org", "MX", dnstest.Fault{Drop: true, Times: 1})
		begin := time.Now()
		_, err := ask(r, "example.org")
		require.Nil(t, err)
		require.Equal(t, 300*time.Millisecond, time.Since(begin))
	})
}

func TestTimerFollowsRoundTrip(t *testing.T) {
	t.Parallel()
	for _, rtt := range []time.Duration{time.Millisecond, 800 * time.Millisecond} {
		t.Run(rtt.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, r := newLab(t, "*.example. TXT x")
				s.SetFault("", "", dnstest.Fault{Delay: rtt})
				for i := range 40 {
					_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
					require.NoError(t, err)
				}
				s.SetFault("lost.example", "", dnstest.Fault{Drop: true, Times: 1})
				sent := since(r)
				begin := time.Now()
				_, err := r.LookupTXT(bg, "lost.example")
				require.NoError(t, err)
				took := time.Since(begin)
				if rtt < 10*time.Millisecond {
					require.Less(t, took, 150*time.Millisecond)
				}
				// A slow upstream is not asked twice without need: only the lost packet is repeated.
				s.ResetQueries()
				_, err = r.LookupTXT(bg, "slow.example")
				require.NoError(t, err)
				require.Equal(t, 1, s.Count("", ""), "%v", sent())
			})
		})
	}
}

func TestMinWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newLab(t, oneHost)
		r.Limits.MinWait = 4 * time.Second
		sent := since(r)
		s.SetFault("", "", dnstest.Fault{Drop: true})
		_, err := r.LookupTXT(bg, "example.org")
		require.Error(t, err)
		require.Equal(t, []string{"0ms 192.0.2.53 udp", "4000ms 192.0.2.53 udp", "8000ms 192.0.2.53 udp"}, sent())
	})
}

func TestSlowAnswerCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newLab(t, oneHost)
		s.SetFault("", "", dnstest.Fault{Delay: 4 * time.Second})
		begin := time.Now()
		_, err := r.LookupMX(bg, "example.org")
		require.NoError(t, err)
		require.Equal(t, 4*time.Second, time.Since(begin), "the answer to the first packet is taken")
	})
}

// twoUpstreams is a lab with two name servers.
func TestCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newLab(t, oneHost)
		s.SetFault("", "", dnstest.Fault{Drop: true})
		for name, call := range map[string]func(context.Context) error{
			"Resolve":   func(ctx context.Context) error { _, err := r.Resolve(ctx, "example.org"); return err },
			"LookupTXT": func(ctx context.Context) error { _, err := r.LookupTXT(ctx, "example.org"); return err },
		} {
			ctx, cancel := context.WithTimeout(bg, 123*time.Millisecond)
			begin := time.Now()
			err := call(ctx)
			require.Equal(t, 123*time.Millisecond, time.Since(begin), name)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			var e *mxresolve.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, mxresolve.KindCanceled, e.Kind)
			require.True(t, e.Temporary)
			cancel()
			require.ErrorIs(t, call(ctx), context.DeadlineExceeded)
		}
		s.ClearFaults()
		_, err := ask(r, "example.org")
		require.Nil(t, err, "a canceled question is not a failure of the name")
	})
}

func TestSingleFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newLab(t, oneHost)
		s.SetFault("", "", dnstest.Fault{Delay: 50 * time.Millisecond})
		var wg sync.WaitGroup
		for i := range 100 {
			ctx := bg
			if i < 50 { // those who leave do not harm those who stay, not even the one who asked first
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(bg, time.Duration(10+i/10)*time.Millisecond)
				defer cancel()
			}
			wg.Go(func() {
				_, err := r.LookupMX(ctx, "example.org")
				require.Equal(t, ctx == bg, err == nil)
			})
			synctest.Wait() // in this order
		}
		wg.Wait()
		require.Less(t, s.Count("", ""), 20)
		s.ResetQueries()
		r.Purge()
		for range 100 {
			wg.Go(func() { r.LookupMX(bg, "example.org") })
		}
		wg.Wait()
		require.Equal(t, 1, s.Count("", ""))
	})
}

func TestInFlightBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newLab(t, "*.example. TXT x")
		r.Limits.InFlight = 10
		var now, most atomic.Int32
		s.SetFault("", "", dnstest.Fault{Delay: 20 * time.Millisecond, Mangle: func(a []byte) [][]byte {
			now.Add(-1)
			return [][]byte{a}
		}})
		r.Trace = &mxresolve.Trace{Sent: func(i mxresolve.SentInfo) {
			n := now.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
		}}
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
				require.NoError(t, err)
			})
		}
		wg.Wait()
		require.EqualValues(t, 10, most.Load())
	})
}

func TestSocketsAreGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := new(memnet.Network)
		s := addServer(t, n, dnsAddr, "*.example. TXT x")
		r := s.Resolver()
		var dials, open atomic.Int32
		r.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			open.Add(1)
			c, err := n.DialContext(ctx, network, addr)
			return &closeSpy{Conn: c, closed: func() { open.Add(-1) }}, err
		}
		s.SetFault("tcp.example", "", dnstest.Fault{Truncate: true})
		for i := range 50 {
			r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
		}
		r.LookupTXT(bg, "tcp.example")
		require.EqualValues(t, 5, open.Load())
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Zero(t, open.Load(), "without Close: no goroutine or socket outlives its use")
		for i := range 6000 {
			r.LookupTXT(bg, fmt.Sprintf("m%d.example", i))
		}
		require.Greater(t, dials.Load(), int32(5+4), "ports change with use")
		r.Close()
		synctest.Wait()
		require.Zero(t, open.Load())
		_, err := r.LookupTXT(bg, "after.example")
		require.NoError(t, err)
		r.Close()
	})
}

type closeSpy struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *closeSpy) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

func TestConfigurationErrors(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"", "https://192.0.2.1", "tls://", ":53", "nonsense", "dns.example:53", "192.0.2.1:70000", "192.0.2.1:0", "192.0.2.1#x", "[192.0.2", "2001:db8::1:53:53:53:53:53:53"} {
		_, parseErr := mxresolve.ParseUpstream(addr)
		require.Error(t, parseErr, addr)
		r := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: addr}}}
		_, err := ask(r, "example.org")
		mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
		require.Contains(t, err.Error(), parseErr.Error())
		require.False(t, errors.Is(err, context.Canceled))
	}
}
