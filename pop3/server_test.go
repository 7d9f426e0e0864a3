package pop3_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/netip"
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
