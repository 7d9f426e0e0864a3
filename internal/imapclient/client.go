// Package imapclient is a small, strict IMAP client for tests and programs
// that check servers. It knows nothing of our own server: whatever RFC 9051
// and RFC 3501 do not allow the server to send is an error.
package imapclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Error is a tagged NO or BAD, or a BYE that was not asked for.
type Error struct {
	Command string // its name
	Status  string // NO, BAD or BYE
	Code    Code
	Text    string
}

func (e *Error) Error() string {
	if e.Code.Name != "" {
		return fmt.Sprintf("imapclient: %s: %s [%s] %s", e.Command, e.Status, e.Code.Name, e.Text)
	}
	return fmt.Sprintf("imapclient: %s: %s %s", e.Command, e.Status, e.Text)
}

// Trace is told of every line without CRLF; dir is "C" or "S". Literals are
// not shown, passwords and SASL messages are struck out.
type Trace func(dir, line string)

// Client is a connection. It is not safe for concurrent use.
type Client struct {
	Timeout time.Duration // for each write and each response; default 1 minute

	conn    net.Conn
	p       parser
	trace   Trace
	tls     *tls.ConnectionState
	tags    int
	caps    []string // as last told; nil: unknown
	preauth bool
	bye     bool

	// The selected mailbox, kept by what the server tells.
	selected bool
	exists   uint32
}

// New takes a connection and reads the greeting. When conn is a *tls.Conn the
// handshake is done first. trace may be nil.
func New(ctx context.Context, conn net.Conn, trace Trace) (*Client, error) {
	c := &Client{conn: conn, trace: trace}
	c.p.r = bufio.NewReaderSize(conn, 64<<10)
	if t, ok := conn.(*tls.Conn); ok {
		if err := t.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		state := t.ConnectionState()
		c.tls = &state
	}
	r, err := c.read()
	if err == nil && (r.tag != "*" || r.Name != "OK" && r.Name != "PREAUTH") {
		err = fmt.Errorf("%w: greeting is %s %s", ErrProtocol, r.tag, r.Name)
		if r.Name == "BYE" {
			err = &Error{Command: "greeting", Status: "BYE", Code: r.Code, Text: r.Text}
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	c.preauth = r.Name == "PREAUTH"
	c.learn(r.Code)
	return c, nil
}

// Close closes the connection without LOGOUT.
func (c *Client) Close() error { return c.conn.Close() }

// Exists returns the number of messages in the selected mailbox, as told.
func (c *Client) Exists() uint32 { return c.exists }

func (c *Client) deadline() {
	d := c.Timeout
	if d <= 0 {
		d = time.Minute
	}
	c.conn.SetDeadline(time.Now().Add(d))
}

// Lit is an argument of Cmd that is sent as a synchronizing literal.
type Lit []byte

// Str is an argument of Cmd that is sent as a quoted string, or as a literal
// where it has to be.
type Str string

// Cmd sends a command and reads until it is done. Strings are sent as they
// are; Lit and Str as strings of the protocol. Nothing is put between. The
// error is an *Error when the server answers with NO or BAD; the Reply is
// there all the same.
func (c *Client) Cmd(parts ...any) (*Reply, error) {
	c.tags++
	tag := "a" + strconv.Itoa(c.tags)
	name := commandName(parts)
	reply := &Reply{}
	buf := []byte(tag + " ")
	shown := tag + " "
	for _, part := range parts {
		lit, isLit := part.(Lit)
		switch v := part.(type) {
		case string:
			buf = append(buf, v...)
			shown += v
			continue
		case Str:
			if quotable(string(v)) {
				q := Value{Kind: Quoted, Text: string(v)}.String()
				buf = append(buf, q...)
				shown += q
				continue
			}
			lit = Lit(v)
		default:
			if !isLit {
				return nil, fmt.Errorf("imapclient: argument of type %T", part)
			}
		}
		n := fmt.Sprintf("{%d}", len(lit))
		shown += n
		buf = append(buf, n+"\r\n"...)
		if err := c.write(buf, ""); err != nil {
			return nil, err
		}
		r, err := c.until(tag, name, reply)
		if err != nil {
			return nil, err
		}
		if r.tag == tag { // refused
			return c.finish(name, r, reply)
		}
		buf = append(buf[:0], lit...)
	}
	if err := c.write(append(buf, "\r\n"...), shown); err != nil {
		return nil, err
	}
	r, err := c.until(tag, name, reply)
	if err != nil {
		return nil, err
	}
	if r.tag == "+" {
		return nil, fmt.Errorf("%w: %s: continuation request that nothing calls for", ErrProtocol, name)
	}
	return c.finish(name, r, reply)
}

func commandName(parts []any) string {
	if len(parts) == 0 {
		return ""
	}
	s, _ := parts[0].(string)
	name, rest, _ := strings.Cut(s, " ")
	name = strings.ToUpper(name)
	if name == "UID" {
		second, _, _ := strings.Cut(rest, " ")
		name += " " + strings.ToUpper(second)
	}
	return name
}

func quotable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) < 1000
}

