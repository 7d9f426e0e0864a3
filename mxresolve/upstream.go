package mxresolve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	udpSockets = 4 // at each upstream
	firstRTO   = 300 * time.Millisecond
	minRTO     = 100 * time.Millisecond
	maxRTO     = 3 * time.Second
	noEDNSFor  = time.Hour
	deadAfter  = 3 // timeouts in a row, without any answer since
	minDead    = 5 * time.Second
	maxDead    = time.Minute
)

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

// abilities says how to ask: with EDNS, with mixed case.
func (u *upstream) abilities(now time.Time) (edns, mixed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return now.After(u.noEDNS), !u.foldsCase
}

// rto is how long to wait for an answer before asking again.
func (u *upstream) rto() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	rto := firstRTO
	if u.srtt > 0 {
		rto = min(max(u.srtt+4*u.rttvar, minRTO), maxRTO)
	}
	return max(rto, u.minWait)
}

// answered notes that the upstream lives, and how long it took since its packet was first and last sent.
func (u *upstream) answered(now time.Time, first, last time.Duration, stream bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lastReply, u.timeouts, u.deadUntil = now, 0, time.Time{}
	rtt := last
	if last < u.srtt/2 || u.srtt == 0 {
		rtt = first // too quick for the repetition: the first packet was not lost but slow
	}
	switch {
	case stream: // dialing may be in it
	case u.srtt == 0:
		u.srtt, u.rttvar = max(rtt, 1), rtt/2
	default: // RFC 6298 s2.3
		u.rttvar += ((u.srtt - rtt).Abs() - u.rttvar) / 4
		u.srtt += (rtt - u.srtt) / 8
	}
}

// silent notes that nothing came for a packet of the given time.
func (u *upstream) silent(sent, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.lastReply.After(sent) {
		return // it lives, one packet was lost
	}
	if u.timeouts++; u.timeouts >= deadAfter {
		u.deadUntil = now.Add(min(minDead<<min(u.timeouts-deadAfter, 8), maxDead))
	}
}

// broken notes that the upstream cannot be reached at all.
func (u *upstream) broken(now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.timeouts = max(u.timeouts+1, deadAfter)
	u.deadUntil = now.Add(minDead)
}

// rank orders upstreams: as configured, but the dead last, and the slow behind those that are clearly faster. One
// question at a time finds out whether a dead one lives again.
func rank(ups []*upstream, now time.Time) []*upstream {
	if len(ups) == 1 {
		return ups
	}
	type ranked struct {
		up   *upstream
		dead bool
		srtt time.Duration
	}
	list := make([]ranked, len(ups))
	for i, u := range ups {
		u.mu.Lock()
		list[i] = ranked{u, now.Before(u.deadUntil), u.srtt}
		if !u.deadUntil.IsZero() && !list[i].dead {
			u.deadUntil = now.Add(time.Second) // this question is the probe
		}
		u.mu.Unlock()
	}
	slices.SortStableFunc(list, func(a, b ranked) int {
		switch {
		case a.dead == b.dead:
			return 0
		case a.dead:
			return 1
		}
		return -1
	})
	// The first gives way to the fastest only if that pays: a steady order keeps one cache warm.
	first, best := list[0], 0
	for i, r := range list {
		if !r.dead && r.srtt > 0 && 2*r.srtt+20*time.Millisecond < list[best].srtt {
			best = i
		}
	}
	if best > 0 {
		first.up.mu.Lock()
		first.up.srtt -= first.up.srtt / 50 // forgiven in time, so that it is tried again
		first.up.mu.Unlock()
		fastest := list[best]
		list = slices.Insert(slices.Delete(list, best, best+1), 0, fastest)
	}
	out := make([]*upstream, len(list))
	for i := range list {
		out[i] = list[i].up
	}
	return out
}
