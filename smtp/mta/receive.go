package mta

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"

	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/spam"
)

// transaction is one message on its way in.
type transaction struct {
	m        *MTA
	peer     *smtp.Peer
	lmtp     bool
	most     int64
	held     bool // for a later time: it goes to the queue, whoever it is for
	envelope smtp.Envelope
	accounts [][]string // for each recipient of the envelope; nil for one that is queued
	mail     *spam.Mail
}

// Rcpt implements [smtp.Transaction]: does the mailbox exist, has it room, may this peer send there.
func (t *transaction) Rcpt(ctx context.Context, to smtp.ForwardPath, params smtp.RcptParams) error {
	accounts, err := t.rcpt(ctx, to)
	if err != nil {
		if t.m.Trace != nil && t.m.Trace.Refused != nil {
			t.m.Trace.Refused(t.peer, to, err)
		}
		return err
	}
	if t.held {
		accounts = nil
	}
	t.envelope.To = append(t.envelope.To, smtp.Recipient{Path: to, Params: params})
	t.accounts = append(t.accounts, accounts)
	return nil
}

func (t *transaction) rcpt(ctx context.Context, to smtp.ForwardPath) ([]string, error) {
	r, err := t.m.Directory.Resolve(ctx, to.Local, to.Domain)
	switch {
	case errors.Is(err, mailstore.ErrNotLocal) && t.peer.Identity != "" && t.m.Queue != nil:
		return nil, nil
	case errors.Is(err, mailstore.ErrNotLocal) && t.peer.Identity != "":
		return nil, refuse(550, 5, 7, 1, "this server sends no mail to other domains")
	case errors.Is(err, mailstore.ErrNotLocal):
		return nil, refuse(550, 5, 7, 1, "relaying denied: this server is not responsible for the domain")
	case errors.Is(err, mailstore.ErrUnknownUser), err == nil && len(r.Accounts) == 0:
		return nil, refuse(550, 5, 1, 1, "no such mailbox")
	case err != nil:
		return nil, &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 3, 0}, Text: "the directory cannot be asked now", Err: err}
	}
	for _, account := range r.Accounts {
		if err := t.room(ctx, account); err != nil {
			return nil, err
		}
	}
	if t.peer.Identity == "" && !t.lmtp {
		if v, err := t.judge(ctx, spam.StageRecipient); err == nil {
			if err := verdictError(v); err != nil {
				return nil, err
			}
		}
	}
	return r.Accounts, nil
}

// room tells whether an account can take a message of the announced size.
func (t *transaction) room(ctx context.Context, account string) error {
	q, err := t.m.Store.Usage(ctx, account)
	switch {
	case errors.Is(err, mailstore.ErrNoAccount):
		return refuse(550, 5, 2, 1, "the mailbox is disabled")
	case err != nil:
		return &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 3, 0}, Text: "the store cannot be asked now", Err: err}
	}
	full := q.OctetLimit > 0 && (q.Octets >= q.OctetLimit || q.Octets+t.envelope.Params.Size > q.OctetLimit)
	if full || q.MessageLimit > 0 && q.Messages >= q.MessageLimit {
		return refuse(552, 5, 2, 2, "the mailbox is full")
	}
	return nil
}

// judge asks the scorer about what is known so far. Without a verdict mail goes on: a filter that fails must not cost mail.
func (t *transaction) judge(ctx context.Context, stage spam.Stage) (*spam.Verdict, error) {
	if t.m.Scorer == nil {
		return &spam.Verdict{}, nil
	}
	v, err := t.m.Scorer.Score(ctx, t.subject(), stage)
	if err != nil {
		t.m.log(ctx, slog.LevelWarn, "no verdict about a message", slog.String("peer", t.peer.ID), slog.Any("error", err))
	}
	return v, err
}

// subject gives what is judged.
func (t *transaction) subject() *spam.Mail {
	if t.mail == nil {
		t.mail = &spam.Mail{Remote: t.peer.Remote.Addr().Unmap(), Hostname: t.m.hostname(), TLS: t.peer.TLS != nil, Identity: t.peer.Identity, Hello: t.peer.Hello}
		if !t.envelope.From.IsNull() {
			t.mail.From = t.envelope.From.Mailbox.String()
		}
	}
	return t.mail
}

func verdictError(v *spam.Verdict) error {
	switch v.Action {
	case spam.Reject:
		return refuse(550, 5, 7, 1, v.Text)
	case spam.Defer:
		return refuse(451, 4, 7, 1, v.Text)
	}
	return nil
}

