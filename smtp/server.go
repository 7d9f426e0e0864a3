package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/internal/conns"
	"github.com/gomailroom/mailroom/internal/sasl"
)

// Mode is what a [Server] is for.
type Mode uint8

const (
	Transfer   Mode = iota // takes mail for its domains from anyone (RFC 5321)
	Submission             // takes mail from users: what concerns mail gets 530 before AUTH (RFC 6409 s4.3)
	LMTP                   // LHLO, and a reply for each recipient (RFC 2033)
)

// LinePolicy is what happens to messages with bare CR, bare LF or NUL (RFC 5321 s2.3.8, s4.1.1.4). Under every policy a
// message ends at CRLF.CRLF and nothing else, so that no peer can hide a second message inside one.
type LinePolicy uint8

const (
	LinesReject    LinePolicy = iota // the whole message is read, then refused with 554 5.6.0
	LinesNormalize                   // bare CR and bare LF become CRLF, NUL is dropped
	LinesKeep                        // the handler gets what came; it must not pass it on to others as it is
)

// A Server takes mail by SMTP, as a submission server, or by LMTP. Its zero value but for Handler is a safe server.
// The fields must not change once it serves. Its methods may be called concurrently.
type Server struct {
	Handler  Handler // required
	Hostname string  // in the greeting and the answer to EHLO; default os.Hostname
	Mode     Mode

	TLSConfig  *tls.Config // offers STARTTLS, and is what ServeTLS uses; nil: neither
	RequireTLS bool        // what concerns mail gets 530 5.7.0 before TLS: MAIL, RCPT, DATA, BDAT, VRFY, EXPN (RFC 3207 s4)

	Auth         Authenticator // AUTH PLAIN and LOGIN; nil: not offered
	SCRAM        SCRAMKeys     // AUTH SCRAM-SHA-256 and SCRAM-SHA-256-PLUS; nil: not offered
	SCRAMHashes  []string      // those that SCRAM has keys for, the best first; default SHA-256
	NoBinding    bool          // leave SCRAM-...-PLUS out, for programs that choose it and then cannot do it (mutt 2.2)
	Tokens       Tokens        // AUTH OAUTHBEARER and XOAUTH2; nil: not offered
	Certificates Certificates  // AUTH EXTERNAL; nil: not offered
	Secrets      Secrets       // AUTH CRAM-MD5; nil: not offered
	InsecureAuth bool          // AUTH without TLS too; otherwise it gets 538

	Verify func(ctx context.Context, p *Peer, name string) ([]Mailbox, error) // VRFY; nil: 252
	Expand func(ctx context.Context, p *Peer, name string) ([]Mailbox, error) // EXPN; nil: 502

	// Offer adds extensions to those that are always offered; each is a promise of the handler, that gets the parameters:
	// ExtBinaryMIME, ExtRequireTLS, ExtPriority, ExtDeliverBy, ExtFutureRelease, ExtRRVS. Withhold takes others away.
	Offer, Withhold Extensions

	// ProxyFrom lists peers that begin each connection with a PROXY header, version 1 or 2, to tell whom they connect for; without one they are cut off.
	// When the header says that the proxy ended the client's TLS, the session counts as one with TLS. XClientFrom lists peers that may say the same
	// with the command XCLIENT. From all others both are errors.
	ProxyFrom, XClientFrom []netip.Prefix

	// GreetingDelay is how long the greeting waits. A client that speaks before has [Peer].Early set when Connect is called; most that do are no mail servers. RFC 5321 s4.3.1. Default: no wait.
	GreetingDelay time.Duration

	Lines  LinePolicy   // bare CR, bare LF and NUL in messages; default LinesReject
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
	hostname    string
	mode        Mode
	offer       Extensions
	lines       LinePolicy
	limits      Limits
	canTLS      bool
	requireTLS  bool
	requireAuth bool
	canAuth     bool
	plainAuth   bool // AUTH without TLS
	canVerify   bool
	canExpand   bool
	sasl        sasl.Config
	log         *slog.Logger
	trace       *ServerTrace
}

func (s *Server) prepare() (*settings, error) {
	s.setup.Do(func() {
		c := &s.settings
		if s.Handler == nil {
			s.setupErr = errors.New("smtp: Server.Handler is not set")
			return
		}
		if c.hostname = s.Hostname; c.hostname == "" {
			c.hostname, _ = os.Hostname()
		}
		if !validHello([]byte(c.hostname)) {
			c.hostname = "localhost"
		}
		c.mode, c.lines, c.limits = s.Mode, s.Lines, s.Limits.withDefaults()
		c.limits.LineLength = min(c.limits.LineLength, largeBuffer/2)
		if c.limits.LineLength < 0 {
			c.limits.LineLength = largeBuffer / 2
		}
		c.canTLS, c.requireTLS = s.TLSConfig != nil, s.RequireTLS
		c.prepareAuth(s)
		c.requireAuth = s.Mode == Submission
		c.canVerify, c.canExpand = s.Verify != nil, s.Expand != nil
		c.offer = (extDefault | s.Offer) &^ s.Withhold
		if !c.offer.Has(Ext8BitMIME) {
			c.offer &^= ExtSMTPUTF8 // RFC 6531 s3.1
		}
		if !c.offer.Has(ExtChunking) {
			c.offer &^= ExtBinaryMIME // RFC 3030 s3
		}
		if !c.canTLS {
			c.offer &^= ExtStartTLS
		}
		if !c.canAuth {
			c.offer &^= ExtAuth
		}
		if !c.canVerify {
			c.offer &^= ExtVerify
		}
		if !c.canExpand {
			c.offer &^= ExtExpand
		}
		if len(s.XClientFrom) == 0 {
			c.offer &^= ExtXClient
		}
		if c.log = s.Logger; c.log == nil {
			c.log = slog.New(slog.DiscardHandler)
		}
		if c.trace = s.Trace; c.trace == nil {
			c.trace = &ServerTrace{}
		}
		g := &s.group
		g.Closed, g.Logger, g.ProxyFrom, g.Trusted = ErrServerClosed, c.log, s.ProxyFrom, s.XClientFrom
		g.Connections, g.PerAddress = c.limits.Connections, c.limits.PerAddress
	})
	return &s.settings, s.setupErr
}

// Serve accepts connections from l until Shutdown or Close, then returns [ErrServerClosed]. It closes l. TCP keep-alive is not needed, since Limits ends
// connections that are dead; to listen with [net.ListenConfig].KeepAlive -1 saves four system calls for each.
func (s *Server) Serve(l net.Listener) error {
	if _, err := s.prepare(); err != nil {
		l.Close()
		return err
	}
	return s.group.Serve(l, func(c net.Conn) { s.ServeConn(context.Background(), c) })
}

// ServeTLS is Serve for implicit TLS (RFC 8314), with TLSConfig.
func (s *Server) ServeTLS(l net.Listener) error {
	if s.TLSConfig == nil {
		l.Close()
		return errors.New("smtp: ServeTLS needs Server.TLSConfig")
	}
	return s.Serve(tls.NewListener(l, s.TLSConfig))
}

// Shutdown stops listening, and lets every connection finish the mail transaction that it is in; each then gets 421 4.3.2. It returns nil when all are
// gone, or with the error of ctx, and then Close may cut the rest.
func (s *Server) Shutdown(ctx context.Context) error { return s.group.Shutdown(ctx) }

// Close stops listening and cuts all connections. It does not wait for handlers, whose context ends.
func (s *Server) Close() error {
	s.group.Close()
	return nil
}
