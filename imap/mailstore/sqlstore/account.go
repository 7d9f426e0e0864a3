package sqlstore

import (
	"context"
	"fmt"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/internal/rules"
)

type account struct {
	s    *Store
	id   int64
	name string
}

// Account opens an account.
func (s *Store) Account(ctx context.Context, identity string) (imap.Account, error) {
	a := &account{s: s, name: identity}
	err := s.read(ctx, func(r reader) error {
		found, err := one(ctx, r, "SELECT id FROM account WHERE name = ?", []any{identity}, &a.id)
		if err == nil && !found {
			err = fmt.Errorf("%w: %q", mailstore.ErrNoAccount, identity)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// write runs an operation on the account, unless it was deleted.
func (a *account) write(ctx context.Context, run func(w *writeTx, row *accountRow) error) error {
	return a.s.write(ctx, func(w *writeTx) error {
		row, err := w.account(a.name)
		if err == nil && row.id != a.id { // made anew
			err = fmt.Errorf("%w: %q", mailstore.ErrNoAccount, a.name)
		}
		if err != nil {
			return err
		}
		return run(w, row)
	})
}

func (a *account) Mailboxes(ctx context.Context) (all []imap.MailboxInfo, err error) {
	err = a.s.snapshot(ctx, func(r reader) error {
		var name string
		subscribed := map[string]bool{}
		err := each(ctx, r, "SELECT name FROM subscription WHERE account = ?", []any{a.id}, []any{&name}, func() error { subscribed[name] = true; return nil })
		if err != nil {
			return err
		}
		var m imap.MailboxInfo
		var id int64
		err = each(ctx, r, "SELECT id, name, special_use, noselect FROM mailbox WHERE account = ?", []any{a.id}, []any{&id, &m.Name, &m.SpecialUse, &m.NoSelect}, func() error {
			m.ID, m.Subscribed = boxID(id), subscribed[m.Name]
			delete(subscribed, m.Name)
			all = append(all, m)
			return nil
		})
		for name := range subscribed {
			all = append(all, imap.MailboxInfo{Name: name, Subscribed: true})
		}
		return err
	})
	rules.SortMailboxes(all)
	return all, err
}

func (a *account) Open(ctx context.Context, name string) (imap.Mailbox, error) {
	name, err := rules.Name(name)
	if err != nil {
		return nil, err
	}
	var id int64
	err = a.s.read(ctx, func(r reader) error {
		found, err := one(ctx, r, "SELECT id FROM mailbox WHERE account = ? AND name = ? AND noselect = 0", []any{a.id, name}, &id)
		if err == nil && !found {
			err = fmt.Errorf("%w: %s", imap.ErrNotFound, name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &mailbox{a, id, a.s.lives.get(id)}, nil
}

func (a *account) Watch(changed func(imap.MailboxID)) (stop func()) {
	return a.s.watchers.add(a.id, changed)
}

func (a *account) Create(ctx context.Context, name, use string) (id imap.MailboxID, err error) {
	if name, err = rules.NewName(name); err != nil {
		return "", err
	}
	if use, err = rules.SpecialUse(use); err != nil {
		return "", err
	}
	err = a.write(ctx, func(w *writeTx, row *accountRow) error {
		b, err := w.create(row, name, use)
		if err == nil {
			id = boxID(b.id)
		}
		return err
	})
	return id, err
}

// create makes a mailbox and those above it.
func (w *writeTx) create(a *accountRow, name, use string) (*box, error) {
	old, err := w.boxNamed(a, name)
	if err != nil {
		return nil, err
	}
	if old != nil && !old.noSelect {
		return nil, fmt.Errorf("%w: %s", imap.ErrExists, name)
	}
	above := rules.Ancestors(name)
	var count int
	if _, err := w.one("SELECT count(*) FROM mailbox WHERE account = ?", []any{a.id}, &count); err != nil {
		return nil, err
	}
	if count+len(above) >= rules.MaxMailboxes {
		return nil, fmt.Errorf("%w: an account has at most %d mailboxes", imap.ErrLimit, rules.MaxMailboxes)
	}
	for _, parent := range above {
		b, err := w.boxNamed(a, parent)
		if err == nil && b == nil {
			_, err = w.newBox(a, parent, "", false)
		}
		if err != nil {
			return nil, err
		}
	}
	if old != nil {
		if err := w.deleteBox(old); err != nil {
			return nil, err
		}
	}
	w.hint(a.id, "")
	return w.newBox(a, name, use, false)
}

func (a *account) Delete(ctx context.Context, name string) error {
	name, err := rules.Name(name)
	if err != nil {
		return err
	}
	return a.write(ctx, func(w *writeTx, row *accountRow) error {
		b, err := w.boxNamed(row, name)
		if err == nil && b == nil {
			err = fmt.Errorf("%w: %s", imap.ErrNotFound, name)
		}
		if err != nil {
			return err
		}
		var children int
		// "0" follows "/": what is between is below.
		if _, err := w.one("SELECT count(*) FROM mailbox WHERE account = ? AND name > ? AND name < ?", []any{row.id, name + "/", name + "0"}, &children); err != nil {
			return err
		}
		if name == "INBOX" || b.noSelect && children > 0 { // RFC 3501 s6.3.4
			return fmt.Errorf("%w: %s cannot be deleted", imap.ErrCannot, name)
		}
		if err := w.deleteBox(b); err != nil || children == 0 {
			return err
		}
		_, err = w.newBox(row, name, "", true)
		return err
	})
}

func (a *account) Rename(ctx context.Context, from, to string) error {
	from, err := rules.Name(from)
	if err != nil {
		return err
	}
	if to, err = rules.NewName(to); err != nil {
		return err
	}
	return a.write(ctx, func(w *writeTx, row *accountRow) error {
		if from == "INBOX" {
			return w.renameInbox(row, to)
		}
		all, err := w.allBoxes(row)
		if err != nil {
			return err
		}
		byName, names := map[string]*box{}, []string{}
		for _, b := range all {
			byName[b.name] = b
			names = append(names, b.name)
		}
		moves, above, err := rules.Rename(from, to, func(name string) bool { return byName[name] != nil }, names)
		if err != nil {
			return err
		}
		for _, m := range moves {
			b := byName[m.From]
			if err := w.exec("UPDATE mailbox SET name = ? WHERE id = ?", m.To, b.id); err != nil {
				return err
			}
			delete(row.boxes, m.From)
			b.name, row.boxes[m.To] = m.To, b
		}
		for _, name := range above {
			if _, err := w.newBox(row, name, "", false); err != nil {
				return err
			}
		}
		w.hint(row.id, "")
		return nil
	})
}

// renameInbox moves the messages of INBOX, which stays (RFC 3501 s6.3.5).
func (w *writeTx) renameInbox(a *accountRow, to string) error {
	inbox, err := w.boxNamed(a, "INBOX")
	if err == nil && inbox == nil {
		err = fmt.Errorf("%w: INBOX", imap.ErrNotFound)
	}
	if err != nil {
		return err
	}
	dest, err := w.create(a, to, "")
	if err != nil {
		return err
	}
	_, err = w.transfer(inbox, imap.UIDSetRange(1, inbox.uidNext), dest, true)
	return err
}

func (a *account) Subscribe(ctx context.Context, name string, subscribed bool) error {
	name, err := rules.Name(name)
	if err != nil {
		return err
	}
	return a.write(ctx, func(w *writeTx, row *accountRow) error {
		var count, known int
		if _, err := w.one("SELECT count(*), coalesce(sum(CASE WHEN name = ? THEN 1 ELSE 0 END), 0) FROM subscription WHERE account = ?", []any{name, row.id}, &count, &known); err != nil {
			return err
		}
		if subscribed == (known > 0) {
			return nil
		}
		w.hint(row.id, "")
		if !subscribed {
			return w.exec("DELETE FROM subscription WHERE account = ? AND name = ?", row.id, name)
		}
		if count >= rules.MaxMailboxes {
			return fmt.Errorf("%w: at most %d subscriptions", imap.ErrLimit, rules.MaxMailboxes)
		}
		return w.exec("INSERT INTO subscription (account, name) VALUES (?, ?)", row.id, name)
	})
}

func (a *account) Quota(ctx context.Context) (imap.Quota, error) { return a.s.Usage(ctx, a.name) }

func (a *account) Close() error { return nil }
