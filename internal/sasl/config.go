package sasl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Config is what a server can check. A nil function means that the mechanisms
// which need it are not offered. An error of theirs that has Temporary() true
// is passed on; any other becomes ErrFailed. The identity that they return is
// the account's canonical name. A Config must not be copied after first use.
type Config struct {
	// VerifyPassword serves PLAIN, LOGIN and Login.
	VerifyPassword func(ctx context.Context, remote netip.Addr, authzid, username, password string) (identity string, err error)

	// SCRAM gives the keys of a user for hash "SHA-256" or "SHA-1"; DeriveSCRAM
	// makes them. An unknown user is an error: the peer cannot tell.
	SCRAM func(ctx context.Context, remote netip.Addr, authzid, username, hash string) (identity string, salt []byte, iterations int, storedKey, serverKey []byte, err error)

	// SCRAMHashes says which hashes SCRAM has keys for; default SHA-256.
	SCRAMHashes []string

	// NoBinding leaves the -PLUS forms of SCRAM out.
	NoBinding bool

	// Bearer serves OAUTHBEARER and XOAUTH2. XOAUTH2 gives the user as authzid.
	Bearer func(ctx context.Context, remote netip.Addr, authzid, token string) (identity string, err error)

	// External serves EXTERNAL, offered when the client has shown a certificate
	// that the TLS configuration verified.
	External func(ctx context.Context, remote netip.Addr, authzid string, state tls.ConnectionState) (identity string, err error)

	// Secret gives a user's password in the clear, for CRAM-MD5 and APOP.
	Secret func(ctx context.Context, remote netip.Addr, username string) (identity, secret string, err error)

	Hostname       string   // in the CRAM-MD5 challenge; default localhost
	AllowPlaintext bool     // offer PLAIN, LOGIN and bearer tokens without TLS
	Limiter        *Limiter // failures by address and account; nil: not limited

	// FailDelay is the least time from the client's proof to the report that it
	// was wrong: with more than a lookup takes, the time tells nothing of accounts.
	FailDelay time.Duration

	unknown fakes
}

// Channel is what mechanisms need to know of the connection.
type Channel struct {
	TLS     *tls.ConnectionState // nil: no TLS, or none that ends here
	Private bool                 // without TLS: nobody can read it, for a trusted proxy ended its TLS
	Remote  netip.Addr           // the peer

	// Certificate is the server's own, for tls-server-end-point on the server
	// side; nil: that binding is not offered. See ServerCertificate.
	Certificate *x509.Certificate
}

// ErrFailed is the answer to anything but success: wrong name, wrong password,
// malformed message, unknown mechanism.
var ErrFailed = errors.New("sasl: authentication failed")

// ErrLimited says that there were too many failures lately. It is temporary.
var ErrLimited error = limitedError{}

type limitedError struct{}

func (limitedError) Error() string   { return "sasl: too many failed attempts, try again later" }
func (limitedError) Temporary() bool { return true }

// IsTemporary reports whether err, or an error that it wraps, is temporary.
func IsTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// Server is the server's side of one exchange.
type Server interface {
	// Next takes a response and gives the next challenge, which may be empty,
	// unless done. The first response is nil when the client sent none along.
	Next(response []byte) (challenge []byte, done bool, err error)
	// Identity is the canonical name of who it is, once done.
	Identity() string
	// User is the name that the client gave, for logs; empty while it gave none.
	User() string
}

// Mechanisms returns the names of what is offered on this connection, the
// strongest first.
func (c *Config) Mechanisms(ch Channel) []string {
	private := ch.TLS != nil || ch.Private || c.AllowPlaintext
	var names []string
	if c.External != nil && ch.TLS != nil && len(ch.TLS.VerifiedChains) > 0 {
		names = append(names, "EXTERNAL")
	}
	if c.SCRAM != nil {
		hashes := c.hashes()
		if len(c.bindings(ch)) > 0 {
			for _, h := range hashes {
				names = append(names, "SCRAM-"+h+"-PLUS")
			}
		}
		for _, h := range hashes {
			names = append(names, "SCRAM-"+h)
		}
	}
	if c.Bearer != nil && private {
		names = append(names, "OAUTHBEARER", "XOAUTH2")
	}
	if c.Secret != nil {
		names = append(names, "CRAM-MD5")
	}
	if c.VerifyPassword != nil && private {
		names = append(names, "PLAIN", "LOGIN")
	}
	return names
}

func (c *Config) hashes() []string {
	if len(c.SCRAMHashes) == 0 {
		return []string{"SHA-256"}
	}
	return c.SCRAMHashes
}

