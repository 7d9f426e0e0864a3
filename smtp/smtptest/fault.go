package smtptest

import (
	"context"
	"math/rand/v2"
	"net"
	"time"
)

// A Direction is one of the two streams of a connection.
type Direction uint8

// The directions.
const (
	ToClient Direction = iota // what the server sends
	ToServer                  // what the client sends
)

// FaultKind is what goes wrong.
type FaultKind uint8

// The kinds of faults.
const (
	Drop   FaultKind = iota // the connection is cut before the octet
	Garble                  // the octet is changed
	Stall                   // nothing comes for Delay before the octet
	Slow                    // from the octet on each one takes Delay
)

// A Fault is something that goes wrong at one octet of one stream. With TLS the octets are those of TLS.
type Fault struct {
	Kind  FaultKind
	On    Direction
	At    int64 // the octet's place in its stream, from 0
	Delay time.Duration
}

// Always gives the same faults to each connection.
func Always(faults ...Fault) func(conn int) []Fault {
	return func(int) []Fault { return faults }
}

// Chaos breaks connections at random: each with the probability given, once, within the first octets of one of its streams. The same seed gives the
// same faults again. Delays are up to delay.
func Chaos(seed uint64, probability float64, octets int64, delay time.Duration) func(conn int) []Fault {
	return func(conn int) []Fault {
		r := rand.New(rand.NewPCG(seed, uint64(conn)))
		if r.Float64() >= probability {
			return nil
		}
		return []Fault{{
			Kind: FaultKind(r.IntN(4)), On: Direction(r.IntN(2)), At: r.Int64N(max(1, octets)),
			Delay: time.Duration(r.Int64N(int64(max(1, delay)))),
		}}
	}
}

// faultyConn is a server's connection with faults.
type faultyConn struct {
	net.Conn
	ctx     context.Context // ends the waiting
	cancel  context.CancelFunc
	streams [2]stream
}

// stream is one direction: how many octets have passed, and what is still to happen.
type stream struct {
	passed int64
	faults []Fault
	slow   time.Duration
}

func newFaultyConn(ctx context.Context, nc net.Conn, faults []Fault) net.Conn {
	c := &faultyConn{Conn: nc}
	c.ctx, c.cancel = context.WithCancel(ctx)
	for _, f := range faults {
		c.streams[f.On].faults = append(c.streams[f.On].faults, f)
	}
	return c
}

// Close ends what waits.
func (c *faultyConn) Close() error {
	c.cancel()
	return c.Conn.Close()
}

// Read gives what the client sent.
func (c *faultyConn) Read(p []byte) (int, error) {
	s := &c.streams[ToServer]
	if len(p) > 1 && s.slow > 0 {
		p = p[:1]
	}
	n, err := c.Conn.Read(p)
	done := 0
	for done < n {
		k, ferr := c.pass(s, p[done:n])
		done += k
		if ferr != nil {
			return done, ferr
		}
	}
	return n, err
}

// Write sends to the client.
func (c *faultyConn) Write(p []byte) (int, error) {
	s := &c.streams[ToClient]
	done := 0
	for done < len(p) {
		b := append([]byte(nil), p[done:]...) // a Writer must not change what it is given
		k, err := c.pass(s, b)
		if k > 0 {
			if _, werr := c.Conn.Write(b[:k]); werr != nil {
				return done, werr
			}
		}
		done += k
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// pass lets octets through up to the next fault, and has that happen. It may change them.
func (c *faultyConn) pass(s *stream, b []byte) (int, error) {
	n := int64(len(b))
	if s.slow > 0 {
		n = 1
		if err := sleep(c.ctx, s.slow); err != nil {
			return 0, err
		}
	}
	for i, f := range s.faults {
		if f.At < s.passed || f.At >= s.passed+n {
			continue
		}
		if f.At > s.passed { // what is in front of it goes first
			n = f.At - s.passed
			continue
		}
		s.faults = append(append([]Fault(nil), s.faults[:i]...), s.faults[i+1:]...)
		switch f.Kind {
		case Drop:
			c.Close()
			return 0, net.ErrClosed
		case Garble:
			b[0] ^= 0x55
			s.passed++
			return 1, nil
		case Stall:
			return 0, sleep(c.ctx, f.Delay)
		case Slow:
			s.slow = f.Delay
			return 0, nil
		}
	}
	s.passed += n
	return int(n), nil
}
