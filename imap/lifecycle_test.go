package imap_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
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

func TestStartTLS(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	srv := newServer(t)
	srv.InsecureAuth = false
	srv.TLSConfig = ca.Server("mail.example.org")
	config := ca.Client()
	config.ServerName = "mail.example.org"
	upgrade := func(c *client) {
		conn := tls.Client(c.c, config)
		c.c, c.r = conn, bufio.NewReader(conn)
	}

	t.Run("upgrade", func(t *testing.T) {
		t.Parallel()
		c := connect(t, srv)
		greeting := c.line()
		for _, want := range []string{" STARTTLS ", " LOGINDISABLED ", " IDLE "} {
			require.Contains(t, greeting, want)
		}
		require.NotContains(t, greeting, "AUTH=")
		c.fails("NO [PRIVACYREQUIRED]", "LOGIN alice secret")
		c.fails("NO", "AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==")
		c.ok("STARTTLS")
		upgrade(c)
		caps := c.ok("CAPABILITY")[0]
		require.NotContains(t, caps, "STARTTLS")
		require.NotContains(t, caps, "LOGINDISABLED")
		require.Contains(t, caps, "AUTH=PLAIN")
		c.fails("BAD", "STARTTLS")
		c.ok("AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==")
		require.NotContains(t, c.ok("CAPABILITY")[0], "AUTH=")
		require.Contains(t, c.ok("CAPABILITY")[0], " IDLE ")
		c.fails("BAD", "STARTTLS")
		c.ok("LOGOUT")
		require.NoError(t, <-c.done)
	})
	t.Run("commands sent along in the clear are not obeyed", func(t *testing.T) {
		t.Parallel()
		c := connect(t, srv)
		c.line()
		c.send("a STARTTLS\r\nb NOOP\r\n")
		require.Contains(t, c.line(), "* BYE ")
		require.Error(t, c.closed())
	})
	t.Run("implicit", func(t *testing.T) {
		t.Parallel()
		a, b := memnet.Pipe()
		c := &client{t: t, c: a, done: make(chan error, 1)}
		go func() { c.done <- srv.ServeConn(context.Background(), tls.Server(b, srv.TLSConfig)) }()
		upgrade(c)
		require.NotContains(t, c.line(), "STARTTLS")
		c.ok("LOGIN alice secret")
		c.ok("SELECT INBOX")
		// A change must wake a session through TLS, and leave the connection whole.
		d := connect(t, srv)
		d.line()
		d.ok("STARTTLS")
		upgrade(d)
		d.ok("LOGIN alice secret")
		for i := range 5 {
			c.send("i IDLE\r\n")
			c.line()
			d.append("INBOX", "", hello)
			require.Equal(t, fmt.Sprintf("* %d EXISTS", i+1), c.line())
			c.send("DONE\r\n")
			require.Equal(t, "i OK IDLE completed", c.line())
		}
		c.ok("LOGOUT")
	})
	t.Run("handshake on the plain port", func(t *testing.T) {
		t.Parallel()
		a, b := memnet.Pipe()
		done := make(chan error, 1)
		go func() { done <- srv.ServeConn(context.Background(), b) }()
		require.Error(t, tls.Client(a, config).Handshake())
		a.Close()
		<-done
	})
}

// TestPipelinedBehindAuth: what is sent along is obeyed in turn, after it. There is no security layer that could begin in between.
func TestPipelinedBehindAuth(t *testing.T) {
	t.Parallel()
	for _, auth := range []string{"a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n", "a AUTHENTICATE PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n", "a LOGIN alice {6+}\r\nsecret\r\n"} {
		c := connect(t, newServer(t))
		c.line()
		c.send("x SELECT INBOX\r\n" + auth + "b SELECT INBOX\r\nc LOGOUT\r\n")
		require.Contains(t, c.line(), "x BAD ")
		_, end := c.rest("a")
		require.Contains(t, end, "OK [CAPABILITY ")
		_, end = c.rest("b")
		require.Contains(t, end, "OK [READ-WRITE]")
		_, end = c.rest("c")
		require.Contains(t, end, "OK ")
		require.NoError(t, <-c.done)
	}
}