// Start begins an exchange. It fails for a mechanism that is not offered on
// this connection. ctx is for the whole exchange.
func (c *Config) Start(ctx context.Context, mechanism string, ch Channel) (Server, error) {
	mechanism = strings.ToUpper(mechanism)
	if !slices.Contains(c.Mechanisms(ch), mechanism) {
		return nil, fmt.Errorf("%w: mechanism not offered", ErrFailed)
	}
	x := exchange{ctx: ctx, cfg: c, ch: ch}
	switch mechanism {
	case "PLAIN":
		return &plainServer{exchange: x}, nil
	case "LOGIN":
		return &loginServer{exchange: x}, nil
	case "EXTERNAL":
		return &externalServer{exchange: x}, nil
	case "OAUTHBEARER":
		return &bearerServer{exchange: x, parse: parseOAuthBearer}, nil
	case "XOAUTH2":
		return &bearerServer{exchange: x, parse: parseXOAuth2}, nil
	case "CRAM-MD5":
		return &cramServer{exchange: x}, nil
	}
	return newSCRAMServer(x, mechanism), nil
}

// Login checks a name and password, with the same rules as PLAIN but for TLS,
// which the caller has seen to.
func (c *Config) Login(ctx context.Context, remote netip.Addr, username, password string) (identity string, err error) {
	if c.VerifyPassword == nil {
		return "", ErrFailed
	}
	x := exchange{ctx: ctx, cfg: c, ch: Channel{Remote: remote}}
	if err := x.password("", username, password); err != nil {
		return "", err
	}
	return x.identity, nil
}

// Digest checks a proof of knowing the secret, for CRAM-MD5 and APOP. check is
// called once, with a random secret when there is no such user.
func (c *Config) Digest(ctx context.Context, remote netip.Addr, username string, check func(secret string) bool) (identity string, err error) {
	if c.Secret == nil {
		return "", ErrFailed
	}
	x := exchange{ctx: ctx, cfg: c, ch: Channel{Remote: remote}}
	err = x.judge(username, func(username string) (string, error) {
		identity, secret, err := c.Secret(ctx, remote, username)
		if err != nil || secret == "" {
			check(string(c.unknown.salt("secret", username))) // the same work
			if err == nil {
				err = ErrFailed
			}
			return "", err
		}
		if !check(secret) {
			return "", ErrFailed
		}
		return identity, nil
	})
	return x.identity, err
}

// exchange is what all server mechanisms share.
type exchange struct {
	ctx      context.Context
	cfg      *Config
	ch       Channel
	identity string
	user     string
	begun    time.Time // when the proof came
}

func (x *exchange) Identity() string { return x.identity }
func (x *exchange) User() string     { return x.user }

// judge prepares the name, asks the limiter, runs verify, and sets identity.
func (x *exchange) judge(username string, verify func(username string) (string, error)) error {
	x.begun, x.user = time.Now(), username
	name, err := Prepare(username)
	if err != nil || name == "" {
		x.cfg.Limiter.Failed(x.ch.Remote, "")
		return ErrFailed
	}
	if !x.cfg.Limiter.Allow(x.ch.Remote, name) {
		return ErrLimited
	}
	identity, err := verify(name)
	return x.verdict(name, identity, err)
}

func (x *exchange) verdict(name, identity string, err error) error {
	switch {
	case err == nil && identity != "":
		x.cfg.Limiter.Succeeded(x.ch.Remote, name)
		x.identity = identity
		return nil
	case IsTemporary(err), x.ctx.Err() != nil:
		return fmt.Errorf("sasl: cannot check now: %w", errors.Join(err, x.ctx.Err()))
	}
	x.cfg.Limiter.Failed(x.ch.Remote, name)
	if d := x.cfg.FailDelay - time.Since(x.begun); d > 0 {
		select {
		case <-time.After(d):
		case <-x.ctx.Done():
		}
	}
	return ErrFailed
}

// password checks what PLAIN, LOGIN and Login are given.
func (x *exchange) password(authzid, username, password string) error {
	authzid, err := Prepare(authzid)
	if err != nil {
		return ErrFailed
	}
	return x.judge(username, func(username string) (string, error) {
		password, err := Prepare(password) // RFC 4616 s2
		if err != nil || password == "" {
			return "", ErrFailed
		}
		return x.cfg.VerifyPassword(x.ctx, x.ch.Remote, authzid, username, password)
	})
}

// ServerCertificate returns the certificate that a server with this
// configuration surely shows: the only one it has. Otherwise it returns nil.
func ServerCertificate(cfg *tls.Config) *x509.Certificate {
	if cfg == nil || cfg.GetCertificate != nil || cfg.GetConfigForClient != nil || len(cfg.Certificates) != 1 {
		return nil
	}
	c := cfg.Certificates[0]
	if c.Leaf != nil || len(c.Certificate) == 0 {
		return c.Leaf
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return nil
	}
	return leaf
}
