package memnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	maxQueued   = 4096  // datagrams that wait to be read; further ones are lost
	maxDatagram = 65507 // octets, as UDP over IPv4
)

var errTimeout = os.ErrDeadlineExceeded

type datagram struct {
	from netip.AddrPort
	data []byte
}

// packetConn is a datagram socket, connected (peer is valid) or not. It is a
// net.Conn and a net.PacketConn, as *net.UDPConn is.
type packetConn struct {
	n     *Network
	local netip.AddrPort // unspecified address: every address of the port
	peer  netip.AddrPort
	ready chan struct{}
	rd    *deadline

	mu     sync.Mutex
	queue  []datagram
	err    error // pending error, given once (ECONNREFUSED)
	closed bool
	// answerFrom has, for a wildcard socket, the address each peer wrote to,
	// which is where an answer has to come from.
	answerFrom map[netip.AddrPort]netip.Addr
}

func (n *Network) listenPacket(network, address string, own netip.Addr) (net.PacketConn, error) {
	proto, key, err := n.bind(network, address, own)
	if err != nil {
		return nil, err
	}
	if proto != "udp" {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	return n.addPacketConn(network, key, netip.AddrPort{})
}

func (n *Network) dialPacket(network string, src, to netip.AddrPort) (net.Conn, error) {
	return n.addPacketConn(network, src, to)
}

func (n *Network) addPacketConn(network string, key, peer netip.AddrPort) (*packetConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if key.Port() == 0 || peer.IsValid() {
		for key.Port() == 0 || n.packets[key] != nil {
			key = netip.AddrPortFrom(key.Addr(), n.port())
		}
	}
	if n.packets[key] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.UDPAddrFromAddrPort(key), Err: syscall.EADDRINUSE}
	}
	c := &packetConn{n: n, local: key, peer: peer, ready: make(chan struct{}, 1), rd: newDeadline()}
	if n.packets == nil {
		n.packets = make(map[netip.AddrPort]*packetConn)
	}
	n.packets[key] = c
	return c, nil
}

func (c *packetConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.readFrom(p)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

func (c *packetConn) Read(p []byte) (int, error) {
	n, _, err := c.readFrom(p)
	return n, err
}

func (c *packetConn) readFrom(p []byte) (int, netip.AddrPort, error) {
	for {
		expired := c.rd.wait()
		if isClosed(expired) {
			return 0, netip.AddrPort{}, c.opError("read", errTimeout)
		}
		c.mu.Lock()
		d, got, err := c.next()
		c.mu.Unlock()
		if err != nil {
			return 0, netip.AddrPort{}, c.opError("read", err)
		}
		if got {
			return copy(p, d.data), d.from, nil // the rest of a datagram is lost, as in UDP
		}
		select {
		case <-c.ready:
		case <-expired:
		}
	}
}

// next takes what is ready. Called with mu held.
func (c *packetConn) next() (d datagram, got bool, err error) {
	switch {
	case c.closed:
		err = net.ErrClosed
	case c.err != nil:
		err, c.err = c.err, nil
	case len(c.queue) > 0:
		d, got = c.queue[0], true
		c.queue = c.queue[1:]
	default:
		return d, false, nil
	}
	if c.closed || len(c.queue) > 0 {
		signal(c.ready)
	}
	return d, got, err
}

func (c *packetConn) Write(p []byte) (int, error) {
	if !c.peer.IsValid() {
		return 0, c.opError("write", syscall.EDESTADDRREQ)
	}
	return c.send(p, c.peer)
}

func (c *packetConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	if c.peer.IsValid() {
		return 0, c.opError("write", net.ErrWriteToConnected)
	}
	_, to, err := resolve("udp", addr.String())
	if err != nil {
		return 0, c.opError("write", err)
	}
	return c.send(p, to)
}

func (c *packetConn) send(p []byte, to netip.AddrPort) (int, error) {
	if len(p) > maxDatagram {
		return 0, c.opError("write", syscall.EMSGSIZE)
	}
	from := c.local
	c.mu.Lock()
	closed := c.closed
	if from.Addr().IsUnspecified() {
		ip, ok := c.answerFrom[to]
		if !ok {
			ip = loopback(to.Addr())
		}
		from = netip.AddrPortFrom(ip, from.Port())
	}
	c.mu.Unlock()
	if closed {
		return 0, c.opError("write", net.ErrClosed)
	}
	link := c.n.link("udp", from, to)
	if link.BlackHole {
		return len(p), nil
	}
	if link.Err != nil {
		return 0, c.opError("write", link.Err)
	}
	d := datagram{from: from, data: append([]byte(nil), p...)}
	if link.Latency > 0 {
		time.AfterFunc(link.Latency, func() { c.deliver(d, to) })
	} else {
		c.deliver(d, to)
	}
	return len(p), nil
}

func (c *packetConn) deliver(d datagram, to netip.AddrPort) {
	c.n.mu.Lock()
	dst := c.n.packets[to]
	if dst == nil {
		dst = c.n.packets[wildcard(to.Port())]
	}
	c.n.mu.Unlock()
	if dst == nil { // the ICMP error that a connected socket hears of
		if c.peer.IsValid() {
			c.mu.Lock()
			c.err = syscall.ECONNREFUSED
			signal(c.ready)
			c.mu.Unlock()
		}
		return
	}
	if dst.peer.IsValid() && dst.peer != d.from {
		return
	}
	dst.mu.Lock()
	defer dst.mu.Unlock()
	if dst.closed || len(dst.queue) >= maxQueued {
		return
	}
	if dst.local.Addr().IsUnspecified() {
		if dst.answerFrom == nil || len(dst.answerFrom) >= maxQueued {
			dst.answerFrom = make(map[netip.AddrPort]netip.Addr)
		}
		dst.answerFrom[d.from] = to.Addr()
	}
	dst.queue = append(dst.queue, d)
	signal(dst.ready)
}

func (c *packetConn) Close() error {
	c.n.mu.Lock()
	if c.n.packets[c.local] == c {
		delete(c.n.packets, c.local)
	}
	c.n.mu.Unlock()
	c.mu.Lock()
	was := c.closed
	c.closed, c.queue = true, nil
	signal(c.ready)
	c.mu.Unlock()
	if was {
		return c.opError("close", net.ErrClosed)
	}
	c.rd.set(time.Time{})
	return nil
}

func (c *packetConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.local) }

func (c *packetConn) RemoteAddr() net.Addr {
	if !c.peer.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(c.peer)
}

func (c *packetConn) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }
func (c *packetConn) SetWriteDeadline(t time.Time) error { return nil } // writes do not wait

func (c *packetConn) SetReadDeadline(t time.Time) error {
	c.rd.set(t)
	return nil
}

func (c *packetConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
