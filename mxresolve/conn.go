package mxresolve

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	udpLife     = 30 * time.Second // then a socket is given up for one on another port
	udpQueries  = 1024             // likewise
	udpJunk     = 64               // likewise: that many answers nobody asked for look like an attack
	streamIdle  = 10 * time.Second // RFC 7766 s6.2.3
	streamDial  = 5 * time.Second
	drainPeriod = 2 * time.Second
)

var errConnClosed = errors.New("connection closed")

// A reply is what a query got on one connection: a message or an error.
type reply struct {
	to    *pending
	match match
	msg   *message
	err   error
}

// A conn is one socket to an upstream, shared by many queries that are told apart by id and question. A stream (TCP or
// TLS) has a goroutine that writes; datagrams are written directly.
type conn struct {
	nc     net.Conn // for streams set after dialing
	out    chan []byte
	closed chan struct{} // closed by end

	mu      sync.Mutex
	calls   map[uint16]*pending
	queries int
	junk    int
	retired bool // takes no more queries
	err     error
}

// pending is a query that waits on a conn.
type pending struct {
	q       question
	id      uint16
	query   []byte
	qlen    int // of the question within
	leg     *leg
	replies chan<- reply
	space   [64]byte // for a query of common length
}

func newConn() *conn {
	return &conn{calls: map[uint16]*pending{}, closed: make(chan struct{})}
}

// register writes p's id into its query, or another random one if that is taken here. False: use another conn.
func (c *conn) register(p *pending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired {
		return false
	}
	for range 64 {
		if _, taken := c.calls[p.id]; !taken {
			binary.BigEndian.PutUint16(p.query, p.id)
			c.calls[p.id] = p
			c.queries++
			return true
		}
		var b [2]byte
		rand.Read(b[:])
		p.id = binary.BigEndian.Uint16(b[:])
	}
	return false
}

func (c *conn) unregister(p *pending) {
	c.mu.Lock()
	if c.calls[p.id] == p {
		delete(c.calls, p.id)
	}
	c.mu.Unlock()
}

// worn says that a UDP socket should give way to a fresh one.
func (c *conn) worn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queries >= udpQueries || c.junk >= udpJunk {
		c.retired = true
	}
	return c.retired
}

// deliver hands a received message to the query it belongs to. Everything else is dropped: it may be forged.
func (c *conn) deliver(msg []byte) {
	if len(msg) < headerLen {
		return
	}
	id := binary.BigEndian.Uint16(msg)
	c.mu.Lock()
	p := c.calls[id]
	m := matchNone
	if p != nil {
		m = compare(msg, p.query, p.qlen)
	}
	if m == matchNone {
		c.junk++
		c.mu.Unlock()
		return
	}
	delete(c.calls, id)
	c.mu.Unlock()

	r := reply{to: p, match: m}
	r.msg, r.err = parse(msg, p.q)
	p.give(r)
}

// give never blocks: the channel has room for one reply of each query of an exchange.
func (p *pending) give(r reply) {
	select {
	case p.replies <- r:
	default:
	}
}

// fail tells all who wait that nothing will come.
func (c *conn) fail(err error) {
	c.mu.Lock()
	calls := c.calls
	c.calls = map[uint16]*pending{}
	c.mu.Unlock()
	for _, p := range calls {
		p.give(reply{to: p, err: err})
	}
}

// end closes the conn for good.
func (c *conn) end(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
		c.retired = true
		close(c.closed)
	}
	nc := c.nc
	c.mu.Unlock()
	if first && nc != nil {
		nc.Close()
	}
	c.fail(err)
}

// retire takes no more queries, and says whether nobody waits any more.
func (c *conn) retire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	return len(c.calls) == 0
}

// drain closes a UDP socket as soon as nobody waits.
func (c *conn) drain() {
	if c.retire() {
		c.end(errConnClosed)
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(drainPeriod))
}

// readDatagrams serves a UDP socket until its life is over and nobody waits any more.
func (c *conn) readDatagrams() {
	var life [1]byte
	rand.Read(life[:])
	c.nc.SetReadDeadline(time.Now().Add(udpLife + time.Duration(life[0])*udpLife/256))
	buf := make([]byte, 4096)
	for {
		n, err := c.nc.Read(buf)
		switch {
		case err == nil:
			c.deliver(buf[:n])
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.drain()
		case isRefused(err): // an ICMP message; the socket lives on
			c.fail(err)
		default:
			c.end(err)
			return
		}
	}
}

// runStream dials and serves a TCP or TLS connection.
func (c *conn) runStream(dial func(context.Context) (net.Conn, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), streamDial)
	stop := make(chan struct{})
	go func() {
		select {
		case <-c.closed:
			cancel()
		case <-stop:
		}
	}()
	nc, err := dial(ctx)
	close(stop)
	cancel()
	if err != nil {
		c.end(&dialError{err})
		return
	}
	c.mu.Lock()
	c.nc = nc
	ended := c.err != nil
	c.mu.Unlock()
	if ended {
		nc.Close()
		return
	}
	go c.writeStream()
	c.end(c.readStream())
}

// dialError marks a stream that never was one.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

func (c *conn) writeStream() {
	for {
		select {
		case msg := <-c.out:
			c.nc.SetWriteDeadline(time.Now().Add(streamIdle))
			if _, err := c.nc.Write(msg); err != nil {
				c.end(err)
				return
			}
		case <-c.closed:
			return
		}
	}
}

func (c *conn) readStream() error {
	br := bufio.NewReaderSize(c.nc, 4096)
	var buf []byte
	for {
		c.nc.SetReadDeadline(time.Now().Add(streamIdle))
		var head [2]byte
		if _, err := io.ReadFull(br, head[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint16(head[:]))
		if n > cap(buf) {
			buf = make([]byte, n)
		}
		if _, err := io.ReadFull(br, buf[:n]); err != nil {
			return err
		}
		c.deliver(buf[:n])
	}
}

// send puts a query on its way. It may block for a stream that does not take it, until ctx ends.
func (c *conn) send(ctx context.Context, msg []byte) error {
	if c.out == nil {
		_, err := c.nc.Write(msg)
		return err
	}
	framed := make([]byte, 0, 2+len(msg)) // one write, so that length and message share a segment (RFC 7766 s8)
	framed = binary.BigEndian.AppendUint16(framed, uint16(len(msg)))
	framed = append(framed, msg...)
	select {
	case c.out <- framed:
		return nil
	case <-c.closed:
		return errConnClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
