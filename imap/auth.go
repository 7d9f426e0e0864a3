package imap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/gomailroom/mailroom/internal/sasl"
)

// prepareAuth finds out what the server can check.
func (c *settings) prepareAuth(s *Server) {
	c.sasl.AllowPlaintext, c.sasl.FailDelay = s.InsecureAuth, c.limits.FailDelay
	c.sasl.Limiter = &sasl.Limiter{PerAddress: c.limits.AddressFailures, PerAccount: c.limits.AccountFailures}
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
}

func (s *session) remote() netip.Addr { return s.link.Remote.Addr() }

func (s *session) channel() sasl.Channel {
	ch := sasl.Channel{Remote: s.remote(), Private: s.tls}
	if c, ok := s.conn.(*tls.Conn); ok && s.tls {
		st := c.ConnectionState()
		ch.TLS, ch.Certificate = &st, s.cfg.certificate
	}
	return ch
}

func (s *session) canStartTLS() bool { return s.cfg.tls != nil && !s.tls }

// loginAllowed says whether a password may be sent by the LOGIN command (RFC 3501 s6.2.3).
func (s *session) loginAllowed() bool {
	return s.srv.Auth != nil && (s.tls || s.srv.InsecureAuth)
}

func (s *session) handshake(c *tls.Conn) error {
	s.raw.SetDeadline(minTime(s.loginBy, time.Now().Add(s.cfg.limits.HandshakeTimeout)))
	if s.srv.group.Stopping() { // as in read
		return ErrServerClosed
	}
	if err := c.HandshakeContext(s.ctx); err != nil {
		if s.srv.group.Stopping() {
			return ErrServerClosed
		}
		return fmt.Errorf("imap: TLS handshake: %w", err)
	}
	s.conn, s.tls = c, true
	return nil
}

func (s *session) cmdStartTLS(c *command) error {
	if err := c.p.end(); err != nil {
		return err
	}
	if !s.canStartTLS() {
		return bad("STARTTLS is not offered")
	}
	// What came along in the clear was not written by whom the handshake will prove (RFC 3501 s11.1).
	if s.in.buffered() > 0 {
		return bye("", "Commands after STARTTLS must wait for the handshake")
	}
	s.out.line(c.tag, " OK Begin TLS now")
	if err := s.out.flush(); err != nil {
		return err
	}
	s.traceCommand(c, "OK", "")
	if err := s.handshake(tls.Server(s.raw, s.cfg.tls)); err != nil {
		s.gone, s.out.err = true, err // nothing can be said any more
		return err
	}
	return errAnswered
}

// errAnswered says that a command has sent its tagged response itself.
var errAnswered = errors.New("imap: answered")

func (s *session) cmdLogin(c *command) error {
	c.p.sp()
	user := string(c.p.astring())
	c.p.sp()
	pass := string(c.p.astring())
	if err := c.p.end(); err != nil {
		return err
	}
	if !s.loginAllowed() {
		return no("PRIVACYREQUIRED", "LOGIN is disabled here")
	}
	identity, err := s.cfg.sasl.Login(s.ctx, s.remote(), user, pass)
	return s.finishLogin(c, "LOGIN", user, identity, err)
}

func (s *session) cmdAuthenticate(c *command) error {
	c.p.sp()
	mechanism := c.p.word()
	var response []byte
	var decodeErr error
	if c.p.more() { // RFC 4959
		response, decodeErr = sasl.DecodeInitial(c.p.b[c.p.i:])
		c.p.i = len(c.p.b)
	}
	if err := c.p.end(); err != nil {
		return err
	}
	if decodeErr != nil {
		return bad("Initial response is not base64")
	}
	srv, err := s.cfg.sasl.Start(s.ctx, mechanism, s.channel())
	if err != nil {
		return no("CANNOT", "Mechanism not offered here")
	}
	for {
		challenge, done, err := srv.Next(response)
		if err != nil {
			return s.finishLogin(c, mechanism, srv.User(), "", err)
		}
		if done {
			return s.finishLogin(c, mechanism, srv.User(), srv.Identity(), nil)
		}
		s.out.line("+ ", sasl.Encode(challenge))
		line, err := s.readLine(s.deadline())
		if err != nil {
			return err
		}
		if response, err = sasl.DecodeResponse(line); errors.Is(err, sasl.ErrCanceled) {
			return bad("AUTHENTICATE canceled")
		} else if err != nil {
			return bad("Response is not base64")
		}
	}
}

// readLine waits for a line that is not a command. Its error ends the session.
func (s *session) readLine(deadline time.Time) ([]byte, error) {
	for {
		line, ok, tooLong := s.in.line()
		if tooLong {
			return nil, bye("TOOBIG", "Line too long")
		}
		if ok {
			return line, nil
		}
		if err := s.fill(deadline, stops); err != nil {
			return nil, &fatalError{err}
		}
	}
}

// A fatalError ends the session whatever command it comes from.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// finishLogin ends an attempt to log in, and opens the account.
func (s *session) finishLogin(c *command, mechanism, user, identity string, err error) error {
	if f := s.cfg.trace.Authenticated; f != nil {
		f(s.snapshot(), AuthInfo{Mechanism: mechanism, Username: user, Identity: identity, Err: err})
	}
	switch {
	case err == nil:
	case s.ctx.Err() != nil:
		return &fatalError{ErrServerClosed}
	case isTemporary(err) || errors.Is(err, os.ErrDeadlineExceeded):
		s.log(slog.LevelError, "authentication not possible", "mechanism", mechanism, "user", user, "error", err)
		return no("UNAVAILABLE", "Authentication is not possible now")
	default:
		s.log(slog.LevelWarn, "authentication failed", "mechanism", mechanism, "user", user, "error", err)
		if s.failures++; s.failures >= s.cfg.limits.AuthFailures {
			s.out.line(c.tag, " NO [AUTHENTICATIONFAILED] Authentication failed")
			return bye("", "Too many failed logins")
		}
		return no("AUTHENTICATIONFAILED", "Authentication failed")
	}
	account, err := s.srv.Backend.Account(s.ctx, identity)
	if err != nil {
		s.log(slog.LevelError, "account not opened", "user", identity, "error", err)
		if errors.Is(err, ErrNotFound) {
			return no("AUTHORIZATIONFAILED", "No account")
		}
		return err
	}
	s.account, s.identity, s.mechanism, s.state = account, identity, mechanism, authenticated
	s.log(slog.LevelInfo, "logged in", "mechanism", mechanism)
	s.unlock()
	c.code = "CAPABILITY " + s.capabilities()
	c.text = "Logged in"
	return nil
}
