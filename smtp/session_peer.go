package smtp

import (
	"context"
	"errors"
	"io"
	"time"
)

// trust lets the peer use XCLIENT. The context for the handler is then one that ends with what XCLIENT replaces.
func (x *session) trust() {
	remote := x.peer.Remote.Addr()
	for _, p := range x.srv.XClientFrom {
		if p.Contains(remote) {
			x.m.trusted = x.m.offer.Has(ExtXClient)
		}
	}
	if x.m.trusted {
		x.ctx, x.forget = context.WithCancel(x.base)
	}
}

// xclient begins the session anew, for another client.
func (x *session) xclient() {
	p := *x.peer
	if p.Hello, p.Extended = "", false; p.Mechanism != xclientMechanism {
		p.Identity, p.Mechanism = "", "" // that was the proxy
	}
	x.m.client.apply(&p)
	if err := x.link.CountAs(p.Remote.Addr()); err != nil {
		x.peer = &p
		x.m.close(replyTooManyFrom)
		return
	}
	if x.m.client.hello != nil {
		x.helloGiven = *x.m.client.hello
	}
	x.peer = &p
	x.m.client = nil
	x.log("XCLIENT")
	x.forget()
	x.ctx, x.forget = context.WithCancel(x.base)
	x.m.begun(p.Identity != "")
	x.findMechanisms()
	x.welcome()
}

// listen waits before the greeting, and notes whether the client does so too.
func (x *session) listen() error {
	d := x.srv.GreetingDelay
	if d <= 0 {
		return nil
	}
	x.release()
	x.m.in = input{buf: x.small[:]}
	now := time.Now()
	err := x.readUntil(x.small[:], now, now.Add(d), time.Time{})
	x.acquire()
	switch {
	case err == nil:
		p := *x.peer
		p.Early = true
		x.peer = &p
	case err == errIdle:
		return nil
	case errors.Is(err, io.EOF): // it had no patience
		x.m.state = stateClosed
		return nil
	}
	return err
}
