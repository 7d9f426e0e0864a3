package queue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/smtp"
)

// outcome is what an attempt gave for one recipient. err is nil when the remote host took the message.
type outcome struct {
	err    error
	remote string
	relay  bool // delivered, to a server that does not do DSN
}

// deliver makes one attempt for a job: route, hosts in order, then states and notifications.
func (q *Queue) deliver(ctx context.Context, j *Job) {
	outcomes := q.attempt(ctx, j)
	states := make([]State, len(outcomes))
	for n, o := range outcomes {
		states[n] = q.judge(ctx, j, n, o)
	}
	if ctx.Err() != nil {
		// Told to end in the middle: what failed because of that is no failure of the remote host.
		for n := range states {
			if states[n].Phase == Waiting {
				states[n] = j.States[n]
				states[n].Due = time.Now()
			}
		}
	}
	// The notification comes first: after a crash between the two the sender may hear twice, but never not at all.
	q.notify(context.WithoutCancel(ctx), j, states, outcomes)
	if err := q.Store.Settle(context.WithoutCancel(ctx), j, states); err != nil {
		q.Logger.LogAttrs(ctx, slog.LevelError, "cannot record a delivery; it may be made again", slog.String("id", j.ID.String()), slog.Any("error", err))
	}
}

// attempt tries the hosts of the domain until one has talked about each recipient.
func (q *Queue) attempt(ctx context.Context, j *Job) []outcome {
	outcomes := make([]outcome, len(j.Indexes))
	attempt := 0
	for _, s := range j.States {
		attempt = max(attempt, s.Attempts)
	}
	hosts, err := q.Router.Route(ctx, j.Domain, attempt)
	if err == nil && len(hosts) == 0 {
		err = &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 4, 4}, Command: "route " + j.Domain, Text: "no host to deliver to"}
	}
	if q.Trace.Route != nil {
		q.Trace.Route(j.ID, j.Domain, hosts, err)
	}
	left := make([]int, len(j.Indexes)) // places in outcomes that no host has decided
	for n := range left {
		left[n], outcomes[n].err = n, err
	}
	for _, host := range hosts {
		for _, addr := range host.Addrs {
			if len(left) == 0 || ctx.Err() != nil {
				return outcomes
			}
			left = q.try(ctx, j, host, addr, left, outcomes)
		}
	}
	return outcomes
}

// try hands the message to one server. It gives back the recipients for which another server may be tried: those without
// an answer of this one (RFC 5321 s5.1).
func (q *Queue) try(ctx context.Context, j *Job, host Host, addr string, left []int, outcomes []outcome) []int {
	e := j.Message.Envelope
	e.To = make([]smtp.Recipient, len(left))
	for i, n := range left {
		e.To[i] = j.Message.Envelope.To[j.Indexes[n]]
	}
	result, err := q.send(ctx, j.Domain, host, addr, &e, j.Content)
	if q.Trace.Attempt != nil {
		q.Trace.Attempt(j.ID, host, addr, err)
	}
	var again []int
	for i, n := range left {
		o := outcome{err: err, remote: host.Name, relay: result != nil && slices.Contains(result.Dropped, "NOTIFY")}
		decided := err == nil
		if result != nil && i < len(result.Recipients) {
			r := result.Recipients[i]
			o.err = r.Err
			decided = r.Err == nil || r.Reply.Code != 0 && r.Reply.Code != 421
		}
		outcomes[n] = o
		if !decided && !permanent(o.err) {
			again = append(again, n)
		}
	}
	return again
}

// send hands the message over, on a connection of the pool where there is one.
func (q *Queue) send(ctx context.Context, domain string, host Host, addr string, e *smtp.Envelope, c smtp.Content) (*smtp.Result, error) {
	dial := func(ctx context.Context) (*smtp.Conn, error) {
		d := q.Dialer
		d.ImplicitTLS, d.LMTP, d.Auth = host.ImplicitTLS, host.LMTP, host.Auth
		if d.Hostname == "" {
			d.Hostname = q.Hostname
		}
		if host.TLS != nil {
			d.TLS = host.TLS
		}
		if d.Reencode == nil {
			d.Reencode = reencode
		}
		return host.dial(ctx, d, addr)
	}
	return q.pool.SendVia(ctx, cmp.Or(host.Key, strings.Join([]string{domain, host.Name, addr}, " ")), dial, e, c)
}

// reencode makes an 8-bit message 7-bit for a host that takes nothing else. One that cannot be changed, since it is signed or has UTF-8 in its header, is
// returned to its sender: the host will not learn it tomorrow.
func reencode(c smtp.Content, caps smtp.Capabilities) (smtp.Content, error) {
	out, err := mime.ReEncode(c, mime.Capabilities{EightBit: caps.Has("8BITMIME"), UTF8: caps.Has("SMTPUTF8")})
	if _, ok := errors.AsType[*mime.PartError](err); ok {
		return nil, &smtp.Error{Code: 554, Enhanced: smtp.EnhancedCode{5, 6, 3}, Command: "re-encode the message", Err: err} // RFC 3463 X.6.3
	}
	return out, err
}

func permanent(err error) bool {
	e, ok := errors.AsType[*smtp.Error](err)
	return ok && !e.Temporary()
}

// judge makes a recipient's next state from an outcome.
func (q *Queue) judge(ctx context.Context, j *Job, n int, o outcome) State {
	s := j.States[n]
	s.Attempts++
	s.Remote, s.Code, s.Enhanced, s.Text = o.remote, 0, smtp.EnhancedCode{}, ""
	if o.err == nil {
		s.Phase = Delivered
	} else {
		s.Code, s.Enhanced, s.Text = diagnose(o.err)
		age := time.Since(j.Message.Queued)
		wait, giveUp := q.Schedule(s.Attempts, age, o.err)
		switch {
		case permanent(o.err):
			s.Phase = Failed
		case giveUp:
			s.Phase = Failed
		default:
			s.Due = time.Now().Add(wait + time.Duration(rand.Int64N(int64(wait/10)+1)))
		}
	}
	to := j.Message.Envelope.To[j.Indexes[n]].Path
	level, text := slog.LevelInfo, [...]string{"delayed", "delivered", "failed"}[s.Phase]
	attrs := []slog.Attr{slog.String("id", j.ID.String()), slog.String("to", to.String()), slog.String("remote", o.remote), slog.Int("attempt", s.Attempts)}
	if o.err != nil {
		attrs = append(attrs, slog.Any("error", o.err))
	}
	q.Logger.LogAttrs(ctx, level, text, attrs...)
	if q.Trace.Recipient != nil {
		q.Trace.Recipient(j.ID, to, s, o.err)
	}
	return s
}

// maxText bounds what is kept of a remote host's words.
const maxText = 500

// diagnose gives the reply that an error is or amounts to.
func diagnose(err error) (int, smtp.EnhancedCode, string) {
	e, ok := errors.AsType[*smtp.Error](err)
	if !ok {
		return 451, smtp.EnhancedCode{4, 4, 0}, clip(err.Error())
	}
	text := e.Text
	if text == "" && e.Err != nil {
		text = e.Err.Error()
	}
	enhanced := e.Enhanced
	if enhanced == (smtp.EnhancedCode{}) {
		enhanced = smtp.EnhancedCode{e.Code / 100, 0, 0}
	}
	return e.Code, enhanced, clip(text)
}

func clip(s string) string { return s[:min(len(s), maxText)] }
