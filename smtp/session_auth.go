package smtp

import (
	"log/slog"

	"github.com/gomailroom/mailroom/internal/sasl"
)

// prepareAuth finds out what the server can check.
func (c *settings) prepareAuth(s *Server) {
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
	c.sasl.Hostname, c.sasl.AllowPlaintext, c.sasl.FailDelay = c.hostname, s.InsecureAuth, c.limits.FailDelay
	c.sasl.Limiter = &sasl.Limiter{PerAddress: c.limits.AddressFailures, PerAccount: c.limits.AccountFailures}
	c.canAuth = s.Auth != nil || s.SCRAM != nil || s.Tokens != nil || s.Certificates != nil || s.Secrets != nil
	c.plainAuth = s.InsecureAuth
}

func (x *session) channel() sasl.Channel {
	ch := sasl.Channel{Remote: x.peer.Remote.Addr(), Private: x.proxyTLS}
	if !x.proxyTLS {
		ch.TLS, ch.Certificate = x.peer.TLS, sasl.ServerCertificate(x.srv.TLSConfig)
	}
	return ch
}

// findMechanisms tells the machine what AUTH can offer on this connection.
func (x *session) findMechanisms() {
	if x.m.canAuth {
		x.m.mechanisms = x.m.sasl.Mechanisms(x.channel())
	}
}

// auth begins AUTH (RFC 4954 s4).
func (x *session) auth() {
	exchange, err := x.m.sasl.Start(x.ctx, x.m.text, x.channel())
	if err != nil {
		x.m.authDone(replyAuthMechanism)
		return
	}
	x.sasl = exchange
	p := *x.peer // the mechanism counts only with the identity, see authStep
	p.Mechanism = x.m.text
	x.authPeer = &p
	x.authStep(x.m.response)
}

// authStep gives the mechanism a response. The texts for failures are fixed, so that they tell nothing of accounts.
func (x *session) authStep(response []byte) {
	challenge, done, err := x.sasl.Next(response)
	if err == nil && !done {
		x.m.challenge(challenge)
		return
	}
	if t := x.m.trace.Authenticated; t != nil {
		t(x.peer, AuthInfo{Mechanism: x.authPeer.Mechanism, Username: x.sasl.User(), Identity: x.sasl.Identity(), Err: err})
	}
	switch {
	case err == nil:
		p := x.authPeer
		p.Identity = x.sasl.Identity()
		x.peer = p
		x.log("logged in", "mechanism", p.Mechanism)
		x.m.authDone(nil)
	case sasl.IsTemporary(err):
		x.logAt(slog.LevelError, "authentication not possible", "mechanism", x.authPeer.Mechanism, "user", x.sasl.User(), "error", err)
		x.m.authDone(replyAuthTemporary)
	default:
		x.logAt(slog.LevelWarn, "authentication failed", "mechanism", x.authPeer.Mechanism, "user", x.sasl.User(), "error", err)
		x.m.authDone(replyAuthFailed)
	}
	x.sasl, x.authPeer = nil, nil
}
