package pop3

import (
	"bytes"
	"context"
	"crypto/tls"

	"github.com/gomailroom/mailroom/internal/sasl"
)

// Core is a session without a connection.
type Core struct {
	s   *session
	out bytes.Buffer
}

// NewCore starts a session and its greeting.
func NewCore(ctx context.Context, srv *Server, banner string) *Core {
	cfg, err := srv.prepare()
	if err != nil {
		panic(err)
	}
	c := &Core{s: newSession(ctx, cfg, Peer{}, sasl.Channel{})}
	c.s.out.w = &c.out
	c.s.greet()
	if banner != "" {
		c.s.banner = banner
	}
	return c
}

// Feed gives octets to the session, and says whether it is over. wantTLS: it
// waits for a handshake.
func (c *Core) Feed(p []byte) (over, wantTLS bool) {
	c.s.in.Feed(p)
	switch c.s.run() {
	case hangUp:
		return true, false
	case startTLS:
		return false, true
	}
	return false, false
}

func (c *Core) StartTLS() { c.s.tlsStarted(&tls.ConnectionState{Version: tls.VersionTLS13}) }

// Output takes what was sent since the last call.
func (c *Core) Output() string {
	c.s.out.flush()
	defer c.out.Reset()
	return c.out.String()
}

func (c *Core) Close() { c.s.close() }
