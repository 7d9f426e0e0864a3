package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/spam"
)

// spam is a letter of somebody who claims to be a bank.
func (w *world) spam(ctx context.Context) {
	w.begin("Spam: somebody writes to bob@recipient.test as service@bank.test")
	w.step("handed over", func(s *step) error {
		var said wire
		d := &smtp.Dialer{Hostname: "pool-17.example", TLS: smtp.TLSNever, NetDial: w.dial, Trace: clientTrace(&said)}
		e, err := smtp.NewEnvelope("service@bank.test", "bob@recipient.test")
		if err != nil {
			return err
		}
		_, err = smtp.SendMail(ctx, d, "192.0.2.22:25", e, bytesContent(withCRLF(fmt.Appendf(nil, spamText, time.Now().Format(time.RFC1123Z)))))
		s.Said = said.take(w.verbose)
		return err
	})
	w.judged(ctx, func(s *step, e event) error {
		a := e.mail.Authentication
		return want(fmt.Sprint(a.SPF.Result, a.DMARC.Result, e.verdict.Action), "failfailjunk", "SPF, DMARC and action")
	})
	w.step("filed", func(s *step) error {
		e, err := w.filed(ctx, s)
		return errors.Join(err, want(e.account+" "+e.mailbox, "bob@recipient.test Junk", "mailbox"))
	})
	var got []byte
	w.step("read over IMAP", func(s *step) (err error) {
		if got, err = w.readIMAP(ctx, s, w.recipient, "bob@recipient.test", "builder", "Junk"); err != nil {
			return err
		}
		h := mime.ParseBytes(got).Header()
		s.decided("X-Spam-Status: %s", h.Get("X-Spam-Status"))
		s.decided("Authentication-Results: %s", h.Get("Authentication-Results"))
		if !strings.Contains(h.Get("X-Spam-Status"), "DMARC_QUARANTINE") {
			return errors.New("the reasons must stand in the header")
		}
		return nil
	})
	w.learn(ctx, got, true)
}

// learn tells the filter of bob's what he thinks of a message that he read.
func (w *world) learn(ctx context.Context, raw []byte, isSpam bool) {
	w.step("learned", func(s *step) error {
		const account = "bob@recipient.test"
		filter, m := w.recipient.filter, mime.ParseBytes(raw)
		if err := filter.Learn(ctx, &spam.Mail{Account: account, Message: m}, isSpam); err != nil {
			return err
		}
		r, err := filter.Classify(ctx, account, m)
		if err != nil {
			return err
		}
		s.decided("bob's filter now knows %d messages as spam and %d as not; it speaks up from 20 of each", r.Learned.Spam, r.Learned.Ham)
		return nil
	})
}

func (w *world) unknownUser(ctx context.Context) {
	w.begin("A letter from alice@sender.test to nobody@recipient.test, who does not exist")
	w.returned(ctx, "nobody@recipient.test", "5.1.1", w.refusedAtRCPT(ctx))
}

// refusedAtRCPT waits until the recipient's server has said no.
func (w *world) refusedAtRCPT(ctx context.Context) func(*step) error {
	return func(s *step) error {
		done, err := w.events.await(ctx, "recipient")
		if err != nil {
			return err
		}
		s.Said = w.relayWire.take(w.verbose)
		if refused := w.events.take("refused"); len(refused) != 1 || done[0].err == nil {
			return errors.New("the server must have refused the recipient")
		}
		s.decided("%v", done[0].err)
		return nil
	}
}

func (w *world) overQuota(ctx context.Context) {
	w.begin("A letter from alice@sender.test to carol@recipient.test, whose mailbox is full")
	w.returned(ctx, "carol@recipient.test", "5.2.2", w.refusedAtRCPT(ctx))
}

func (w *world) nullMX(ctx context.Context) {
	w.begin("A letter from alice@sender.test to info@nomail.test, a domain that takes no mail")
	w.returned(ctx, "info@nomail.test", "5.1.10", func(s *step) error {
		route, err := w.route(ctx, s)
		if err != nil {
			return err
		}
		if route.err == nil {
			return errors.New("a null MX must end the journey")
		}
		s.decided("%v", route.err)
		return nil
	})
}

// returned is the way of a letter that cannot be delivered: its sender hears of it.
func (w *world) returned(ctx context.Context, to, status string, refused func(*step) error) {
	letter := plainLetter(to, "Are you there?")
	if strings.HasPrefix(to, "carol@") {
		letter.Text = strings.Repeat("This letter is longer than what carol has room for.\n", 50)
	}
	var composed *mime.Composed
	w.step("composed", func(s *step) (err error) {
		if composed, err = letter.Compose(); err != nil {
			return err
		}
		s.decided("%d octets", composed.Size())
		return nil
	})
	w.submit(ctx, to, func() smtp.Content { return composed })
	w.queued(ctx)
	w.step("refused", refused)
	w.step("returned", func(s *step) error {
		if _, err := w.events.await(ctx, "notified"); err != nil {
			return err
		}
		e, err := w.filed(ctx, s)
		return errors.Join(err, want(e.account+" "+e.mailbox, "alice@sender.test INBOX", "mailbox"))
	})
	w.step("read over IMAP", func(s *step) error {
		got, err := w.readIMAP(ctx, s, w.sender, "alice@sender.test", "wonderland", "INBOX")
		if err != nil {
			return err
		}
		return notification(s, got, to, status)
	})
}

// notification holds a delivery status notification against what it must say (RFC 3464).
func notification(s *step, raw []byte, to, status string) error {
	m := mime.ParseBytes(raw)
	if err := want(m.Root().MediaType(), "multipart/report", "media type"); err != nil {
		return err
	}
	for p := range m.Parts() {
		if p.MediaType() != "message/delivery-status" {
			continue
		}
		offset, length := p.BodyRange()
		fields := string(raw[offset : offset+length])
		s.decided("%s", strings.TrimSpace(strings.ReplaceAll(fields, "\r\n", "\n")))
		for _, must := range []string{"Final-Recipient: rfc822; " + to, "Action: failed", "Status: " + status} {
			if !strings.Contains(fields, must) {
				return fmt.Errorf("the notification must say %q", must)
			}
		}
		return nil
	}
	return errors.New("the notification has no message/delivery-status")
}
