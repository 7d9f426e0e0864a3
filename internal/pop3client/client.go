// Package pop3client is a small, strict POP3 client for tests and programs
// that check servers. It knows nothing of our own server: whatever RFC 1939,
// 2449, 2595 and 5034 do not allow the server to send is an error.
package pop3client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Error is a negative reply.
type Error struct {
	Command string // verb
	Code    string // response code without brackets; may be empty
	Text    string
}

func (e *Error) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("pop3client: %s: [%s] %s", e.Command, e.Code, e.Text)
	}
	return fmt.Sprintf("pop3client: %s: %s", e.Command, e.Text)
}

// ErrProtocol is wrapped by the errors that report what no server may send.
var ErrProtocol = errors.New("pop3client: protocol violation")

// Trace is told of every line without CRLF; dir is "C" or "S". Passwords and
// SASL messages are struck out, and messages are not shown.
type Trace func(dir, line string)

// Client is a connection. It is not safe for concurrent use.
type Client struct {
	Timeout time.Duration // for each read and write; default 1 minute

	conn     net.Conn
	r        *bufio.Reader
	trace    Trace
	tls      *tls.ConnectionState
	greeting string
}

// New takes a connection and reads the greeting. When conn is a *tls.Conn the
// handshake is done first. trace may be nil.
func New(ctx context.Context, conn net.Conn, trace Trace) (*Client, error) {
	c := &Client{conn: conn, r: bufio.NewReaderSize(conn, 64<<10), trace: trace}
	if t, ok := conn.(*tls.Conn); ok {
		if err := t.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		state := t.ConnectionState()
		c.tls = &state
	}
	if d, ok := ctx.Deadline(); ok {
		conn.SetDeadline(d)
	}
	var err error
	if c.greeting, err = c.reply("greeting"); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Greeting returns the text of the greeting.
func (c *Client) Greeting() string { return c.greeting }

// Close closes the connection without QUIT.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) deadline() {
	d := c.Timeout
	if d <= 0 {
		d = time.Minute
	}
	c.conn.SetDeadline(time.Now().Add(d))
}

// Cmd sends a command line and returns the text of the positive reply.
func (c *Client) Cmd(line string) (string, error) {
	if err := c.Send(line); err != nil {
		return "", err
	}
	return c.Reply(line)
}

// Send sends command lines at once, without waiting for replies; call Reply
// or Lines for each.
func (c *Client) Send(lines ...string) error {
	var b bytes.Buffer
	for _, l := range lines {
		if strings.ContainsAny(l, "\r\n") {
			return errors.New("pop3client: command with a line break")
		}
		c.traced("C", l)
		b.WriteString(l + "\r\n")
	}
	c.deadline()
	_, err := c.conn.Write(b.Bytes())
	return err
}

// Reply reads a reply of one line. command is for the error.
func (c *Client) Reply(command string) (string, error) {
	c.deadline()
	return c.reply(command)
}

// maxReply bounds what a server can make us keep.
const maxReply = 256 << 20

// Lines reads the lines of a multi-line reply, after Reply, up to the single
// dot. It returns their octets with CRLF and without dot-stuffing.
func (c *Client) Lines() ([]byte, error) {
	var out []byte
	for {
		c.deadline()
		l, err := c.line()
		if err != nil {
			return nil, err
		}
		if l[0] == '.' {
			if len(l) == 3 {
				return out, nil
			}
			if l[1] != '.' {
				return nil, fmt.Errorf("%w: line begins with a single dot: %q", ErrProtocol, clip(l))
			}
			l = l[1:]
		}
		if len(out)+len(l) > maxReply {
			return nil, fmt.Errorf("%w: reply is longer than %d octets", ErrProtocol, maxReply)
		}
		out = append(out, l...)
	}
}

// line reads a line with its CRLF, valid until the next read.
func (c *Client) line() ([]byte, error) {
	l, err := c.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) { // messages may have lines of any length
		long := bytes.Clone(l)
		for errors.Is(err, bufio.ErrBufferFull) && len(long) <= maxReply {
			l, err = c.r.ReadSlice('\n')
			long = append(long, l...)
		}
		l = long
	}
	if err != nil {
		return nil, err
	}
	if len(l) < 2 || l[len(l)-2] != '\r' || bytes.IndexByte(l[:len(l)-2], '\r') >= 0 {
		return nil, fmt.Errorf("%w: CR or LF outside a CRLF: %q", ErrProtocol, clip(l))
	}
	return l, nil
}

func (c *Client) reply(command string) (string, error) {
	command, _, _ = strings.Cut(command, " ")
	l, err := c.line()
	if err != nil {
		return "", fmt.Errorf("pop3client: %s: %w", command, err)
	}
	c.traced("S", string(l[:len(l)-2]))
	if len(l) > 512 { // RFC 1939 s3
		return "", fmt.Errorf("%w: reply of %d octets to %s", ErrProtocol, len(l), command)
	}
	status, text, _ := strings.Cut(string(l[:len(l)-2]), " ")
	switch status {
	case "+OK":
		return text, nil
	case "-ERR":
		e := &Error{Command: command, Text: text}
		if rest, ok := strings.CutPrefix(text, "["); ok {
			e.Code, e.Text, ok = strings.Cut(rest, "]")
			if !ok {
				return "", fmt.Errorf("%w: response code without an end: %q", ErrProtocol, clip(l))
			}
			e.Text = strings.TrimPrefix(e.Text, " ")
		}
		return "", e
	case "+":
		return text, errChallenge
	}
	return "", fmt.Errorf("%w: reply to %s is %q", ErrProtocol, command, clip(l))
}

