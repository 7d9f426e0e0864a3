package pop3_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/internal/pop3client"
	"github.com/gomailroom/mailroom/pop3"
	"github.com/gomailroom/mailroom/pop3/pop3test"
	"github.com/stretchr/testify/require"
)

func TestTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, m := newServer(t)
		dial, _ := serve(t, srv, false)
		until := func(c net.Conn) time.Duration {
			start := time.Now()
			io.Copy(io.Discard, c)
			return time.Since(start)
		}
		silent := dial()
		require.Equal(t, time.Minute, until(silent))

		slow := dial() // an octet at a time does not keep a connection alive
		start := time.Now()
		for {
			if _, err := slow.Write([]byte("X")); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, time.Since(start), 62*time.Second)

		conn := dial()
		c := client(t, conn)
		require.NoError(t, c.Login("alice", "pass word "))
		for range 5 {
			require.NoError(t, c.Dele(1))
			time.Sleep(9 * time.Minute)
			_, err := c.Cmd("RSET")
			require.NoError(t, err)
		}
		require.NoError(t, c.Dele(1))
		conn.SetDeadline(time.Time{})
		require.Equal(t, 10*time.Minute, until(conn))
		require.Len(t, m.UIDs("alice"), 3, "autologout deletes nothing")
		require.NoError(t, srv.Close())
	})
}

// Negative limits are none.
func TestNoLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, _ := newServer(t)
		srv.Limits = pop3.Limits{BadCommands: -1, AuthFailures: -1, AddressFailures: -1, AccountFailures: -1, FailDelay: -1, Connections: -1, PerAddress: -1,
			LoginTimeout: -1, CommandTimeout: -1, WriteTimeout: -1, HandshakeTimeout: -1}
		srv.TLSConfig = serverTLS
		dial, _ := serve(t, srv, false)
		conn := dial()
		c := client(t, conn)
		cfg := ca.Client()
		cfg.ServerName = "pop.example.org"
		time.Sleep(24 * time.Hour)
		require.NoError(t, c.StartTLS(t.Context(), cfg))
		for range 100 {
			_, err := c.Cmd("NONSENSE")
			require.ErrorContains(t, err, "unknown command")
			require.ErrorContains(t, c.Login("alice", "wrong"), "[AUTH]")
		}
		time.Sleep(24 * time.Hour)
		require.NoError(t, c.Login("alice", "pass word "))
		time.Sleep(24 * time.Hour)
		require.NoError(t, c.Quit())
		srv.Close()
	})
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, m := newServer(t)
		for _, who := range []string{"idle", "marked", "reset"} {
			srv.Auth.(pop3test.Users)[who] = "x"
			m.Deliver(who, []byte("one\r\n"))
			m.Deliver(who, []byte("two\r\n"))
		}
		dial, served := serve(t, srv, false)
		fresh, idle, marked, reset := client(t, dial()), client(t, dial()), client(t, dial()), client(t, dial())
		require.NoError(t, idle.Login("idle", "x"))
		for who, c := range map[string]*pop3client.Client{"marked": marked, "reset": reset} {
			require.NoError(t, c.Login(who, "x"))
			require.NoError(t, c.Dele(2))
		}
		down := make(chan error, 1)
		go func() { down <- srv.Shutdown(context.Background()) }()
		synctest.Wait()
		require.ErrorIs(t, <-served, pop3.ErrServerClosed)
		for _, c := range []*pop3client.Client{fresh, idle} {
			_, err := c.Reply("waiting")
			require.ErrorContains(t, err, "[SYS/TEMP]")
		}
		time.Sleep(5 * time.Minute)
		_, err := marked.Retr(1)
		require.NoError(t, err)
		_, err = reset.Cmd("RSET")
		require.NoError(t, err)
		_, err = reset.Reply("nothing is marked any more")
		require.ErrorContains(t, err, "[SYS/TEMP]")
		require.Empty(t, down)
		require.NoError(t, marked.Quit())
		require.NoError(t, <-down)
		require.Len(t, m.UIDs("marked"), 1)
		require.Len(t, m.UIDs("idle"), 2)
		require.Len(t, m.UIDs("reset"), 2)
		l, err := new(memnet.Network).Listen("tcp", ":110")
		require.NoError(t, err)
		require.ErrorIs(t, srv.Serve(l), pop3.ErrServerClosed)
	})
}

// A client that has sent a long row of commands along gets an answer to the next one, and no more.
func TestShutdownBetweenCommands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, m := newServer(t)
		opened := make(chan bool)
		srv.Backend = slowBackend{m, opened}
		dial, _ := serve(t, srv, false)
		conn := dial()
		c := client(t, conn)
		require.NoError(t, c.Login("alice", "pass word "))
		require.NoError(t, c.Send("RETR 1", "RETR 1", "RETR 1", "QUIT"))
		<-opened
		<-opened
		down := make(chan error, 1)
		go func() { down <- srv.Shutdown(context.Background()) }()
		synctest.Wait()
		opened <- true
		out, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, 2, strings.Count(string(out), "+OK 44 octets"))
		require.True(t, strings.HasSuffix(string(out), "\r\n.\r\n-ERR [SYS/TEMP] server is shutting down\r\n"), "%q", out)
		conn.Close()
		require.NoError(t, <-down)
	})
}

