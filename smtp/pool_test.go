package smtp_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

// pooledServer starts a server in memory and gives a pool for it.
func pooledServer(t *testing.T, set func(*smtptest.Server)) (*smtptest.Server, *smtp.Pool) {
	var n memnet.Network
	l, err := n.Listen("tcp", "192.0.2.1:25")
	require.NoError(t, err)
	srv := smtptest.NewUnstartedServer(t)
	srv.Listener, srv.NetDial, srv.Config.TLSConfig = l, n.DialContext, nil
	if set != nil {
		set(srv)
	}
	srv.Start()
	p := &smtp.Pool{Dialer: srv.Dialer()}
	t.Cleanup(func() { p.Close() })
	return srv, p
}

func poolSend(t *testing.T, srv *smtptest.Server, p *smtp.Pool) {
	t.Helper()
	r, err := p.Send(t.Context(), srv.Addr, envelope(t, "alice@a.test", "bob@b.test"), letter)
	require.NoError(t, err)
	require.NoError(t, r.Err())
}

func TestPoolReuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, p := pooledServer(t, nil)
		for range 5 {
			poolSend(t, srv, p)
			time.Sleep(29 * time.Second)
		}
		require.Equal(t, 1, srv.Connections())
		time.Sleep(2 * time.Second) // idle for too long
		poolSend(t, srv, p)
		require.Equal(t, 2, srv.Connections())
		require.Len(t, srv.Messages(), 6)
	})
}

func TestPoolAgesAndCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, p := pooledServer(t, nil)
		p.MaxAge, p.MaxMessages = time.Minute, 3
		for range 6 {
			poolSend(t, srv, p)
		}
		require.Equal(t, 2, srv.Connections())
		poolSend(t, srv, p)
		for range 2 {
			time.Sleep(25 * time.Second)
			poolSend(t, srv, p)
		}
		require.Equal(t, 3, srv.Connections())
		poolSend(t, srv, p)
		time.Sleep(29 * time.Second)
		poolSend(t, srv, p)
		time.Sleep(29 * time.Second)
		poolSend(t, srv, p)
		time.Sleep(29 * time.Second)
		poolSend(t, srv, p)
		require.Equal(t, 5, srv.Connections())
	})
}

func TestPoolIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, p := pooledServer(t, func(s *smtptest.Server) {
			s.Script(smtptest.Rule{On: smtptest.OnMail, Delay: time.Second})
		})
		p.MaxConns = 3
		start := time.Now()
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() { poolSend(t, srv, p) })
		}
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		r, err := p.Send(ctx, srv.Addr, envelope(t, "alice@a.test", "bob@b.test"), letter)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Zero(t, r.Accepted())
		wg.Wait()
		require.Equal(t, 4*time.Second, time.Since(start))
		require.Equal(t, 3, srv.Connections())
		require.Len(t, srv.Messages(), 12)
	})
}

// A kept connection that the server has closed costs nothing but a new one.
func TestPoolSurvivesTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, p := pooledServer(t, func(s *smtptest.Server) { s.Config.Limits.CommandTimeout = 10 * time.Second })
		for range 3 {
			poolSend(t, srv, p)
			time.Sleep(20 * time.Second)
		}
		require.Equal(t, 3, srv.Connections())
		require.Len(t, srv.Messages(), 3)
	})
}

// What fails once the message is under way is not tried again: it may have been delivered.
func TestPoolDoesNotSendTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, p := pooledServer(t, func(s *smtptest.Server) {
			s.Script(smtptest.Rule{On: smtptest.OnMessage, Skip: 1, Reply: smtptest.Reply(421, "4.3.2 oops")})
		})
		poolSend(t, srv, p)
		_, err := p.Send(t.Context(), srv.Addr, envelope(t, "alice@a.test", "bob@b.test"), letter)
		require.ErrorContains(t, err, "end of data: 421 4.3.2 oops")
		require.Equal(t, 1, srv.Connections())
	})
}

// The hooks tell of each connection that is got and given back, and of waiting.
func TestPoolTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, p := pooledServer(t, func(s *smtptest.Server) {
			s.Script(smtptest.Rule{On: smtptest.OnMail, Delay: time.Second})
		})
		var mu sync.Mutex
		var seen []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf(format, args...))
		}
		p.MaxConns, p.MaxMessages = 1, 2
		p.Trace = &smtp.PoolTrace{
			Waited: func(key string, d time.Duration) { note("waited for %s %v", key, d) },
			Got:    func(_ string, c *smtp.Conn, kept bool) { note("got %v over %v", kept, c.RemoteAddr()) },
			Put:    func(_ string, _ *smtp.Conn, kept bool) { note("put %v", kept) },
		}
		poolSend(t, srv, p)
		var wg sync.WaitGroup
		wg.Go(func() { poolSend(t, srv, p) })
		synctest.Wait()
		wg.Go(func() { poolSend(t, srv, p) })
		wg.Wait()
		require.Equal(t, []string{
			"got false over 192.0.2.1:25", "put true", "got true over 192.0.2.1:25", "put false",
			"waited for 192.0.2.1:25 1s", "got false over 192.0.2.1:25", "put true",
		}, seen)
	})
}

// RFC 9422 s4.1: a server may say how many transactions it takes over a connection.
func TestPoolKeepsToMAILMAX(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		l, err := n.Listen("tcp", "192.0.2.1:25")
		require.NoError(t, err)
		defer l.Close()
		conns := make(chan []byte, 2)
		go func() {
			for range 2 {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				conns <- answer(nc, "LIMITS_MAILMAX=2")
			}
		}()
		p := smtp.Pool{Dialer: &smtp.Dialer{Hostname: "client.test", NetDial: n.DialContext}}
		for range 4 {
			_, err := p.Send(t.Context(), "192.0.2.1:25", envelope(t, "alice@a.test", "bob@b.test"), letter)
			require.NoError(t, err)
		}
		require.NoError(t, p.Close())
		for range 2 {
			require.Equal(t, 2, bytes.Count(<-conns, []byte("MAIL FROM")))
		}
	})
}

func TestPoolClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, p := pooledServer(t, nil)
		poolSend(t, srv, p)
		require.NoError(t, p.Close())
		require.NoError(t, p.Close())
		_, err := p.Send(t.Context(), srv.Addr, envelope(t, "alice@a.test", "bob@b.test"), letter)
		require.ErrorIs(t, err, smtp.ErrConnUnusable)
	})
}

func TestPoolDialFails(t *testing.T) {
	t.Parallel()
	p := smtp.Pool{Dialer: &smtp.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }}}
	r, err := p.Send(t.Context(), "mx.test:25", envelope(t, "alice@a.test", "bob@b.test"), letter)
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, r.Err(), net.ErrClosed)
}
