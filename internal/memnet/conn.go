package memnet

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// Conn is one end of a stream. It has what *net.TCPConn has and servers use,
// CloseWrite among it.
type Conn struct {
	in, out       *half
	local, remote net.Addr
	rd, wd        *deadline
	closing       sync.Once
}

// Pipe returns the two ends of a connection between made-up addresses.
func Pipe() (a, b net.Conn) {
	return newPair(
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1).To4(), Port: 49152},
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1).To4(), Port: 49153}, Link{})
}

// newPair connects a, the end that dialed, with b.
func newPair(a, b net.Addr, link Link) (*Conn, *Conn) {
	up, down := newHalf(), newHalf()
	up.latency, down.latency = link.Latency, link.Latency
	cut := func() {
		for _, h := range []*half{up, down} {
			h.endWrite(syscall.ECONNRESET, syscall.ECONNRESET)
		}
	}
	up.onCut, down.onCut = cut, cut
	if link.CutSent != 0 {
		up.cut = max(0, link.CutSent)
	}
	if link.CutReceived != 0 {
		down.cut = max(0, link.CutReceived)
	}
	return &Conn{in: down, out: up, local: a, remote: b, rd: newDeadline(), wd: newDeadline()},
		&Conn{in: up, out: down, local: b, remote: a, rd: newDeadline(), wd: newDeadline()}
}

func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p, c.rd.wait())
	if err != nil && err != io.EOF {
		err = c.opError("read", err)
	}
	return n, err
}

func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p, c.wd.wait())
	if err != nil {
		err = c.opError("write", err)
	}
	return n, err
}

// Close ends both directions. The peer reads what was sent and then io.EOF; or
// ECONNRESET when this end had not read everything, as with TCP.
func (c *Conn) Close() error {
	err := c.opError("close", net.ErrClosed)
	c.closing.Do(func() {
		err = nil
		if c.in.endRead() {
			c.out.endWrite(syscall.ECONNRESET, net.ErrClosed)
		} else {
			c.out.endWrite(io.EOF, net.ErrClosed)
		}
		c.stop()
	})
	return err
}

// Reset ends the connection at once: the peer reads what was sent and then
// ECONNRESET.
func (c *Conn) Reset() {
	c.closing.Do(func() {
		c.in.endRead()
		c.out.endWrite(syscall.ECONNRESET, net.ErrClosed)
		c.stop()
	})
}

func (c *Conn) stop() {
	c.rd.set(time.Time{})
	c.wd.set(time.Time{})
}

// CloseWrite ends the direction away from this end: the peer reads what was
// sent and then io.EOF, and may go on sending.
func (c *Conn) CloseWrite() error {
	c.out.endWrite(io.EOF, syscall.EPIPE)
	return nil
}

// CloseRead refuses what the peer still sends.
func (c *Conn) CloseRead() error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.readErr, c.in.gone, c.in.sendErr = io.EOF, true, syscall.EPIPE
	c.in.wake()
	return nil
}

func (c *Conn) LocalAddr() net.Addr  { return c.local }
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

func (c *Conn) SetDeadline(t time.Time) error {
	c.rd.set(t)
	c.wd.set(t)
	return nil
}

func (c *Conn) SetReadDeadline(t time.Time) error {
	c.rd.set(t)
	return nil
}

func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.wd.set(t)
	return nil
}

func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
