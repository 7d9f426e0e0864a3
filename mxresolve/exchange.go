package mxresolve

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// An exchange asks one question until somebody answers: it goes from upstream to upstream, and comes back to those that
// were silent. All packets stay answerable until the end, so that a slow answer counts.
type exchange struct {
	e       *engine
	q       question
	legs    []*leg
	replies chan reply
	tries   int
}

// A leg is an exchange's business with one upstream.
type leg struct {
	up      *upstream
	slot    bool
	stream  bool // by TCP: after truncation, or by configuration
	redials int
	noEDNS  bool
	conn    *conn
	id      uint16
	pending *pending
	packets int       // sent, to tell late answers from current ones
	firstAt time.Time // when the current packet was sent,
	lastAt  time.Time // and when it was last repeated
	over    bool      // this upstream has failed for this question
	text    string    // why
	ede     string
	timeout bool
}

// exchange returns the first answer, or a failure.
func (e *engine) exchange(ctx context.Context, q question) (*message, *upstream, *answer) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.limits.Timeout, errQuestionTimeout)
	defer cancel()
	ups := rank(e.upstreams, time.Now())
	x := &exchange{e: e, q: q, legs: make([]*leg, len(ups)), replies: make(chan reply, 6*len(ups))}
	legs := make([]leg, len(ups))
	for i, up := range ups {
		legs[i] = leg{up: up, stream: up.network != "udp"}
		x.legs[i] = &legs[i]
	}
	defer x.end()

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for turn := 0; ; turn++ {
		l := x.legs[turn%len(x.legs)]
		if l.over {
			if x.allOver() {
				return nil, nil, x.failure()
			}
			continue
		}
		wait := min(l.up.rto()<<min(turn/len(x.legs), 6), maxRTO)
		timer.Reset(wait)
		if !x.send(ctx, l, timer) {
			if ctx.Err() != nil {
				return nil, nil, x.ended(ctx)
			}
			continue
		}
		if l.stream {
			wait = max(wait, streamDial) // TCP repeats by itself
		}
		timer.Reset(wait) // again: send may have waited for its turn
	waiting:
		for {
			select {
			case r := <-x.replies:
				m, resend := x.take(r)
				if m != nil {
					return m, r.leg.up, nil
				}
				if resend && x.send(ctx, r.leg, timer) {
					timer.Reset(max(wait, streamDial))
				}
				if l.over {
					break waiting
				}
			case <-timer.C:
				l.up.silent(l.lastAt, time.Now())
				l.timeout = true
				break waiting
			case <-ctx.Done():
				return nil, nil, x.ended(ctx)
			}
		}
	}
}

var errQuestionTimeout = errors.New("no answer in time")

// send asks at a leg's upstream, once more if it was asked before. False: nothing was sent.
func (x *exchange) send(ctx context.Context, l *leg, timer *time.Timer) bool {
	if !l.slot {
		select {
		case l.up.slots <- struct{}{}:
		default:
			select {
			case l.up.slots <- struct{}{}:
			case <-timer.C:
				return false // too much going on there: the next upstream
			case <-ctx.Done():
				return false
			}
		}
		l.slot = true
	}
	if l.stream && l.conn != nil {
		return true // still on its way
	}
	if l.conn == nil {
		if err := x.prepare(ctx, l); err != nil {
			l.fail(err)
			return false
		}
		l.firstAt = time.Now()
		l.lastAt = l.firstAt
	} else {
		l.lastAt = time.Now()
	}
	x.tries++
	if t := x.e.r.Trace; t != nil && t.Sent != nil {
		t.Sent(SentInfo{Name: x.q.name, Type: typeText(x.q.typ), Upstream: l.up.text, Network: l.network(), Try: x.tries})
	}
	if err := l.conn.send(ctx, l.pending.query); err != nil && ctx.Err() == nil {
		l.release()
		l.fail(err)
		return false
	}
	return ctx.Err() == nil
}

func (l *leg) network() string {
	if l.stream && l.up.network == "udp" {
		return "tcp"
	}
	return l.up.network
}

