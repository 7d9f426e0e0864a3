package imap

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomailroom/mailroom/internal/sasl"
)

// A Server serves accounts to IMAP clients. Only Backend has to be set, and Auth or SCRAM for anybody to come in. The fields must not change once it serves.
type Server struct {
	Backend Backend       // required
	Auth    Authenticator // passwords: LOGIN, and SASL PLAIN and LOGIN; nil: none of them is offered
	SCRAM   SCRAMKeys     // SASL SCRAM-SHA-256 and SCRAM-SHA-256-PLUS; nil: not offered

	SCRAMHashes  []string     // those that SCRAM has keys for, the best first; default SHA-256
	NoBinding    bool         // leave SCRAM-...-PLUS out, for programs that choose it and then cannot do it (mutt 2.2)
	Tokens       Tokens       // SASL OAUTHBEARER and XOAUTH2; nil: not offered
	Certificates Certificates // SASL EXTERNAL; nil: not offered
	Secrets      Secrets      // SASL CRAM-MD5; nil: not offered

	// ProxyFrom lists peers that begin each connection with a PROXY header, version 1 or 2, to tell whom they connect for; without one they are cut off.
	ProxyFrom []netip.Prefix

	// TLSConfig makes STARTTLS be offered, and is what ServeTLS uses. Without TLS no password is taken: LOGINDISABLED.
	TLSConfig *tls.Config
	// InsecureAuth takes passwords without TLS too: for tests, and behind something that ends TLS.
	InsecureAuth bool

	ID     map[string]string // what the ID command answers (RFC 2971); nil: {"name": "mailroom"}; empty: NIL
	Limits Limits            // zero fields take their defaults
	Logger *slog.Logger      // nil: silent
	Trace  *ServerTrace      // nil: none

	saslOnce   sync.Once
	saslConfig sasl.Config

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	closed    atomic.Bool
	idle      chan struct{} // closed when the last session has ended after Shutdown
}

// Serve accepts connections until the listener fails or the server is shut down, and then gives [ErrServerClosed]. It closes the listener.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, false) }

// ServeTLS is Serve with TLS from the first octet, as on port 993 (RFC 8314). It needs TLSConfig.
func (s *Server) ServeTLS(l net.Listener) error {
	if s.TLSConfig == nil {
		l.Close()
		return errors.New("imap: ServeTLS needs Server.TLSConfig")
	}
	return s.serve(l, true)
}

func (s *Server) serve(l net.Listener, implicitTLS bool) error {
	defer l.Close()
	if !s.track(l) {
		return ErrServerClosed
	}
	defer s.untrack(l)
	var wait time.Duration
	for {
		c, err := l.Accept()
		if err != nil {
			if s.closed.Load() {
				return ErrServerClosed
			}
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() || isTemporary(err) { // out of file descriptors, say
				wait = min(max(2*wait, 5*time.Millisecond), time.Second)
				s.logger().Warn("accept failed, trying again", "error", err, "wait", wait)
				time.Sleep(wait)
				continue
			}
			return err
		}
		wait = 0
		if implicitTLS {
			c = tls.Server(c, s.TLSConfig)
		}
		go s.ServeConn(context.Background(), c)
	}
}

// ServeConn serves one connection and closes it. A *tls.Conn counts as TLS from the start. The end of ctx ends the session with BYE. The error says why the connection ended; it is nil after LOGOUT, after the
// client has gone between commands, and after a shutdown.
func (s *Server) ServeConn(ctx context.Context, c net.Conn) error {
	defer c.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ses := newSession(s, c, cancel)
	if !s.add(ses) {
		ses.out.line("* BYE [UNAVAILABLE] Too many connections, or going down")
		ses.out.flush()
		return ErrServerClosed
	}
	defer s.remove(ses)
	stop := context.AfterFunc(ctx, ses.interrupt)
	defer stop()
	return ses.run(ctx)
}

// Shutdown stops listening and ends each session with BYE after the command that it is at. It returns when all have ended, or, with what is left cut, when ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed.Store(true)
	for l := range s.listeners {
		l.Close()
	}
	open := make([]*session, 0, len(s.sessions))
	for ses := range s.sessions {
		open = append(open, ses)
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
		if len(open) == 0 {
			close(s.idle)
		}
	}
	idle := s.idle
	s.mu.Unlock()
	for _, ses := range open {
		ses.interrupt()
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		s.cut()
		return ctx.Err()
	}
}

// Close stops listening and cuts all connections.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed.Store(true)
	for l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()
	s.cut()
	return nil
}

func (s *Server) cut() {
	s.mu.Lock()
	open := make([]*session, 0, len(s.sessions))
	for ses := range s.sessions {
		open = append(open, ses)
	}
	s.mu.Unlock()
	for _, ses := range open {
		ses.cancel()
		ses.raw.Close()
	}
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return false
	}
	if s.listeners == nil {
		s.listeners = map[net.Listener]struct{}{}
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) add(ses *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() || ses.limits.Connections > 0 && len(s.sessions) >= ses.limits.Connections {
		return false
	}
	if s.sessions == nil {
		s.sessions = map[*session]struct{}{}
	}
	s.sessions[ses] = struct{}{}
	return true
}

func (s *Server) remove(ses *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ses)
	if len(s.sessions) == 0 && s.idle != nil {
		close(s.idle)
	}
}

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

func (s *Server) trace() *ServerTrace {
	if s.Trace == nil {
		return &ServerTrace{}
	}
	return s.Trace
}

// remoteAddr gives the peer's address, or the zero Addr where it has none.
func remoteAddr(c net.Conn) netip.Addr {
	if a := c.RemoteAddr(); a != nil {
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			return ap.Addr().Unmap()
		}
	}
	return netip.Addr{}
}
