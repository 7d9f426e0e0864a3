package pop3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/gomailroom/mailroom/internal/proxyproto"
	"github.com/gomailroom/mailroom/internal/sasl"
)

var past = time.Unix(1, 0)

// conn carries octets between a connection and its session.
type conn struct {
	srv    *Server
	cfg    *settings
	raw    net.Conn // what was accepted
	rw     net.Conn // raw, or TLS on it
	cancel context.CancelFunc
	remote netip.Addr
	s      *session

	private bool // a proxy ended the client's TLS
}

// ServeConn serves one connection until it ends, and closes it. When c is a
// *tls.Conn the handshake is done here. The error says why the connection
// ended; nil after QUIT, or when the client hung up between commands.
func (s *Server) ServeConn(ctx context.Context, c net.Conn) error {
	defer c.Close()
	cfg, err := s.prepare()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	k := &conn{srv: s, cfg: cfg, raw: c, rw: c, cancel: cancel, remote: address(c.RemoteAddr())}
	if h, err := proxyproto.Accept(c, s.ProxyFrom); err != nil {
		cfg.log.Warn("no PROXY header", "proxy", k.remote, "error", err)
		return err
	} else if h != nil {
		k.private = h.TLS != nil
		if h.Source.IsValid() {
			k.remote = h.Source.Addr()
		}
	}
	if e := s.add(k); e != nil {
		c.SetDeadline(time.Now().Add(time.Second))
		io.WriteString(c, "-ERR "+e.reply()+"\r\n")
		return e
	}
	defer s.remove(k)
	err = k.serve(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// Write gives out what the session has gathered.
func (k *conn) Write(p []byte) (int, error) {
	k.rw.SetWriteDeadline(time.Now().Add(k.cfg.limits.Write))
	return k.rw.Write(p)
}

func (k *conn) serve(ctx context.Context) error {
	k.s = newSession(ctx, k.cfg, sasl.Channel{Remote: k.remote, Private: k.private})
	k.s.log = k.cfg.log.With("remote", k.remote)
	k.s.out.w = k
	defer k.s.close()
	deadline := time.Now().Add(k.cfg.limits.Login)
	if c, ok := k.raw.(*tls.Conn); ok {
		if err := k.handshake(ctx, c, deadline); err != nil {
			return err
		}
	}
	k.s.greet()
	for {
		lines := k.s.lines
		switch k.s.run() {
		case hangUp:
			k.release()
			k.finish()
			return k.s.out.err
		case startTLS:
			k.s.out.flush()
			k.s.dropPlaintext()
			if err := k.handshake(ctx, tls.Server(k.raw, k.cfg.tls), deadline); err != nil {
				return err
			}
			continue
		}
		k.release()
		if k.s.out.err != nil {
			return k.s.out.err
		}
		if k.s.state != authorization && (lines != k.s.lines || lines == 0) {
			deadline = time.Now().Add(k.cfg.limits.Idle) // only whole commands count
		}
		if err := k.read(deadline); err != nil {
			if err == io.EOF && k.s.in.Len() == 0 {
				return nil
			}
			return err
		}
	}
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

// read waits for input.
func (k *conn) read(deadline time.Time) error {
	for {
		k.rw.SetReadDeadline(deadline)
		if k.srv.draining.Load() && k.s.state == authorization {
			k.s.fail(errShutdown)
			k.release()
			return ErrServerClosed
		}
		n, err := k.rw.Read(k.s.in.Space(4096))
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

func (k *conn) handshake(ctx context.Context, c *tls.Conn, deadline time.Time) error {
	c.SetDeadline(deadline)
	if err := c.HandshakeContext(ctx); err != nil {
		k.s.log.Info("TLS handshake failed", "error", err)
		return err
	}
	k.rw = c
	state := c.ConnectionState()
	k.s.tlsStarted(&state)
	return nil
}

// add counts a connection in, or says why not.
func (s *Server) add(k *conn) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errShutdown
	}
	if len(s.conns) >= k.cfg.limits.Connections || s.addresses[k.remote] >= k.cfg.limits.PerAddress {
		return errTooMany
	}
	if s.conns == nil {
		s.conns = make(map[*conn]struct{})
		s.addresses = make(map[netip.Addr]int)
	}
	s.conns[k] = struct{}{}
	s.addresses[k.remote]++
	return nil
}

func (s *Server) remove(k *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, k)
	if s.addresses[k.remote]--; s.addresses[k.remote] == 0 {
		delete(s.addresses, k.remote)
	}
	if len(s.conns) == 0 && s.gone != nil {
		select {
		case <-s.gone:
		default:
			close(s.gone)
		}
	}
}

// address takes the IP address from a net.Addr; the zero one when it has none.
func address(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
