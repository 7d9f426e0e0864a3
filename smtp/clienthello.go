package smtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
)

// tlsFallback is an error of newConn that Dial answers with plaintext: the handshake failed, and the policy does not require TLS.
type tlsFallback struct{ err error }

func (f *tlsFallback) Error() string { return f.err.Error() }
func (f *tlsFallback) Unwrap() error { return f.err }

// newConn opens the dialog over a connection. On failure the connection is closed. why is the reason for no STARTTLS, where there is one already.
func (d *Dialer) newConn(ctx context.Context, nc net.Conn, host, why string) (*Conn, error) {
	c := &Conn{
		d: d, timeouts: d.Timeouts.withDefaults(), nc: nc, raw: nc, host: host,
		turn: make(chan struct{}, 1), rspace: make([]byte, 4096),
	}
	if d.Trace != nil {
		c.parser.seen = d.Trace.Received
	}
	stop := c.watch(ctx)
	err := c.open(ctx, why)
	stop()
	if err != nil {
		c.leave(ctx)
		return nil, err
	}
	return c, nil
}

// open is the dialog up to the first message: greeting, EHLO, TLS, EHLO again, AUTH.
func (c *Conn) open(ctx context.Context, why string) error {
	hello, err := c.d.hostname()
	if err != nil {
		return err
	}
	cfg, required := c.tlsConfig()
	c.tls.Required = required
	if c.d.ImplicitTLS {
		if cfg == nil {
			return &Error{Enhanced: misconfigured, Command: "TLS", Text: "ImplicitTLS with a policy of no TLS", Err: ErrTLSRequired}
		}
		c.tls.Implicit, c.tls.Reason = true, "implicit TLS"
		if err := c.handshake(ctx, cfg); err != nil {
			return err
		}
	}
	if err := c.greeting(ctx); err != nil {
		return err
	}
	if err := c.hello(ctx, hello); err != nil {
		return err
	}
	if !c.d.ImplicitTLS {
		if err := c.startTLS(ctx, cfg, required, hello, why); err != nil {
			return err
		}
	}
	if c.d.XClient != nil {
		if err := c.xclient(ctx, hello); err != nil {
			return err
		}
	}
	if c.d.Auth != nil {
		return c.authenticate(ctx)
	}
	return nil
}

// tlsConfig asks the policy.
func (c *Conn) tlsConfig() (cfg *tls.Config, required bool) {
	base := c.d.TLSConfig.Clone()
	if base == nil {
		base = &tls.Config{}
	}
	if base.ServerName == "" {
		base.ServerName = c.host
	}
	policy := c.d.TLS
	if policy == nil {
		policy = TLSOpportunistic
		// RFC 8314 s3: what carries a password is encrypted, to a server whose name was checked.
		if c.d.Auth != nil && !isLoopback(c.host) || c.d.ImplicitTLS {
			policy = TLSRequired
		}
	}
	return policy(base)
}

// greeting waits for the server's first reply. RFC 5321 s3.1
func (c *Conn) greeting(ctx context.Context) error {
	r, err := c.reply(ctx, c.timeouts.Greeting, "connect")
	if err != nil {
		return err
	}
	c.greeted = true
	return c.expect(r, 2, "connect")
}

// hello says EHLO, or LHLO, or HELO to a server that knows no better. RFC 5321 s3.2, RFC 2033 s4.1
func (c *Conn) hello(ctx context.Context, name string) error {
	c.caps = Capabilities{}
	verb := "EHLO "
	if c.d.LMTP {
		verb = "LHLO "
	}
	r, err := c.command(ctx, c.timeouts.Command, verb+name, "")
	if err != nil {
		return err
	}
	if r.Code/100 == 2 {
		c.caps = parseCapabilities(r.Text)
		for _, keyword := range c.d.Ignore {
			delete(c.caps, strings.ToUpper(keyword))
		}
		return nil
	}
	if !r.Permanent() || c.d.LMTP || r.Code == 521 || r.Code == 554 { // RFC 7504: 521 and 554 mean that there is no mail service
		return c.expect(r, 2, verb+name)
	}
	if r, err = c.command(ctx, c.timeouts.Command, "HELO "+name, ""); err != nil {
		return err
	}
	return c.expect(r, 2, "HELO "+name)
}

// startTLS negotiates TLS as far as the policy wants it and the server offers it. RFC 3207
func (c *Conn) startTLS(ctx context.Context, cfg *tls.Config, required bool, hello, why string) error {
	switch {
	case why != "":
		c.tls.Reason = why
		return nil
	case cfg == nil:
		c.tls.Reason = "not wanted"
		return nil
	case !c.caps.Has("STARTTLS"):
		c.tls.Reason = "not offered"
		if required {
			return &Error{Enhanced: EnhancedCode{4, 7, 4}, Command: "STARTTLS", Text: "not offered", Err: ErrTLSRequired}
		}
		return nil
	}
	r, err := c.command(ctx, c.timeouts.Command, "STARTTLS", "")
	if err != nil {
		return err
	}
	if r.Code != 220 {
		refused := r.asError("STARTTLS")
		if required {
			// Temporary, whatever the server said: it offered TLS a moment ago.
			return local(EnhancedCode{4, 7, 4}, "", fmt.Errorf("%w: %w", ErrTLSRequired, refused))
		}
		c.tls.Reason, c.tls.Err = "refused", refused
		return nil
	}
	// RFC 3207 s4.2, s6: what came behind the 220 in plaintext was put there by somebody on the way. It would be read as if it came through TLS.
	if len(c.rbuf) > 0 || c.parser.partial() {
		return c.kill(&Error{Enhanced: EnhancedCode{4, 7, 5}, Command: "STARTTLS", Err: ErrInjection})
	}
	if err := c.handshake(ctx, cfg); err != nil {
		if !required && ctx.Err() == nil {
			return &tlsFallback{err}
		}
		return err
	}
	c.tls.Reason = "STARTTLS"
	return c.hello(ctx, hello) // RFC 3207 s4.2: what was known of the server is forgotten
}

// handshake puts the connection under TLS.
func (c *Conn) handshake(ctx context.Context, cfg *tls.Config) error {
	c.deadline(ctx, c.timeouts.TLS)
	t := tls.Client(c.raw, cfg)
	err := t.Handshake()
	state := t.ConnectionState()
	if c.d.Trace != nil && c.d.Trace.TLS != nil {
		c.d.Trace.TLS(state, err)
	}
	if err != nil {
		fail := c.failure(ctx, "TLS handshake", err)
		if ctx.Err() == nil {
			fail.Enhanced = EnhancedCode{4, 7, 5}
			if c.tls.Required {
				fail.Err = fmt.Errorf("%w: %w", ErrTLSRequired, err)
			}
		}
		return c.kill(fail)
	}
	c.nc = t
	c.tls.State = &state
	c.tls.Verified = !cfg.InsecureSkipVerify || cfg.VerifyConnection != nil || cfg.VerifyPeerCertificate != nil
	return nil
}

// has tells whether the server offered an extension.
func (c *Conn) has(keyword string) bool { return c.caps.Has(keyword) }

// pipelining tells whether commands may be sent before the replies to earlier ones. RFC 2033 s4: an LMTP server has it.
func (c *Conn) pipelining() bool { return c.has("PIPELINING") || c.d.LMTP }
