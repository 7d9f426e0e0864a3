package mta

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/report"
	"github.com/gomailroom/mailroom/smtp"
)

// notify sends what SMTP's one reply cannot say: who of several recipients did not get a message that was taken for others, and, where it
// was asked for, that it was filed (RFC 3461 s5.2). In LMTP the replies have told of failures. Where a sender cannot be told of a failure for now, the message is not taken: those who have it
// get it again.
func (l *letter) notify(ctx context.Context) error {
	failed := 0
	for _, err := range l.results {
		if err != nil && !l.lmtp {
			failed++
		}
	}
	var about []report.DSNRecipient
	for i, to := range l.envelope.To {
		asked, err := to.Params.Notify, l.results[i]
		r := report.DSNRecipient{Final: to.Path.Mailbox.String(), LastTried: time.Now()}
		if o := to.Params.OriginalRecipient; o.Address != "" {
			r.Original = o.Type + ";" + o.Address
		}
		switch {
		case err != nil && failed > 0 && failed < len(l.results) && (asked == 0 || asked&smtp.NotifyFailure != 0):
			r.Action, r.Status, r.Diagnostic = report.ActionFailed, "5.0.0", err.Error()
			if e, ok := errors.AsType[*smtp.Error](err); ok {
				r.Status = e.Enhanced.String()
			}
		case err == nil && l.accounts[i] != nil && asked&smtp.NotifySuccess != 0:
			r.Action, r.Status = report.ActionDelivered, "2.0.0"
		default:
			continue
		}
		about = append(about, r)
	}
	if len(about) == 0 || l.envelope.From.IsNull() {
		return nil
	}
	if err := l.sendNotice(ctx, about, failed > 0); err != nil {
		l.m.log(ctx, slog.LevelError, "cannot notify a sender", slog.String("id", l.id), slog.Any("error", err))
		if failed > 0 {
			return &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 3, 0}, Text: "the message was refused for some, and the sender cannot be told now", Err: err}
		}
	}
	return nil
}

func (l *letter) sendNotice(ctx context.Context, about []report.DSNRecipient, failed bool) error {
	from := l.envelope.From.Mailbox
	composed, err := report.DSN{
		From: mime.Addr("Mail Delivery System", "mailer-daemon@"+l.m.hostname()), To: mime.Addr("", from.String()),
		EnvelopeID: l.envelope.Params.EnvelopeID, ReportingMTA: l.m.hostname(), Arrived: time.Now(), Recipients: about,
		Original: l.spool, UTF8: l.envelope.Params.UTF8, OriginalUTF8: l.envelope.Params.UTF8,
		HeadersOnly: l.envelope.Params.Return == smtp.ReturnHeaders || !failed || l.envelope.Params.RequireTLS, // RFC 8689 s5
	}.Compose()
	if err != nil {
		return err
	}
	to := smtp.Recipient{Path: smtp.ForwardPath{Mailbox: from}, Params: smtp.RcptParams{Notify: smtp.NotifyNever}}
	return l.m.Return(ctx, &smtp.Envelope{To: []smtp.Recipient{to}, Params: smtp.MailParams{UTF8: l.envelope.Params.UTF8, RequireTLS: l.envelope.Params.RequireTLS}}, composed)
}
