package pop3

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/gomailroom/mailroom/internal/conns"
	"github.com/gomailroom/mailroom/internal/sasl"
)

// conn carries octets between a connection and its session.
type conn struct {
	*conns.Conn
	cfg   *settings
	rw    net.Conn // the connection, or TLS on it
	s     *session
	login time.Time // when the time to log in is over
}

// ServeConn serves one connection until it ends, and closes it. It is for connections that did not come from a listener. When c is a
// *tls.Conn the handshake is done here. The end of ctx cuts the session, as Close does. The error says why the connection
// ended: nil after QUIT, or when the client hung up between commands, and ErrServerClosed after Shutdown or Close.
func (s *Server) ServeConn(ctx context.Context, c net.Conn) (err error) {
	cfg, err := s.prepare()
	if err != nil {
		c.Close()
		return err
	}
	link, err := s.group.Open(ctx, c)
	if err != nil {
		return refuse(c, err)
	}
	peer := Peer{ID: rand.Text()[:13], Remote: link.Remote, Local: link.Local}
	channel := sasl.Channel{Remote: link.Remote.Addr()}
	if h := link.Proxy; h != nil && h.TLS != nil {
		peer.TLS, channel.Private = h.TLS, true
	}
	k := &conn{Conn: link, cfg: cfg, rw: c, login: time.Now().Add(cfg.limits.LoginTimeout)}
	k.s = newSession(link.Context, cfg, peer, channel)
	k.s.out.w = k
	defer k.end(&err)
	return k.serve()
}

// refuse tells a client why it is not let in, and gives the error for it.
func refuse(c net.Conn, err error) error {
	reply := errShutdown
	switch err {
	case ErrServerClosed:
	case conns.ErrTooMany:
		reply, err = errTooMany, errTooMany
	case conns.ErrTooManyFrom:
		reply, err = errTooManyFrom, errTooManyFrom
	default: // before anything is known of the peer there is nobody to speak to
		c.Close()
		return err
	}
	conns.Refuse(c, "-ERR "+reply.reply()+"\r\n")
	return err
}

// end is deferred by ServeConn. A backend that panics costs its own connection only.
func (k *conn) end(err *error) {
	defer k.End()
	if r := recover(); r != nil {
		k.s.log(slog.LevelError, "backend panicked", "panic", r, "stack", string(debug.Stack()))
		*err = fmt.Errorf("pop3: backend panicked: %v", r)
	}
	k.s.closeQuietly()
	if *err = k.Err(*err); *err == nil {
		k.s.log(slog.LevelInfo, "disconnected")
	} else {
		k.s.log(slog.LevelInfo, "disconnected", "error", *err)
	}
	if t := k.cfg.trace.Disconnected; t != nil {
		t(k.s.snapshot(), *err)
	}
}

func (k *conn) serve() error {
	k.s.log(slog.LevelInfo, "connected", "local", k.Local, "proxied", k.Proxy != nil)
	if c, ok := k.rw.(*tls.Conn); ok {
		if err := k.handshake(c); err != nil {
			return err
		}
	}
	if t := k.cfg.trace.Connected; t != nil {
		t(k.s.snapshot())
	}
	k.s.greet()
	deadline := k.login
	for {
		lines := k.s.lines
		switch k.s.run() {
		case hangUp:
			k.release()
			k.finish()
			return errors.Join(k.s.out.err, k.s.why)
		case startTLS:
			k.s.out.flush()
			if err := k.handshake(tls.Server(k.Conn.Conn, k.cfg.tls)); err != nil {
				return err
			}
			continue
		}
		k.release()
		if k.s.out.err != nil {
			return k.s.out.err
		}
		if k.s.state != authorization && (lines != k.s.lines || lines == 0) {
			deadline = time.Now().Add(k.cfg.limits.CommandTimeout) // only whole commands count
		}
		if err := k.read(deadline); err != nil {
			if err == io.EOF && k.s.in.Len() == 0 {
				return nil
			} else if err == io.EOF {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

// Write gives out what the session has gathered.
func (k *conn) Write(p []byte) (int, error) {
	k.rw.SetWriteDeadline(time.Now().Add(k.cfg.limits.WriteTimeout))
	return k.rw.Write(p)
}

// release writes what is left to write, and gives back the large buffers.
func (k *conn) release() {
	s := k.s
	s.out.flush()
	if cap(s.out.buf) == outputSize {
		k.cfg.outputs.Put((*[outputSize]byte)(s.out.buf[:outputSize]))
	}
	s.out.buf = nil
	if s.block != nil {
		k.cfg.blocks.Put((*[blockSize]byte)(s.block))
		s.block = nil
	}
}

// readSize is how much is read at a time. It is what an idle connection holds, and room for a command line.
const readSize = 512

// read waits for input, or until the session has to end because the server does.
func (k *conn) read(deadline time.Time) error {
	for {
		k.rw.SetReadDeadline(deadline)
		if k.s.stopped() {
			return nil
		}
		n, err := k.rw.Read(k.s.in.Space(readSize))
		k.s.in.Commit(n)
		switch {
		case n > 0:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline): // woken by Shutdown
		case err != nil:
			return err
		}
	}
}

// finish lets the client have the last reply: closing with input unread would
// reset the connection, and the reply with it.
func (k *conn) finish() {
	if k.s.out.err != nil {
		return
	}
	if c, ok := k.rw.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		return
	}
	k.rw.SetReadDeadline(time.Now().Add(time.Second))
	for range 64 {
		if _, err := k.rw.Read(k.s.in.Space(4096)); err != nil {
			return
		}
	}
}

func (k *conn) handshake(c *tls.Conn) error {
	deadline := time.Now().Add(k.cfg.limits.HandshakeTimeout)
	if k.login.Before(deadline) {
		deadline = k.login
	}
	c.SetDeadline(deadline)
	if k.cfg.stopping() { // as in read
		return ErrServerClosed
	}
	if err := c.HandshakeContext(k.Context); err != nil {
		if k.cfg.stopping() {
			return ErrServerClosed
		}
		return fmt.Errorf("pop3: TLS handshake: %w", err)
	}
	k.rw = c
	state := c.ConnectionState()
	k.s.tlsStarted(&state)
	return nil
}
