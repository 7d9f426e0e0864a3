package imapclient

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gomailroom/mailroom/internal/sasl"
)

// StartTLS needs a ServerName in cfg.
func (c *Client) StartTLS(ctx context.Context, cfg *tls.Config) error {
	if _, err := c.Cmd("STARTTLS"); err != nil {
		return err
	}
	if c.p.r.Buffered() > 0 {
		return fmt.Errorf("%w: data before the TLS handshake", ErrProtocol)
	}
	t := tls.Client(c.conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	state := t.ConnectionState()
	c.conn, c.tls, c.caps = t, &state, nil
	c.p.r.Reset(t)
	return nil
}

// Login sends LOGIN.
func (c *Client) Login(user, password string) error {
	c.caps = nil
	_, err := c.Cmd("LOGIN ", Str(user), " ", Str(password))
	return err
}

// Authenticate picks the strongest mechanism that the server offers.
func (c *Client) Authenticate(cred sasl.Credentials) error {
	caps, err := c.Capabilities()
	if err != nil {
		return err
	}
	var offered []string
	for _, name := range caps {
		if m, ok := strings.CutPrefix(name, "AUTH="); ok {
			offered = append(offered, m)
		}
	}
	ch := sasl.Channel{TLS: c.tls}
	if ap, err := netip.ParseAddrPort(c.conn.RemoteAddr().String()); err == nil {
		ch.Remote = ap.Addr().Unmap()
	}
	x, err := sasl.Pick(offered, cred, ch)
	if err != nil {
		return err
	}
	return c.Exchange(x, slices.Contains(caps, "SASL-IR"))
}

// Exchange runs AUTHENTICATE with one mechanism; initial says whether the
// first response may go along (RFC 4959).
func (c *Client) Exchange(x sasl.Client, initial bool) error {
	c.tags++
	tag := "a" + strconv.Itoa(c.tags)
	response, err := x.Start()
	if err != nil {
		return err
	}
	send := tag + " AUTHENTICATE " + x.Mechanism()
	shown := send
	if initial && response != nil {
		send += " " + sasl.EncodeInitial(response)
		shown += " ***"
		response = nil
	}
	c.caps = nil
	var reply Reply
	for {
		if err := c.write([]byte(send+"\r\n"), shown); err != nil {
			return err
		}
		r, err := c.until(tag, "AUTHENTICATE", &reply)
		if err != nil {
			return err
		}
		if r.tag == tag {
			if _, err := c.finish("AUTHENTICATE", r, &reply); err != nil {
				return err
			}
			return x.Finish()
		}
		challenge, err := base64.StdEncoding.Strict().DecodeString(r.Text)
		if err != nil {
			return fmt.Errorf("%w: challenge is not base64", ErrProtocol)
		}
		answer := response
		if response = nil; answer == nil {
			if answer, err = x.Next(challenge); err != nil {
				c.write([]byte("*\r\n"), "*")
				c.until(tag, "AUTHENTICATE", &reply)
				return err
			}
		}
		send, shown = sasl.Encode(answer), "***"
	}
}