// write sends; shown is what a trace sees of it, but for secrets.
func (c *Client) write(p []byte, shown string) error {
	if c.trace != nil && shown != "" {
		f := strings.SplitN(shown, " ", 3)
		if len(f) == 3 && (strings.EqualFold(f[1], "LOGIN") || strings.EqualFold(f[1], "AUTHENTICATE")) {
			shown = f[0] + " " + f[1] + " ***"
		}
		c.trace("C", shown)
	}
	c.deadline()
	_, err := c.conn.Write(p)
	return err
}

func (c *Client) read() (raw, error) {
	c.deadline()
	r, err := c.p.response()
	if c.trace != nil && c.p.text.Len() > 0 {
		line := strings.TrimRight(c.p.text.String(), "\r\n")
		if r.tag == "+" {
			line = "+ ..."
		}
		c.trace("S", line)
	}
	return r, err
}

// until reads untagged responses up to the tagged one, or a continuation
// request.
func (c *Client) until(tag, command string, reply *Reply) (raw, error) {
	for {
		r, err := c.read()
		if err != nil {
			return r, fmt.Errorf("imapclient: %s: %w", command, err)
		}
		switch r.tag {
		case tag:
			if r.Name != "OK" && r.Name != "NO" && r.Name != "BAD" {
				return r, fmt.Errorf("%w: tagged %s", ErrProtocol, r.Name)
			}
			return r, nil
		case "+":
			return r, nil
		case "*":
			if err := c.untagged(command, r.Untagged); err != nil {
				return r, err
			}
			reply.Untagged = append(reply.Untagged, r.Untagged)
		default:
			return r, fmt.Errorf("%w: tag %q, waiting for %q", ErrProtocol, r.tag, tag)
		}
	}
}

// untagged checks a response against what the server told before.
func (c *Client) untagged(command string, u Untagged) error {
	wrong := func(why string) error {
		return fmt.Errorf("%w: %s during %s: %s", ErrProtocol, u.Name, command, why)
	}
	switch u.Name {
	case "BYE":
		c.bye = true
		if command != "LOGOUT" {
			return &Error{Command: command, Status: "BYE", Code: u.Code, Text: u.Text}
		}
	case "EXISTS":
		if len(u.Values) > 0 {
			return wrong("with arguments")
		}
		if c.selected && u.Number < c.exists {
			return wrong(fmt.Sprintf("%d after %d without EXPUNGE", u.Number, c.exists)) // RFC 9051 s7.4.1
		}
		c.exists = u.Number
	case "EXPUNGE":
		switch command { // RFC 9051 s7.5.1
		case "FETCH", "STORE", "SEARCH", "SORT", "THREAD":
			return wrong("not allowed")
		}
		if u.Number < 1 || u.Number > c.exists {
			return wrong(fmt.Sprintf("message %d of %d", u.Number, c.exists))
		}
		c.exists--
	case "FETCH":
		if u.Number < 1 || u.Number > c.exists {
			return wrong(fmt.Sprintf("message %d of %d", u.Number, c.exists))
		}
		if len(u.Values) != 1 || u.Values[0].Kind != List || len(u.Values[0].List)%2 != 0 {
			return wrong("not one list of pairs")
		}
	case "VANISHED":
		return c.vanished(u, wrong)
	case "CAPABILITY":
		c.caps = Value{List: u.Values}.Strings()
	case "OK", "NO", "BAD":
		c.learn(u.Code)
	}
	return nil
}

// vanished: RFC 7162 s3.2.10; (EARLIER) does not change the numbers.
func (c *Client) vanished(u Untagged, wrong func(string) error) error {
	if len(u.Values) == 2 && u.Values[0].Kind == List {
		return nil
	}
	if len(u.Values) != 1 {
		return wrong("arguments")
	}
	uids, err := expand(u.Values[0].Text)
	if err != nil || uint32(len(uids)) > c.exists {
		return wrong(u.Values[0].Text)
	}
	c.exists -= uint32(len(uids))
	return nil
}

// learn takes capabilities from a response code.
func (c *Client) learn(code Code) {
	if code.Name == "CAPABILITY" {
		c.caps = Value{List: code.Args}.Strings()
	}
}

func (c *Client) finish(command string, r raw, reply *Reply) (*Reply, error) {
	c.learn(r.Code)
	reply.Status, reply.Code, reply.Text = r.Name, r.Code, r.Text
	if r.Name != "OK" {
		return reply, &Error{Command: command, Status: r.Name, Code: r.Code, Text: r.Text}
	}
	if command == "CLOSE" || command == "UNSELECT" {
		c.selected, c.exists = false, 0
	}
	return reply, nil
}

// Capabilities returns what the server offers now.
func (c *Client) Capabilities() ([]string, error) {
	if c.caps == nil {
		r, err := c.Cmd("CAPABILITY")
		if err != nil {
			return nil, err
		}
		if len(r.Named("CAPABILITY")) != 1 {
			return nil, fmt.Errorf("%w: CAPABILITY without its response", ErrProtocol)
		}
	}
	return c.caps, nil
}

// Logout ends the session, and checks that the server says BYE.
func (c *Client) Logout() error {
	defer c.conn.Close()
	if _, err := c.Cmd("LOGOUT"); err != nil {
		return err
	}
	if !c.bye {
		return fmt.Errorf("%w: LOGOUT without BYE", ErrProtocol)
	}
	return nil
}
