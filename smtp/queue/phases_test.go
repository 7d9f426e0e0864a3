package queue

import (
	"context"
	"io"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// TestTemporaryAtEachPhase fails for now at each step of the dialog: the message comes again, nobody gets it twice, and what one host said about
// one recipient is not asked of the next.
func TestTemporaryAtEachPhase(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"connect", "mail", "rcpt", "data", "message"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := NewMemory()
				defer store.Close()
				w := newWorld(t, store)
				l, err := w.net.Listen("tcp", "192.0.2.1:25")
				require.NoError(t, err)
				s := &smtp.Server{Hostname: "mx.a.test", Handler: &stumbler{host{w: w, name: "mx.a.test", seen: map[string]int{}}, phase, map[string]int{}}}
				go s.Serve(l)
				defer s.Close()
				w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
				w.send("", "x@a.test", "y@a.test")
				w.run()
				var got []string
				for _, d := range w.mail("mx.a.test") {
					got = append(got, d.to...)
				}
				require.ElementsMatch(t, []string{"x", "y"}, got)
			})
		})
	}
}

// stumbler fails the first time that a phase comes; of the recipients only the first one.
type stumbler struct {
	host
	phase string
	times map[string]int
}

func (s *stumbler) fail(phase string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times[phase]++; s.phase == phase && s.times[phase] == 1 {
		return &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 3, 0}, Text: "not now"}
	}
	return nil
}

func (s *stumbler) Connect(context.Context, *smtp.Peer) (smtp.Session, error) {
	return s, s.fail("connect")
}

func (s *stumbler) Begin(context.Context, *smtp.Peer, smtp.ReversePath, smtp.MailParams) (smtp.Transaction, error) {
	return &stumble{hostTransaction{h: &s.host}, s}, s.fail("mail")
}

type stumble struct {
	hostTransaction
	s *stumbler
}

func (t *stumble) Rcpt(ctx context.Context, to smtp.ForwardPath, p smtp.RcptParams) error {
	if err := t.s.fail("rcpt"); err != nil {
		return err
	}
	return t.hostTransaction.Rcpt(ctx, to, p)
}

func (t *stumble) Data(ctx context.Context, r io.Reader) (smtp.Receipt, error) {
	if err := t.s.fail("data"); err != nil {
		return smtp.Receipt{}, err
	}
	if t.s.phase == "message" && t.s.times["message"] == 0 {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return smtp.Receipt{}, err
		}
		return smtp.Receipt{}, t.s.fail("message")
	}
	return t.hostTransaction.Data(ctx, r)
}
