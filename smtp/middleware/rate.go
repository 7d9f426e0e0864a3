package middleware

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/smtp"
)

// A Rate is so many events in so much time: all of them at once, or spread out. The zero Rate is no limit.
type Rate struct {
	Events int
	Per    time.Duration
}

// Rates limit what one sender may do: one network, or one identity, from wherever it comes, once it has authenticated. Who has neither, as over a Unix
// socket, is not limited.
type Rates struct {
	Connections Rate // beyond it: 421 4.7.0
	Messages    Rate // MAIL; beyond it: 450 4.7.1
	Recipients  Rate // RCPT; beyond it: 450 4.7.1

	// The size of a network: default 32 bits for IPv4, 64 for IPv6.
	IPv4Bits, IPv6Bits int
	// MaxEntries bounds how many senders are remembered for each rate; default 100,000. Beyond it those that were longest silent are forgotten.
	MaxEntries int
}

var (
	errRate      = &smtp.Error{Code: 450, Enhanced: smtp.EnhancedCode{4, 7, 1}, Text: "too much mail from you; try again later"}
	errRateClose = &smtp.Error{Code: 421, Enhanced: smtp.EnhancedCode{4, 7, 0}, Text: "too many connections from you; try again later"}
)

// LimitRate refuses for now what goes beyond the rates.
func LimitRate(r Rates) func(smtp.Handler) smtp.Handler {
	l := &rateLimiter{bits4: orDefault(r.IPv4Bits, 32), bits6: orDefault(r.IPv6Bits, 64)}
	size := max(2, orDefault(r.MaxEntries, 100_000))
	l.connections = bucket{rate: r.Connections, size: size}
	l.messages = bucket{rate: r.Messages, size: size}
	l.recipients = bucket{rate: r.Recipients, size: size}
	return func(h smtp.Handler) smtp.Handler {
		return connectFunc(func(ctx context.Context, p *smtp.Peer) (smtp.Session, error) {
			if !l.connections.take(l.sender(p)) {
				return nil, errRateClose
			}
			s, err := h.Connect(ctx, p)
			if err != nil {
				return nil, err
			}
			return rateSession{l, s}, nil
		})
	}
}

type rateLimiter struct {
	bits4, bits6                      int
	connections, messages, recipients bucket
}

// sender is who is counted: an identity, or else a network.
type sender struct {
	identity string
	network  netip.Prefix
}

func (l *rateLimiter) sender(p *smtp.Peer) sender {
	if p.Identity != "" {
		return sender{identity: p.Identity}
	}
	return sender{network: network(p, l.bits4, l.bits6)}
}

type rateSession struct {
	l    *rateLimiter
	next smtp.Session
}

func (s rateSession) Begin(ctx context.Context, p *smtp.Peer, from smtp.ReversePath, params smtp.MailParams) (smtp.Transaction, error) {
	who := s.l.sender(p)
	if !s.l.messages.take(who) {
		return nil, errRate
	}
	t, err := s.next.Begin(ctx, p, from, params)
	if err != nil || s.l.recipients.rate == (Rate{}) {
		return t, err
	}
	return rateTransaction{t, s.l, who}, nil
}

type rateTransaction struct {
	smtp.Transaction
	l   *rateLimiter
	who sender
}

func (t rateTransaction) Rcpt(ctx context.Context, to smtp.ForwardPath, params smtp.RcptParams) error {
	if !t.l.recipients.take(t.who) {
		return errRate
	}
	return t.Transaction.Rcpt(ctx, to, params)
}

// A bucket lets events through at a rate, for each sender. It keeps one time for each: when the events so far will have been worked off.
type bucket struct {
	rate Rate
	size int

	mu       sync.Mutex
	now, old map[sender]time.Time // two generations: the older is dropped when the newer is full
}

func (b *bucket) take(who sender) bool {
	if b.rate.Events <= 0 || b.rate.Per <= 0 || who == (sender{}) {
		return true
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.now[who]
	if !ok {
		until = b.old[who]
	}
	if until.Before(now) {
		until = now
	}
	until = until.Add(b.rate.Per / time.Duration(b.rate.Events))
	if until.Sub(now) > b.rate.Per {
		return false
	}
	if !ok && len(b.now) >= b.size/2 {
		b.old, b.now = b.now, nil
	}
	if b.now == nil {
		b.now = make(map[sender]time.Time)
	}
	b.now[who] = until
	return true
}
