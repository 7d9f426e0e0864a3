package mxresolve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

const udpSockets = 4 // at each upstream

// upstream is the memory of one name server: its sockets, how fast it is, what it cannot do.
type upstream struct {
	text    string // as configured
	network string // "udp", "tcp" or "tls"
	addr    string
	tls     *tls.Config
	trustAD bool
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	slots   chan struct{} // questions in flight
	minWait time.Duration // Limits.MinWait

	mu        sync.Mutex
	sockets   [udpSockets]*conn
	stream    *conn
	srtt      time.Duration // RFC 6298
	rttvar    time.Duration
	lastReply time.Time
	timeouts  int
	deadUntil time.Time
	noEDNS    time.Time // until when
	foldsCase bool      // proven over TCP: it does not repeat the case of letters
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// ParseUpstream reads what may stand in Upstream.Addr, for flags and configuration files. Its error says what is wrong, and
// what is wanted.
func ParseUpstream(addr string) (Upstream, error) {
	u := Upstream{Addr: addr}
	_, err := newUpstream(u, 1)
	return u, err
}

// newUpstream reads the notation of Upstream.Addr.
func newUpstream(u Upstream, inFlight int) (*upstream, error) {
	up := &upstream{text: u.Addr, network: "udp", trustAD: u.TrustAD, slots: make(chan struct{}, inFlight)}
	addr, port := u.Addr, uint16(53)
	if scheme, rest, ok := strings.Cut(addr, "://"); ok {
		up.network, addr = scheme, rest
	}
	addr, certName, named := strings.Cut(addr, "#")
	switch up.network {
	case "udp", "tcp":
		if named {
			return nil, fmt.Errorf("upstream %q: a name after # is for tls:// only", u.Addr)
		}
	case "tls":
		port = 853
	default:
		return nil, fmt.Errorf("upstream %q: unknown scheme, want udp, tcp or tls", u.Addr)
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]"))
		if err != nil { // names would have to be looked up by somebody else
			return nil, fmt.Errorf("upstream %q: want an IP address, with a port or without, such as 192.0.2.53, [2001:db8::53]:5353 or tls://192.0.2.53#dns.example", u.Addr)
		}
		ap = netip.AddrPortFrom(ip, port)
	}
	if ap.Port() == 0 {
		return nil, fmt.Errorf("upstream %q: there is no port 0", u.Addr)
	}
	up.addr = ap.String()
	up.trustAD = up.trustAD || ap.Addr().IsLoopback()
	if up.network == "tls" {
		up.tls = &tls.Config{}
		if u.TLSConfig != nil {
			up.tls = u.TLSConfig.Clone()
		}
		up.trustAD = up.trustAD || !up.tls.InsecureSkipVerify
		if certName != "" {
			up.tls.ServerName = certName
		} else if up.tls.ServerName == "" {
			up.tls.ServerName = ap.Addr().WithZone("").String()
		}
		if up.tls.ClientSessionCache == nil {
			up.tls.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		}
	}
	return up, nil
}

// socket returns a UDP socket on which p is registered, opening one when needed. random chooses among them.
func (u *upstream) socket(ctx context.Context, p *pending, random byte) (*conn, error) {
	i := random % udpSockets
	for range 3 {
		u.mu.Lock()
		c := u.sockets[i]
		u.mu.Unlock()
		if c == nil || c.worn() {
			nc, err := u.dial(ctx, "udp", u.addr)
			if err != nil {
				return nil, err
			}
			fresh := newConn()
			fresh.nc = nc
			u.mu.Lock()
			old := c
			if u.sockets[i] == c {
				u.sockets[i], c = fresh, fresh
			} else { // another query was faster
				fresh, c = nil, u.sockets[i]
			}
			u.mu.Unlock()
			if fresh == nil {
				nc.Close()
				if c == nil {
					continue
				}
			} else {
				go fresh.readDatagrams()
				if old != nil {
					old.drain()
				}
			}
		}
		if c.register(p) {
			return c, nil
		}
	}
	return nil, errConnClosed
}

// streamConn returns the TCP or TLS connection, on which p is registered.
func (u *upstream) streamConn(p *pending) (*conn, error) {
	for range 3 {
		u.mu.Lock()
		c := u.stream
		if c == nil {
			c = newConn()
			c.out = make(chan []byte, cap(u.slots))
			u.stream = c
			go func() {
				c.runStream(u.dialStream)
				u.dropStream(c)
			}()
		}
		u.mu.Unlock()
		if c.register(p) {
			return c, nil
		}
		u.dropStream(c)
	}
	return nil, errConnClosed
}

func (u *upstream) dropStream(c *conn) {
	u.mu.Lock()
	if u.stream == c {
		u.stream = nil
	}
	u.mu.Unlock()
}

func (u *upstream) dialStream(ctx context.Context) (net.Conn, error) {
	nc, err := u.dial(ctx, "tcp", u.addr)
	if err != nil || u.tls == nil {
		return nc, err
	}
	tc := tls.Client(nc, u.tls)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// close gives up all connections.
func (u *upstream) close() {
	u.mu.Lock()
	conns := append([]*conn{u.stream}, u.sockets[:]...)
	u.sockets, u.stream = [udpSockets]*conn{}, nil
	u.mu.Unlock()
	for _, c := range conns {
		if c != nil {
			c.end(errConnClosed)
		}
	}
}
