package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// A Dialer makes connections to SMTP and LMTP servers. The zero value is ready: it uses TLS when the server offers it, does not authenticate, and has the timeouts of RFC 5321.
// A Dialer is safe for concurrent use as long as its fields are not changed.
//
// Commands are pipelined where the server offers it, up to 100 at a time, and the message goes by BDAT where CHUNKING is offered, else by DATA. A
// message is read in blocks of 32 KiB, whatever its size. Lines end in CRLF on the wire: a lone CR or LF becomes one, but for BODY=BINARYMIME.
type Dialer struct {
	Hostname    string       // said in EHLO; default os.Hostname
	TLS         TLSPolicy    // default: TLSRequired with Auth, except to loopback; TLSOpportunistic otherwise
	TLSConfig   *tls.Config  // what the policy starts from; ServerName defaults to the host that is connected to
	ImplicitTLS bool         // TLS from the first byte (RFC 8314 s3.3), as on port 465; the policy gives the configuration
	Auth        *Credentials // nil: no authentication
	LMTP        bool         // speak LMTP (RFC 2033)
	XClient     *XClient     // whom a proxy speaks for; said after STARTTLS. nil: nothing is said
	Ignore      []string     // EHLO keywords that are taken as not offered, for servers that do badly what they offer: "CHUNKING"

	NetDial   func(ctx context.Context, network, addr string) (net.Conn, error) // default: a net.Dialer with LocalAddr
	LocalAddr net.Addr                                                          // the address to connect from
	Timeouts  Timeouts

	// Reencode is asked for another form of a message that the server cannot take as it is: 8-bit or binary content
	// without 8BITMIME or BINARYMIME, or internationalized headers without SMTPUTF8. The content that it gives is sent as 7-bit, and closed after that if it is an
	// io.Closer, as that of package mime is. Without Reencode such a message fails with ErrNo8BitMIME, ErrNoBinaryMIME or ErrNoSMTPUTF8.
	// An [*Error] of its own is the result of Send; another error is temporary, as if the message could not be read.
	Reencode func(c Content, caps Capabilities) (Content, error)

	Trace  *ClientTrace
	Logger *slog.Logger // nil: silent
}

// Timeouts bounds the phases of a conversation. Zero fields take the values of RFC 5321 s4.5.3.2. A negative value means no limit of its own; the context still holds.
type Timeouts struct {
	Connect  time.Duration // to connect; default 30 seconds
	TLS      time.Duration // for a handshake; default 1 minute
	Greeting time.Duration // for the greeting; default 5 minutes
	Command  time.Duration // for EHLO, STARTTLS, AUTH, MAIL, RCPT and others; default 5 minutes
	Data     time.Duration // for the reply to DATA; default 2 minutes
	Block    time.Duration // for each block of a message that is written, and each reply to a BDAT that is not the last; default 3 minutes
	Final    time.Duration // for each reply to the end of a message; default 10 minutes
	Quit     time.Duration // for QUIT, and for a last word of a server that hangs up; default 5 seconds
}

func (t Timeouts) withDefaults() Timeouts {
	for _, f := range []struct {
		d *time.Duration
		v time.Duration
	}{
		{&t.Connect, 30 * time.Second}, {&t.TLS, time.Minute}, {&t.Greeting, 5 * time.Minute}, {&t.Command, 5 * time.Minute},
		{&t.Data, 2 * time.Minute}, {&t.Block, 3 * time.Minute}, {&t.Final, 10 * time.Minute}, {&t.Quit, 5 * time.Second},
	} {
		if *f.d == 0 {
			*f.d = f.v
		}
	}
	return t
}

// A TLSPolicy decides about TLS for one connection. It is given a copy of the Dialer's TLSConfig, with ServerName filled in, and gives the
// configuration to use; nil means no TLS. With required, a server that does not offer TLS, or with which the handshake fails, gets no mail. Without it the mail goes on in plaintext;
// after a failed handshake over a new connection.
//
// It has the shape of a method of mxresolve's hosts, which brings the rules of DANE and MTA-STS.
type TLSPolicy func(base *tls.Config) (cfg *tls.Config, required bool)

// TLSRequired asks for TLS with a certificate that verifies.
func TLSRequired(base *tls.Config) (*tls.Config, bool) { return base, true }