// TestCapabilities are offered in every state: some clients ask only once, before login.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	c := connect(t, newServer(t))
	lines := []string{c.line()}
	lines = append(lines, c.ok("CAPABILITY")...)
	_, end := c.cmd("LOGIN alice secret")
	lines = append(lines, end)
	lines = append(lines, c.ok("CAPABILITY")...)
	c.ok("SELECT INBOX")
	lines = append(lines, c.ok("CAPABILITY")...)
	for _, l := range lines {
		require.Contains(t, l, "CAPABILITY IMAP4rev1 ")
		for _, want := range []string{"IDLE", "UIDPLUS", "MOVE", "CONDSTORE", "SPECIAL-USE", "LITERAL+", "ESEARCH", "UNSELECT", "NAMESPACE", "ID", "ENABLE"} {
			require.Regexp(t, " "+regexp.QuoteMeta(want)+`[ \]]|`+regexp.QuoteMeta(want)+"$", l)
		}
	}
}

func TestServeTLSNeedsConfig(t *testing.T) {
	t.Parallel()
	var network memnet.Network
	l, err := network.Listen("tcp", "192.0.2.1:993")
	require.NoError(t, err)
	require.ErrorContains(t, newServer(t).ServeTLS(l), "TLSConfig")
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	t.Run("connections", func(t *testing.T) {
		t.Parallel()
		srv := newServer(t)
		srv.Limits.Connections = 1
		login(t, srv)
		c := connect(t, srv)
		require.Equal(t, "* BYE [UNAVAILABLE] Too many connections", c.line())
		require.ErrorContains(t, c.closed(), "Too many connections")
	})
	t.Run("logins", func(t *testing.T) {
		t.Parallel()
		c := connect(t, newServer(t))
		c.line()
		for range 2 {
			c.fails("NO [AUTHENTICATIONFAILED]", "LOGIN alice wrong")
		}
		_, end := c.cmd("LOGIN alice wrong")
		require.Contains(t, end, "NO [AUTHENTICATIONFAILED]")
		require.Equal(t, "* BYE Too many failed logins", c.line())
		require.Error(t, c.closed())
	})
	t.Run("nonsense", func(t *testing.T) {
		t.Parallel()
		c := connect(t, newServer(t))
		c.line()
		for range 4 {
			c.fails("BAD", "NONSENSE")
		}
		c.send("x NONSENSE\r\n")
		require.Equal(t, "* BYE Too many bad commands", c.line())
		require.Error(t, c.closed())
	})
	t.Run("other protocols", func(t *testing.T) {
		t.Parallel()
		for _, hello := range []string{"\x16\x03\x01\x02\x00\x01\x00", "GET / HTTP/1.1", "POST /x HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
			c := connect(t, newServer(t))
			c.line()
			c.send(hello)
			require.Equal(t, "* BYE This is an IMAP server", c.line(), "%q", hello)
			c.c.Close()
			require.Error(t, <-c.done)
		}
	})
	t.Run("lines", func(t *testing.T) {
		t.Parallel()
		c := login(t, newServer(t))
		c.fails("BAD [TOOBIG]", "SEARCH SUBJECT %s", strings.Repeat("x", 1<<20))
		c.fails("BAD [TOOBIG]", "SEARCH SUBJECT %s {30+}\r\n12345\r\nt9 LOGOUT\r\n12345 LOGOUT", strings.Repeat("x", 1<<20))
		c.ok("NOOP")
	})
	t.Run("literals together", func(t *testing.T) {
		t.Parallel()
		c := login(t, newServer(t))
		l := "{60000+}\r\n" + strings.Repeat("x", 60000)
		c.fails("NO [TOOBIG]", "SEARCH %s %s %s %s %s", l, l, l, l, l)
		c.ok("NOOP")
	})
	t.Run("messages", func(t *testing.T) {
		t.Parallel()
		srv := newServer(t)
		srv.Limits.MessageSize = 1000
		c := login(t, srv)
		require.Contains(t, c.ok("CAPABILITY")[0], " APPENDLIMIT=1000")
		c.fails("NO [TOOBIG]", "APPEND INBOX {1001}")
		c.fails("NO [TOOBIG]", "APPEND INBOX {1001+}\r\n%s", strings.Repeat("x", 1001))
		c.append("INBOX", "", strings.Repeat("x", 998)+"\r\n")
		c.send("x APPEND INBOX {99999999999+}\r\n")
		require.Equal(t, "* BYE [TOOBIG] Message too large", c.line())
		require.Error(t, c.closed())
	})
	t.Run("search keys", func(t *testing.T) {
		t.Parallel()
		srv := newServer(t)
		c := selectInbox(t, srv)
		c.fails("NO [LIMIT]", "SEARCH %s", strings.Repeat("NOT ", 40)+"ALL")
		c.fails("NO [LIMIT]", "SEARCH %sALL%s", strings.Repeat("(", 40), strings.Repeat(")", 40))
		c.fails("NO [LIMIT]", "SEARCH %sALL", strings.Repeat("ALL ", 1000))
		c.fails("NO [LIMIT]", "FETCH 1 (%sFLAGS)", strings.Repeat("ENVELOPE ", 300))
	})
	t.Run("expunges", func(t *testing.T) {
		t.Parallel()
		srv := newServer(t)
		srv.Limits.PendingExpunges = 2
		a, b := selectInbox(t, srv), selectInbox(t, srv)
		for range 5 {
			b.append("INBOX", `(\Deleted)`, hello)
		}
		a.ok("NOOP")
		b.ok("UID EXPUNGE 1:2")
		a.ok("SEARCH ALL")
		b.ok("UID EXPUNGE 3")
		a.send("x SEARCH ALL\r\n")
		require.Equal(t, "* SEARCH 3 4 5", a.line())
		require.Contains(t, a.line(), "* BYE ")
		require.Error(t, a.closed())
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

func TestConnectionLimitPerAddress(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Limits.PerAddress, srv.ProxyFrom = 2, []netip.Prefix{netip.MustParsePrefix("192.0.2.8/32")}
	one, two := from(t, srv, "203.0.113.7", false), from(t, srv, "192.0.2.8", false)
	two.send("PROXY TCP4 203.0.113.7 192.0.2.1 4711 143\r\n")
	one.line()
	two.line()
	three := from(t, srv, "203.0.113.7", false)
	require.Equal(t, "* BYE [LIMIT] Too many connections from your address", three.line())
	require.Error(t, three.closed())
	require.Contains(t, from(t, srv, "203.0.113.8", false).line(), "* OK")
	one.ok("LOGOUT")
	one.c.Close()
	<-one.done
	require.Contains(t, from(t, srv, "203.0.113.7", false).line(), "* OK")
}

// TestNoLimits has all that can be without a limit.
func TestNoLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		srv.Limits = imap.Limits{LineLength: -1, LiteralSize: -1, CommandSize: -1, MessageSize: -1, Depth: -1, SearchKeys: -1, PendingExpunges: -1,
			BadCommands: -1, AuthFailures: -1, AddressFailures: -1, AccountFailures: -1, FailDelay: -1, Connections: -1, PerAddress: -1,
			LoginTimeout: -1, CommandTimeout: -1, WriteTimeout: -1, HandshakeTimeout: -1, ReportEvery: -1}
		c := connect(t, srv)
		c.line()
		time.Sleep(24 * time.Hour)
		for range 100 {
			c.fails("BAD", "NONSENSE")
			c.fails("NO [AUTHENTICATIONFAILED]", "LOGIN alice wrong")
		}
		c.ok("LOGIN alice secret")
		time.Sleep(24 * time.Hour)
		require.NotContains(t, c.ok("CAPABILITY")[0], "APPENDLIMIT")
		c.append("INBOX", "", hello+strings.Repeat("x", 1<<20)+"\r\n")
		c.ok("SELECT INBOX")
		c.ok("LIST \"\" {300000+}\r\n%s", strings.Repeat("x", 300_000))
		c.ok("SEARCH %sALL", strings.Repeat("NOT ", 50_000))
		c.ok("SEARCH %sALL", strings.Repeat("ALL ", 10_000))
		c.ok("LOGOUT")
		require.NoError(t, <-c.done)
	})
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
