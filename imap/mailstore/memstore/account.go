package memstore

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/internal/rules"
)

// Account opens an account.
func (s *Store) Account(ctx context.Context, identity string) (imap.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.account(identity)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// locked runs f with the lock held, unless the account was deleted, and then tells the watchers.
func (a *account) locked(ctx context.Context, f func(h *hints) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var h hints
	defer func() { h.send() }()
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	if a.store.closed {
		return mailstore.ErrClosed
	}
	if a.gone {
		return fmt.Errorf("%w: %q", mailstore.ErrNoAccount, a.name)
	}
	return f(&h)
}

func (a *account) Mailboxes(ctx context.Context) (all []imap.MailboxInfo, err error) {
	err = a.locked(ctx, func(*hints) error {
		for name, b := range a.boxes {
			all = append(all, imap.MailboxInfo{ID: b.id, Name: name, NoSelect: b.noSelect, Subscribed: a.subs[name], SpecialUse: b.use})
		}
		for name := range a.subs {
			if a.boxes[name] == nil {
				all = append(all, imap.MailboxInfo{Name: name, Subscribed: true})
			}
		}
		return nil
	})
	rules.SortMailboxes(all)
	return all, err
}

func (a *account) Open(ctx context.Context, name string) (box imap.Mailbox, err error) {
	if name, err = rules.Name(name); err != nil {
		return nil, err
	}
	err = a.locked(ctx, func(*hints) error {
		b := a.boxes[name]
		if b == nil || b.noSelect {
			return fmt.Errorf("%w: %s", imap.ErrNotFound, name)
		}
		box = b
		return nil
	})
	return box, err
}

func (a *account) Watch(changed func(imap.MailboxID)) (stop func()) {
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	key := &changed
	a.watch[key] = struct{}{}
	return func() {
		a.store.mu.Lock()
		defer a.store.mu.Unlock()
		delete(a.watch, key)
	}
}

func (a *account) Create(ctx context.Context, name, use string) (id imap.MailboxID, err error) {
	if name, err = rules.NewName(name); err != nil {
		return "", err
	}
	if use, err = rules.SpecialUse(use); err != nil {
		return "", err
	}
	err = a.locked(ctx, func(h *hints) error {
		b, err := a.create(name, use, h)
		if err == nil {
			id = b.id
		}
		return err
	})
	return id, err
}

// create makes a mailbox and those above it. The lock is held.
func (a *account) create(name, use string, h *hints) (*mailbox, error) {
	if b := a.boxes[name]; b != nil && !b.noSelect {
		return nil, fmt.Errorf("%w: %s", imap.ErrExists, name)
	}
	above := rules.Ancestors(name)
	if len(a.boxes)+len(above) >= rules.MaxMailboxes {
		return nil, fmt.Errorf("%w: an account has at most %d mailboxes", imap.ErrLimit, rules.MaxMailboxes)
	}
	for _, parent := range above {
		if a.boxes[parent] == nil {
			a.newBox(parent, "")
		}
	}
	a.hint(h, "")
	return a.newBox(name, use), nil
}

func (a *account) Delete(ctx context.Context, name string) error {
	name, err := rules.Name(name)
	if err != nil {
		return err
	}
	return a.locked(ctx, func(h *hints) error {
		b := a.boxes[name]
		if b == nil {
			return fmt.Errorf("%w: %s", imap.ErrNotFound, name)
		}
		children := false
		for other := range a.boxes {
			children = children || rules.Below(other, name)
		}
		if name == "INBOX" || b.noSelect && children { // RFC 3501 s6.3.4
			return fmt.Errorf("%w: %s cannot be deleted", imap.ErrCannot, name)
		}
		b.gone = true
		view := b.Current()
		a.quota.Octets -= view.Size()
		a.quota.Messages -= int64(view.Len())
		delete(a.boxes, name)
		if children {
			a.newBox(name, "").noSelect = true
		}
		a.hint(h, b.id)
		a.hint(h, "")
		return nil
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
	return a.locked(ctx, func(h *hints) error {
		if from == "INBOX" {
			dest, err := a.create(to, "", h)
			if err != nil {
				return err
			}
			inbox := a.boxes[from]
			_, err = inbox.transfer(imap.UIDSetRange(1, inbox.Current().UIDNext()), dest, true, h)
			return err
		}
		exists := func(name string) bool { return a.boxes[name] != nil }
		moves, above, err := rules.Rename(from, to, exists, slices.Collect(maps.Keys(a.boxes)))
		if err != nil {
			return err
		}
		for _, m := range moves {
			b := a.boxes[m.From]
			delete(a.boxes, m.From)
			b.name, a.boxes[m.To] = m.To, b
		}
		for _, name := range above {
			a.newBox(name, "")
		}
		a.hint(h, "")
		return nil
	})
}

func (a *account) Subscribe(ctx context.Context, name string, subscribed bool) error {
	name, err := rules.Name(name)
	if err != nil {
		return err
	}
	return a.locked(ctx, func(h *hints) error {
		if !subscribed {
			delete(a.subs, name)
		} else if len(a.subs) >= rules.MaxMailboxes {
			return fmt.Errorf("%w: at most %d subscriptions", imap.ErrLimit, rules.MaxMailboxes)
		} else {
			a.subs[name] = true
		}
		a.hint(h, "")
		return nil
	})
}

func (a *account) Quota(ctx context.Context) (q imap.Quota, err error) {
	err = a.locked(ctx, func(*hints) error { q = a.quota; return nil })
	return q, err
}

func (a *account) Close() error { return nil }
