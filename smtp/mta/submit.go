package mta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/dkim"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/spam"
)

// prepare judges what strangers sent, and completes what users sent.
func (l *letter) prepare(ctx context.Context) error {
	switch {
	case l.peer.Identity != "":
		return l.complete(ctx)
	case l.lmtp:
		return nil
	case l.m.Scorer == nil:
		return l.dropForged()
	}
	m := l.subject()
	m.Content, m.Message = l.spool, l.message
	for _, to := range l.envelope.To {
		m.To = append(m.To, to.Path.Mailbox.String())
	}
	if v, err := l.judge(ctx, spam.StageBody); err == nil {
		if err := verdictError(v); err != nil {
			return err
		}
	}
	return l.dropForged()
}

// complete holds a submitted message to RFC 6409 s8: who is said to have written and sent it is the user, and From, Date and Message-ID are there.
func (l *letter) complete(ctx context.Context) error {
	h := l.message.Header()
	if err := l.author(ctx, h); err != nil {
		return err
	}
	var add strings.Builder
	if !h.Has("From") {
		fmt.Fprintf(&add, "From: <%s>\r\n", l.envelope.From.Mailbox)
	}
	if !h.Has("Date") {
		fmt.Fprintf(&add, "Date: %s\r\n", time.Now().Format(dateFormat))
	}
	if !h.Has("Message-ID") {
		fmt.Fprintf(&add, "Message-ID: <%s@%s>\r\n", l.id, l.m.hostname())
	}
	if h.Has("Bcc") || h.Has("Resent-Bcc") {
		// A submission server takes Bcc out, or the blind copies are not blind (RFC 5322 s3.6.3).
		return l.rewrite(add.String(), func(name string) bool {
			return !strings.EqualFold(name, "Bcc") && !strings.EqualFold(name, "Resent-Bcc")
		})
	}
	if add.Len() > 0 {
		return l.rewrite(add.String(), nil)
	}
	return nil
}

// author tells whether the user may have written and sent what the header says (RFC 6409 s6.1). Programs differ in which of several fields they show, and in what they make of one that is malformed, so
// neither passes. Who resends a message (RFC 5322 s3.6.6) leaves its author as it is; another user of ours that may not be, since the message would leave as if we vouched for it.
func (l *letter) author(ctx context.Context, h mime.Header) error {
	resent := h.Has("Resent-From")
	for _, field := range []string{"Resent-From", "From", "Sender"} {
		if !h.Has(field) {
			continue
		}
		list := mime.ParseAddressList(h.Get(field)).All() // of several Resent-From the first is the last one that was added
		switch {
		case field != "Resent-From" && len(h.Values(field)) > 1:
			return refuse(550, 5, 6, 0, "more than one field "+field)
		case len(list) == 0:
			return refuse(550, 5, 6, 0, "no address in "+field)
		}
		for _, a := range list {
			if l.m.maySend(ctx, l.peer.Identity, a.Addr) {
				continue
			}
			if resent && field != "Resent-From" {
				_, domain := a.Split()
				if ours, err := isOurs(ctx, l.m.Directory, domain); err == nil && !ours {
					continue
				}
			}
			return refuse(550, 5, 7, 1, "you may not write "+ascii(a.Addr)+" into "+field)
		}
	}
	if !h.Has("From") && l.envelope.From.IsNull() {
		return refuse(550, 5, 6, 0, "no field From, and no sender to make one of")
	}
	return nil
}

// dropForged takes out Authentication-Results fields that claim to be ours (RFC 8601 s5).
func (l *letter) dropForged() error {
	own := strings.ToLower(l.m.hostname())
	forged := map[int64]bool{}
	for f := range l.message.Header().Fields() {
		if !f.Is("Authentication-Results") {
			continue
		}
		id, _, _ := strings.Cut(f.Value(), ";")
		if fields := strings.Fields(strings.ToLower(id)); len(fields) == 0 || strings.Trim(fields[0], `"`) == own {
			forged[f.Offset] = true
		}
	}
	if len(forged) == 0 {
		return nil
	}
	return l.rewriteFields("", func(offset int64, _ string) bool { return !forged[offset] })
}

func (l *letter) rewrite(add string, keep func(name string) bool) error {
	return l.rewriteFields(add, func(_ int64, name string) bool { return keep == nil || keep(name) })
}

// rewriteFields makes the message anew with fields added before and some left out.
func (l *letter) rewriteFields(add string, keep func(offset int64, name string) bool) error {
	h := l.message.Header()
	raw := h.Bytes() // with the empty line
	head := bytes.NewBufferString(add)
	done := int64(0)
	for f := range h.Fields() {
		if !keep(f.Offset, f.Name()) {
			head.Write(raw[done:f.Offset])
			done = f.Offset + int64(len(f.Raw()))
		}
	}
	head.Write(raw[done:])
	rest := io.NewSectionReader(l.spool, int64(len(raw)), l.spool.Size()-int64(len(raw)))
	spool, err := l.m.spool(io.MultiReader(head, rest), anySize)
	if err != nil {
		return err
	}
	if err := l.spool.Close(); err != nil {
		l.m.log(context.Background(), slog.LevelWarn, "cannot free a spooled message", slog.Any("error", err))
	}
	l.spool, l.message = spool, spool.Message()
	if l.mail != nil {
		l.mail.Content, l.mail.Message = l.spool, l.message
	}
	return nil
}

// relay queues the message for the recipients elsewhere, or for all if it is to be held.
func (l *letter) relay(ctx context.Context, signature []byte) error {
	out := smtp.Envelope{From: l.envelope.From, Params: l.envelope.Params}
	for i, to := range l.envelope.To {
		if l.accounts[i] == nil {
			out.To = append(out.To, to)
		}
	}
	if len(out.To) == 0 {
		return nil
	}
	id, err := l.m.Queue.Enqueue(ctx, &out, append(signature, l.received()...), l.spool)
	if err != nil {
		return &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 3, 0}, Text: "the message cannot be queued now", Err: err}
	}
	l.id = id.String()
	if l.m.Trace != nil && l.m.Trace.Relayed != nil {
		l.m.Trace.Relayed(id, &out)
	}
	return nil
}

// sign gives the DKIM fields for the domain of From of a message that is queued.
func (l *letter) sign(ctx context.Context) ([]byte, error) {
	if l.m.Signers == nil || !slices.ContainsFunc(l.accounts, func(local []string) bool { return local == nil }) {
		return nil, nil
	}
	from := l.message.Header().Addresses("From").All()
	if len(from) == 0 {
		return nil, nil
	}
	_, domain := from[0].Split()
	signers := l.m.Signers(strings.ToLower(domain))
	if len(signers) == 0 {
		return nil, nil
	}
	field, err := dkim.Sign(ctx, l.spool, signers...)
	if err == nil {
		return field, nil
	}
	l.m.log(ctx, slog.LevelError, "cannot sign a message", slog.String("domain", domain), slog.Any("error", err))
	if errors.Is(err, dkim.ErrHeaderTooLong) {
		return nil, &smtp.Error{Code: 552, Enhanced: smtp.EnhancedCode{5, 3, 4}, Text: "the header is too long to be signed", Err: err}
	}
	if errors.Is(err, dkim.ErrMalformed) {
		return nil, &smtp.Error{Code: 554, Enhanced: smtp.EnhancedCode{5, 6, 0}, Text: "a line in the header of the message is no field", Err: err}
	}
	// An unsigned message would fail DMARC elsewhere for good; the user is asked to come again.
	return nil, &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 7, 0}, Text: "the message cannot be signed now", Err: err}
}
