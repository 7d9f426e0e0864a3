package queue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/smtp"
)

// outcome is what an attempt gave for one recipient. err is nil when the remote host took the message.
type outcome struct {
	err     error
	remote  string
	dropped []string // parameters that the host does not offer
}

// deliver makes one attempt for a job: route, hosts in order, then states and notifications.
func (q *Queue) deliver(ctx context.Context, j *Job) {
	outcomes := q.attempt(ctx, j)
	states := make([]State, len(outcomes))
	for n, o := range outcomes {
		if ctx.Err() != nil && o.err != nil && !permanent(o.err) {
			// Told to end in the middle: what failed because of that is no failure of the remote host.
			states[n] = j.States[n]
			states[n].Due = time.Now()
			continue
		}
		states[n] = q.judge(ctx, j, n, o)
	}
	// The notification comes first: after a crash between the two the sender may hear twice, but never not at all.
	q.notify(context.WithoutCancel(ctx), j, states, outcomes)
	if err := q.Store.Settle(context.WithoutCancel(ctx), j, states); err != nil {
		q.Logger.LogAttrs(ctx, slog.LevelError, "cannot record a delivery; it may be made again", slog.String("id", j.ID.String()), slog.Any("error", err))
	}
}

// errExpired is the outcome for a message that was to be returned when its time was over (RFC 2852 s4.1).
var errExpired = &smtp.Error{Enhanced: smtp.EnhancedCode{5, 4, 7}, Text: "the time that the sender gave for the delivery is over"}

// errUntried is the outcome as long as no host has been tried.
var errUntried = &smtp.Error{Enhanced: smtp.EnhancedCode{4, 4, 4}, Text: "no host was tried"}

// attempt tries the hosts of the domain until one has talked about each recipient.
func (q *Queue) attempt(ctx context.Context, j *Job) []outcome {
	outcomes := make([]outcome, len(j.Indexes))
	attempt := 0
	for _, s := range j.States {
		attempt = max(attempt, s.Attempts)
	}
	var hosts []Host
	var err error = errExpired
	if by := j.Message.Envelope.Params.DeliverBy; by == nil || !by.Return || remaining(&j.Message) > 0 {
		hosts, err = q.route(ctx, j, attempt)
	}
	left := make([]int, len(j.Indexes)) // places in outcomes that no host has decided
	for n := range left {
		left[n], outcomes[n].err = n, errUntried // an outcome without an error is a delivery
		if err != nil {
			outcomes[n].err = err
		}
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

// route asks where to deliver to. A domain about which nothing can be found out for now is left alone as a server is that is down.
func (q *Queue) route(ctx context.Context, j *Job, attempt int) ([]Host, error) {
	key := "route " + j.Domain
	if !j.Asked {
		if err := q.outages.check(key); err != nil {
			return nil, err
		}
	}
	hosts, err := q.Router.Route(ctx, j.Domain, attempt)
	if ctx.Err() == nil {
		q.outages.note(key, err)
	}
	if err == nil && len(hosts) == 0 {
		err = &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 4, 4}, Command: "route " + j.Domain, Text: "no host to deliver to"}
	}
	if q.Trace.Route != nil {
		q.Trace.Route(j.ID, j.Domain, hosts, err)
	}
	return hosts, err
}

// remaining is what is left of the time for delivery, in whole seconds as the parameter has it.
func remaining(m *Message) time.Duration {
	t, _ := m.deadline()
	return time.Until(t).Truncate(time.Second)
}

// try hands the message to one server. It gives back the recipients for which another server may be tried: those without
// an answer of this one (RFC 5321 s5.1).
func (q *Queue) try(ctx context.Context, j *Job, host Host, addr string, left []int, outcomes []outcome) []int {
	e := j.Message.Envelope
	e.To = make([]smtp.Recipient, len(left))
	for i, n := range left {
		e.To[i] = j.Message.Envelope.To[j.Indexes[n]]
	}
	e.Params.HoldFor, e.Params.HoldUntil = 0, time.Time{} // it was held here
	if by := e.Params.DeliverBy; by != nil && host.LMTP { // the last step, which is in time
		e.Params.DeliverBy = nil
	} else if by != nil { // RFC 2852 s4.1.4: the time that is left
		e.Params.DeliverBy = &smtp.DeliverBy{Within: remaining(&j.Message), Return: by.Return, Trace: by.Trace}
	}
	result, reached, err := q.send(ctx, j, host, addr, &e)
	if q.Trace.Attempt != nil {
		q.Trace.Attempt(j.ID, host, addr, err)
	}
	var again []int
	for i, n := range left {
		o := outcome{err: err, remote: host.Name}
		decided := err == nil
		if result != nil && i < len(result.Recipients) {
			r := result.Recipients[i]
			o.err, o.dropped = r.Err, result.Dropped
			// Who may have the message is asked again later; another host would deliver it twice.
			decided = r.Err == nil || r.Reply.Code != 0 && r.Reply.Code != 421 || errors.Is(r.Err, smtp.ErrMaybeDelivered)
		}
		if !decided && (!reached || !permanent(o.err) || errors.Is(o.err, smtp.ErrNoRequireTLS)) { // RFC 8689 s4.2.1: each host is asked
			again = append(again, n)
			if prior := outcomes[n].err; prior != errUntried && permanent(o.err) && !permanent(prior) {
				continue // another host may do it later
			}
		}
		outcomes[n] = o
	}
	return again
}