var errChallenge = fmt.Errorf("%w: challenge outside AUTH", ErrProtocol)

// Capa returns the capabilities with their arguments.
func (c *Client) Capa() (map[string][]string, error) {
	text, err := c.multi("CAPA")
	if err != nil {
		return nil, err
	}
	caps := make(map[string][]string)
	for l := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(l, "\r\n"), " ")
		for _, s := range f {
			if s == "" {
				return nil, fmt.Errorf("%w: capability line %q", ErrProtocol, l)
			}
		}
		if _, twice := caps[f[0]]; twice {
			return nil, fmt.Errorf("%w: capability %s twice", ErrProtocol, f[0])
		}
		caps[f[0]] = f[1:]
	}
	return caps, nil
}

func (c *Client) multi(command string) (string, error) {
	if _, err := c.Cmd(command); err != nil {
		return "", err
	}
	lines, err := c.Lines()
	return string(lines), err
}

// Stat returns the number of messages and their octets.
func (c *Client) Stat() (messages int, octets int64, err error) {
	text, err := c.Cmd("STAT")
	if err != nil {
		return 0, 0, err
	}
	n, o, ok := numbers(text)
	if !ok {
		return 0, 0, fmt.Errorf("%w: STAT gives %q", ErrProtocol, text)
	}
	return int(n), o, nil
}

// List returns the sizes by message number.
func (c *Client) List() (map[int]int64, error) {
	text, err := c.multi("LIST")
	if err != nil {
		return nil, err
	}
	sizes := make(map[int]int64)
	last := int64(0)
	for l := range strings.Lines(text) {
		n, size, ok := numbers(strings.TrimSuffix(l, "\r\n"))
		if !ok || n <= last {
			return nil, fmt.Errorf("%w: LIST line %q", ErrProtocol, l)
		}
		sizes[int(n)], last = size, n
	}
	return sizes, nil
}

// UIDL returns the unique identifiers by message number.
func (c *Client) UIDL() (map[int]string, error) {
	text, err := c.multi("UIDL")
	if err != nil {
		return nil, err
	}
	uids := make(map[int]string)
	seen := make(map[string]bool)
	for l := range strings.Lines(text) {
		number, uid, _ := strings.Cut(strings.TrimSuffix(l, "\r\n"), " ")
		n, err := strconv.Atoi(number)
		bad := strings.ContainsFunc(uid, func(r rune) bool { return r < '!' || r > '~' })
		if err != nil || n < 1 || len(uid) < 1 || len(uid) > 70 || bad || seen[uid] {
			return nil, fmt.Errorf("%w: UIDL line %q", ErrProtocol, l)
		}
		uids[n], seen[uid] = uid, true
	}
	return uids, nil
}

// Retr returns a message.
func (c *Client) Retr(n int) ([]byte, error) {
	if _, err := c.Cmd(fmt.Sprintf("RETR %d", n)); err != nil {
		return nil, err
	}
	return c.Lines()
}

// Top returns the header of a message and lines of its body.
func (c *Client) Top(n, lines int) ([]byte, error) {
	if _, err := c.Cmd(fmt.Sprintf("TOP %d %d", n, lines)); err != nil {
		return nil, err
	}
	return c.Lines()
}

// Dele marks a message as deleted.
func (c *Client) Dele(n int) error {
	_, err := c.Cmd(fmt.Sprintf("DELE %d", n))
	return err
}

// Quit commits deletions and closes the connection.
func (c *Client) Quit() error {
	_, err := c.Cmd("QUIT")
	return errors.Join(err, c.conn.Close())
}

func numbers(text string) (a, b int64, ok bool) {
	f := strings.Split(text, " ")
	if len(f) != 2 {
		return 0, 0, false
	}
	a, err := strconv.ParseInt(f[0], 10, 63)
	b, err2 := strconv.ParseInt(f[1], 10, 63)
	return a, b, err == nil && err2 == nil && a >= 0 && b >= 0
}

func (c *Client) traced(dir, line string) {
	if c.trace == nil {
		return
	}
	verb, arg, _ := strings.Cut(line, " ")
	switch {
	case dir == "S":
	case strings.EqualFold(verb, "PASS"):
		line = "PASS ***"
	case strings.EqualFold(verb, "APOP"):
		line = "APOP ***"
	case strings.EqualFold(verb, "AUTH") && strings.Contains(arg, " "):
		mechanism, _, _ := strings.Cut(arg, " ")
		line = "AUTH " + mechanism + " ***"
	case !known[strings.ToUpper(verb)]: // a response within AUTH
		line = "***"
	}
	c.trace(dir, line)
}

var known = map[string]bool{
	"USER": true, "AUTH": true, "STLS": true, "CAPA": true, "STAT": true, "LIST": true, "UIDL": true, "RETR": true, "TOP": true,
	"DELE": true, "NOOP": true, "RSET": true, "QUIT": true, "UTF8": true, "LANG": true,
}

func clip(p []byte) []byte { return p[:min(len(p), 80)] }
