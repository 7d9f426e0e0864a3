package sqlstore

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/internal/rules"
)

// Deliver stores one message in many mailboxes, in one transaction.
func (s *Store) Deliver(ctx context.Context, m mailstore.Incoming, to []mailstore.Target) []error {
	errs := make([]error, len(to))
	fail := func(err error) []error {
		for i := range errs {
			if errs[i] == nil {
				errs[i] = err
			}
		}
		return errs
	}
	size := m.Content.Size()
	if size > s.options.MaxMessage {
		return fail(fmt.Errorf("%w: %d octets, %d allowed", imap.ErrTooLarge, size, s.options.MaxMessage))
	}
	if m.Structure != nil && m.Structure.Size != size {
		m.Structure = nil
	}
	b, err := s.takeBody(ctx, io.NewSectionReader(m.Content, 0, size), size, m.Structure)
	if err != nil {
		return fail(temporary(err))
	}
	date := m.InternalDate
	if date.IsZero() {
		date = time.Now()
	}
	targets := make([]target, len(to))
	rest := []int{}
	for i := range to {
		targets[i] = target{Target: &to[i], mailbox: to[i].Mailbox}
		if targets[i].err = targets[i].check(); targets[i].err == nil && len(to[i].Prefix) > 0 && !rules.CanShift(m.Content) {
			targets[i].apart = true // with fields before it, it is another message
			rest = append(rest, i)
		}
	}
	linked := 0
	err = s.write(ctx, func(w *writeTx) error {
		linked, err = w.deliver(b, targets, packDate(date))
		return err
	})
	if err != nil || linked == 0 {
		s.abandon(b)
	}
	for i := range targets {
		if errs[i] = targets[i].err; err == nil {
			errs[i] = targets[i].refused
		}
	}
	if err != nil {
		return fail(err)
	}
	for _, i := range rest {
		t := to[i]
		whole := &rules.Prefixed{Prefix: t.Prefix, Body: m.Content}
		t.Prefix = nil
		errs[i] = s.Deliver(ctx, mailstore.Incoming{Content: whole, InternalDate: date}, []mailstore.Target{t})[0]
	}
	return errs
}

// target is a place to deliver to, on its way there.
type target struct {
	*mailstore.Target
	mailbox string
	apart   bool
	err     error // found before the transaction
	refused error // in the last run of the transaction
}

// check is what needs no database.
func (t *target) check() (err error) {
	if t.mailbox == "" {
		t.mailbox = "INBOX"
	}
	if t.mailbox, err = rules.Name(t.mailbox); err != nil {
		return err
	}
	if _, _, err := rules.Keywords(nil, t.Keywords); err != nil {
		return err
	}
	return rules.CheckPrefix(t.Prefix)
}

// deliver puts a body into each mailbox that takes it, and says how many did.
func (w *writeTx) deliver(b *body, targets []target, date int64) (linked int, err error) {
	for i := range targets {
		t := &targets[i]
		if t.refused = t.err; t.refused == nil && !t.apart {
			if t.refused, err = w.admit(t, b.size, targets[:i]); err != nil {
				return 0, err
			}
			if t.refused == nil {
				linked++
			}
		}
	}
	var blob int64
	if linked > 0 {
		if blob, err = w.link(b, linked); err != nil {
			return 0, err
		}
	}
	for i := range targets {
		t := &targets[i]
		if t.refused != nil || t.apart {
			continue
		}
		if err := w.deliverTo(t, b.size, blob, date); err != nil {
			return 0, err
		}
	}
	return linked, nil
}

// admit says why a mailbox cannot take a message; err is of the database. Targets before of the same account count.
func (w *writeTx) admit(t *target, size int64, before []target) (refused, err error) {
	a, err := w.account(t.Account)
	if err != nil {
		return splitTemporary(err)
	}
	octets, messages := size+int64(len(t.Prefix)), int64(1)
	added := map[string]bool{}
	for i := range before {
		if o := &before[i]; o.Account == t.Account && o.refused == nil && !o.apart {
			octets, messages = octets+size+int64(len(o.Prefix)), messages+1
			if o.mailbox == t.mailbox {
				for _, name := range o.Keywords {
					added[strings.ToLower(name)] = true
				}
			}
		}
	}
	if err := rules.Room(a.quota, octets, messages); err != nil {
		return err, nil
	}
	box, err := w.boxNamed(a, t.mailbox)
	if err != nil {
		return nil, err
	}
	var keywords []string
	if box != nil && !box.noSelect {
		keywords = box.keywords
		if err := box.hasUIDs(len(before) + 1); err != nil {
			return err, nil
		}
	}
	for name := range added {
		if keywords, _, err = rules.Keywords(keywords, []string{name}); err != nil {
			return err, nil
		}
	}
	_, _, err = rules.Keywords(keywords, t.Keywords)
	return err, nil
}

// splitTemporary tells a refusal from a failure.
func splitTemporary(err error) (refused, failed error) {
	if t, ok := err.(*mailstore.TemporaryError); ok {
		return nil, t
	}
	return err, nil
}

func (w *writeTx) deliverTo(t *target, size, blob, date int64) error {
	a, err := w.account(t.Account)
	if err != nil {
		return err
	}
	box, err := w.boxNamed(a, t.mailbox)
	if err == nil && (box == nil || box.noSelect) {
		var use string
		if use, err = w.unusedDefault(a, t.mailbox); err == nil {
			box, err = w.create(a, t.mailbox, use)
		}
	}
	if err != nil {
		return err
	}
	keywords, bits, err := rules.Keywords(box.keywords, t.Keywords)
	if err != nil {
		return err
	}
	box.keywords = keywords
	_, err = w.insert(box, []row{{flags: t.Flags&imap.FlagsSystem | bits, size: size + int64(len(t.Prefix)), date: date, blob: blob, prefix: slices.Clip(t.Prefix)}})
	return err
}

// unusedDefault gives the special use that a default mailbox has, unless another mailbox took it over.
func (w *writeTx) unusedDefault(a *accountRow, name string) (string, error) {
	for _, spec := range mailstore.DefaultMailboxes() {
		if spec.Name != name || spec.SpecialUse == "" {
			continue
		}
		var n int
		_, err := w.one("SELECT count(*) FROM mailbox WHERE account = ? AND special_use = ?", []any{a.id, spec.SpecialUse}, &n)
		if err != nil || n > 0 {
			return "", err
		}
		return spec.SpecialUse, nil
	}
	return "", nil
}