// send hands the message over, on a connection of the pool where there is one. reached is false when no connection could be made that mail may go over.
func (q *Queue) send(ctx context.Context, j *Job, host Host, addr string, e *smtp.Envelope) (r *smtp.Result, reached bool, err error) {
	key := cmp.Or(host.Key, strings.Join([]string{j.Domain, host.Name, addr}, " "))
	reached = true
	dial := func(ctx context.Context) (*smtp.Conn, error) {
		if !j.Asked {
			if err := q.outages.check(key); err != nil {
				reached = false
				return nil, err
			}
		}
		conn, err := q.dial(ctx, host, addr)
		if ctx.Err() == nil {
			q.outages.note(key, err)
		}
		reached = err == nil
		return conn, err
	}
	r, err = q.pool.SendVia(ctx, key, dial, e, j.Content)
	return r, reached, err
}

// dial makes a connection. What the server says of authentication is never permanent: the password can be set right, the mail cannot be called back.
func (q *Queue) dial(ctx context.Context, host Host, addr string) (*smtp.Conn, error) {
	d := q.Dialer
	d.ImplicitTLS, d.LMTP, d.Auth = host.ImplicitTLS, host.LMTP, host.Auth
	if d.Hostname == "" {
		d.Hostname = q.Hostname
	}
	if host.TLS != nil {
		d.TLS = host.TLS
	}
	if host.NetDial != nil {
		d.NetDial = host.NetDial
	}
	if d.Reencode == nil {
		d.Reencode = reencode
	}
	conn, err := host.dial(ctx, d, addr)
	if e, ok := errors.AsType[*smtp.Error](err); ok && strings.HasPrefix(e.Command, "AUTH") && !e.Temporary() {
		err = &smtp.Error{Enhanced: smtp.EnhancedCode{4, 7, 0}, Command: e.Command, Err: err}
	}
	return conn, err
}

// reencode makes an 8-bit message 7-bit for a host that takes nothing else. One that cannot be changed, since it is signed or has UTF-8 in its header, is
// returned to its sender: the host will not learn it tomorrow.
func reencode(c smtp.Content, caps smtp.Capabilities) (smtp.Content, error) {
	out, err := mime.ReEncode(c, mime.Capabilities{EightBit: caps.Has("8BITMIME"), UTF8: caps.Has("SMTPUTF8")})
	if _, ok := errors.AsType[*mime.PartError](err); ok {
		return nil, &smtp.Error{Enhanced: smtp.EnhancedCode{5, 6, 3}, Command: "re-encode the message", Err: err} // RFC 3463 X.6.3
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
		wait, giveUp := q.Schedule(s.Attempts, max(0, time.Since(j.Message.release())), o.err)
		wait = min(max(0, wait), math.MaxInt64/2)
		switch {
		case permanent(o.err):
			s.Phase = Failed
		case giveUp:
			s.Phase = Failed
		default:
			now := time.Now()
			s.Due = now.Add(wait + time.Duration(rand.Int64N(int64(wait/10)+1)))
			if t, ok := j.Message.deadline(); ok && t.After(now) && t.Before(s.Due) {
				s.Due = t // the sender hears of it in time
			}
		}
	}
	to := j.Message.Envelope.To[j.Indexes[n]].Path
	level, text := slog.LevelInfo, [...]string{"delayed", "delivered", "failed"}[s.Phase]
	if s.Phase == Failed && j.Message.Envelope.From.IsNull() {
		level = slog.LevelWarn // nobody else hears of it (RFC 3461 s5.2)
	}
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

// diagnose gives the reply that an error is; its code is 0 for one that no server gave.
func diagnose(err error) (code int, enhanced smtp.EnhancedCode, text string) {
	e, ok := errors.AsType[*smtp.Error](err)
	if !ok {
		return 0, smtp.EnhancedCode{4, 4, 0}, clip(err.Error())
	}
	if text = e.Text; e.Err != nil && (text == "" || e.Code == 0) {
		text = (&smtp.Error{Text: text, Err: e.Err}).Error()
	}
	if enhanced = e.Enhanced; enhanced == (smtp.EnhancedCode{}) {
		enhanced[0] = 5
		if e.Temporary() {
			enhanced[0] = 4
		}
	}
	return e.Code, enhanced, clip(text)
}

func clip(s string) string { return s[:min(len(s), maxText)] }
