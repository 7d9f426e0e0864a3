package mxresolve

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"
)

// A leg is an exchange's business with one upstream.
type leg struct {
	up      *upstream
	slot    bool
	stream  bool // by TCP: after truncation, or by configuration
	redials int
	noEDNS  bool
	conn    *conn
	pending *pending
	packets int       // made
	firstAt time.Time // when the current packet was sent,
	lastAt  time.Time // and when it was last repeated
	failed  bool      // this upstream has failed for this question
	text    string    // why
	ede     string
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
	p := &pending{q: x.q, leg: l, replies: x.replies}
	if err := p.pack(edns); err != nil {
		return err
	}
	var random [35]byte // 2 for the id, 1 for the socket, 32 for the case of letters
	rand.Read(random[:])
	p.id = binary.BigEndian.Uint16(random[:])
	if mixed {
		mixCase(p.query[headerLen:headerLen+p.qlen-4], random[3:])
	}
	l.packets++
	l.noEDNS = !edns
	l.pending = p
	var err error
	if l.stream {
		l.conn, err = l.up.streamConn(p)
	} else {
		l.conn, err = l.up.socket(ctx, p, random[2])
	}
	return err
}

// release forgets the packet that is on its way.
func (l *leg) release() {
	if l.conn != nil {
		l.conn.unregister(l.pending)
		l.conn = nil
	}
}

func (l *leg) fail(err error) {
	l.failed, l.text = true, plainError(err)
	if !errors.Is(err, errMalformed) && !errors.Is(err, errBadName) {
		l.up.broken(time.Now())
	}
}

// take judges a reply: a message that settles the question, or whether to ask the same upstream again in another way.
func (x *exchange) take(r reply) (m *message, up *upstream, resend bool) {
	l := r.to.leg
	if r.to != l.pending || l.failed {
		return nil, nil, false // too late
	}
	wasStream := l.conn != nil && l.conn.out != nil
	l.conn = nil
	if r.err != nil {
		var de *dialError
		if wasStream && l.redials < 2 && !errors.As(r.err, &de) && !errors.Is(r.err, errMalformed) {
			l.redials++ // an idle connection that the server had closed (RFC 7766 s6.2.4)
			return nil, nil, true
		}
		l.fail(r.err)
		return nil, nil, false
	}
	now := time.Now()
	l.up.answered(now, now.Sub(l.firstAt), now.Sub(l.lastAt), wasStream)
	switch rcode := r.msg.rcode; {
	case r.match == matchFold && !wasStream:
		l.stream = true // forged, or a server that does not repeat the case: TCP settles it
		return nil, nil, true
	case !l.noEDNS && !r.msg.opt && (rcode == rcodeFormErr || rcode == rcodeNotImp), !l.noEDNS && rcode == rcodeBadVers:
		l.noEDNS = true // RFC 6891 s7
		return nil, nil, true
	case r.msg.tc && !wasStream:
		l.stream = true // RFC 7766 s5
		return nil, nil, true
	case r.match == matchBare, rcode != rcodeNoError && rcode != rcodeNXDomain, r.msg.tc:
		l.failed, l.text, l.ede = true, rcodeText(rcode), r.msg.ede
		if r.msg.tc {
			l.text = "answer truncated over TCP"
		}
		return nil, nil, false
	}
	l.up.learned(l.noEDNS && l.packets > 1, r.match == matchFold, now)
	return r.msg, l.up, false
}
