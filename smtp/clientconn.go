package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A Conn is a client's connection, past greeting, EHLO, TLS and authentication. It sends any number of messages, one after
// the other. Its methods may be called concurrently; they wait for each other, and a transaction that Begin gave holds the connection until it ends.
//
// After a failure that leaves the dialog in an unknown state the connection closes itself, and everything else fails with ErrConnUnusable.
type Conn struct {
	d        *Dialer
	timeouts Timeouts
	nc       net.Conn
	raw      net.Conn // the transport under TLS
	host     string
	caps     Capabilities
	tls      TLSInfo
	turn     chan struct{} // holds one token while somebody uses the connection
	closed   atomic.Bool

	parser replyParser
	rbuf   []byte // what was read and not parsed
	rspace []byte
	wbuf   []byte

	dirty bool // a transaction may be open on the server: RSET comes first
	mails int  // transactions so far

	learned int // how many recipients the server took when it refused others as too many; 0: that did not happen

	greeted bool // the server has spoken

	sent bool  // a message began to be sent since the turn began
	dead error // why the connection cannot be used
}

// Capabilities gives what the server offered in its last reply to EHLO.
func (c *Conn) Capabilities() Capabilities { return c.caps.clone() }

// TLS says whether the connection is encrypted.
func (c *Conn) TLS() TLSInfo { return c.tls }

// RemoteAddr gives the address of the server.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// LocalAddr gives the address that the connection was made from.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// Close cuts the connection. It may be called at any time; what is under way fails.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.raw.Close()
}

// Quit says QUIT, waits a short time for the reply, and closes the connection. RFC 5321 s4.1.1.10
func (c *Conn) Quit(ctx context.Context) error {
	defer c.Close()
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	_, err = c.command(ctx, c.timeouts.Quit, "QUIT", "")
	if t, ok := c.nc.(*tls.Conn); ok && err == nil {
		_ = t.CloseWrite() // so that the server can tell this end from a cut
	}
	c.dead = errClosed
	return err
}

// leave ends a dialog that cannot go on, with QUIT where it has begun and the server still listens. RFC 5321 s4.1.1.10
func (c *Conn) leave(ctx context.Context) {
	if c.greeted {
		_ = c.Quit(ctx)
	}
	c.Close()
}

// Reset ends whatever transaction is open. Send does this by itself where it is needed.
func (c *Conn) Reset(ctx context.Context) error { return c.simple(ctx, "RSET") }

// Noop does nothing but show that the connection is alive.
func (c *Conn) Noop(ctx context.Context) error { return c.simple(ctx, "NOOP") }

func (c *Conn) simple(ctx context.Context, verb string) error {
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	r, err := c.command(ctx, c.timeouts.Command, verb, "")
	if err != nil {
		return err
	}
	if err := c.expect(r, 2, verb); err != nil {
		return err
	}
	if verb == "RSET" {
		c.dirty = false
	}
	return nil
}

var errClosed = errors.New("it was closed")

// acquire waits for the connection to be free, and has the context cut it until it is released.
func (c *Conn) acquire(ctx context.Context) (release func(), err error) {
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	stop := c.watch(ctx)
	return func() { stop(); c.unlock() }, nil
}

func (c *Conn) unlock() { <-c.turn }

func (c *Conn) lock(ctx context.Context) (err error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return c.failure(ctx, "", context.Cause(ctx))
	}
	defer func() {
		if err != nil {
			c.unlock()
		}
	}()
	if c.dead == nil && c.closed.Load() {
		c.dead = errClosed
	}
	if c.dead != nil {
		return &Error{Enhanced: EnhancedCode{4, 4, 2}, Err: fmt.Errorf("%w: %w", ErrConnUnusable, c.dead)}
	}
	if ctx.Err() != nil { // nothing was written: the connection stays as it is
		return c.failure(ctx, "", ctx.Err())
	}
	c.sent = false
	return c.quiet()
}

// quiet makes sure that no reply is left over from before. One that nobody asked for would be taken for the answer to the next command, and so on: every
// result from there on would be that of another command.
func (c *Conn) quiet() error {
	if len(c.rbuf) == 0 && !c.parser.partial() {
		return nil
	}
	if len(c.rbuf) > 0 {
		if _, r, done, err := c.parser.next(c.rbuf); done && err == nil && r.Code == 421 { // RFC 5321 s3.8
			return c.kill(r.asError(""))
		}
	}
	return c.kill(&Error{Enhanced: EnhancedCode{4, 5, 0}, Text: "a reply that nothing asked for", Err: ErrBadReply})
}

// watch makes the end of a context break what is being read or written. The function that it gives stops that.
func (c *Conn) watch(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		_ = c.raw.SetDeadline(past)
		close(done)
	})
	return func() {
		if !cancel() {
			<-done // so that the deadline does not fall on what comes next
		}
	}
}

var past = time.Unix(1, 0)

// deadline bounds the next reads and writes.
func (c *Conn) deadline(ctx context.Context, d time.Duration) {
	var t time.Time
	if d > 0 {
		t = time.Now().Add(d)
	}
	_ = c.raw.SetDeadline(t)
	if ctx.Err() != nil { // it may have ended before the deadline was set
		_ = c.raw.SetDeadline(past)
	}
}

