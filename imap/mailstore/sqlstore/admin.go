package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
)

// CreateAccount makes an account with the default mailboxes.
func (s *Store) CreateAccount(ctx context.Context, name string, limits mailstore.Limits) error {
	if name == "" {
		return errors.New("sqlstore: an account needs a name")
	}
	return s.write(ctx, func(w *writeTx) error {
		if _, err := w.account(name); !errors.Is(err, mailstore.ErrNoAccount) {
			if err == nil {
				err = fmt.Errorf("%w: %q", mailstore.ErrAccountExists, name)
			}
			return err
		}
		a := &accountRow{id: w.next(&w.counters.account), name: name, boxes: map[string]*box{}, quota: imap.Quota{OctetLimit: limits.Octets, MessageLimit: limits.Messages}}
		if err := w.exec("INSERT INTO account (id, name, octets, messages, octet_limit, message_limit, uidvalidity) VALUES (?, ?, 0, 0, ?, ?, 0)", a.id, name, limits.Octets, limits.Messages); err != nil {
			return err
		}
		w.accounts[name] = a
		for _, spec := range mailstore.DefaultMailboxes() {
			if _, err := w.newBox(a, spec.Name, spec.SpecialUse, false); err != nil {
				return err
			}
			if err := w.exec("INSERT INTO subscription (account, name) VALUES (?, ?)", a.id, spec.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteAccount removes an account; its open mailboxes are gone.
func (s *Store) DeleteAccount(ctx context.Context, name string) error {
	return s.write(ctx, func(w *writeTx) error {
		a, err := w.account(name)
		if err != nil {
			return err
		}
		boxes, err := w.allBoxes(a)
		if err != nil {
			return err
		}
		for _, b := range boxes {
			if err := w.deleteBox(b); err != nil {
				return err
			}
		}
		if err := w.exec("DELETE FROM subscription WHERE account = ?", a.id); err != nil {
			return err
		}
		if err := w.exec("DELETE FROM account WHERE id = ?", a.id); err != nil {
			return err
		}
		a.deleted = true
		delete(w.accounts, name)
		return nil
	})
}

// Accounts gives all names.
func (s *Store) Accounts(ctx context.Context) (names []string, err error) {
	err = s.read(ctx, func(r reader) error {
		var name string
		return each(ctx, r, "SELECT name FROM account ORDER BY name", nil, []any{&name}, func() error { names = append(names, name); return nil })
	})
	return names, err
}

// SetLimits changes what an account may hold.
func (s *Store) SetLimits(ctx context.Context, name string, limits mailstore.Limits) error {
	return s.write(ctx, func(w *writeTx) error {
		a, err := w.account(name)
		if err != nil {
			return err
		}
		a.quota.OctetLimit, a.quota.MessageLimit = limits.Octets, limits.Messages
		return w.exec("UPDATE account SET octet_limit = ?, message_limit = ? WHERE id = ?", limits.Octets, limits.Messages, a.id)
	})
}

// Usage gives what an account holds.
func (s *Store) Usage(ctx context.Context, name string) (q imap.Quota, err error) {
	err = s.read(ctx, func(r reader) error {
		found, err := one(ctx, r, "SELECT octets, messages, octet_limit, message_limit FROM account WHERE name = ?", []any{name}, &q.Octets, &q.Messages, &q.OctetLimit, &q.MessageLimit)
		if err == nil && !found {
			err = fmt.Errorf("%w: %q", mailstore.ErrNoAccount, name)
		}
		return err
	})
	return q, err
}

// allBoxes gives the mailboxes of an account.
func (w *writeTx) allBoxes(a *accountRow) (all []*box, err error) {
	var ids []int64
	var id int64
	if err := w.each("SELECT id FROM mailbox WHERE account = ?", []any{a.id}, []any{&id}, func() error { ids = append(ids, id); return nil }); err != nil {
		return nil, err
	}
	for _, id := range ids {
		b, err := w.box(a, id)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// deleteBox removes a mailbox with all that is in it.
func (w *writeTx) deleteBox(b *box) error {
	if _, err := w.remove(b, imap.UIDSetRange(1, math.MaxUint32), true); err != nil {
		return err
	}
	if err := w.exec("DELETE FROM expunged WHERE mailbox = ?", b.id); err != nil {
		return err
	}
	if err := w.exec("DELETE FROM mailbox WHERE id = ?", b.id); err != nil {
		return err
	}
	w.touch(b)
	b.deleted = true
	delete(b.account.boxes, b.name)
	delete(w.boxes, b.id)
	w.hint(b.account.id, "")
	return nil
}

// sweep drops bodies that were on their way when a process ended.
func (s *Store) sweep(ctx context.Context) error {
	return s.write(ctx, func(w *writeTx) error {
		var ids []int64
		var id int64
		before := time.Now().Add(-stagedFor).Unix()
		if err := w.each("SELECT id FROM blob WHERE refs = 0 AND created < ?", []any{before}, []any{&id}, func() error { ids = append(ids, id); return nil }); err != nil {
			return err
		}
		for _, id := range ids {
			if err := w.dropBlob(id); err != nil {
				return err
			}
		}
		return nil
	})
}
