package conns_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/conns"
)

// A session that reads until it is woken.
func wait(g *conns.Group, c *conns.Conn) error {
	defer c.End()
	deadline := time.Now().Add(time.Hour)
	for {
		c.SetReadDeadline(deadline)
		if g.Stopping() {
			return errors.New("good-bye")
		}
		if _, err := c.Read(make([]byte, 1)); err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(deadline)) {
			return c.Err(err)
		}
	}
}

// A proxy that does not send its header is counted and seen by those who end it all.
func TestOpening(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*conns.Group, context.CancelFunc){
		"Close":    func(g *conns.Group, _ context.CancelFunc) { g.Close() },
		"Shutdown": func(g *conns.Group, _ context.CancelFunc) { g.Shutdown(context.Background()) },
		"context":  func(_ *conns.Group, cancel context.CancelFunc) { cancel() },
		"time":     func(*conns.Group, context.CancelFunc) { time.Sleep(10 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGroup()
				g.Connections = 1
				client, server := pipe(t, "192.0.2.8")
				defer client.Close()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				opened := make(chan error, 1)
				go func() {
					defer server.Close()
					_, err := g.Open(ctx, server)
					opened <- err
				}()
				synctest.Wait()
				_, err := open(t, g, "198.51.100.7", "")
				require.Equal(t, conns.ErrTooMany, err)
				start := time.Now()
				end(g, cancel)
				err = <-opened
				switch name {
				case "context":
					require.Equal(t, context.Canceled, err)
				case "time":
					require.ErrorIs(t, err, os.ErrDeadlineExceeded)
					require.Equal(t, 10*time.Second, time.Since(start))
					return
				default:
					require.Equal(t, errClosed, err)
				}
				require.Zero(t, time.Since(start))
			})
		})
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		idle, err := open(t, g, "198.51.100.1", "")
		require.NoError(t, err)
		idled := make(chan error, 1)
		go func() { idled <- wait(g, idle) }()
		busy, err := open(t, g, "198.51.100.2", "")
		require.NoError(t, err)
		time.Sleep(time.Minute)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, g.Shutdown(ctx))
		require.EqualError(t, <-idled, "good-bye")
		require.Error(t, idle.Context.Err())
		require.NoError(t, busy.Context.Err(), "only Close cuts")
		require.NoError(t, busy.CountAs(netip.MustParseAddr("198.51.100.9")), "what is open goes on")
		require.Equal(t, io.EOF, busy.Err(io.EOF))

		done := make(chan error, 1)
		go func() { done <- g.Shutdown(context.Background()) }()
		synctest.Wait()
		require.Empty(t, done)
		g.Close()
		require.Equal(t, errClosed, busy.Err(io.EOF))
		_, err = busy.Write([]byte("x"))
		require.Error(t, err)
		require.Empty(t, done)
		busy.End()
		require.NoError(t, <-done)
		require.NoError(t, g.Shutdown(context.Background()))
	})
}

func TestContextCuts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		client, server := pipe(t, "198.51.100.1")
		defer client.Close()
		ctx, cancel := context.WithCancelCause(context.Background())
		c, err := g.Open(ctx, server)
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- wait(g, c) }()
		synctest.Wait()
		why := errors.New("why not")
		cancel(why)
		require.Equal(t, why, <-ended)
		require.NoError(t, g.Shutdown(context.Background()), "nothing is left")
	})
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	client, server := pipe(t, "198.51.100.1")
	conns.Refuse(server, "421 no\r\n")
	text, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "421 no\r\n", string(text))
	client, server = pipe(t, "198.51.100.1")
	conns.Refuse(tls.Server(server, &tls.Config{}), "421 no\r\n") // and does not wait for a handshake
	text, err = io.ReadAll(client)
	require.NoError(t, err)
	require.Empty(t, text)
}

// However connections come and go while the end comes, Shutdown returns after the last of them.
func TestShutdownIsTheEnd(t *testing.T) {
	t.Parallel()
	for range 20 {
		g := newGroup()
		var open atomic.Int32
		var clients sync.WaitGroup
		for i := range 20 {
			clients.Go(func() {
				client, server := pipe(t, "192.0.2.8")
				defer client.Close()
				if i%2 == 0 {
					io.WriteString(client, "PROXY TCP4 203.0.113.7 192.0.2.1 4711 25\r\n")
				}
				c, err := g.Open(context.Background(), server)
				if err != nil {
					server.Close()
					return
				}
				open.Add(1)
				defer c.End()
				defer open.Add(-1)
				for !g.Stopping() {
					c.SetReadDeadline(time.Now().Add(time.Hour))
					if !g.Stopping() {
						c.Read(make([]byte, 1))
					}
				}
			})
		}
		require.NoError(t, g.Shutdown(t.Context()))
		require.Zero(t, open.Load())
		clients.Wait()
	}
}
