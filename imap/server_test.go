package imap_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
	"github.com/gomailroom/mailroom/internal/memnet"
)

// passwords lets in whoever has "secret".
type passwords struct{}

func (passwords) VerifyPassword(_ context.Context, _ netip.Addr, _, username, password string) (string, error) {
	if username == "busy" {
		return "", temporary{}
	}
	if password != "secret" {
		return "", errors.New("wrong password")
	}
	return username, nil
}

type temporary struct{}

func (temporary) Error() string   { return "directory is down" }
func (temporary) Temporary() bool { return true }

func newServer(t testing.TB) *imap.Server {
	t.Helper()
	store := &memstore.Store{}
	require.NoError(t, store.CreateAccount(context.Background(), "alice", mailstore.Limits{}))
	return &imap.Server{Backend: store, Auth: passwords{}, InsecureAuth: true, Limits: imap.Limits{FailDelay: -1}}
}

// A client speaks IMAP by hand.
type client struct {
	t    testing.TB
	c    net.Conn
	r    *bufio.Reader
	n    int
	done chan error // what ServeConn gave
}

func newClient(t testing.TB, conn net.Conn) *client {
	return &client{t: t, c: conn, r: bufio.NewReader(conn), done: make(chan error, 1)}
}

func connect(t testing.TB, srv *imap.Server) *client {
	t.Helper()
	a, b := memnet.Pipe()
	c := newClient(t, a)
	go func() { c.done <- srv.ServeConn(context.Background(), b) }()
	t.Cleanup(func() { a.Close() })
	return c
}

// login greets, logs in and selects.
func login(t testing.TB, srv *imap.Server) *client {
	t.Helper()
	c := connect(t, srv)
	require.Contains(t, c.line(), "* OK [CAPABILITY IMAP4rev1 ")
	c.ok("LOGIN alice secret")
	return c
}

func selectInbox(t testing.TB, srv *imap.Server) *client {
	t.Helper()
	c := login(t, srv)
	c.ok("SELECT INBOX")
	return c
}

func (c *client) send(s string) {
	c.t.Helper()
	_, err := io.WriteString(c.c, s)
	require.NoError(c.t, err)
}

// line reads a line, with the literals in it.
func (c *client) line() string {
	c.t.Helper()
	s, err := c.readLine()
	require.NoError(c.t, err)
	return s
}

func (c *client) readLine() (string, error) {
	var b strings.Builder
	for {
		l, err := c.r.ReadString('\n')
		if err != nil {
			return b.String() + l, err
		}
		l = strings.TrimSuffix(l, "\r\n")
		b.WriteString(l)
		if !strings.HasSuffix(l, "}") {
			return b.String(), nil
		}
		n, err := strconv.Atoi(l[strings.LastIndexByte(l, '{')+1 : len(l)-1])
		if err != nil {
			return b.String(), nil
		}
		b.WriteString("\r\n")
		if _, err := io.CopyN(&b, c.r, int64(n)); err != nil {
			return b.String(), err
		}
	}
}

// cmd sends a command and gives the untagged responses and how it ended, without its tag.
func (c *client) cmd(format string, args ...any) (untagged []string, end string) {
	c.t.Helper()
	c.n++
	tag := fmt.Sprintf("t%d", c.n)
	c.send(tag + " " + fmt.Sprintf(format, args...) + "\r\n")
	return c.rest(tag)
}

func (c *client) rest(tag string) (untagged []string, end string) {
	c.t.Helper()
	for {
		l := c.line()
		if end, ok := strings.CutPrefix(l, tag+" "); ok {
			return untagged, end
		}
		untagged = append(untagged, l)
	}
}

func (c *client) ok(format string, args ...any) []string {
	c.t.Helper()
	untagged, end := c.cmd(format, args...)
	require.True(c.t, strings.HasPrefix(end, "OK"), "%.1000q: %s", fmt.Sprintf(format, args...), end)
	return untagged
}

func (c *client) fails(want, format string, args ...any) {
	c.t.Helper()
	_, end := c.cmd(format, args...)
	require.True(c.t, strings.HasPrefix(end, want), "%s: %s", fmt.Sprintf(format, args...), end)
}

// append adds a message with LITERAL+.
func (c *client) append(mailbox, args, message string) string {
	c.t.Helper()
	if args != "" {
		args += " "
	}
	_, end := c.cmd("APPEND %s %s{%d+}\r\n%s", mailbox, args, len(message), message)
	require.True(c.t, strings.HasPrefix(end, "OK"), end)
	return end
}

// closed waits for the end of the connection.
func (c *client) closed() error {
	c.t.Helper()
	_, err := c.readLine()
	require.ErrorIs(c.t, err, io.EOF)
	c.c.Close()
	return <-c.done
}

const hello = "From: A <a@example.org>\r\nTo: b@example.org\r\nSubject: hello\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n" +
	"Message-ID: <1@example.org>\r\n\r\nHi there\r\n"

func TestSession(t *testing.T) {
	t.Parallel()
	c := selectInbox(t, newServer(t))
	require.Regexp(t, `^OK \[APPENDUID \d+ 1\]`, c.append("INBOX", `(\Flagged hot) "07-Feb-1994 21:52:25 -0800"`, hello))
	u := c.ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY[TEXT]<1.3>)")
	require.Equal(t, []string{`* 1 FETCH (FLAGS (\Flagged \Seen hot) INTERNALDATE " 7-Feb-1994 21:52:25 -0800" RFC822.SIZE 139 ` +
		`ENVELOPE ("Mon, 7 Feb 1994 21:52:25 -0800" "hello" (("A" NIL "a" "example.org")) (("A" NIL "a" "example.org")) ` +
		`(("A" NIL "a" "example.org")) ((NIL NIL "b" "example.org")) NIL NIL NIL "<1@example.org>") ` +
		`BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 10 1 NIL NIL NIL NIL) BODY[TEXT]<1> {3}` + "\r\ni t)"}, u)
	require.Equal(t, []string{"* SEARCH 1"}, c.ok("SEARCH SUBJECT HELLO"))
	require.Equal(t, []string{"* SEARCH 1"}, c.ok("UID SEARCH UID 1:*"))
	require.Equal(t, []string{`* 1 FETCH (UID 1 FLAGS (\Flagged \Deleted \Seen hot))`}, c.ok(`STORE 1 +FLAGS (\Deleted)`))
	require.Equal(t, []string{"* 1 EXPUNGE"}, c.ok("EXPUNGE"))
	u, end := c.cmd("LOGOUT")
	require.Equal(t, "OK LOGOUT completed", end)
	require.Equal(t, []string{"* BYE Good-bye"}, u)
	require.NoError(t, c.closed())
}
