package memnet

import (
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// backlog is how many connections may wait for Accept; further ones are refused.
const backlog = 4096

type listener struct {
	n     *Network
	key   netip.AddrPort
	ready chan struct{} // a token while something waits, or after Close

	mu     sync.Mutex
	queue  []*Conn
	closed bool
	rd     *deadline
}

func (n *Network) listen(network, address string, own netip.Addr) (net.Listener, error) {
	proto, key, err := n.bind(network, address, own)
	if err != nil {
		return nil, err
	}
	if proto != "tcp" {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if key.Port() == 0 {
		for key.Port() == 0 || n.listeners[key] != nil {
			key = netip.AddrPortFrom(key.Addr(), n.port())
		}
	}
	if n.listeners[key] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.TCPAddrFromAddrPort(key), Err: syscall.EADDRINUSE}
	}
	l := &listener{n: n, key: key, ready: make(chan struct{}, 1), rd: newDeadline()}
	if n.listeners == nil {
		n.listeners = make(map[netip.AddrPort]*listener)
	}
	n.listeners[key] = l
	return l, nil
}

// add queues a connection; false means refused.
func (l *listener) add(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.queue) >= backlog {
		return false
	}
	l.queue = append(l.queue, c)
	signal(l.ready)
	return true
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		l.mu.Lock()
		if l.closed {
			signal(l.ready)
			l.mu.Unlock()
			return nil, l.opError("accept", net.ErrClosed)
		}
		if len(l.queue) > 0 {
			c := l.queue[0]
			l.queue = l.queue[1:]
			if len(l.queue) > 0 {
				signal(l.ready)
			}
			l.mu.Unlock()
			return c, nil
		}
		l.mu.Unlock()
		expired := l.rd.wait()
		if isClosed(expired) {
			return nil, l.opError("accept", errTimeout)
		}
		select {
		case <-l.ready:
		case <-expired:
		}
	}
}

// Close stops listening and resets the connections that nobody accepted.
func (l *listener) Close() error {
	l.n.mu.Lock()
	if l.n.listeners[l.key] == l {
		delete(l.n.listeners, l.key)
	}
	l.n.mu.Unlock()
	l.mu.Lock()
	queue, was := l.queue, l.closed
	l.queue, l.closed = nil, true
	signal(l.ready)
	l.mu.Unlock()
	if was {
		return l.opError("close", net.ErrClosed)
	}
	for _, c := range queue {
		c.Reset()
	}
	l.rd.set(time.Time{})
	return nil
}

func (l *listener) SetDeadline(t time.Time) error {
	l.rd.set(t)
	return nil
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.key) }

func (l *listener) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: l.Addr(), Err: err}
}
