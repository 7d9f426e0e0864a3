package memstore

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore/internal/rules"
)

func (b *mailbox) Append(ctx context.Context) (imap.Appending, error) {
	if err := b.locked(ctx, func(*hints) error { return nil }); err != nil {
		return nil, err
	}
	return &appending{box: b}, nil
}

type appending struct {
	box    *mailbox
	all    []*stored
	metas  []imap.Meta
	octets int64
	ended  bool
}

func (a *appending) Add(ctx context.Context, m imap.Meta, size int64, body io.Reader) error {
	if a.ended {
		return errEnded
	}
	if size > a.box.account.store.maxMessage() {
		return fmt.Errorf("%w: %d octets, %d allowed", imap.ErrTooLarge, size, a.box.account.store.maxMessage())
	}
	err := a.box.locked(ctx, func(*hints) error {
		if _, _, err := rules.Keywords(a.box.Current().Keywords(), m.Keywords); err != nil {
			return err
		}
		return rules.Room(a.box.account.quota, a.octets+size, int64(len(a.all))+1)
	})
	if err != nil {
		return err
	}
	content, err := rules.ReadBody(body, size)
	if err != nil {
		return err
	}
	structure, err := rules.Parse(nil, rules.Bytes(content))
	if err != nil {
		return err
	}
	a.all = append(a.all, &stored{content: content, structure: structure, saved: time.Now()})
	a.metas = append(a.metas, m)
	a.octets += size
	return nil
}

func (a *appending) Commit(ctx context.Context) (r imap.AppendResult, err error) {
	if a.ended {
		return r, errEnded
	}
	a.ended = true
	err = a.box.locked(ctx, func(h *hints) error {
		if len(a.all) > 0 {
			if r.UIDs, err = a.box.add(a.all, a.metas, h); err != nil {
				return err
			}
		}
		r.UIDValidity = a.box.Current().UIDValidity()
		return nil
	})
	return r, err
}

func (a *appending) Abort() { a.ended, a.all = true, nil }