// TLSOpportunistic uses TLS when it is there, and does not look at the certificate: the alternative is plaintext (RFC 7435).
func TLSOpportunistic(base *tls.Config) (*tls.Config, bool) {
	base.InsecureSkipVerify = true
	return base, false
}

// TLSNever does not use TLS.
func TLSNever(*tls.Config) (*tls.Config, bool) { return nil, false }

// Dial connects to a server, waits for its greeting, says EHLO, negotiates TLS and authenticates. addr is "host:port", or the path of a
// Unix socket, which begins with a slash. The context is for the dialog up to here, not for the connection.
func (d *Dialer) Dial(ctx context.Context, addr string) (*Conn, error) {
	nc, host, err := d.connect(ctx, addr)
	if err != nil {
		return nil, err
	}
	c, err := d.newConn(ctx, nc, host, "")
	if _, ok := errors.AsType[*tlsFallback](err); ok {
		// The handshake ended the connection. The policy allows plaintext, on a new one.
		reason := err
		if d.Logger != nil {
			d.Logger.Warn("smtp: TLS failed, going on in plaintext as the policy allows", "addr", addr, "error", reason)
		}
		if nc, host, err = d.connect(ctx, addr); err != nil {
			return nil, err
		}
		plain := *d
		plain.TLS = TLSNever
		if c, err = plain.newConn(ctx, nc, host, "failed"); err == nil {
			c.tls.Err = errors.Unwrap(reason)
		}
	}
	return c, err
}

// NewConn does what Dial does over a connection that is there already, and owns it from now on. host is the name for TLS and for the loopback exception. A handshake that fails is an error
// here, even where the policy does not require TLS, since the connection is lost.
func (d *Dialer) NewConn(ctx context.Context, nc net.Conn, host string) (*Conn, error) {
	c, err := d.newConn(ctx, nc, host, "")
	if f, ok := errors.AsType[*tlsFallback](err); ok {
		return nil, f.err
	}
	return c, err
}

// misconfigured is the code of a Dialer that cannot work (RFC 3463 X.3.5). Temporary: somebody will mend it, and a queue need not return all mail until then.
var misconfigured = EnhancedCode{4, 3, 5}

// connect makes the transport connection.
func (d *Dialer) connect(ctx context.Context, addr string) (nc net.Conn, host string, err error) {
	network, host := "tcp", addr
	if strings.HasPrefix(addr, "/") {
		network, host = "unix", "localhost"
	} else if host, _, err = net.SplitHostPort(addr); err != nil {
		return nil, "", &Error{Enhanced: misconfigured, Command: "connect to " + addr, Err: err}
	}
	if t := d.Timeouts.withDefaults().Connect; t > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t)
		defer cancel()
	}
	dial := d.NetDial
	if dial == nil {
		dial = (&net.Dialer{LocalAddr: d.LocalAddr}).DialContext
	}
	nc, err = dial(ctx, network, addr)
	if d.Trace != nil && d.Trace.Connected != nil {
		d.Trace.Connected(network, addr, err)
	}
	if err != nil {
		return nil, "", &Error{Enhanced: EnhancedCode{4, 4, 1}, Command: "connect to " + addr, Err: err} // RFC 3463 X.4.1
	}
	return nc, host, nil
}

// hostname gives the argument of EHLO. It comes from configuration and may come from a user, so it is checked: a line end in it would be a command.
func (d *Dialer) hostname() (string, error) {
	name := d.Hostname
	if name == "" {
		name, _ = os.Hostname()
		if name == "" {
			name = "localhost"
		}
	}
	if !isASCII(name) { // RFC 6531 s3.7.1: before the server has offered SMTPUTF8 there are A-labels only
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil || !utf8.ValidString(name) || !validDomain(ascii) {
			return "", &Error{Enhanced: misconfigured, Command: "EHLO", Text: "the Hostname of the Dialer is no domain", Err: err}
		}
		name = ascii
	}
	if len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", &Error{Enhanced: misconfigured, Command: "EHLO", Text: "the Hostname of the Dialer is no domain"}
	}
	return name, nil
}

// isLoopback tells whether host is this machine, so that nothing needs encryption. It goes by the name that was asked for: the address of the connection
// may be that of a proxy or tunnel.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
