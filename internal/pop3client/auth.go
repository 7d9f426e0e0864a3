package pop3client

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/netip"

	"github.com/gomailroom/mailroom/internal/sasl"
)

// StartTLS: RFC 2595. cfg needs a ServerName.
func (c *Client) StartTLS(ctx context.Context, cfg *tls.Config) error {
	if _, err := c.Cmd("STLS"); err != nil {
		return err
	}
	if c.r.Buffered() > 0 {
		return fmt.Errorf("%w: data before the TLS handshake", ErrProtocol)
	}
	t := tls.Client(c.conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	state := t.ConnectionState()
	c.conn, c.tls = t, &state
	c.r.Reset(t)
	return nil
}

// Login sends USER and PASS.
func (c *Client) Login(user, password string) error {
	if _, err := c.Cmd("USER " + user); err != nil {
		return err
	}
	_, err := c.Cmd("PASS " + password)
	return err
}

// Auth picks the strongest mechanism that the server offers.
func (c *Client) Auth(cred sasl.Credentials) error {
	caps, err := c.Capa()
	if err != nil {
		return err
	}
	ch := sasl.Channel{TLS: c.tls}
	if ap, err := netip.ParseAddrPort(c.conn.RemoteAddr().String()); err == nil {
		ch.Remote = ap.Addr().Unmap()
	}
	x, err := sasl.Pick(caps["SASL"], cred, ch)
	if err != nil {
		return err
	}
	return c.Exchange(x)
}

// Exchange runs AUTH with one mechanism (RFC 5034).
func (c *Client) Exchange(x sasl.Client) error {
	initial, err := x.Start()
	if err != nil {
		return err
	}
	send := "AUTH " + x.Mechanism()
	if initial != nil {
		if e := sasl.EncodeInitial(initial); len(send)+1+len(e) <= 253 { // the line limit of RFC 2449 s4
			send += " " + e
			initial = nil
		}
	}
	for {
		if err := c.Send(send); err != nil {
			return err
		}
		text, err := c.Reply("AUTH")
		if err == nil {
			return x.Finish()
		}
		if err != errChallenge {
			return err
		}
		challenge, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return fmt.Errorf("%w: challenge %q", ErrProtocol, text)
		}
		response := initial
		if initial = nil; response == nil {
			if response, err = x.Next(challenge); err != nil {
				c.Cmd("*")
				return err
			}
		}
		send = sasl.Encode(response)
	}
}
