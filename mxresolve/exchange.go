package mxresolve

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// An exchange asks one question until somebody answers: it goes from upstream to upstream, and comes back to those that
// were silent. All packets stay answerable until the end, so that a slow answer counts. Exchanges are used again: what
// comes late for an earlier question is known by its pending.
type exchange struct {
	e       *engine
	q       question
	legs    []leg
	replies chan reply
	timer   *time.Timer // until the next leg's turn, or until the end
	end     time.Time   // Limits.Timeout
	tries   int
}

// newExchange takes an exchange from the shelf.
func (e *engine) newExchange(q question, ups []*upstream) *exchange {
	x, _ := e.idle.Get().(*exchange)
	if n := len(ups); x == nil || len(x.legs) != n {
		x = &exchange{e: e, legs: make([]leg, n), replies: make(chan reply, 6*n),
			timer: time.NewTimer(time.Hour)}
	}
	x.q, x.tries = q, 0
	for i, up := range ups {
		x.legs[i] = leg{up: up, stream: up.network != "udp"}
	}
	x.end = time.Now().Add(e.limits.Timeout)
	return x
}

// alarm sets the timer for a wait, which may be cut short by the end.
func (x *exchange) alarm(wait time.Duration) { x.timer.Reset(min(wait, time.Until(x.end))) }

// over says that the time for the question has passed.
func (x *exchange) over() bool { return !time.Now().Before(x.end) }

// finish frees what the exchange holds and puts it back.
func (x *exchange) finish() {
	for i := range x.legs {
		l := &x.legs[i]
		l.release()
		if l.slot {
			<-l.up.slots
		}
		*l = leg{}
	}
	x.timer.Stop()
	x.e.idle.Put(x)
}

// exchange returns the first answer, or a failure.
func (e *engine) exchange(ctx context.Context, q question) (*message, *upstream, *answer) {
	return e.exchangeWith(ctx, q, rank(e.upstreams, time.Now()))
}

// exchangeWith asks some upstreams, in this order.
func (e *engine) exchangeWith(ctx context.Context, q question, ups []*upstream) (*message, *upstream, *answer) {
	x := e.newExchange(q, ups)
	defer x.finish()
	for turn := 0; ; turn++ {
		l := &x.legs[turn%len(x.legs)]
		if l.failed {
			if x.allFailed() {
				return nil, nil, x.failure()
			}
			continue
		}
		rto := l.up.rto()
		wait := min(rto<<min(turn/len(x.legs), 6), max(maxRTO, rto))
		if err := x.send(ctx, l, wait); err != nil {
			if err == errBusy || l.failed {
				continue
			}
			return nil, nil, x.ended(ctx, err)
		}
		if l.stream {
			wait = max(wait, streamDial) // TCP repeats by itself
		}
		x.alarm(wait)
	waiting:
		for {
			select {
			case r := <-x.replies:
				m, up, resend := x.take(r)
				if m != nil {
					return m, up, nil
				}
				if resend && x.send(ctx, r.to.leg, wait) == nil {
					x.alarm(max(wait, streamDial))
				}
				if l.failed {
					break waiting
				}
			case <-x.timer.C:
				if x.over() {
					return nil, nil, x.ended(ctx, errQuestionTimeout)
				}
				l.up.silent(l.lastAt, time.Now())
				break waiting
			case <-ctx.Done():
				return nil, nil, x.ended(ctx, ctx.Err())
			}
		}
	}
}

var (
	errQuestionTimeout = errors.New("no answer in time")
	errBusy            = errors.New("too many questions in flight")
)

// send asks at a leg's upstream, once more if it was asked before. For a place among its questions in flight it waits no
// longer than given, unless there is no other upstream.
func (x *exchange) send(ctx context.Context, l *leg, wait time.Duration) error {
	if !l.slot {
		select {
		case l.up.slots <- struct{}{}:
		default:
			if len(x.legs) == 1 { // whoever leaves the queue starts at its end again
				wait = x.e.limits.Timeout
			}
			x.alarm(wait)
			select {
			case l.up.slots <- struct{}{}:
			case <-x.timer.C:
				if x.over() {
					return errQuestionTimeout
				}
				return errBusy // the next upstream's turn
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		l.slot = true
	}
	if l.stream && l.conn != nil {
		return nil // still on its way
	}
	l.lastAt = time.Now()
	if l.conn == nil {
		if err := x.prepare(ctx, l); err != nil {
			if ctx.Err() != nil {
				return ctx.Err() // says nothing about the upstream
			}
			l.fail(err)
			return err
		}
		l.firstAt = l.lastAt
	}
	x.tries++
	if t := x.e.r.Trace; t != nil && t.Sent != nil {
		t.Sent(SentInfo{Name: x.q.name, Type: typeText(x.q.typ), Upstream: l.up.text, Network: l.network(), Try: x.tries})
	}
	err := l.conn.send(ctx, l.pending.query)
	if err != nil && ctx.Err() == nil {
		l.release()
		l.fail(err)
	}
	return err
}

func (x *exchange) allFailed() bool {
	for i := range x.legs {
		if !x.legs[i].failed {
			return false
		}
	}
	return true
}

// failure says what each upstream did.
func (x *exchange) failure() *answer {
	var b strings.Builder
	var server, ede string
	timeout := true
	for i := range x.legs {
		l := &x.legs[i]
		text := l.text
		switch {
		case text != "":
		case l.packets > 0:
			text = "no answer"
		default:
			continue
		}
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(l.up.text + ": " + text)
		if ede == "" {
			ede = l.ede
		}
		server = l.up.text
		timeout = timeout && l.text == ""
	}
	if b.Len() == 0 {
		b.WriteString(errBusy.Error())
	}
	a := failure(x.q, b.String(), server)
	a.ede = ede
	a.err.IsTimeout = timeout
	return a
}

// ended is for an exchange that ran out of time, its own or the caller's.
func (x *exchange) ended(ctx context.Context, err error) *answer {
	if err != errQuestionTimeout {
		return canceled(x.q, ctx)
	}
	a := x.failure()
	a.err.Err += " within " + x.e.limits.Timeout.String() + " (" + strconv.Itoa(x.tries) + " tries)"
	return a
}

// canceled is the answer for an asker who went away. It is never cached.
func canceled(q question, ctx context.Context) *answer {
	a := failure(q, context.Cause(ctx).Error(), "")
	a.err.UnwrapErr = ctx.Err()
	a.err.IsTimeout = errors.Is(ctx.Err(), context.DeadlineExceeded)
	a.ctxErr = ctx.Err()
	return a
}

// plainError cuts what net.OpError says about sockets down to what a person needs.
func plainError(err error) string {
	var oe *net.OpError
	if errors.As(err, &oe) && oe.Err != nil {
		err = oe.Err
	}
	var se *os.SyscallError
	if errors.As(err, &se) {
		err = se.Err
	}
	return err.Error()
}
