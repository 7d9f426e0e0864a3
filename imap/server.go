package imap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/gomailroom/mailroom/internal/conns"
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

	setup    sync.Once
	settings settings
	setupErr error

	group conns.Group
}

// settings are the server's fields with defaults, shared by its sessions.
type settings struct {
	limits      Limits
	sasl        sasl.Config
	tls         *tls.Config
	certificate *x509.Certificate
	log         *slog.Logger
	trace       *ServerTrace
}

func (s *Server) prepare() (*settings, error) {
	s.setup.Do(func() {
		c := &s.settings
		if s.Backend == nil {
			s.setupErr = errors.New("imap: Server.Backend is not set")
			return
		}
		c.limits = s.Limits.withDefaults()
		if c.log = s.Logger; c.log == nil {
			c.log = slog.New(slog.DiscardHandler)
		}
		if c.trace = s.Trace; c.trace == nil {
			c.trace = &ServerTrace{}
		}
		if s.TLSConfig != nil {
			c.tls = s.TLSConfig.Clone()
			if len(c.tls.NextProtos) == 0 {
				c.tls.NextProtos = []string{"imap"} // clients that name another protocol are turned away in the handshake (RFC 7301)
			}
			c.certificate = sasl.ServerCertificate(s.TLSConfig)
		}
		c.prepareAuth(s)
		g := &s.group
		g.Closed, g.Logger, g.ProxyFrom = ErrServerClosed, c.log, s.ProxyFrom
		g.Connections, g.PerAddress = c.limits.Connections, c.limits.PerAddress
	})
	return &s.settings, s.setupErr
}

// Serve accepts connections from l until Shutdown or Close, then returns [ErrServerClosed]. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if _, err := s.prepare(); err != nil {
		l.Close()
		return err
	}
	return s.group.Serve(l, func(c net.Conn) { s.ServeConn(context.Background(), c) })
}

// ServeTLS is Serve for implicit TLS (RFC 8314), with TLSConfig.
func (s *Server) ServeTLS(l net.Listener) error {
	cfg, err := s.prepare()
	if err == nil && cfg.tls == nil {
		err = errors.New("imap: ServeTLS needs Server.TLSConfig")
	}
	if err != nil {
		l.Close()
		return err
	}
	return s.Serve(tls.NewListener(l, cfg.tls))
}

// ServeConn serves one connection until it ends, and closes it. It is for connections that did not come from a listener. When c is a *tls.Conn the handshake is done here. The end of ctx cuts the session, as Close does. The
// error says why the connection ended: nil after LOGOUT, or when the client left between commands, and ErrServerClosed after Shutdown or Close.
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
	ses := newSession(s, cfg, link)
	defer ses.end(&err)
	return ses.run()
}

// refuse tells a client why it is not let in, and gives the error for it.
func refuse(c net.Conn, err error) error {
	reply := &Error{Status: StatusBye, Code: "UNAVAILABLE", Text: "The server is going down"}
	switch err {
	case ErrServerClosed:
	case conns.ErrTooMany:
		reply.Text, err = "Too many connections", reply
	case conns.ErrTooManyFrom:
		reply.Code, reply.Text, err = "LIMIT", "Too many connections from your address", reply
	default: // before anything is known of the peer there is nobody to speak to
		c.Close()
		return err
	}
	conns.Refuse(c, "* BYE ["+reply.Code+"] "+reply.Text+"\r\n")
	return err
}

// Shutdown stops listening, and ends each session with BYE after the command that it is at. It returns nil when all are gone, or with the error of ctx, and then Close may cut the rest.
func (s *Server) Shutdown(ctx context.Context) error { return s.group.Shutdown(ctx) }

// Close stops listening and cuts all connections. It does not wait for backends, whose context ends.
func (s *Server) Close() error {
	s.group.Close()
	return nil
}
