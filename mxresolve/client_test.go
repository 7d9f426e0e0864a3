package mxresolve_test

import (
	"context"
	"encoding/binary"
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
			wg.Go(func() {
				ctx, cancel := bg, func() {}
				if i%2 == 0 { // those who leave do not harm those who stay
					ctx, cancel = context.WithTimeout(bg, time.Duration(i)*time.Millisecond/2)
				}
				defer cancel()
				_, err := r.LookupMX(ctx, "example.org")
				if ctx == bg {
					require.NoError(t, err)
				}
			})
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

func TestSpoofedAnswers(t *testing.T) {
	t.Parallel()
	forge := func(change func(m []byte)) dnstest.Fault {
		return dnstest.Fault{Mangle: func(answer []byte) [][]byte {
			bad := append([]byte(nil), answer...)
			copy(bad[len(bad)-11-4:], []byte{6, 6, 6, 6}) // another address, before the OPT record
			change(bad)
			return [][]byte{bad, bad, answer}
		}}
	}
	for name, f := range map[string]dnstest.Fault{
		"id":      forge(func(m []byte) { m[1]++ }),
		"name":    forge(func(m []byte) { m[14]++ }),
		"type":    forge(func(m []byte) { m[12+len("\x02mx\x07example\x03org\x00")+1] = 28 }),
		"class":   forge(func(m []byte) { m[12+len("\x02mx\x07example\x03org\x00")+3] = 3 }),
		"a query": forge(func(m []byte) { m[2] &^= 0x80 }),
		"opcode":  forge(func(m []byte) { m[2] |= 0x10 }),
		"none":    forge(func(m []byte) { m[5] = 0 }),
		"two":     forge(func(m []byte) { m[5] = 2 }),
		"case":    forge(func(m []byte) { m[13] ^= 0x20; m[14] ^= 0x20 }), // leads to TCP, where the truth is
		"tiny":    {Mangle: func(a []byte) [][]byte { return [][]byte{a[:1], {}, a[:11], a} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, r := newLab(t, oneHost)
				if name == "case" {
					inner := f.Mangle
					f.Mangle = func(a []byte) [][]byte { return inner(a)[:1] }
					f.Times = 1
				}
				s.SetFault("mx.example.org", "A", f)
				got, err := r.LookupNetIP(bg, "ip4", "mx.example.org")
				require.NoError(t, err)
				require.Equal(t, addrs("192.0.2.1"), got)
			})
		})
	}
	for name, f := range map[string]dnstest.Fault{"wrong id": {WrongID: true, Times: 1}, "wrong question": {WrongQuestion: true, Times: 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, r := newLab(t, oneHost)
				s.SetFault("mx.example.org", "A", f)
				begin := time.Now()
				_, err := r.LookupNetIP(bg, "ip4", "mx.example.org")
				require.NoError(t, err)
				require.Equal(t, 300*time.Millisecond, time.Since(begin), "ignored, and asked again")
			})
		})
	}
}

func TestMixedCase(t *testing.T) {
	t.Parallel()
	const zone = "*.abcdefghijklmnopqrstuvwxyz.example. TXT x\nexample. MX 10 mx.example.\nmx.example. A 192.0.2.1"
	t.Run("used", func(t *testing.T) {
		s, r := newLab(t, zone)
		seen := map[string]bool{}
		for i := range 10 {
			_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.abcdefghijklmnopqrstuvwxyz.example", i))
			require.NoError(t, err)
		}
		for _, q := range s.Queries() {
			_, tail, _ := strings.Cut(q.RawName, ".")
			seen[tail] = true
		}
		require.Len(t, seen, 10)
		p, err := ask(r, "example")
		require.Nil(t, err)
		require.Equal(t, "mx.example", p.Hosts[0].Name, "and hidden from callers")
	})
	t.Run("server that does not repeat it", func(t *testing.T) {
		s, r := newLab(t, zone)
		s.SetFault("", "", dnstest.Fault{LowerCase: true})
		for i := range 5 {
			_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.abcdefghijklmnopqrstuvwxyz.example", i))
			require.NoError(t, err)
		}
		tcp := 0
		for _, q := range s.Queries() {
			if q.Network == "tcp" {
				tcp++
			}
		}
		require.Equal(t, 1, tcp, "proven by TCP once, then remembered")
		require.Equal(t, 6, len(s.Queries()))
	})
}

func TestIDsAndPortsDiffer(t *testing.T) {
	t.Parallel()
	n := new(memnet.Network)
	s := addServer(t, n, dnsAddr, "*.example. TXT x")
	r := s.Resolver()
	var mu sync.Mutex
	ids := map[uint16]bool{}
	r.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := n.DialContext(ctx, network, addr)
		return &spy{c, func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			ids[binary.BigEndian.Uint16(b)] = true
		}}, err
	}
	t.Cleanup(func() { r.Close() })
	for i := range 200 {
		_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
		require.NoError(t, err)
	}
	require.Greater(t, len(ids), 190)
	ports := map[string]bool{}
	for _, q := range s.Queries() {
		ports[q.From.String()] = true
	}
	require.Len(t, ports, 4, "a few sockets are shared")
}

// spy shows what is written to a connection.
type spy struct {
	net.Conn
	wrote func([]byte)
}

func (s *spy) Write(b []byte) (int, error) {
	s.wrote(b)
	return s.Conn.Write(b)
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
	for _, addr := range []string{"", "https://192.0.2.1", "tls://", ":53"} {
		r := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: addr}}}
		_, err := ask(r, "example.org")
		mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
		require.Contains(t, err.Error(), "upstream ")
		require.False(t, errors.Is(err, context.Canceled))
	}
}
