package smtp

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// A Pool sends messages over connections that it keeps for the next one. It is safe for concurrent use, and its zero value is ready. The fields must not
// be changed after the first use.
type Pool struct {
	Dialer *Dialer // nil: the zero Dialer

	MaxConns    int           // connections to one destination at once, others wait; default 10
	MaxMessages int           // messages over one connection; default 100
	IdleTimeout time.Duration // how long a connection is kept without use; default 30 seconds
	MaxAge      time.Duration // how long after it was made a connection is used again; default 5 minutes

	Trace *PoolTrace

	mu           sync.Mutex
	destinations map[string]*destination
	closed       bool
}

// A PoolTrace is a set of hooks that see what a [Pool] does with connections, for counters and for tests. Any of them may be nil. They are called in the goroutine
// of Send, without locks, and must not block. key is the address, or what SendVia was given.
type PoolTrace struct {
	Waited func(key string, d time.Duration)    // a message had to wait for a place at its destination
	Got    func(key string, c *Conn, kept bool) // a message goes out over a connection: one that was kept, or a new one
	Put    func(key string, c *Conn, kept bool) // a message is done with, and its connection is kept for the next, or ended
}

// A destination has the connections to one address.
type destination struct {
	tokens chan struct{} // one for each connection in use
	idle   []*pooled     // the last one used is last
	users  int           // callers of Send that are here: with none, and nothing idle, the destination is forgotten
}

// pooled is a connection of a pool.
type pooled struct {
	*Conn
	made     time.Time
	messages int
	timer    *time.Timer // ends its idleness
}

// Send sends as [Conn.Send] does, over a connection that is kept or a new one. When a kept connection turns out to be gone before any of
// the message was sent, it is tried once more over a new one.
func (p *Pool) Send(ctx context.Context, addr string, e *Envelope, content Content) (*Result, error) {
	dialer := p.Dialer
	if dialer == nil {
		dialer = &Dialer{}
	}
	return p.SendVia(ctx, addr, func(ctx context.Context) (*Conn, error) { return dialer.Dial(ctx, addr) }, e, content)
}

// SendVia sends over a connection that is kept under the name key, or one that dial makes. The key stands for everything that matters of the connection: a
// queue that has TLS rules of its own for a destination puts them, and the host, into it.
func (p *Pool) SendVia(ctx context.Context, key string, dial func(ctx context.Context) (*Conn, error), e *Envelope, content Content) (*Result, error) {
	d, err := p.enter(ctx, key)
	if err != nil {
		return failed(e, err), err
	}
	defer p.leave(key, d)
	for fresh := false; ; fresh = true {
		var c *pooled
		if !fresh {
			c = p.take(d)
		}
		reused := c != nil
		if c == nil {
			conn, err := dial(ctx)
			if err != nil {
				return failed(e, err), err
			}
			c = &pooled{Conn: conn, made: time.Now()}
		}
		if t := p.Trace; t != nil && t.Got != nil {
			t.Got(key, c.Conn, reused)
		}
		res, err := c.Send(ctx, e, content)
		again := c.dead != nil && reused && !c.sent && ctx.Err() == nil // the server hung up while the connection was idle
		kept := c.dead == nil && p.put(key, d, c)
		if t := p.Trace; t != nil && t.Put != nil {
			t.Put(key, c.Conn, kept)
		}
		if !again {
			return res, err
		}
	}
}

// enter waits for a place at a destination.
func (p *Pool) enter(ctx context.Context, key string) (*destination, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, local(EnhancedCode{4, 3, 2}, "", ErrConnUnusable)
	}
	d := p.destinations[key]
	if d == nil {
		d = &destination{tokens: make(chan struct{}, max(1, cmp.Or(p.MaxConns, 10)))}
		if p.destinations == nil {
			p.destinations = map[string]*destination{}
		}
		p.destinations[key] = d
	}
	d.users++
	p.mu.Unlock()
	select {
	case d.tokens <- struct{}{}:
		return d, nil
	default:
	}
	if t := p.Trace; t != nil && t.Waited != nil {
		start := time.Now()
		defer func() { t.Waited(key, time.Since(start)) }()
	}
	select {
	case d.tokens <- struct{}{}:
		return d, nil
	case <-ctx.Done():
		p.forget(key, d)
		return nil, local(EnhancedCode{4, 4, 5}, "", context.Cause(ctx))
	}
}

func (p *Pool) leave(key string, d *destination) {
	<-d.tokens
	p.forget(key, d)
}

// forget drops what is known of a destination that nobody uses.
func (p *Pool) forget(key string, d *destination) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.users--
	p.tidy(key, d)
}

func (p *Pool) tidy(key string, d *destination) {
	if d.users == 0 && len(d.idle) == 0 && p.destinations[key] == d {
		delete(p.destinations, key)
	}
}

// take gives the idle connection that was used last.
func (p *Pool) take(d *destination) *pooled {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(d.idle) > 0 {
		c := d.idle[len(d.idle)-1]
		d.idle = d.idle[:len(d.idle)-1]
		if c.timer.Stop() {
			return c
		} // else the timer has begun to close it
	}
	return nil
}

// put keeps a connection for the next message, or ends it.
func (p *Pool) put(key string, d *destination, c *pooled) (kept bool) {
	c.messages++
	limit := c.caps.Limit("MAILMAX") // RFC 9422 s4.1
	p.mu.Lock()
	if p.closed || c.messages >= cmp.Or(p.MaxMessages, 100) || limit > 0 && c.mails >= limit || time.Since(c.made) >= cmp.Or(p.MaxAge, 5*time.Minute) {
		p.mu.Unlock()
		go bye(c.Conn)
		return false
	}
	c.timer = time.AfterFunc(cmp.Or(p.IdleTimeout, 30*time.Second), func() {
		p.mu.Lock()
		for i, other := range d.idle {
			if other == c {
				d.idle = append(d.idle[:i], d.idle[i+1:]...)
				break
			}
		}
		p.tidy(key, d)
		p.mu.Unlock()
		bye(c.Conn)
	})
	d.idle = append(d.idle, c)
	p.mu.Unlock()
	return true
}

// bye says QUIT, which has a short timeout of its own.
func bye(c *Conn) { _ = c.Quit(context.Background()) }

// Close ends the connections that are idle, with QUIT, and waits for that. Messages under way are sent to their end; new ones are refused.
func (p *Pool) Close() error {
	var wg sync.WaitGroup
	p.mu.Lock()
	p.closed = true
	for key, d := range p.destinations {
		for _, c := range d.idle {
			if c.timer.Stop() {
				wg.Go(func() { bye(c.Conn) })
			}
		}
		d.idle = nil
		p.tidy(key, d)
	}
	p.mu.Unlock()
	wg.Wait()
	return nil
}
