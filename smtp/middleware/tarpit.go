package middleware

import (
	"context"
	"io"
	"time"

	"github.com/gomailroom/mailroom/smtp"
)

// Patience says how a tarpit treats clients whose commands are refused. Zero fields take their defaults.
type Patience struct {
	After int           // refusals of a session that cost nothing; default 3; negative: none
	Delay time.Duration // before the reply to the next one, and so much more before each further one; default 1 second
	Max   time.Duration // the longest delay; default 20 seconds, so that honest clients do not give up
}

// Tarpit delays the replies to refused MAIL, RCPT and messages, more and more. Clients that guess addresses lose their time; the server
// holds a connection for it, so limit these too.
func Tarpit(p Patience) func(smtp.Handler) smtp.Handler {
	if p.After = orDefault(p.After, 3); p.After < 0 {
		p.After = 0
	}
	if p.Delay <= 0 {
		p.Delay = time.Second
	}
	if p.Max <= 0 {
		p.Max = 20 * time.Second
	}
	return func(h smtp.Handler) smtp.Handler {
		return connectFunc(func(ctx context.Context, peer *smtp.Peer) (smtp.Session, error) {
			s, err := h.Connect(ctx, peer)
			if err != nil {
				return nil, err
			}
			return &pitSession{next: s, patience: p}, nil
		})
	}
}

type pitSession struct {
	next     smtp.Session
	patience Patience
	refused  int // calls for one connection do not overlap
}

// wait delays an answer that refuses.
func (s *pitSession) wait(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	s.refused++
	if n := s.refused - s.patience.After; n > 0 {
		sleep(ctx, min(time.Duration(n)*s.patience.Delay, s.patience.Max))
	}
	return err
}

func (s *pitSession) Begin(ctx context.Context, p *smtp.Peer, from smtp.ReversePath, params smtp.MailParams) (smtp.Transaction, error) {
	t, err := s.next.Begin(ctx, p, from, params)
	if err != nil {
		return nil, s.wait(ctx, err)
	}
	return pitTransaction{t, s}, nil
}

type pitTransaction struct {
	smtp.Transaction
	s *pitSession
}

func (t pitTransaction) Rcpt(ctx context.Context, to smtp.ForwardPath, params smtp.RcptParams) error {
	return t.s.wait(ctx, t.Transaction.Rcpt(ctx, to, params))
}

func (t pitTransaction) Data(ctx context.Context, message io.Reader) (smtp.Receipt, error) {
	receipt, err := t.Transaction.Data(ctx, message)
	return receipt, t.s.wait(ctx, err)
}
