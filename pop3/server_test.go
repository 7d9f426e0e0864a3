package pop3_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/internal/pop3client"
	"github.com/gomailroom/mailroom/internal/sasl"
	"github.com/gomailroom/mailroom/pop3"
	"github.com/gomailroom/mailroom/pop3/pop3test"
	"github.com/stretchr/testify/require"
)

var (
	ca        = certs.NewCA()
	serverTLS = ca.Server("pop.example.org")
)

// serve runs a server on a network of its own until the test ends.
func serve(t testing.TB, srv *pop3.Server, implicit bool) (dial func() net.Conn, served chan error) {
	t.Helper()
	n := new(memnet.Network)
	l, err := n.Listen("tcp", "192.0.2.1:110")
	require.NoError(t, err)
	served = make(chan error, 1)
	go func() {
		if implicit {
			served <- srv.ServeTLS(l)
		} else {
			served <- srv.Serve(l)
		}
	}()
	t.Cleanup(func() { srv.Close() })
	return func() net.Conn {
		c, err := n.Host("198.51.100.7").DialContext(context.Background(), "tcp", "192.0.2.1:110")
		require.NoError(t, err)
		return c
	}, served
}

func client(t testing.TB, c net.Conn) *pop3client.Client {
	t.Helper()
	cl, err := pop3client.New(context.Background(), c, nil)
	require.NoError(t, err)
	t.Cleanup(func() { cl.Close() })
	return cl
}

func TestClientAndServer(t *testing.T) {
	t.Parallel()
	srv, m := newServer(t)
	srv.TLSConfig, srv.InsecureAuth = serverTLS, false
	srv.SCRAM = srv.Auth.(pop3test.Users)
	dial, _ := serve(t, srv, false)
	c := client(t, dial())
	require.Error(t, c.Login("alice", "pass word "))
	cfg := ca.Client()
	cfg.ServerName = "pop.example.org"
	require.NoError(t, c.StartTLS(t.Context(), cfg))
	caps, err := c.Capa()
	require.NoError(t, err)
	require.Equal(t, []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"}, caps["SASL"])
	require.NotContains(t, caps, "STLS")
	require.NoError(t, c.Auth(sasl.Credentials{Username: "alice", Password: "pass word "}))
	n, octets, err := c.Stat()
	require.NoError(t, err)
	require.Equal(t, 3, n)
	sizes, err := c.List()
	require.NoError(t, err)
	require.Equal(t, octets, sizes[1]+sizes[2]+sizes[3])
	uids, err := c.UIDL()
	require.NoError(t, err)
	require.Equal(t, map[int]string{1: "m1", 2: "m2", 3: "m3"}, uids)
	msg, err := c.Retr(1)
	require.NoError(t, err)
	require.Equal(t, "Subject: one\r\nX: y\r\n\r\nfirst\r\n.second\r\n\r\n..\r\n", string(msg))
	require.Len(t, msg, int(sizes[1]))
	require.NoError(t, c.Dele(1))
	require.Equal(t, []string{"m1", "m2", "m3"}, m.UIDs("alice"))
	require.NoError(t, c.Quit())
	require.Equal(t, []string{"m2", "m3"}, m.UIDs("alice"))
}

func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	srv, _ := newServer(t)
	srv.TLSConfig, srv.InsecureAuth = serverTLS, false
	dial, _ := serve(t, srv, true)
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		c := client(t, tlsClient(dial(), "pop3"))
		x, err := sasl.NewClient(mechanism, sasl.Credentials{Username: "alice", Password: "pass word ", AllowPlaintext: true}, sasl.Channel{})
		require.NoError(t, err)
		require.NoError(t, c.Exchange(x))
		require.NoError(t, c.Quit())
	}
	_, err := pop3client.New(t.Context(), tlsClient(dial(), "h2"), nil)
	require.ErrorContains(t, err, "no application protocol", "a browser's TLS")
}

// Commands that somebody adds before the handshake must not run after it. As in smtp and imap they end the session.
func TestInjectionBeforeTLS(t *testing.T) {
	t.Parallel()
	srv, m := newServer(t)
	srv.TLSConfig = serverTLS
	for _, behind := range []string{"USER alice\r\nPASS pass word \r\nDELE 1\r\nQUIT\r\n", "\n", "U"} {
		client, server := memnet.Pipe()
		io.WriteString(client, "STLS\r\n"+behind)
		client.(*memnet.Conn).CloseWrite()
		require.ErrorContains(t, srv.ServeConn(t.Context(), server), "must wait for the handshake")
		out, err := io.ReadAll(client)
		require.NoError(t, err)
		require.Equal(t, "+OK POP3 server ready\r\n-ERR commands after STLS must wait for the handshake\r\n", string(out))
	}
	require.Len(t, m.UIDs("alice"), 3)
}

