package pop3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/internal/conns"
	"github.com/gomailroom/mailroom/internal/sasl"
)

// NeverExpires is the ExpireDays of a server that keeps messages for ever.
const NeverExpires = -1

// A Server serves maildrops to POP3 clients. Only Backend has to be set, and
// one of the fields that tell who comes in. The fields must not
// change once it serves. Its methods may be called concurrently.
type Server struct {
	Backend Backend       // required
	Auth    Authenticator // USER and PASS, AUTH PLAIN and LOGIN; nil: not offered
	SCRAM   SCRAMKeys     // AUTH SCRAM-SHA-256 and SCRAM-SHA-256-PLUS; nil: not offered

	SCRAMHashes  []string     // those that SCRAM has keys for, the best first; default SHA-256
	NoBinding    bool         // leave SCRAM-...-PLUS out, for programs that choose it and then cannot do it (mutt 2.2)
	Tokens       Tokens       // AUTH OAUTHBEARER and XOAUTH2; nil: not offered
	Certificates Certificates // AUTH EXTERNAL; nil: not offered
	Secrets      Secrets      // APOP and AUTH CRAM-MD5; nil: not offered

	// ProxyFrom lists peers that begin each connection with a PROXY header,
	// version 1 or 2, to tell whom they connect for; without one they are cut
	// off. From others such a header is a bad command.
	ProxyFrom []netip.Prefix

	TLSConfig    *tls.Config // offers STLS, and is what ServeTLS uses; nil: neither
	InsecureAuth bool        // take plaintext passwords without TLS too

	Hostname       string        // in challenges; default os.Hostname
	Implementation string        // what CAPA tells of the server; default nothing
	ExpireDays     int           // days that messages are kept, or NeverExpires; default: nothing is told
	LoginDelay     time.Duration // least time between logins of an account; default none

	Limits Limits       // zero fields have defaults
	Logger *slog.Logger // nil: silent. Secrets are never logged
	Trace  *ServerTrace // nil: none

	setup    sync.Once
	settings settings
	setupErr error

	group conns.Group
}

// settings are the server's fields with defaults, shared by its sessions.
type settings struct {
	backend        Backend
	sasl           sasl.Config
	tls            *tls.Config
	certificate    *x509.Certificate
	hostname       string
	implementation string
	expireDays     int
	loginDelay     time.Duration
	limits         Limits
	log            *slog.Logger
	trace          *ServerTrace
	stopping       func() bool
	delays         delays
	blocks         sync.Pool // *[blockSize]byte
	outputs        sync.Pool // *[outputSize]byte
}

func (c *settings) getBlock() []byte {
	if b, ok := c.blocks.Get().(*[blockSize]byte); ok {
		return b[:]
	}
	return make([]byte, blockSize)
}

func (c *settings) getOutput() []byte {
	if b, ok := c.outputs.Get().(*[outputSize]byte); ok {
		return b[:0]
	}
	return make([]byte, 0, outputSize)
}

func (c *settings) delaySeconds() int {
	return int((c.loginDelay + time.Second - 1) / time.Second)
}

func (s *Server) prepare() (*settings, error) {
	s.setup.Do(func() {
		c := &s.settings
		if s.Backend == nil {
			s.setupErr = errors.New("pop3: Server.Backend is not set")
			return
		}
		c.backend = s.Backend
		if c.hostname = s.Hostname; c.hostname == "" {
			c.hostname, _ = os.Hostname()
		}
		if c.hostname == "" || strings.ContainsFunc(c.hostname, func(r rune) bool { return r <= ' ' || r > '~' || r == '<' || r == '>' }) {
			c.hostname = "localhost"
		}
		c.implementation = strings.Map(func(r rune) rune {
			if r < '!' || r > '~' {
				return '-'
			}
			return r
		}, s.Implementation)
		c.expireDays, c.loginDelay = s.ExpireDays, s.LoginDelay
		c.limits = s.Limits.withDefaults()
		if s.Auth != nil {
			c.sasl.VerifyPassword = s.Auth.VerifyPassword
		}
		if s.SCRAM != nil {
			c.sasl.SCRAM, c.sasl.SCRAMHashes, c.sasl.NoBinding = s.SCRAM.SCRAMKeys, s.SCRAMHashes, s.NoBinding
		}
		if s.Tokens != nil {
			c.sasl.Bearer = s.Tokens.VerifyToken
		}
		if s.Certificates != nil {
			c.sasl.External = s.Certificates.VerifyCertificate
		}
		if s.Secrets != nil {
			c.sasl.Secret = s.Secrets.Secret
		}
		c.sasl.Hostname, c.sasl.AllowPlaintext = c.hostname, s.InsecureAuth
		c.sasl.Limiter = &sasl.Limiter{PerAddress: c.limits.AddressFailures, PerAccount: c.limits.AccountFailures}
		c.sasl.FailDelay = c.limits.FailDelay
		if s.TLSConfig != nil {
			c.tls = s.TLSConfig.Clone()
			if len(c.tls.NextProtos) == 0 {
				// Clients that name another protocol are turned away in the
				// handshake (RFC 7301).
				c.tls.NextProtos = []string{"pop3"}
			}
			c.certificate = sasl.ServerCertificate(s.TLSConfig)
		}
		if c.log = s.Logger; c.log == nil {
			c.log = slog.New(slog.DiscardHandler)
		}
		if c.trace = s.Trace; c.trace == nil {
			c.trace = &ServerTrace{}
		}
		g := &s.group
		g.Closed, g.Logger, g.ProxyFrom = ErrServerClosed, c.log, s.ProxyFrom
		g.Connections, g.PerAddress = c.limits.Connections, c.limits.PerAddress
		c.stopping = g.Stopping
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
		err = errors.New("pop3: ServeTLS needs Server.TLSConfig")
	}
	if err != nil {
		l.Close()
		return err
	}
	return s.Serve(tls.NewListener(l, cfg.tls))
}

// Shutdown stops listening, and ends every session after the command that it is at, with -ERR [SYS/TEMP]. One that has marked messages may
// go on to its QUIT. It returns nil when all are gone, or with the error of ctx, and then Close may cut the rest.
func (s *Server) Shutdown(ctx context.Context) error { return s.group.Shutdown(ctx) }

// Close stops listening and cuts all connections; what they had marked as deleted stays. It does not wait for backends, whose context ends.
func (s *Server) Close() error {
	s.group.Close()
	return nil
}