// prepare makes the packet and registers it at a connection.
func (x *exchange) prepare(ctx context.Context, l *leg) error {
	edns, mixed := l.up.abilities(time.Now())
	edns = edns && !l.noEDNS
	msg, qlen, err := newQuery(x.q, edns)
	if err != nil {
		return err
	}
	if mixed {
		var bits [32]byte
		rand.Read(bits[:])
		mixCase(msg[headerLen:headerLen+qlen-4], bits[:])
	}
	l.packets++
	l.noEDNS = !edns
	l.pending = &pending{q: x.q, query: msg, qlen: qlen, leg: l, sent: l.packets, replies: x.replies}
	if l.stream {
		l.conn, l.id, err = l.up.streamConn(l.pending)
	} else {
		l.conn, l.id, err = l.up.socket(ctx, l.pending)
	}
	return err
}

// release forgets the packet that is on its way.
func (l *leg) release() {
	if l.conn != nil {
		l.conn.unregister(l.id, l.pending)
		l.conn = nil
	}
}

func (l *leg) fail(err error) {
	l.over, l.text = true, plainError(err)
	if !errors.Is(err, errMalformed) && !errors.Is(err, errBadName) {
		l.up.broken(time.Now())
	}
}

// take judges a reply: a message that settles the question, or whether to ask the same upstream again in another way.
func (x *exchange) take(r reply) (m *message, resend bool) {
	l := r.leg
	if r.sent != l.packets || l.over {
		return nil, false // of an earlier packet
	}
	wasStream := l.conn != nil && l.conn.out != nil
	l.conn = nil
	if r.err != nil {
		var de *dialError
		if wasStream && l.redials == 0 && !errors.As(r.err, &de) && !errors.Is(r.err, errMalformed) {
			l.redials++ // an idle connection that the server had closed (RFC 7766 s6.2.4)
			return nil, true
		}
		l.fail(r.err)
		return nil, false
	}
	now := time.Now()
	l.up.answered(now, now.Sub(l.firstAt), now.Sub(l.lastAt), wasStream)
	switch rcode := r.msg.rcode; {
	case r.match == matchFold && !wasStream:
		l.stream = true // forged, or a server that does not repeat the case: TCP settles it
		return nil, true
	case !l.noEDNS && !r.msg.opt && (rcode == rcodeFormErr || rcode == rcodeNotImp), !l.noEDNS && rcode == rcodeBadVers:
		l.noEDNS = true // RFC 6891 s7
		return nil, true
	case r.msg.tc && !wasStream:
		l.stream = true // RFC 7766 s5
		return nil, true
	case r.match == matchBare, rcode != rcodeNoError && rcode != rcodeNXDomain, r.msg.tc:
		l.over, l.text, l.ede = true, rcodeText(rcode), r.msg.ede
		if r.msg.tc {
			l.text = "answer truncated over TCP"
		}
		return nil, false
	}
	l.up.learned(l.noEDNS && l.packets > 1, r.match == matchFold, now)
	return r.msg, false
}

// learned remembers what proved necessary, so that the next question is asked like that at once.
func (u *upstream) learned(noEDNS, foldsCase bool, now time.Time) {
	if !noEDNS && !foldsCase {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if noEDNS && now.After(u.noEDNS) {
		u.noEDNS = now.Add(noEDNSFor)
	}
	u.foldsCase = u.foldsCase || foldsCase
}

func (x *exchange) allOver() bool {
	for _, l := range x.legs {
		if !l.over {
			return false
		}
	}
	return true
}

// end frees what the exchange holds.
func (x *exchange) end() {
	for _, l := range x.legs {
		l.release()
		if l.slot {
			<-l.up.slots
		}
	}
}

// failure says what each upstream did.
func (x *exchange) failure() *answer {
	var b strings.Builder
	var server, ede string
	timeout := true
	for _, l := range x.legs {
		text := l.text
		if text == "" {
			if x.tries == 0 || !l.timeout && !l.slot {
				continue
			}
			text = "no answer"
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
		b.WriteString("too many questions in flight")
	}
	a := failure(x.q, b.String(), server)
	a.ede = ede
	a.err.IsTimeout = timeout
	return a
}

// ended is for an exchange whose context did: the caller's, or that of the question.
func (x *exchange) ended(ctx context.Context) *answer {
	if errors.Is(context.Cause(ctx), errQuestionTimeout) {
		a := x.failure()
		a.err.Err += " within " + x.e.limits.Timeout.String() + " (" + strconv.Itoa(x.tries) + " tries)"
		return a
	}
	return canceled(x.q, ctx)
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