// command sends one line and reads its reply. What is in secret is sent behind the line, and shown to nobody.
func (c *Conn) command(ctx context.Context, timeout time.Duration, line, secret string) (Reply, error) {
	return c.commandNamed(ctx, timeout, line, secret, line)
}

// commandNamed is command with another name for errors.
func (c *Conn) commandNamed(ctx context.Context, timeout time.Duration, line, secret, name string) (Reply, error) {
	c.queue(line, secret)
	if err := c.flush(ctx, timeout, name); err != nil {
		return Reply{}, err
	}
	return c.reply(ctx, timeout, name)
}

// queue appends a line to what is to be written.
func (c *Conn) queue(line, secret string) {
	c.wbuf = append(c.wbuf, line...)
	c.wbuf = append(c.wbuf, secret...)
	c.wbuf = append(c.wbuf, '\r', '\n')
	if t := c.d.Trace; t != nil && t.Sent != nil {
		if line == "" {
			line = "*" // a response of SASL
		} else if secret != "" {
			line += " *"
		}
		t.Sent(line)
	}
}

// flush writes what was queued.
func (c *Conn) flush(ctx context.Context, timeout time.Duration, command string) error {
	b := c.wbuf
	c.wbuf = c.wbuf[:0]
	return c.write(ctx, timeout, command, b)
}

// write writes bytes. When the server hung up it looks for a last word: that says more than "broken pipe".
func (c *Conn) write(ctx context.Context, timeout time.Duration, command string, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if c.dead != nil {
		return c.dead
	}
	c.deadline(ctx, timeout)
	_, err := c.nc.Write(b)
	if err == nil {
		return nil
	}
	lost := c.failure(ctx, command, err)
	for range maxInFlight {
		if ctx.Err() != nil || isTimeout(err) {
			break
		}
		r, err := c.reply(ctx, c.timeouts.Quit, command)
		if r.Code == 421 {
			return err
		}
		if err != nil {
			break
		}
		// What refuses while the message is under way refuses the message. Before that it is the reply to an earlier command.
		if c.sent && !r.OK() {
			return c.kill(r.asError(command))
		}
	}
	c.dead = lost
	return c.kill(lost)
}

// reply reads one reply. RFC 5321 s3.8: after 421 the connection is gone; that is an error here, whatever was asked.
func (c *Conn) reply(ctx context.Context, timeout time.Duration, command string) (Reply, error) {
	if c.dead != nil {
		return Reply{}, c.dead
	}
	armed := false
	for {
		if len(c.rbuf) > 0 {
			n, r, done, err := c.parser.next(c.rbuf)
			if err != nil {
				text := ""
				if !c.greeted { // what it is instead shows in its first words, when nothing is secret yet
					text, _, _ = strings.Cut(string(c.rbuf[:min(len(c.rbuf), 60)]), "\n")
					text = strconv.QuoteToASCII(strings.TrimSuffix(text, "\r"))
				}
				return r, c.kill(&Error{Enhanced: EnhancedCode{4, 5, 0}, Command: command, Text: text, Err: err})
			}
			c.rbuf = c.rbuf[n:]
			if done {
				if r.Code == 421 {
					return r, c.kill(r.asError(command))
				}
				return r, nil
			}
		}
		if !armed {
			c.deadline(ctx, timeout)
			armed = true
		}
		n, err := c.nc.Read(c.rspace)
		c.rbuf = c.rspace[:n]
		if n == 0 && err != nil {
			return Reply{}, c.kill(c.failure(ctx, command, err))
		}
	}
}

// expect gives nil for a reply of the class wanted, and the error for one that refuses. Any other reply means that the sides do not speak of the same command any more.
func (c *Conn) expect(r Reply, class int, command string) error {
	switch {
	case r.Code/100 == class:
		return nil
	case r.Code >= 400:
		return r.asError(command)
	}
	if r.Code == 334 {
		r.Text = "" // a challenge
	}
	return c.kill(&Error{Enhanced: EnhancedCode{4, 5, 0}, Command: command, Text: "unexpected reply " + r.String(), Err: ErrBadReply})
}

// kill notes why the connection is of no further use, and closes it.
func (c *Conn) kill(err error) error {
	if c.dead == nil {
		c.dead = err
	}
	c.Close()
	if l := c.d.Logger; l != nil {
		l.Warn("smtp: connection given up", "remote", addrString(c.raw.RemoteAddr()), "error", err)
	}
	return err
}

// inDoubt marks a failure of waiting for the reply to a whole message. A refusal of the server is none, and when writing fails the end of the message did not go out.
func inDoubt(err error) error {
	e, ok := err.(*Error)
	if !ok || e.Code != 0 {
		return err
	}
	doubt := *e
	doubt.Err = fmt.Errorf("%w: %w", ErrMaybeDelivered, e.Err)
	return &doubt
}

// failure makes the error for a conversation that broke: always temporary, with the cause. RFC 3463: X.4.2 is a bad connection.
func (c *Conn) failure(ctx context.Context, command string, err error) *Error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the server hung up in the middle of a dialog
	}
	return &Error{Enhanced: EnhancedCode{4, 4, 2}, Command: command, Err: err}
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

func addrString(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}