// slowBackend waits at each Open until the test says so; before the first it only tells.
type slowBackend struct {
	pop3.Backend
	opened chan bool
}

func (b slowBackend) Maildrop(ctx context.Context, identity string) (pop3.Maildrop, error) {
	d, err := b.Backend.Maildrop(ctx, identity)
	return &slowMaildrop{Maildrop: d, opened: b.opened}, err
}

type slowMaildrop struct {
	pop3.Maildrop
	opened chan bool
	count  int
}

func (d *slowMaildrop) Open(ctx context.Context, uid string) (io.ReadCloser, error) {
	d.opened <- true
	if d.count++; d.count > 1 {
		<-d.opened
	}
	return d.Maildrop.Open(ctx, uid)
}

// Nobody who has not come as far as a command holds up the end, and all of them count.
func TestEndBeforeGreeting(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]struct {
		from     string
		implicit bool
	}{"PROXY header": {"192.0.2.8", false}, "implicit TLS": {"198.51.100.7", true}, "STLS": {"198.51.100.7", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, end := range []func(*pop3.Server) error{(*pop3.Server).Close, func(s *pop3.Server) error { return s.Shutdown(context.Background()) }} {
				synctest.Test(t, func(t *testing.T) {
					srv, _ := newServer(t)
					srv.TLSConfig, srv.ProxyFrom, srv.Limits.Connections = serverTLS, []netip.Prefix{netip.MustParsePrefix("192.0.2.8/32")}, 1
					conn, done := from(t, srv, begin.from, begin.implicit)
					if name == "STLS" {
						require.NoError(t, client(t, conn).Send("STLS"))
					}
					synctest.Wait()
					over, refused := from(t, srv, "198.51.100.8", false)
					out, err := io.ReadAll(over)
					require.NoError(t, err)
					require.Equal(t, "-ERR [SYS/TEMP] too many connections, try again later\r\n", string(out))
					require.ErrorContains(t, <-refused, "too many connections")
					start := time.Now()
					require.NoError(t, end(srv))
					require.ErrorIs(t, <-done, pop3.ErrServerClosed)
					require.Zero(t, time.Since(start))
				})
			}
		})
	}
}

// from serves one connection that comes from an address.
func from(t *testing.T, srv *pop3.Server, ip string, implicit bool) (conn net.Conn, done chan error) {
	t.Helper()
	var n memnet.Network
	l, err := n.Listen("tcp", "192.0.2.1:110")
	require.NoError(t, err)
	defer l.Close()
	conn, err = n.Host(ip).DialContext(context.Background(), "tcp", "192.0.2.1:110")
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	if implicit {
		server = tls.Server(server, srv.TLSConfig)
	}
	done = make(chan error, 1)
	go func() { done <- srv.ServeConn(context.Background(), server) }()
	t.Cleanup(func() { conn.Close() })
	return conn, done
}

func TestShutdownGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, m := newServer(t)
		dial, _ := serve(t, srv, false)
		conn := dial()
		c := client(t, conn)
		require.NoError(t, c.Login("alice", "pass word "))
		require.NoError(t, c.Dele(2))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, srv.Shutdown(ctx), context.DeadlineExceeded)
		require.NoError(t, srv.Close())
		_, err := c.Cmd("NOOP")
		require.Error(t, err)
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Len(t, m.UIDs("alice"), 3)
		d, err := m.Maildrop(t.Context(), "alice")
		require.NoError(t, err, "the maildrop was let go of")
		d.Close()
	})
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	srv, _ := newServer(t)
	srv.Limits.PerAddress = 2
	dial, _ := serve(t, srv, false)
	a := client(t, dial())
	client(t, dial())
	_, err := pop3client.New(t.Context(), dial(), nil)
	var e *pop3client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "SYS/TEMP", e.Code)
	require.NoError(t, a.Quit())
	require.Eventually(t, func() bool {
		c, err := pop3client.New(t.Context(), dial(), nil)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 5*time.Second, time.Millisecond)
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	for wait, limits := range map[time.Duration]pop3.Limits{
		30 * time.Second: {},
		time.Minute:      {HandshakeTimeout: -1}, // the login's
		10 * time.Second: {HandshakeTimeout: time.Minute, LoginTimeout: 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, _ := newServer(t)
			srv.TLSConfig, srv.Limits = serverTLS, limits
			start := time.Now()
			_, done := from(t, srv, "198.51.100.7", true)
			require.ErrorContains(t, <-done, "TLS handshake")
			require.Equal(t, wait, time.Since(start))
		})
	}
}
