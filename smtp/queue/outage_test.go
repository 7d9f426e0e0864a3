package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// TestDeadServerIsLeftAlone has a long queue for a server that only ever times out. It gets no more than a probe now and then, nothing else waits for it, and it all
// goes out when the server is back.
func TestDeadServerIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.queue.MaxParallel = 6
		w.queue.DelayNotice = -1
		up, dialed := false, 0
		w.queue.Dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			w.mu.Lock()
			alive := up
			if strings.HasPrefix(addr, "192.0.2.1:") {
				dialed++
			} else {
				alive = true
			}
			w.mu.Unlock()
			if alive {
				return w.net.DialContext(ctx, network, addr)
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		w.host("mx.a.test", "192.0.2.1:25", nil)
		w.host("mx.b.test", "192.0.2.2:25", nil)
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		w.routes["b.test"] = []Host{{Name: "mx.b.test", Addrs: []string{"192.0.2.2:25"}}}
		many := long(200, 10_000)
		for i := range many {
			w.send("", fmt.Sprintf("x%d@a.test", i))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.queue.Run(ctx) }()
		time.Sleep(2 * time.Minute)
		w.mu.Lock()
		require.Less(t, dialed, 20)
		w.mu.Unlock()
		w.send("", "y@b.test")
		synctest.Wait()
		require.Len(t, w.mail("mx.b.test"), 1)
		time.Sleep(24 * time.Hour)
		w.mu.Lock()
		require.Less(t, dialed, 24*6)
		up = true
		w.mu.Unlock()
		time.Sleep(5 * time.Hour)
		require.Len(t, w.mail("mx.a.test"), many)
		cancel()
		require.NoError(t, <-done)
	})
}

// slowRouter finds out nothing of a domain, and takes its time.
type slowRouter struct {
	*world
	asked int
}

func (r *slowRouter) Route(ctx context.Context, domain string, attempt int) ([]Host, error) {
	if domain != "a.test" {
		return r.world.Route(ctx, domain, attempt)
	}
	time.Sleep(10 * time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return nil, &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 4, 3}, Text: "name server does not answer"}
}

// TestDeadNameServer has a long queue for a domain whose name servers do not answer.
func TestDeadNameServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		router := &slowRouter{world: w}
		w.queue.Router, w.queue.MaxParallel = router, 6
		for i := range 100 {
			w.send("", fmt.Sprintf("x%d@a.test", i))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.queue.Run(ctx) }()
		time.Sleep(time.Minute)
		cancel()
		require.NoError(t, <-done)
		require.Less(t, router.asked, 12)
		list := all(t, store)
		require.Len(t, list, 100)
		for _, s := range list {
			require.Equal(t, 1, s.States[0].Attempts)
			require.Contains(t, s.States[0].Text, "name server does not answer")
			require.Equal(t, smtp.EnhancedCode{4, 4, 3}, s.States[0].Enhanced)
		}
	})
}

// TestManyDomains has due mail for many domains, and more than may be under way: nobody looks at all of them for each delivery.
func TestManyDomains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.queue.MaxParallel, w.queue.MaxPerDomain = 4, 2
		w.host("mx.a.test", "192.0.2.1:25", nil)
		const domains = 500
		for i := range domains {
			domain := fmt.Sprintf("%d.test", i)
			w.routes[domain] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
			w.send("", "x@"+domain, "y@"+domain)
		}
		asked := &asking{Log: store}
		w.queue.Store = asked
		w.run()
		require.Len(t, w.mail("mx.a.test"), domains)
		require.Less(t, int(asked.times.Load()), 10*domains)
		require.NotZero(t, asked.times.Load())
	})
}

// asking counts how often a store asks whether a domain is free.
type asking struct {
	*Log
	times atomic.Int64
}

func (a *asking) Claim(ctx context.Context, now time.Time, free func(string) bool) (*Job, time.Time, error) {
	return a.Log.Claim(ctx, now, func(domain string) bool {
		a.times.Add(1)
		return free(domain)
	})
}

// TestOperatorInsists asks for an attempt while the server is left alone.
func TestOperatorInsists(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		id := w.send("", "x@a.test")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.queue.Run(ctx) }()
		synctest.Wait()
		w.host("mx.a.test", "192.0.2.1:25", nil)
		require.NoError(t, store.Reschedule(ctx, id, time.Now()))
		synctest.Wait()
		require.Len(t, w.mail("mx.a.test"), 1)
		cancel()
		require.NoError(t, <-done)
	})
}

// TestOutageEndsWithRun tells the queue to end and to run again while a server is left alone.
func TestOutageEndsWithRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		require.Equal(t, Waiting, w.once("", "x@a.test").Phase)
		w.host("mx.a.test", "192.0.2.1:25", nil)
		require.Equal(t, Delivered, w.once("", "y@a.test").Phase)
	})
}

// TestOutages is the arithmetic: the first probe after a minute, later ones up to 15 minutes apart, one at a time.
func TestOutages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var o outages
		gone := errors.New("gone")
		require.NoError(t, o.check("a"))
		began := time.Now()
		o.note("a", gone)
		var probes []time.Duration
		for time.Since(began) < 2*time.Hour {
			if err := o.check("a"); err == nil {
				require.ErrorIs(t, o.check("a"), gone, "one probe at a time")
				probes = append(probes, time.Since(began))
				o.note("a", gone)
			}
			time.Sleep(time.Minute)
		}
		minutes := func(n ...int) (list []time.Duration) {
			for _, n := range n {
				list = append(list, time.Duration(n)*time.Minute)
			}
			return list
		}
		require.Equal(t, minutes(1, 2, 4, 8, 16, 31, 46, 61, 76, 91, 106), probes)
		o.note("a", nil)
		require.NoError(t, o.check("a"))
		for i := range 3 * maxOutages {
			o.note(fmt.Sprint(i), gone)
		}
		require.LessOrEqual(t, len(o.down), maxOutages)
	})
}