// What is sent along with AUTH is obeyed in turn, after it (RFC 2449 s6.6): there is no security layer that could begin in between.
func TestPipelinedBehindAuth(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"AUTH PLAIN AGFsaWNlAHBhc3Mgd29yZCA=\r\nSTAT\r\nQUIT\r\n":              "+OK 3 97\r\n+OK 3 97\r\n+OK bye\r\n",
		"AUTH PLAIN\r\nAGFsaWNlAHBhc3Mgd29yZCA=\r\nSTAT\r\nQUIT\r\n":           "+ \r\n+OK 3 97\r\n+OK 3 97\r\n+OK bye\r\n",
		"AUTH PLAIN AGFsaWNlAHdyb25n\r\nSTAT\r\nQUIT\r\n":                      "-ERR [AUTH] wrong name or password\r\n-ERR command not allowed now\r\n+OK bye\r\n",
		"AUTH LOGIN\r\nYWxpY2U=\r\ncGFzcyB3b3JkIA==\r\nRETR 9\r\nQUIT\r\n":     "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n+OK 3 97\r\n-ERR no such message\r\n+OK bye\r\n",
		"AUTH PLAIN\r\n*\r\nUSER alice\r\nPASS pass word \r\nNOOP\r\nQUIT\r\n": "+ \r\n-ERR authentication canceled\r\n+OK send PASS\r\n+OK 3 97\r\n+OK\r\n+OK bye\r\n",
	} {
		srv, _ := newServer(t)
		c := pop3.NewCore(t.Context(), srv, "")
		c.Output()
		over, _ := c.Feed([]byte(in))
		require.True(t, over)
		require.Equal(t, want, c.Output())
		c.Close()
	}
}

func TestInUseAndLoginDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, _ := newServer(t)
		dial, _ := serve(t, srv, false)
		a, b := client(t, dial()), client(t, dial())
		require.NoError(t, a.Login("alice", "pass word "))
		err := b.Login("alice", "pass word ")
		var e *pop3client.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, "IN-USE", e.Code)
		require.NoError(t, a.Quit())
		require.NoError(t, b.Login("alice", "pass word "))
		srv.Close()

		srv, m := newServer(t)
		srv.LoginDelay = 10 * time.Second
		dial, _ = serve(t, srv, false)
		taken, err := m.Maildrop(t.Context(), "alice")
		require.NoError(t, err)
		a = client(t, dial())
		require.ErrorContains(t, a.Login("alice", "pass word "), "IN-USE")
		require.NoError(t, taken.Close())
		require.NoError(t, a.Login("alice", "pass word "), "the delay is from +OK (RFC 2449 s6.5)")
		require.NoError(t, a.Quit())
		a = client(t, dial())
		require.ErrorAs(t, a.Login("alice", "pass word "), &e)
		require.Equal(t, "LOGIN-DELAY", e.Code)
		time.Sleep(10 * time.Second)
		require.NoError(t, a.Login("alice", "pass word "))
		srv.Close()
	})
}

// Who has read the answer to QUIT may log in again at once.
func TestQuitLetsGoBeforeItAnswers(t *testing.T) {
	t.Parallel()
	srv, m := newServer(t)
	for _, deleted := range []string{"", "DELE 1\r\n"} {
		c := pop3.NewCore(t.Context(), srv, "")
		defer c.Close()
		c.Feed([]byte("USER alice\r\nPASS pass word \r\n" + deleted))
		_, err := m.Maildrop(t.Context(), "alice")
		require.ErrorIs(t, err, pop3.ErrInUse)
		over, _ := c.Feed([]byte("QUIT\r\n"))
		require.True(t, over)
		require.Contains(t, c.Output(), "+OK bye")
		d, err := m.Maildrop(t.Context(), "alice")
		require.NoError(t, err)
		require.NoError(t, d.Close())
	}
}

