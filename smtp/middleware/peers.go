package middleware

import (
	"context"
	"net/netip"

	"github.com/gomailroom/mailroom/smtp"
)

var (
	errDenied = &smtp.Error{Code: 554, Enhanced: smtp.EnhancedCode{5, 7, 1}, Text: "your address is not welcome here"}
	errEarly  = &smtp.Error{Code: 554, Enhanced: smtp.EnhancedCode{5, 5, 1}, Text: "you spoke before the greeting"}
	errTLS    = &smtp.Error{Code: 530, Enhanced: smtp.EnhancedCode{5, 7, 0}, Text: "STARTTLS first"} // RFC 3207 s4
)

// Allow lets in those networks only; others get 554 5.7.1 in place of the greeting (RFC 5321 s3.1).
func Allow(networks ...netip.Prefix) func(smtp.Handler) smtp.Handler {
	return onConnect(func(_ context.Context, p *smtp.Peer) error {
		if within(p, networks) {
			return nil
		}
		return errDenied
	})
}

// Deny turns those networks away with 554 5.7.1.
func Deny(networks ...netip.Prefix) func(smtp.Handler) smtp.Handler {
	return onConnect(func(_ context.Context, p *smtp.Peer) error {
		if within(p, networks) {
			return errDenied
		}
		return nil
	})
}

// RefuseEarly turns away clients that spoke before the greeting, with 554 5.5.1. It takes a Server with a GreetingDelay.
func RefuseEarly() func(smtp.Handler) smtp.Handler {
	return onConnect(func(_ context.Context, p *smtp.Peer) error {
		if p.Early {
			return errEarly
		}
		return nil
	})
}

// RequireTLS answers MAIL with 530 5.7.0 as long as there is no TLS, but for clients from those networks. [smtp.Server].RequireTLS is the same for all.
func RequireTLS(except ...netip.Prefix) func(smtp.Handler) smtp.Handler {
	return onBegin(func(next smtp.Session) beginFunc {
		return func(ctx context.Context, p *smtp.Peer, from smtp.ReversePath, params smtp.MailParams) (smtp.Transaction, error) {
			if p.TLS == nil && !within(p, except) {
				return nil, errTLS
			}
			return next.Begin(ctx, p, from, params)
		}
	})
}

func within(p *smtp.Peer, networks []netip.Prefix) bool {
	a := p.Remote.Addr().Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