// Data implements [smtp.Transaction].
func (t *transaction) Data(ctx context.Context, message io.Reader) (smtp.Receipt, error) {
	spool, err := t.m.spool(message, t.most)
	if err != nil {
		if _, ok := errors.AsType[*mime.TooLargeError](err); ok {
			return smtp.Receipt{}, refuse(552, 5, 3, 4, "the message is too large")
		}
		return smtp.Receipt{}, err
	}
	l := &letter{transaction: t, id: newID(), spool: spool, message: spool.Message(), results: make([]error, len(t.envelope.To))}
	defer func() {
		if err := l.spool.Close(); err != nil {
			t.m.log(ctx, slog.LevelWarn, "cannot free a spooled message", slog.Any("error", err))
		}
	}()
	if hops := len(spool.Message().Header().Values("Received")); hops > cmp.Or(t.m.MaxHops, 50) {
		return smtp.Receipt{}, refuse(554, 5, 4, 6, "the message has been handed on too often: it loops")
	}
	if err := l.prepare(ctx); err != nil {
		return smtp.Receipt{}, err
	}
	// What is most likely to fail comes first, and what nobody can call back last: the message comes again after a failure.
	signature, err := l.sign(ctx)
	if err != nil {
		return smtp.Receipt{}, err
	}
	if err := l.file(ctx); err != nil {
		return smtp.Receipt{}, err
	}
	if err := l.relay(ctx, signature); err != nil {
		return smtp.Receipt{}, err
	}
	if err := l.notify(ctx); err != nil {
		return smtp.Receipt{}, err
	}
	return smtp.Receipt{Text: "taken as " + l.id, Each: l.results}, nil
}

// Abort implements [smtp.Transaction].
func (t *transaction) Abort() {}

// letter is a message that has been read.
type letter struct {
	*transaction
	id      string
	spool   *mime.Spooled
	message *mime.Message
	results []error // one for each recipient
}

// file judges the message for each mailbox that it is for, and puts it there.
func (l *letter) file(ctx context.Context) error {
	var accounts []string
	for _, list := range l.accounts {
		for _, a := range list {
			if !slices.Contains(accounts, a) {
				accounts = append(accounts, a)
			}
		}
	}
	if len(accounts) == 0 {
		return nil
	}
	shared := l.sharedPrefix()
	outcome := map[string]error{}
	var targets []mailstore.Target
	for _, account := range accounts {
		target, err := l.target(ctx, account, shared)
		if err != nil {
			outcome[account] = err
			continue
		}
		targets = append(targets, target)
	}
	errs := l.m.Store.Deliver(ctx, mailstore.Incoming{Content: l.spool, Structure: l.message.Structure()}, targets)
	for i, err := range errs {
		l.m.filed(ctx, targets[i], l.spool.Size(), err)
		outcome[targets[i].Account] = storeError(err)
	}
	for i, list := range l.accounts {
		for _, a := range list {
			if err := outcome[a]; err != nil && (l.results[i] == nil || temporary(err)) {
				l.results[i] = err
			}
		}
	}
	return l.together()
}

// together finds what SMTP's one answer is: what failed for now for anybody has to come again for all, since nobody else would
// bring it; those who have it get it twice.
func (l *letter) together() error {
	if l.lmtp {
		return nil
	}
	for _, err := range l.results {
		if temporary(err) {
			return err
		}
	}
	return nil
}

// target judges the message for one account and says where it goes there.
func (l *letter) target(ctx context.Context, account string, shared []byte) (mailstore.Target, error) {
	first, trace := returnPath(l.envelope.From), append(l.deliveredTo(account), shared...) // RFC 5321 s4.4: Return-Path begins the message
	target := mailstore.Target{Account: account, Prefix: slices.Concat(first, trace)}
	if l.peer.Identity != "" || l.lmtp || l.m.Scorer == nil {
		return target, nil
	}
	m := l.mail.For(account)
	v, err := l.m.Scorer.Score(ctx, m, spam.StageAccount)
	if err != nil {
		l.m.log(ctx, slog.LevelWarn, "no verdict about a message", slog.String("id", l.id), slog.Any("error", err))
		return target, nil
	}
	if l.m.Trace != nil && l.m.Trace.Judged != nil {
		l.m.Trace.Judged(account, m, v)
	}
	if err := verdictError(v); err != nil {
		return target, err
	}
	if v.Action == spam.Junk {
		target.Mailbox = "Junk"
		target.Keywords = []string{"$Junk"}
	}
	target.Prefix = slices.Concat(first, v.Header(), trace)
	return target, nil
}

func (m *MTA) filed(ctx context.Context, t mailstore.Target, size int64, err error) {
	mailbox := t.Mailbox
	if mailbox == "" {
		mailbox = "INBOX"
	}
	attrs := []slog.Attr{slog.String("account", t.Account), slog.String("mailbox", mailbox), slog.Int64("size", size)}
	switch {
	case err == nil:
		m.log(ctx, slog.LevelInfo, "filed", attrs...)
	case errors.Is(err, mailstore.ErrOverQuota): // the owner's affair, and anyone can bring it about
		m.log(ctx, slog.LevelInfo, "cannot file a message", append(attrs, slog.Any("error", err))...)
	default:
		m.log(ctx, slog.LevelError, "cannot file a message", append(attrs, slog.Any("error", err))...)
	}
	if m.Trace != nil && m.Trace.Filed != nil {
		m.Trace.Filed(t.Account, mailbox, size, err)
	}
}

// storeError gives the reply for what a store said.
func storeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mailstore.ErrOverQuota):
		return refuse(552, 5, 2, 2, "the mailbox is full")
	case errors.Is(err, mailstore.ErrNoAccount):
		return refuse(550, 5, 2, 1, "the mailbox is disabled")
	default:
		return &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 2, 0}, Text: "the message cannot be filed now", Err: err}
	}
}
