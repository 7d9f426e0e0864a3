package smtp

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
)

func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		srv := &Server{Handler: r, Hostname: "mx.example.org"}
		idle := serve(t, srv).hello()
		long := serve(t, srv).hello()
		time.Sleep(time.Minute) // both have given their buffers back
		open := serve(t, srv).hello().mail()
		data := serve(t, srv).hello().mail()
		data.ask("DATA", "354 ")
		data.send("one\r\n")
		chunk := serve(t, srv).hello().mail()
		chunk.ask("BDAT 7\r\nhello", "250 ")
		synctest.Wait()

		done := make(chan error, 1)
		go func() { done <- srv.Shutdown(context.Background()) }()
		for _, w := range []*wire{idle, long} {
			w.reply("421 4.3.2")
			require.ErrorIs(t, w.closed(), ErrServerClosed)
		}
		time.Sleep(time.Minute)
		late := serve(t, srv)
		late.reply("421 4.3.2")
		require.ErrorIs(t, late.closed(), ErrServerClosed)
		open.ask("RCPT TO:<c@example.org>", "250 ")
		open.ask("DATA", "354 ")
		open.ask("two\r\n.", "250 ")
		open.reply("421 4.3.2")
		open.closed()
		data.ask("three\r\n.", "250 ")
		data.reply("421 4.3.2")
		data.closed()
		select {
		case <-done:
			require.Fail(t, "Shutdown did not wait")
		default:
		}
		chunk.ask("BDAT 0 LAST", "250 ")
		chunk.reply("421 4.3.2")
		chunk.closed()
		require.NoError(t, <-done)
		require.NoError(t, srv.Shutdown(context.Background()))
	})
}

// The same over TLS: waiting, being idle, and being woken.
func TestIdleTLS(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: &recorder{}, TLSConfig: ca.Server("mx.example.org")}
		cfg := ca.Client()
		cfg.ServerName = "mx.example.org"
		w := serve(t, srv).hello()
		w.ask("STARTTLS", "220 ")
		w.startTLS(cfg)
		w.ask("EHLO client.example", "250 ")
		time.Sleep(4 * time.Minute)
		w.ask("NOOP", "250 ")
		w.mail()
		done := make(chan error, 1)
		go func() { done <- srv.Shutdown(context.Background()) }()
		time.Sleep(4 * time.Minute)
		w.ask("DATA", "354 ")
		w.ask("x\r\n.", "250 ")
		w.reply("421 4.3.2")
		require.ErrorIs(t, w.closed(), ErrServerClosed)
		require.NoError(t, <-done)
	})
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: &recorder{}, TLSConfig: ca.Server("mx.example.org")}
		cfg := ca.Client()
		cfg.ServerName = "mx.example.org"
		w := serve(t, srv).hello()
		w.ask("STARTTLS", "220 ")
		w.startTLS(cfg)
		time.Sleep(time.Minute)
		done := make(chan error, 1)
		go func() { done <- srv.Shutdown(context.Background()) }()
		w.reply("421 4.3.2")
		require.ErrorIs(t, w.closed(), ErrServerClosed)
		require.NoError(t, <-done)
	})
}

func TestShutdownGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		srv := &Server{Handler: r}
		w := serve(t, srv).hello().mail()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.ErrorIs(t, srv.Shutdown(ctx), context.DeadlineExceeded)
		require.NoError(t, srv.Close())
		require.ErrorIs(t, w.closed(), ErrServerClosed)
		require.True(t, strings.HasSuffix(r.log(), "abort"))
	})
}

// The context that handlers get ends with the connection, by Close and by the context of ServeConn.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := 0
		srv := &Server{Handler: HandlerFunc(func(ctx context.Context, _ *Peer, _ *Envelope, _ io.Reader) error {
			<-ctx.Done()
			ended++
			return ctx.Err()
		})}
		w := serve(t, srv).hello().mail()
		w.ask("DATA", "354 ")
		synctest.Wait()
		srv.Close()
		require.Error(t, <-w.done)
		require.Equal(t, 1, ended)

		ctx, cancel := context.WithCancel(context.Background())
		client, server := memnet.Pipe()
		done := make(chan error, 1)
		srv = &Server{Handler: &recorder{}}
		go func() { done <- srv.ServeConn(ctx, server) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		client.Close()
	})
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: &recorder{}, Limits: Limits{Connections: 2}}
		one, two := serve(t, srv).hello(), serve(t, srv).hello()
		three := serve(t, srv)
		three.reply("421 4.3.2")
		var e *Error
		require.ErrorAs(t, three.closed(), &e)
		one.quit()
		serve(t, srv).hello().quit()
		two.quit()
	})
}

// Behind a trusted proxy the address is the client's, whether the proxy tells it by its header or by XCLIENT.
func TestConnectionLimitPerAddress(t *testing.T) {
	t.Parallel()
	srv := &Server{Handler: &recorder{}, Limits: Limits{PerAddress: 2}, ProxyFrom: proxies[:1], XClientFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}}
	one, two := from(t, srv, "203.0.113.7", false).hello(), from(t, srv, "192.0.2.8", false)
	two.send("PROXY TCP4 203.0.113.7 192.0.2.1 4711 25\r\n")
	two.hello()
	three := from(t, srv, "203.0.113.7", false)
	three.reply("421 4.7.0 too many connections from your address")
	var e *Error
	require.ErrorAs(t, three.closed(), &e)
	for range 3 {
		other := from(t, srv, "192.0.2.9", false).hello()
		other.ask("XCLIENT NAME=client.example", "220 ")
		other.ask("XCLIENT ADDR=203.0.113.7", "421 4.7.0")
		require.ErrorIs(t, other.closed(), replyTooManyFrom)
		from(t, srv, "192.0.2.9", false).hello()
	}
	one.quit()
	from(t, srv, "203.0.113.7", false).hello().quit()
}

// Nobody who has not come as far as a command holds up the end: not the proxy, nor who is expected to shake hands, nor who waits for the greeting.
func TestEndBeforeGreeting(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	for name, begin := range map[string]func(t *testing.T, srv *Server) *wire{
		"PROXY header":   func(t *testing.T, srv *Server) *wire { return from(t, srv, "192.0.2.8", false) },
		"implicit TLS":   func(t *testing.T, srv *Server) *wire { return from(t, srv, "192.0.2.9", true) },
		"greeting delay": func(t *testing.T, srv *Server) *wire { return from(t, srv, "192.0.2.9", false) },
		"STARTTLS": func(t *testing.T, srv *Server) *wire {
			srv.GreetingDelay = 0
			w := from(t, srv, "192.0.2.9", false).hello()
			w.ask("STARTTLS", "220 ")
			return w
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, end := range []func(*Server) error{(*Server).Close, func(s *Server) error { return s.Shutdown(context.Background()) }} {
				synctest.Test(t, func(t *testing.T) {
					srv := &Server{Handler: &recorder{}, TLSConfig: ca.Server("mx.example.org"), ProxyFrom: proxies[:1], GreetingDelay: time.Minute, Limits: Limits{Connections: 1}}
					w := begin(t, srv)
					synctest.Wait()
					from(t, srv, "192.0.2.9", false).reply("421 4.3.2 too many")
					within(t, 0, time.Second, func() { // to read 421
						require.NoError(t, end(srv))
						require.ErrorIs(t, <-w.done, ErrServerClosed)
					})
				})
			}
		})
	}
}
