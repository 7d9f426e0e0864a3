// Package middleware has policies that go around any [smtp.Handler]: who may connect, how often, how many at a time, and how patiently.
// Each is a func(smtp.Handler) smtp.Handler; what it does not decide about passes through it unchanged.
//
//	srv := &smtp.Server{
//		GreetingDelay: 2 * time.Second, // tells early talkers, see RefuseEarly
//		Handler: middleware.Chain(handler,
//			middleware.Deny(netip.MustParsePrefix("203.0.113.0/24")),
//			middleware.LimitConnections(middleware.ConnectionLimits{}),
//			middleware.LimitRate(middleware.Rates{Messages: middleware.Rate{Events: 100, Per: time.Hour}}),
//			middleware.RefuseEarly(),
//			middleware.Tarpit(middleware.Patience{}),
//		),
//	}
//
// State, such as counters, is that of the value that a constructor returned: give the same value to several servers for common limits.
// All counting is by address, or by who authenticated, and takes bounded memory.
package middleware

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/gomailroom/mailroom/smtp"
)

// Chain wraps a handler in policies; the first is asked first.
func Chain(h smtp.Handler, policies ...func(smtp.Handler) smtp.Handler) smtp.Handler {
	for _, wrap := range slices.Backward(policies) {
		h = wrap(h)
	}
	return h
}

// connectFunc is a handler by its only method.
type connectFunc func(ctx context.Context, p *smtp.Peer) (smtp.Session, error)

func (f connectFunc) Connect(ctx context.Context, p *smtp.Peer) (smtp.Session, error) {
	return f(ctx, p)
}

// onConnect makes a policy that is asked about connections; nil lets them pass.
func onConnect(check func(ctx context.Context, p *smtp.Peer) error) func(smtp.Handler) smtp.Handler {
	return func(h smtp.Handler) smtp.Handler {
		return connectFunc(func(ctx context.Context, p *smtp.Peer) (smtp.Session, error) {
			if err := check(ctx, p); err != nil {
				return nil, err
			}
			return h.Connect(ctx, p)
		})
	}
}

// beginFunc is a session by its only method.
type beginFunc func(ctx context.Context, p *smtp.Peer, from smtp.ReversePath, params smtp.MailParams) (smtp.Transaction, error)

func (f beginFunc) Begin(ctx context.Context, p *smtp.Peer, from smtp.ReversePath, params smtp.MailParams) (smtp.Transaction, error) {
	return f(ctx, p, from, params)
}

// onBegin makes a policy of a function that stands between each session and its Begin.
func onBegin(wrap func(next smtp.Session) beginFunc) func(smtp.Handler) smtp.Handler {
	return func(h smtp.Handler) smtp.Handler {
		return connectFunc(func(ctx context.Context, p *smtp.Peer) (smtp.Session, error) {
			s, err := h.Connect(ctx, p)
			if err != nil {
				return nil, err
			}
			return wrap(s), nil
		})
	}
}

// network is the network of a peer: not valid when it has no IP address.
func network(p *smtp.Peer, bits4, bits6 int) netip.Prefix {
	a := p.Remote.Addr().Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	n, _ := a.Prefix(min(bits, a.BitLen()))
	return n
}

func orDefault(n, byDefault int) int {
	if n == 0 {
		return byDefault
	}
	return n
}

// sleep waits; false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
