package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// buffers are what a connection that is not idle holds: room to read and room for replies.
type buffers struct {
	in  [smallBuffer]byte
	out [1 << 10]byte
}

var (
	bufferPool = sync.Pool{New: func() any { return new(buffers) }}
	largePool  = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// acquire gets buffers, if there are none.
func (x *session) acquire() {
	if x.held == nil {
		x.held = bufferPool.Get().(*buffers)
		x.m.in.move(x.held.in[:])
		x.m.out = append(x.held.out[:0], x.m.out...)
	}
}

// release gives the buffers back. What was pending is lost.
func (x *session) release() {
	x.m.in = input{}
	x.m.out = nil
	if x.held != nil {
		bufferPool.Put(x.held)
		x.held = nil
	}
	x.shrink()
}

// enlarge goes over to a large buffer, for messages and long lines; shrink goes back.
func (x *session) enlarge() {
	if x.large == nil {
		x.large = largePool.Get().(*[largeBuffer]byte)
		x.m.in.move(x.large[:])
	}
}

func (x *session) shrink() {
	if x.large == nil || len(x.m.in.pending()) > smallBuffer/2 {
		return
	}
	if x.held != nil {
		x.m.in.move(x.held.in[:])
	}
	largePool.Put(x.large)
	x.large = nil
}

// fillCommand sends the replies and reads more of the next command, whose line has CommandTimeout to arrive whole.
func (x *session) fillCommand() error {
	now := time.Now()
	if err := x.flush(now); err != nil {
		return err
	}
	if x.lineFrom.IsZero() || x.line != x.m.lineCount {
		x.line, x.lineFrom = x.m.lineCount, now
	}
	var deadline time.Time
	d := x.m.limits.CommandTimeout
	if x.m.rejected && (d < 0 || d > rejectedFor) {
		d = rejectedFor
	}
	if d >= 0 {
		deadline = x.lineFrom.Add(d)
		if l := &x.m.limits; x.m.state == stateDiscard && l.MinRate > 0 { // a refused chunk may take its time as others may
			deadline = deadline.Add(time.Duration(x.m.content.size/l.MinRate) * time.Second)
		}
	}
	if len(x.m.in.space()) == 0 {
		x.enlarge()
	}
	if len(x.m.in.pending()) > 0 {
		return x.read(x.m.in.space(), now, deadline)
	}
	x.shrink()
	first := now.Add(idleAfter)
	if !deadline.IsZero() && deadline.Before(first) {
		return x.read(x.m.in.space(), now, deadline)
	}
	if err := x.readUntil(x.m.in.space(), now, first, time.Time{}); !errors.Is(err, errIdle) {
		return err
	}
	// Silent: wait with a few octets of room instead of the buffers.
	x.release()
	x.m.in = input{buf: x.small[:]}
	err := x.read(x.small[:], time.Now(), deadline)
	x.acquire()
	return err
}

var errIdle = errors.New("idle")

// read is readUntil with a deadline that is final.
func (x *session) read(space []byte, now, deadline time.Time) error {
	return x.readUntil(space, now, deadline, deadline)
}

// readUntil reads into the machine's input. At the deadline it gives errIdle, or, when that is the final one, says 421 and gives an
// error. It also ends the session when the server shuts down and the client is not within a transaction.
func (x *session) readUntil(space []byte, now, deadline, final time.Time) error {
	// To move a deadline costs a timer. One that comes a little later than now and not later than it should is left standing, for most reads
	// to be over before it; for the others it is moved then.
	if x.readBy.Before(now.Add(idleAfter/2)) || !deadline.IsZero() && x.readBy.After(deadline) {
		x.setReadDeadline(deadline)
	}
	for {
		if x.srv.group.Stopping() && !x.busy() { // set before Shutdown wakes us by the deadline, see there
			x.m.close(replyShutdown)
			return ErrServerClosed
		}
		n, err := x.conn.Read(space)
		x.m.in.added(n)
		if n > 0 {
			return nil
		}
		switch {
		case err == nil:
			continue
		case !isDeadline(err):
			return x.lost(err)
		case deadline.IsZero() || time.Now().Before(deadline): // woken by Shutdown, or by the deadline that was left
			x.setReadDeadline(deadline)
			continue
		case final.IsZero():
			return errIdle
		}
		x.m.close(replyTimeout) // RFC 5321 s4.5.3.2
		return fmt.Errorf("smtp: waiting for the client: %w", err)
	}
}

func (x *session) setReadDeadline(t time.Time) {
	x.raw.SetReadDeadline(t)
	x.readBy = t
}

// lost is the error for a connection that ended.
func (x *session) lost(err error) error {
	if x.base.Err() != nil {
		return x.base.Err()
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("smtp: connection lost: %w", err)
}

// flush sends the replies, for which the client has WriteTimeout from now, or up to an eighth less.
func (x *session) flush(now time.Time) error {
	if len(x.m.out) == 0 {
		return nil
	}
	x.m.trace.reply(x.peer, x.m.out)
	if d := x.m.limits.WriteTimeout; d >= 0 && x.writeBy.Before(now.Add(d-d/8)) {
		x.writeBy = now.Add(d)
		x.raw.SetWriteDeadline(x.writeBy)
	}
	_, err := x.conn.Write(x.m.out)
	if x.m.out = x.m.out[:0]; err != nil {
		x.m.state = stateClosed
		return fmt.Errorf("smtp: sending replies: %w", err)
	}
	return nil
}

// bye lets the last reply arrive where the server ends the session: closing a connection whose input was not read would make the kernel
// throw the reply away.
func (x *session) bye() {
	if t, ok := x.conn.(*tls.Conn); ok && t.ConnectionState().HandshakeComplete {
		t.CloseWrite() // close_notify, so that the end cannot be taken for a cut (RFC 8446 s6.1)
	}
	c, ok := x.raw.(interface{ CloseWrite() error })
	if !ok || x.m.cut == nil {
		return
	}
	c.CloseWrite()
	x.raw.SetReadDeadline(time.Now().Add(lingerFor))
	for n := 0; n < lingerOctets; {
		k, err := x.raw.Read(x.small[:])
		if n += k; err != nil {
			return
		}
	}
}

const (
	rejectedFor  = 10 * time.Second // to say QUIT, for a client that was turned away
	lingerFor    = time.Second
	lingerOctets = 256 << 10
)

// startTLS does what STARTTLS asks for.
func (x *session) startTLS() error {
	x.m.answer(nil)
	if err := x.flush(time.Now()); err != nil {
		return err
	}
	return x.handshake(tls.Server(x.raw, x.srv.TLSConfig))
}

func (x *session) handshake(c *tls.Conn) error {
	var deadline time.Time // else that of the command would stay
	if d := x.m.limits.HandshakeTimeout; d >= 0 {
		deadline = time.Now().Add(d)
	}
	x.raw.SetDeadline(deadline)
	if x.srv.group.Stopping() { // as in readUntil
		x.m.state = stateClosed
		return ErrServerClosed
	}
	if err := c.HandshakeContext(x.base); err != nil {
		x.m.out = x.m.out[:0] // there is nobody to read it
		x.m.state = stateClosed
		if x.srv.group.Stopping() {
			return ErrServerClosed
		}
		return fmt.Errorf("smtp: TLS handshake: %w", err)
	}
	x.raw.SetDeadline(time.Time{})
	x.readBy, x.writeBy = time.Time{}, time.Time{}
	x.conn = c
	state := c.ConnectionState()
	p := *x.peer
	p.TLS, p.Hello, p.Extended, p.Identity, p.Mechanism = &state, "", false, "", ""
	x.peer, x.proxyTLS = &p, false
	x.m.secured()
	x.findMechanisms()
	return nil
}
