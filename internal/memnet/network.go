package memnet

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Network is a network in memory. The zero value is ready for use. Set the
// fields before the first use.
type Network struct {
	// Link, when set, says how the path between two addresses behaves. It is
	// asked at each dial ("tcp"), and for each datagram ("udp").
	Link func(network string, from, to netip.AddrPort) Link

	mu        sync.Mutex
	listeners map[netip.AddrPort]*listener
	packets   map[netip.AddrPort]*packetConn
	nextPort  uint16
}

// Link is the behaviour of a path. The zero value is a perfect one.
type Link struct {
	Latency   time.Duration // one way; a dial takes two
	BlackHole bool          // nothing arrives: a dial ends with its context, a datagram is lost
	Err       error         // what a dial fails with, such as syscall.EHOSTUNREACH

	// CutSent breaks the connection once the end that dialed has sent so many
	// octets, which still arrive; CutReceived once it was sent so many. Both
	// ends then get ECONNRESET. 0 means never, negative means at the first.
	CutSent, CutReceived int64
}

// Host is a machine on a Network: what it dials comes from its address, and
// wildcard addresses that it listens on mean its own address.
type Host struct {
	n  *Network
	ip netip.Addr
}

// Host returns the machine with that IP address. It panics when ip is not one.
func (n *Network) Host(ip string) *Host {
	return &Host{n: n, ip: netip.MustParseAddr(ip).Unmap()}
}

// Listen announces on "tcp" and an address such as "192.0.2.1:25". Without an
// IP address, or with the unspecified one, it gets the connections to every
// address of that port which has no listener of its own. Port 0 picks one.
func (n *Network) Listen(network, address string) (net.Listener, error) {
	return n.listen(network, address, netip.Addr{})
}

// ListenPacket announces on "udp"; addresses are as for Listen.
func (n *Network) ListenPacket(network, address string) (net.PacketConn, error) {
	return n.listenPacket(network, address, netip.Addr{})
}

// DialContext connects over "tcp" or "udp" from 127.0.0.1 (or ::1).
// Host names are not resolved, but for localhost.
func (n *Network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return n.dial(ctx, network, address, netip.Addr{})
}

func (h *Host) Listen(network, address string) (net.Listener, error) {
	return h.n.listen(network, address, h.ip)
}

func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	return h.n.listenPacket(network, address, h.ip)
}

func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.n.dial(ctx, network, address, h.ip)
}

func (n *Network) dial(ctx context.Context, network, address string, from netip.Addr) (net.Conn, error) {
	fail := func(err error) error {
		return &net.OpError{Op: "dial", Net: network, Addr: textAddr{network, address}, Err: err}
	}
	proto, to, err := resolve(network, address)
	if err != nil {
		return nil, fail(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fail(err)
	}
	if to.Addr().IsUnspecified() { // as the kernel does
		to = netip.AddrPortFrom(loopback(to.Addr()), to.Port())
	}
	if !from.IsValid() {
		from = loopback(to.Addr())
	}
	n.mu.Lock()
	src := netip.AddrPortFrom(from, n.port())
	n.mu.Unlock()
	if proto == "udp" {
		return n.dialPacket(network, src, to)
	}
	link := n.link("tcp", src, to)
	switch {
	case link.BlackHole:
		<-ctx.Done()
		return nil, fail(ctx.Err())
	case link.Latency > 0:
		select {
		case <-time.After(2 * link.Latency):
		case <-ctx.Done():
			return nil, fail(ctx.Err())
		}
	}
	if link.Err != nil {
		return nil, fail(link.Err)
	}
	n.mu.Lock()
	l := n.listeners[to]
	if l == nil {
		l = n.listeners[wildcard(to.Port())]
	}
	n.mu.Unlock()
	if l == nil {
		return nil, fail(syscall.ECONNREFUSED)
	}
	near, far := newPair(net.TCPAddrFromAddrPort(src), net.TCPAddrFromAddrPort(to), link)
	if !l.add(far) {
		return nil, fail(syscall.ECONNREFUSED)
	}
	return near, nil
}

func (n *Network) link(network string, from, to netip.AddrPort) Link {
	if n.Link == nil {
		return Link{}
	}
	return n.Link(network, from, to)
}

// port gives ephemeral ports in turn. Called with mu held.
func (n *Network) port() uint16 {
	if n.nextPort < 49152 || n.nextPort == 65535 {
		n.nextPort = 49151
	}
	n.nextPort++
	return n.nextPort
}

// wildcard is the key for "every address of this port".
func wildcard(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.IPv6Unspecified(), port)
}

func loopback(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// bind turns what a caller listens on into a key; own is the address of the
// machine, if it is one.
func (n *Network) bind(network, address string, own netip.Addr) (proto string, key netip.AddrPort, err error) {
	proto, key, err = resolve(network, address)
	if err != nil {
		return "", key, &net.OpError{Op: "listen", Net: network, Addr: textAddr{network, address}, Err: err}
	}
	ip := key.Addr()
	if ip.IsUnspecified() {
		ip = netip.IPv6Unspecified()
		if own.IsValid() {
			ip = own
		}
	}
	return proto, netip.AddrPortFrom(ip, key.Port()), nil
}

// resolve parses an address. An empty host is the unspecified address.
func resolve(network, address string) (proto string, ap netip.AddrPort, err error) {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return "", ap, net.UnknownNetworkError(network)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", ap, err
	}
	number, err := net.LookupPort(network, port)
	if err != nil {
		return "", ap, err
	}
	var ip netip.Addr
	switch host {
	case "":
		ip = netip.IPv6Unspecified()
	case "localhost":
		ip = loopback(netip.IPv4Unspecified())
		if network[3:] == "6" {
			ip = netip.IPv6Loopback()
		}
	default:
		if ip, err = netip.ParseAddr(host); err != nil {
			return "", ap, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
	}
	ip = ip.Unmap().WithZone("")
	if network[3:] == "4" && !ip.Is4() && host != "" || network[3:] == "6" && ip.Is4() {
		return "", ap, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return network[:3], netip.AddrPortFrom(ip, uint16(number)), nil
}

// textAddr is an address as it was asked for.
type textAddr struct{ network, address string }

func (a textAddr) Network() string { return a.network }
func (a textAddr) String() string  { return a.address }
