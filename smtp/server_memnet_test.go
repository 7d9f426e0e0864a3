package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/memnet"
)

// wire is a client that sees every octet.
type wire struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	done chan error // what ServeConn returned
}

// serve begins a session on srv. The handler is a recorder unless one is set.
func serve(t testing.TB, srv *Server) *wire {
	t.Helper()
	if srv.Handler == nil {
		srv.Handler = &recorder{}
	}
	srv.Hostname = "mx.example.org"
	client, server := memnet.Pipe()
	w := &wire{t: t, conn: client, r: bufio.NewReader(client), done: make(chan error, 1)}
	go func() { w.done <- srv.ServeConn(context.Background(), server) }()
	t.Cleanup(func() { client.Close() })
	return w
}

func (w *wire) send(s string) {
	w.t.Helper()
	_, err := io.WriteString(w.conn, s)
	require.NoError(w.t, err)
}

// reply reads one reply and checks how its last line begins.
func (w *wire) reply(want string) string {
	w.t.Helper()
	var all strings.Builder
	for {
		line, err := w.r.ReadString('\n')
		require.NoError(w.t, err, "want %q after %q", want, all.String())
		all.WriteString(line)
		if len(line) > 3 && line[3] == ' ' {
			require.True(w.t, strings.HasPrefix(line, want), "want %q, got %q", want, all.String())
			return all.String()
		}
	}
}

// ask sends a line and reads its reply.
func (w *wire) ask(line, want string) string {
	w.t.Helper()
	w.send(line + "\r\n")
	return w.reply(want)
}

// closed checks that the server sends nothing more and closes.
func (w *wire) closed() error {
	w.t.Helper()
	rest, err := io.ReadAll(w.r)
	require.NoError(w.t, err)
	require.Empty(w.t, string(rest))
	w.conn.Close()
	return <-w.done
}

// hello gets as far as EHLO; mail as far as an accepted recipient.
func (w *wire) hello() *wire {
	w.t.Helper()
	w.reply("220 ")
	w.ask("EHLO client.example", "250 ")
	return w
}

func (w *wire) mail() *wire {
	w.t.Helper()
	w.ask("MAIL FROM:<a@example.org>", "250 2.1.0")
	w.ask("RCPT TO:<b@example.org>", "250 2.1.5")
	return w
}

// startTLS changes to TLS after the reply to STARTTLS.
func (w *wire) startTLS(cfg *tls.Config) *tls.Conn {
	w.t.Helper()
	require.Zero(w.t, w.r.Buffered())
	c := tls.Client(w.conn, cfg)
	require.NoError(w.t, c.Handshake())
	w.conn, w.r = c, bufio.NewReader(c)
	return c
}

func (w *wire) quit() {
	w.t.Helper()
	w.ask("QUIT", "221 ")
	require.NoError(w.t, w.closed())
}

// within fails the test when f takes longer on the (fake) clock than it may, or less.
func within(t testing.TB, least, most time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	took := time.Since(start)
	require.GreaterOrEqual(t, took, least)
	require.LessOrEqual(t, took, most)
}