// Guessing from one address is stopped; the right password works again later.
func TestGuessing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, _ := newServer(t)
		dial, _ := serve(t, srv, false)
		code := func() string {
			c := client(t, dial())
			defer c.Close()
			for range 2 {
				var e *pop3client.Error
				require.ErrorAs(t, c.Login("alice", "x"), &e)
				if e.Code != "AUTH" {
					return e.Code
				}
			}
			return ""
		}
		for range 15 {
			require.Empty(t, code())
		}
		require.Equal(t, "SYS/TEMP", code())
		c := client(t, dial())
		require.ErrorContains(t, c.Login("alice", "pass word "), "SYS/TEMP")
		c.Close()
		time.Sleep(15 * time.Minute)
		c = client(t, dial())
		require.NoError(t, c.Login("alice", "pass word "))
		srv.Close()
	})
}

func TestTLSOnThePlainPort(t *testing.T) {
	t.Parallel()
	srv, _ := newServer(t)
	srv.TLSConfig = serverTLS
	dial, _ := serve(t, srv, false)
	start := time.Now()
	require.Error(t, tlsClient(dial(), "pop3").Handshake())
	require.Less(t, time.Since(start), 30*time.Second, "hung up at once, not after the timeout")
}

func TestNoSecretsInLogs(t *testing.T) {
	t.Parallel()
	srv, _ := newServer(t)
	var log strings.Builder
	srv.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a, b := memnet.Pipe()
	io.WriteString(a, "USER alice\r\nPASS wr0ng\r\nAUTH PLAIN AGFsaWNlAHdyMG5n\r\nUSER alice\r\nPASS pass word \r\nQUIT\r\n")
	require.NoError(t, srv.ServeConn(t.Context(), b))
	require.Contains(t, log.String(), "authentication failed")
	require.Contains(t, log.String(), "remote=127.0.0.1")
	require.Regexp(t, `msg="logged in" id=\w+ remote=127.0.0.1:\d+ user=alice mechanism=PASS`, log.String(), "as smtp and imap tell it")
	require.Regexp(t, `msg=connected id=\w+ remote=127.0.0.1:\d+ local=127.0.0.1:\d+ proxied=false\n`, log.String())
	require.Regexp(t, `msg=disconnected id=\w+ remote=127.0.0.1:\d+ user=alice\n`, log.String(), "no error where there was none")
	require.Contains(t, log.String(), "mechanism=PLAIN")
	require.NotContains(t, log.String(), "wr0ng")
	require.NotContains(t, log.String(), "pass word")
	require.NotContains(t, log.String(), "AGFs")
}

func TestServerWithoutBackend(t *testing.T) {
	t.Parallel()
	l, err := new(memnet.Network).Listen("tcp", ":110")
	require.NoError(t, err)
	require.ErrorContains(t, new(pop3.Server).Serve(l), "Backend")
	l, err = new(memnet.Network).Listen("tcp", ":110")
	require.NoError(t, err)
	srv, _ := newServer(t)
	require.ErrorContains(t, srv.ServeTLS(l), "TLSConfig")
}

// No octets make the session panic, leak the maildrop, or break the form of
// its replies.
func FuzzSession(f *testing.F) {
	f.Add([]byte("USER alice\r\nPASS pass word \r\nSTAT\r\nLIST\r\nUIDL 1\r\nRETR 1\r\nTOP 3 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n"), 7)
	f.Add([]byte("AUTH PLAIN AGFsaWNlAHBhc3Mgd29yZCA=\r\nDELE 3\r\nQUIT\r\n"), 1)
	f.Add([]byte("AUTH LOGIN\r\nYWxpY2U=\r\n*\r\nCAPA\r\nSTLS\r\nAPOP a b\r\nLANG fr\r\nUTF8\r\n"), 3)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		srv, m := newServer(t)
		srv.Secrets = srv.Auth.(pop3test.Users)
		srv.TLSConfig = serverTLS
		c := pop3.NewCore(t.Context(), srv, apopBanner)
		step = max(1, step%64)
		for p := in; len(p) > 0; {
			n := min(step, len(p))
			over, wantTLS := c.Feed(p[:n])
			p = p[n:]
			if wantTLS {
				c.StartTLS()
			}
			if over {
				break
			}
		}
		for l := range strings.Lines(c.Output()) {
			require.True(t, strings.HasSuffix(l, "\r\n"), "%q", l)
		}
		c.Close()
		for _, who := range []string{"alice", "mrose", "jörg"} {
			d, err := m.Maildrop(t.Context(), who)
			require.NoError(t, err)
			d.Close()
		}
	})
}
