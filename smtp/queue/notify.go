package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/report"
	"github.com/gomailroom/mailroom/smtp"
)

// notify tells the sender what became of recipients, where the sender asked for it or has to know (RFC 3461 s5.2): failures
// unless NOTIFY says otherwise, one delay, and deliveries to servers that cannot report them when NOTIFY=SUCCESS was given.
// A notification that cannot be sent puts the recipients back, so that it is tried again.
func (q *Queue) notify(ctx context.Context, j *Job, states []State, outcomes []outcome) {
	from := j.Message.Envelope.From
	var about []report.DSNRecipient
	var failed, delayed []int
	for n := range states {
		s := &states[n]
		to := j.Message.Envelope.To[j.Indexes[n]]
		var action report.DSNAction
		asked := to.Params.Notify
		switch {
		case s.Phase == Failed && (asked == 0 || asked&smtp.NotifyFailure != 0):
			action = report.ActionFailed
			failed = append(failed, n)
		case s.Phase == Delivered && relayedNotice(j.Message.Envelope.Params.DeliverBy, asked, outcomes[n].dropped):
			action = report.ActionRelayed
		case s.Phase == Waiting && !s.Delayed && s.Attempts > j.States[n].Attempts && q.late(&j.Message) && (asked == 0 || asked&smtp.NotifyDelay != 0):
			action = report.ActionDelayed
			delayed = append(delayed, n)
			s.Delayed = true
		default:
			continue
		}
		r := q.report(to, *s, action)
		if t, ok := j.Message.deadline(); ok && action == report.ActionDelayed && !time.Now().Before(t) {
			r.Status = "4.4.7" // RFC 2852 s4.1.3
		}
		about = append(about, r)
	}
	if len(about) == 0 || from.IsNull() { // RFC 5321 s6.1: never answer a notification with one
		return
	}
	if err := q.sendNotice(ctx, j, about); err != nil {
		q.Logger.LogAttrs(ctx, slog.LevelError, "cannot notify a sender; will try again", slog.String("id", j.ID.String()), slog.String("from", from.String()), slog.Any("error", err))
		for _, n := range delayed {
			states[n].Delayed = false
		}
		for _, n := range failed {
			states[n].Phase, states[n].Due = Waiting, time.Now().Add(time.Minute)
		}
	}
}

// relayedNotice tells whether the sender hears that a message was handed on: to a host that cannot report the delivery (RFC 3461 s5.2.2), or that does not know of the time that was
// given for it, or at every step, if that was asked for (RFC 2852 s4).
func relayedNotice(by *smtp.DeliverBy, asked smtp.Notify, dropped []string) bool {
	switch {
	case asked&smtp.NotifySuccess != 0 && slices.Contains(dropped, "NOTIFY"):
		return true
	case by == nil || asked == smtp.NotifyNever:
		return false
	}
	return by.Trace || slices.Contains(dropped, "BY")
}

// late tells whether a sender has to know of a delay.
func (q *Queue) late(m *Message) bool {
	t, ok := m.deadline()
	return ok && !time.Now().Before(t) || q.DelayNotice > 0 && time.Since(m.release()) >= q.DelayNotice
}

func (q *Queue) report(to smtp.Recipient, s State, action report.DSNAction) report.DSNRecipient {
	r := report.DSNRecipient{Final: to.Path.Mailbox.String(), Action: action, RemoteMTA: s.Remote, LastTried: time.Now(), Status: "2.0.0"}
	if to.Params.OriginalRecipient.Address != "" {
		r.Original = to.Params.OriginalRecipient.Type + ";" + to.Params.OriginalRecipient.Address
	}
	if s.Enhanced != (smtp.EnhancedCode{}) {
		r.Status = s.Enhanced.String()
		r.Diagnostic = strings.ReplaceAll(s.Text, "\n", " ")
		if s.Code != 0 {
			r.Diagnostic = strings.TrimSpace(fmt.Sprintf("%d %s %s", s.Code, s.Enhanced, r.Diagnostic))
		}
		if s.Code == 0 || s.Remote == "" {
			r.DiagType = "x-mailroom" // nobody said this to us
		}
		if action == report.ActionFailed && s.Enhanced[0] == 4 {
			r.Status = fmt.Sprintf("5%s", r.Status[1:]) // given up: what was temporary has become final
		}
	}
	return r
}

// maxReturned is how large a message may be to come back as a whole to a sender who did not say.
const maxReturned = 256 << 10

func (q *Queue) sendNotice(ctx context.Context, j *Job, about []report.DSNRecipient) error {
	m := j.Message.Envelope
	dsn := report.DSN{
		From: mime.Addr("Mail Delivery System", "mailer-daemon@"+q.Hostname), To: mime.Addr("", m.From.Mailbox.String()),
		EnvelopeID: m.Params.EnvelopeID, ReportingMTA: q.Hostname, Arrived: j.Message.Queued,
		Recipients: about, Original: j.Content, UTF8: m.Params.UTF8, OriginalUTF8: m.Params.UTF8,
		HeadersOnly: m.Params.Return == smtp.ReturnHeaders || !anyFailed(about) || m.Params.Return == "" && j.Content.Size() > maxReturned || m.Params.RequireTLS, // RFC 3461 s4.3, s6.2, RFC 8689 s5
	}
	composed, err := q.compose(ctx, j, &dsn)
	if err != nil && ctx.Err() == nil {
		dsn.Original = nil // a text that cannot be read any more must not keep the sender from knowing
		var again error
		if composed, again = q.compose(ctx, j, &dsn); again != nil {
			return errors.Join(err, again)
		}
	} else if err != nil {
		return err
	}
	if q.Trace.Notified != nil {
		q.Trace.Notified(j.ID, m.From, composed)
	}
	return nil
}

// compose makes a notification and hands it over. It is protected as its message is (RFC 8689 s5).
func (q *Queue) compose(ctx context.Context, j *Job, dsn *report.DSN) (*mime.Composed, error) {
	composed, err := dsn.Compose()
	if err != nil {
		return nil, fmt.Errorf("compose a notification: %w", err)
	}
	m := j.Message.Envelope
	to := smtp.Recipient{Path: smtp.ForwardPath{Mailbox: m.From.Mailbox}, Params: smtp.RcptParams{Notify: smtp.NotifyNever}}
	e := &smtp.Envelope{To: []smtp.Recipient{to}, Params: smtp.MailParams{UTF8: dsn.UTF8, RequireTLS: m.Params.RequireTLS, Size: composed.Size()}}
	return composed, q.Return(ctx, e, composed)
}

func anyFailed(about []report.DSNRecipient) bool {
	for _, r := range about {
		if r.Action == report.ActionFailed {
			return true
		}
	}
	return false
}
