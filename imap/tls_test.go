package imap_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
)

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

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	for wait, limits := range map[time.Duration]imap.Limits{
		30 * time.Second: {},
		time.Minute:      {HandshakeTimeout: -1}, // the login's
		10 * time.Second: {HandshakeTimeout: time.Minute, LoginTimeout: 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t)
			srv.TLSConfig, srv.Limits = ca.Server("mail.example.org"), limits
			start := time.Now()
			c := from(t, srv, "198.51.100.7", true)
			require.ErrorContains(t, <-c.done, "TLS handshake")
			require.Equal(t, wait, time.Since(start))
		})
	}
}

// TestALPN turns away a client that speaks something else over TLS, such as a browser that was made to connect here.
func TestALPN(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	for protocol, want := range map[string]string{"": "", "imap": "imap", "h2": "no application protocol"} {
		srv := newServer(t)
		srv.TLSConfig = ca.Server("mail.example.org")
		c := from(t, srv, "198.51.100.7", false)
		c.line()
		c.ok("STARTTLS")
		cfg := ca.Client()
		if cfg.ServerName = "mail.example.org"; protocol != "" {
			cfg.NextProtos = []string{protocol}
		}
		conn := tls.Client(c.c, cfg)
		if protocol == "h2" {
			require.ErrorContains(t, conn.Handshake(), want)
			continue
		}
		require.NoError(t, conn.Handshake())
		require.Equal(t, want, conn.ConnectionState().NegotiatedProtocol)
		conn.Close()
	}
}
