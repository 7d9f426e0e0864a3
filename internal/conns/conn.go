package conns

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gomailroom/mailroom/internal/proxyproto"
)

// A Conn is a connection in a [Group].
type Conn struct {
	net.Conn                    // as it was accepted, perhaps a *tls.Conn before its handshake
	Context  context.Context    // ends with the connection
	Remote   netip.AddrPort     // the client, as a proxy says or as connected; not valid where there is no IP address
	Local    netip.AddrPort     // what it connected to
	Proxy    *proxyproto.Header // what a proxy said; nil: there is none
	group    *Group
	cancel   context.CancelFunc
	release  func() bool // the end of Context does not close the connection any more; nil: it never did
	network  netip.Addr  // what it is counted under; not valid: none. Like open it is guarded by group.mu
	open     bool        // its session has begun
}

// Open counts a connection in, and reads the PROXY header of one that comes from a proxy. Its error is g.Closed, [ErrTooMany] or [ErrTooManyFrom], which [Refuse] may tell
// the client, or that of the header. With an error the connection counts no more, but has yet to be closed.
//
// The end of ctx cuts the connection, as Close does.
func (g *Group) Open(ctx context.Context, nc net.Conn) (*Conn, error) {
	c := &Conn{Conn: nc, Remote: addrPort(nc.RemoteAddr()), Local: addrPort(nc.LocalAddr()), group: g}
	c.Context, c.cancel = context.WithCancel(ctx)
	if ctx.Done() != nil { // else only cut can end it early, and that closes the connection
		c.release = context.AfterFunc(c.Context, func() { nc.Close() })
	}
	err := g.add(c)
	if err == nil {
		err = c.begin()
	}
	if err != nil {
		if err != g.Closed {
			g.Logger.Warn("connection refused", "remote", c.Remote, "error", err)
		}
		c.leave()
		return nil, err
	}
	return c, nil
}

func (g *Group) add(c *Conn) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.Stopping():
		return g.Closed
	case g.Connections > 0 && len(g.conns) >= g.Connections:
		return ErrTooMany
	}
	if g.conns == nil {
		g.conns = make(map[*Conn]struct{})
	}
	g.conns[c] = struct{}{}
	return nil
}

// begin finds out who the client is.
func (c *Conn) begin() (err error) {
	from := c.Remote.Addr()
	if c.Proxy, err = proxyproto.Accept(c.Conn, c.group.ProxyFrom); err != nil {
		return c.Err(err)
	}
	if c.Proxy != nil {
		from = c.Proxy.Source.Addr()
	}
	if from.IsValid() && c.Proxy != nil {
		c.Remote, c.Local = c.Proxy.Source, c.Proxy.Destination
	}
	return c.CountAs(from)
}

// CountAs counts the connection under an address from now on: a proxy has told for whom it speaks. Loopback addresses are not counted, since whatever
// serves many people on the same machine comes from there.
func (c *Conn) CountAs(a netip.Addr) error {
	g, n := c.group, c.group.network(a)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.Stopping() && !c.open {
		return g.Closed
	}
	if n != c.network && n.IsValid() && g.PerAddress > 0 && g.networks[n] >= g.PerAddress {
		return ErrTooManyFrom
	}
	c.open = true
	g.uncount(c)
	if c.network = n; n.IsValid() {
		if g.networks == nil {
			g.networks = make(map[netip.Addr]int)
		}
		g.networks[n]++
	}
	return nil
}

// uncount is called with mu held.
func (g *Group) uncount(c *Conn) {
	if !c.network.IsValid() {
		return
	}
	if g.networks[c.network]--; g.networks[c.network] == 0 {
		delete(g.networks, c.network)
	}
	c.network = netip.Addr{}
}

// End closes the connection, ends its context, and counts it out.
func (c *Conn) End() {
	c.Close()
	c.leave()
}

func (c *Conn) leave() {
	if c.release != nil {
		c.release()
	}
	c.cancel()
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.conns[c]; !ok {
		return
	}
	delete(g.conns, c)
	g.uncount(c)
	if len(g.conns) == 0 && g.Stopping() {
		close(g.gone)
	}
}

// cut ends the context first, so that what fails after it is seen to fail because of it.
func (c *Conn) cut() {
	c.cancel()
	c.Close()
}

// Err gives the reason for an end that err reports: the server was closed, or the context has ended, or else err itself.
func (c *Conn) Err(err error) error {
	switch {
	case c.Context.Err() == nil:
		return err
	case c.group.Stopping():
		return c.group.Closed
	}
	return context.Cause(c.Context)
}

// Refuse tells a client that is not let in why, and closes its connection. With TLS nothing is said: the handshake would cost more than the session that there is no room for.
func Refuse(nc net.Conn, reply string) {
	if _, ok := nc.(*tls.Conn); !ok {
		nc.SetWriteDeadline(time.Now().Add(refuseWithin))
		io.WriteString(nc, reply)
	}
	nc.Close()
}

const refuseWithin = time.Second

// network is what addresses of one peer have in common: of IPv6 the first 64 bits, since any host has the others to choose from. It is not valid for
// an address that is not counted.
func (g *Group) network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.IsLoopback() || slices.ContainsFunc(g.Trusted, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return netip.Addr{}
	}
	if a.Is6() {
		p, _ := a.Prefix(64)
		a = p.Addr()
	}
	return a
}

// addrPort gives an IP address and port, not valid when there is none, as with Unix sockets.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
