package imap_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
)

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
