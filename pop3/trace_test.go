package pop3_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/pop3"
	"github.com/gomailroom/mailroom/pop3/pop3test"
)

func TestTrace(t *testing.T) {
	t.Parallel()
	srv, _ := newServer(t)
	srv.Secrets = srv.Auth.(pop3test.Users)
	var b strings.Builder
	srv.Trace = &pop3.ServerTrace{
		Connected: func(p *pop3.Peer) { fmt.Fprintln(&b, "connected", p.Remote, p.Local, len(p.ID)) },
		Authenticated: func(p *pop3.Peer, a pop3.AuthInfo) {
			fmt.Fprintln(&b, "authenticated", p.Remote.Addr(), a.Mechanism, a.Username, a.Identity, a.Err)
		},
		Command: func(p *pop3.Peer, line string) { fmt.Fprintf(&b, "C: %s\n", line) },
		Reply: func(p *pop3.Peer, line string) {
			if strings.HasPrefix(line, "+OK POP3 server ready <") {
				line = "+OK POP3 server ready"
			}
			fmt.Fprintf(&b, "S: %s\n", line)
		},
		Disconnected: func(p *pop3.Peer, err error) { fmt.Fprintln(&b, "disconnected", p.Identity, p.Mechanism, err) },
	}
	client, server := memnet.Pipe()
	io.WriteString(client, "USER alice\r\nPASS wr0ng\r\npass\twr0ng\r\n  PASS wr0ng\r\nAPOP alice wr0ng\r\nAUTH NTLM\r\nd3IwbmcK\r\n\r\nUSER x\r\nxyzzy 1\r\nAUTH LOGIN\r\nYWxpY2U=\r\n*\r\n"+
		"AUTH PLAIN AGFsaWNlAHBhc3Mgd29yZCA=\r\nRETR 1\r\nLIST\r\nDELE 9\r\nPASS wr0ng\r\nQUIT\r\n")
	client.(*memnet.Conn).CloseWrite()
	require.NoError(t, srv.ServeConn(t.Context(), server))
	require.Equal(t, strings.Split(`connected 127.0.0.1:49152 127.0.0.1:49153 13
S: +OK POP3 server ready
C: USER alice
S: +OK send PASS
C: PASS ***
authenticated 127.0.0.1 PASS alice  sasl: authentication failed
S: -ERR [AUTH] wrong name or password
C: pass ***
S: -ERR unknown command
C: PASS ***
S: -ERR unknown command
C: APOP alice ***
authenticated 127.0.0.1 APOP alice  sasl: authentication failed
S: -ERR [AUTH] wrong name or password
C: AUTH NTLM
S: -ERR mechanism not offered
C: ***
S: -ERR unknown command
C: ***
S: -ERR unknown command
C: USER x
S: +OK send PASS
C: xyzzy 1
S: -ERR unknown command
C: AUTH LOGIN
S: + ***
C: ***
S: + ***
C: ***
S: -ERR authentication canceled
C: AUTH PLAIN ***
authenticated 127.0.0.1 PLAIN alice alice <nil>
S: +OK 3 97
C: RETR 1
S: +OK 44 octets
C: LIST
S: +OK 3 97
C: DELE 9
S: -ERR no such message
C: PASS ***
S: -ERR command not allowed now
C: QUIT
S: +OK bye
disconnected alice PLAIN <nil>
`, "\n"), strings.Split(b.String(), "\n"))
}

// The reasons for which a server ends a session are told: to the client by a reply, to the caller and the trace by an error.
func TestWhySessionsEnd(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"QUIT\r\n":                  "",
		"NOOP\r\n":                  "",
		"NOO":                       "unexpected EOF",
		strings.Repeat("X\r\n", 30): "too many bad commands",
		strings.Repeat("USER a\r\nPASS b\r\n", 10): "too many failed authentications",
		"GET / HTTP/1.1\r\n":                       "another protocol",
		"\x16\x03\x01":                             "another protocol",
	} {
		srv, _ := newServer(t)
		var told error
		srv.Trace = &pop3.ServerTrace{Disconnected: func(_ *pop3.Peer, err error) { told = err }}
		client, server := memnet.Pipe()
		io.WriteString(client, in)
		client.(*memnet.Conn).CloseWrite()
		err := srv.ServeConn(t.Context(), server)
		require.Equal(t, err, told, "%q", in)
		if want == "" {
			require.NoError(t, err, "%q", in)
		} else {
			require.ErrorContains(t, err, want, "%q", in)
		}
	}
}

// A backend that panics takes its own session down, and nothing else.
func TestPanic(t *testing.T) {
	t.Parallel()
	for name, backend := range map[string]panicking{"open": {at: "Open"}, "close": {at: "Close"}, "both": {at: "Open Close"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, m := newServer(t)
			backend.Backend = m
			srv.Backend = backend
			var log strings.Builder
			srv.Logger = logTo(&log)
			client, server := memnet.Pipe()
			io.WriteString(client, "USER alice\r\nPASS pass word \r\nRETR 1\r\n")
			client.(*memnet.Conn).CloseWrite()
			err := srv.ServeConn(t.Context(), server)
			if strings.Contains(backend.at, "Open") {
				require.ErrorContains(t, err, "pop3: backend panicked: Open")
			}
			require.Contains(t, log.String(), "backend panicked")
			require.Contains(t, log.String(), "trace_test.go", "where it was")
			require.NoError(t, srv.Shutdown(t.Context()), "it is counted out")
		})
	}
}

type panicking struct {
	pop3.Backend
	at string
}

func (b panicking) Maildrop(ctx context.Context, identity string) (pop3.Maildrop, error) {
	d, err := b.Backend.Maildrop(ctx, identity)
	return panickingMaildrop{d, b.at}, err
}

type panickingMaildrop struct {
	pop3.Maildrop
	at string
}

func (d panickingMaildrop) Open(ctx context.Context, uid string) (io.ReadCloser, error) {
	if strings.Contains(d.at, "Open") {
		panic("Open")
	}
	return d.Maildrop.Open(ctx, uid)
}

func (d panickingMaildrop) Close() error {
	d.Maildrop.Close()
	if strings.Contains(d.at, "Close") {
		panic("Close")
	}
	return nil
}

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// What a backend says cannot become more than one line, nor a response code that it did not mean.
func TestReplyOfBackend(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*pop3.Error{
		"-ERR [SYS/PERM] on tape??+OK":     {Code: "SYS/PERM", Text: "on tape\r\n+OK"},
		"-ERR [A??+OK B?] x":               {Code: "A\r\n+OK B]", Text: "x"},
		"-ERR  [AUTH] no code":             {Text: "[AUTH] no code"},
		"-ERR " + strings.Repeat("x", 400): {Text: strings.Repeat("x", 1000)},
	} {
		srv, _ := newServer(t)
		srv.Backend = pop3.BackendFunc(func(context.Context, string) (pop3.Maildrop, error) { return nil, fmt.Errorf("wrapped: %w", e) })
		c := pop3.NewCore(t.Context(), srv, "")
		c.Feed([]byte("USER alice\r\nPASS pass word \r\n"))
		require.Equal(t, "+OK POP3 server ready\r\n+OK send PASS\r\n"+want+"\r\n", c.Output())
	}
}
