// Package conns is what mail servers have in common below their protocols: listeners, the connections that are open, how many there may be, and
// how it all ends.
//
//	func (s *Server) Serve(l net.Listener) error {
//		return s.group.Serve(l, func(c net.Conn) { s.ServeConn(context.Background(), c) })
//	}
//
//	func (s *Server) ServeConn(ctx context.Context, nc net.Conn) error {
//		c, err := s.group.Open(ctx, nc) // counted, with the PROXY header read
//		if err != nil {
//			return err
//		}
//		defer c.End()
//		...
//	}
//
// A session that waits for its client does it so that Shutdown can wake it:
//
//	c.SetReadDeadline(deadline)
//	if s.group.Stopping() {
//		// say good-bye
//	}
//	c.Read(p)
//
// In this order no wake-up is missed: [Group.Shutdown] first raises the flag, then puts the deadline into the past.
package conns

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What Open says when there is no room.
var (
	ErrTooMany     = errors.New("too many connections")
	ErrTooManyFrom = errors.New("too many connections from this address")
)

// A Group is the listeners and connections of a server. The fields are set before its first use.
type Group struct {
	Closed      error          // what Serve and Open give after Shutdown or Close
	Connections int            // at a time; further ones get ErrTooMany; 0 or less: any number
	PerAddress  int            // at a time from one address (IPv6: a /64); further ones get ErrTooManyFrom; 0 or less: any number
	ProxyFrom   []netip.Prefix // who begins with a PROXY header
	Trusted     []netip.Prefix // further ones that are not counted by address: they speak for many
	Logger      *slog.Logger   // required

	stopping atomic.Bool
	spare    atomic.Int32

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*Conn]struct{}
	networks  map[netip.Addr]int
	stopped   chan struct{} // closed when stopping begins
	gone      chan struct{} // closed when the last connection has ended after that
}

// Stopping tells whether Shutdown or Close has been called.
func (g *Group) Stopping() bool { return g.stopping.Load() }

// Serve accepts connections, for each of which handle runs on a goroutine, until the listener fails or the group is stopped, which gives
// g.Closed. It closes the listener.
func (g *Group) Serve(l net.Listener, handle func(net.Conn)) error {
	defer l.Close()
	stopped, ok := g.addListener(l)
	if !ok {
		return g.Closed
	}
	defer g.removeListener(l)
	next := make(chan net.Conn)
	defer close(next)
	wait := time.Duration(0)
	for {
		c, err := l.Accept()
		if err == nil {
			wait = 0
			select {
			case next <- c:
			default:
				go g.work(handle, c, next)
			}
			continue
		}
		if g.Stopping() {
			return g.Closed
		}
		// Out of file descriptors, or the peer was gone before it was accepted: the listener is still good, as net/http sees it.
		if t, ok := errors.AsType[temporary](err); !ok || !t.Temporary() {
			return err
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		g.Logger.Warn("accept failed, trying again", "error", err, "wait", wait)
		select {
		case <-time.After(wait):
		case <-stopped:
			return g.Closed
		}
	}
}

type temporary interface {
	error
	Temporary() bool
}

// work handles a connection, and then those of next: the stack of a goroutine that has served a connection need not grow again.
func (g *Group) work(handle func(net.Conn), c net.Conn, next <-chan net.Conn) {
	for c != nil {
		handle(c)
		if g.spare.Add(1) <= maxSpare {
			c = <-next // nil when Serve has ended
		} else {
			c = nil
		}
		g.spare.Add(-1)
	}
}

// maxSpare is how many goroutines wait for their next connection.
const maxSpare = 16

func (g *Group) addListener(l net.Listener) (stopped chan struct{}, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.Stopping() {
		return nil, false
	}
	if g.listeners == nil {
		g.listeners = make(map[net.Listener]struct{})
	}
	if g.stopped == nil {
		g.stopped = make(chan struct{})
	}
	g.listeners[l] = struct{}{}
	return g.stopped, true
}

func (g *Group) removeListener(l net.Listener) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.listeners, l)
}

// Shutdown stops listening, cuts the connections that are not open yet, and wakes the others, which end when they see fit. It returns
// nil when all have ended, or the error of ctx; then Close may cut the rest.
func (g *Group) Shutdown(ctx context.Context) error {
	open, opening, gone := g.stop()
	for _, c := range opening {
		c.cut()
	}
	for _, c := range open {
		c.SetReadDeadline(past)
	}
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var past = time.Unix(1, 0)

// Close stops listening and cuts all connections. It does not wait for them.
func (g *Group) Close() {
	open, opening, _ := g.stop()
	for _, c := range append(open, opening...) {
		c.cut()
	}
}

// stop closes the listeners, lets nobody in any more, and gives the connections that there are.
func (g *Group) stop() (open, opening []*Conn, gone chan struct{}) {
	g.mu.Lock()
	if first := !g.stopping.Swap(true); first {
		if g.stopped != nil {
			close(g.stopped)
		}
		g.gone = make(chan struct{})
		if len(g.conns) == 0 {
			close(g.gone)
		}
	}
	for c := range g.conns {
		if c.open {
			open = append(open, c)
		} else {
			opening = append(opening, c)
		}
	}
	listeners := make([]net.Listener, 0, len(g.listeners))
	for l := range g.listeners {
		listeners = append(listeners, l)
	}
	g.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	return open, opening, g.gone
}
