package imap_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
)

func TestAutologout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do    func(*client)
		after time.Duration
	}{
		"before login": {func(c *client) {}, time.Minute},
		"half a login": {func(c *client) { c.send("a LOGIN ali") }, time.Minute},
		"dripping before login": {func(c *client) {
			go func() {
				for range 100 {
					io.WriteString(c.c, "x")
					time.Sleep(time.Second)
				}
			}()
		}, time.Minute},
		"dripping after login": {func(c *client) {
			c.ok("LOGIN alice secret")
			go func() {
				for {
					if _, err := io.WriteString(c.c, "x"); err != nil {
						return
					}
					time.Sleep(time.Minute)
				}
			}()
		}, 30 * time.Minute},
		"authenticating": {func(c *client) { c.send("a AUTHENTICATE PLAIN\r\n"); c.line() }, time.Minute},
		"logged in":      {func(c *client) { c.ok("LOGIN alice secret") }, 30 * time.Minute},
		"in IDLE":        {func(c *client) { c.ok("LOGIN alice secret"); c.send("a IDLE\r\n"); c.line() }, 30 * time.Minute},
		"in a literal":   {func(c *client) { c.ok("LOGIN alice secret"); c.send("a APPEND INBOX {9}\r\n"); c.line() }, 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := connect(t, newServer(t))
				c.line()
				start := time.Now()
				test.do(c)
				require.Contains(t, c.line(), "* BYE ")
				require.Equal(t, test.after, time.Since(start))
				require.Error(t, <-c.done)
				c.c.Close()
				time.Sleep(2 * time.Minute) // for who drips
			})
		})
	}
}

func TestSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := selectInbox(t, newServer(t))
		c.append("INBOX", "", hello+strings.Repeat("0123456789abcdef\r\n", 20_000))
		start := time.Now()
		c.send("a FETCH 1 BODY[]\r\n") // and reads nothing
		require.Error(t, <-c.done)
		require.Equal(t, 2*time.Minute, time.Since(start))
	})
}

// TestSearchEndsWithItsClient searches messages that take a second each. When the client goes, so does the search; what a client sends
// meanwhile is the next command.
func TestSearchEndsWithItsClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFaulty(t)
		for range 8 {
			c.append("INBOX", "", hello)
		}
		looked := 0
		f.took = func() { looked++; time.Sleep(time.Second) }
		c.send("a SEARCH BODY nothing\r\n")
		time.Sleep(1500 * time.Millisecond)
		c.send("b NOOP\r\n")
		require.Equal(t, "* SEARCH", c.line())
		require.Equal(t, "a OK SEARCH completed", c.line())
		require.Equal(t, "b OK NOOP completed", c.line())
		require.Equal(t, 10, looked)
		c.send("c SEARCH BODY nothing\r\n")
		time.Sleep(1500 * time.Millisecond)
		require.NoError(t, c.c.Close())
		<-c.done
		require.Less(t, looked, 14)
	})
}

func TestIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		a, b := selectInbox(t, srv), selectInbox(t, srv)
		a.send("i IDLE\r\n")
		require.Equal(t, "+ idling", a.line())
		for range 3 { // 29 minutes, again and again
			time.Sleep(29 * time.Minute)
			a.send("DONE\r\ni IDLE\r\n")
			require.Equal(t, "i OK IDLE completed", a.line())
			require.Equal(t, "+ idling", a.line())
			b.ok("NOOP")
		}
		start := time.Now()
		b.append("INBOX", "", hello)
		require.Equal(t, "* 1 EXISTS", a.line(), "at once")
		require.Zero(t, time.Since(start))
		for range 50 {
			b.append("INBOX", "", hello)
		}
		b.ok(`STORE 1 +FLAGS (\Seen new)`)
		b.ok(`STORE 2,7 +FLAGS.SILENT (\Deleted)`)
		b.ok(`EXPUNGE`)
		require.Zero(t, time.Since(start))
		for _, want := range []string{
			"* 49 EXISTS", // of 2 and 7, the session never heard of 7; 2 neither
			`* FLAGS (\Answered \Flagged \Deleted \Seen \Draft new)`,
			`* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft new \*)] Flags that last`,
			`* 1 FETCH (UID 1 FLAGS (\Seen new))`,
		} {
			require.Equal(t, want, a.line())
		}
		require.Equal(t, 100*time.Millisecond, time.Since(start), "gathered")
		b.ok(`STORE 1,3,5 +FLAGS.SILENT (\Deleted)`)
		b.ok(`EXPUNGE`)
		for _, want := range []string{"* 5 EXPUNGE", "* 3 EXPUNGE", "* 1 EXPUNGE"} {
			require.Equal(t, want, a.line(), "from the highest number down")
		}
		a.send("DONE\r\n")
		require.Equal(t, "i OK IDLE completed", a.line())
	})
}

func TestIdleWithoutMailbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := login(t, newServer(t))
		c.send("a IDLE\r\n")
		require.Equal(t, "+ idling", c.line())
		time.Sleep(29 * time.Minute)
		c.send("DONE\r\n")
		require.Equal(t, "a OK IDLE completed", c.line())
	})
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		l, err := network.Listen("tcp", "192.0.2.1:143")
		require.NoError(t, err)
		srv := newServer(t)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		dial := func() *client {
			conn, err := network.DialContext(context.Background(), "tcp", "192.0.2.1:143")
			require.NoError(t, err)
			c := &client{t: t, c: conn, r: bufio.NewReader(conn)}
			c.line()
			return c
		}
		fresh, in, idle, busy := dial(), dial(), dial(), dial()
		for _, c := range []*client{in, idle, busy} {
			c.ok("LOGIN alice secret")
		}
		idle.send("i IDLE\r\n")
		idle.line()
		busy.send(fmt.Sprintf("b APPEND INBOX {%d}\r\n", len(hello)))
		busy.line()
		done := make(chan error, 1)
		go func() { done <- srv.Shutdown(context.Background()) }()
		for _, c := range []*client{fresh, in, idle} {
			require.Equal(t, "* BYE [UNAVAILABLE] The server is going down", c.line())
		}
		synctest.Wait()
		require.Empty(t, done, "a message is on its way")
		require.ErrorIs(t, <-served, imap.ErrServerClosed)
		busy.send(hello + "\r\n")
		require.Contains(t, busy.line(), "b OK [APPENDUID ")
		require.Equal(t, "* BYE [UNAVAILABLE] The server is going down", busy.line())
		require.NoError(t, <-done)
		require.ErrorIs(t, srv.Serve(l), imap.ErrServerClosed)
	})
}

func TestShutdownGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		c := login(t, srv)
		c.send("b APPEND INBOX {9}\r\n")
		c.line()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		require.ErrorIs(t, srv.Shutdown(ctx), context.DeadlineExceeded)
		require.Empty(t, c.done, "only Close cuts")
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-c.done, imap.ErrServerClosed)
	})
}

func TestContextEndsSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		srv := newServer(t)
		go func() { done <- srv.ServeConn(ctx, b) }()
		c := &client{t: t, c: a, r: bufio.NewReader(a), done: done}
		c.line()
		cancel()
		require.ErrorIs(t, c.closed(), context.Canceled)
		require.NoError(t, srv.Shutdown(context.Background()), "nothing is left")
	})
}

// TestEndBeforeGreeting has clients that have not come as far as a command: none of them holds up the end, and all of them count.
func TestEndBeforeGreeting(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	for name, begin := range map[string]struct {
		from     string
		implicit bool
	}{"PROXY header": {"192.0.2.8", false}, "implicit TLS": {"198.51.100.7", true}, "STARTTLS": {"198.51.100.7", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, end := range []func(*imap.Server) error{(*imap.Server).Close, func(s *imap.Server) error { return s.Shutdown(context.Background()) }} {
				synctest.Test(t, func(t *testing.T) {
					srv := newServer(t)
					srv.TLSConfig, srv.ProxyFrom, srv.Limits.Connections = ca.Server("mail.example.org"), []netip.Prefix{netip.MustParsePrefix("192.0.2.8/32")}, 1
					c := from(t, srv, begin.from, begin.implicit)
					if name == "STARTTLS" {
						c.line()
						c.ok("STARTTLS")
					}
					synctest.Wait()
					over := from(t, srv, "198.51.100.8", false)
					require.Equal(t, "* BYE [UNAVAILABLE] Too many connections", over.line())
					require.ErrorContains(t, over.closed(), "Too many connections")
					start := time.Now()
					require.NoError(t, end(srv))
					require.ErrorIs(t, <-c.done, imap.ErrServerClosed)
					require.Zero(t, time.Since(start))
				})
			}
		})
	}
}

// from begins a session that comes from an address.
func from(t *testing.T, srv *imap.Server, ip string, implicit bool) *client {
	t.Helper()
	var n memnet.Network
	l, err := n.Listen("tcp", "192.0.2.1:143")
	require.NoError(t, err)
	defer l.Close()
	conn, err := n.Host(ip).DialContext(context.Background(), "tcp", "192.0.2.1:143")
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	if implicit {
		server = tls.Server(server, srv.TLSConfig)
	}
	c := newClient(t, conn)
	go func() { c.done <- srv.ServeConn(context.Background(), server) }()
	t.Cleanup(func() { conn.Close() })
	return c
}

// TestPanic has a backend that takes its own session down, and nothing else.
func TestPanic(t *testing.T) {
	t.Parallel()
	f, c := newFaulty(t)
	c.append("INBOX", "", hello)
	f.took = func() { panic("no more") }
	c.send("a SEARCH BODY nothing\r\n")
	_, err := c.readLine()
	require.ErrorIs(t, err, io.EOF)
	require.ErrorContains(t, <-c.done, "imap: backend panicked: no more")
}
