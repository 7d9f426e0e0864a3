package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore/internal/rules"
)

var errEnded = errors.New("mailstore: this append has ended")

// maxAppend is how many octets of small bodies an append keeps in memory; more of them go into the database as they come.
const maxAppend = 16 << 20

type appending struct {
	box    *mailbox
	bodies []*body
	metas  []imap.Meta
	octets int64
	inline int64
	ended  bool
}

func (m *mailbox) Append(ctx context.Context) (imap.Appending, error) {
	if m.live.gone.Load() {
		return nil, imap.ErrGone
	}
	return &appending{box: m}, ctx.Err()
}

func (a *appending) Add(ctx context.Context, m imap.Meta, size int64, r io.Reader) error {
	s := a.box.account.s
	if a.ended {
		return errEnded
	}
	if size > s.options.MaxMessage {
		return fmt.Errorf("%w: %d octets, %d allowed", imap.ErrTooLarge, size, s.options.MaxMessage)
	}
	if a.box.live.gone.Load() {
		return imap.ErrGone
	}
	if _, _, err := rules.Keywords(nil, m.Keywords); err != nil {
		return err
	}
	quota, err := s.Usage(ctx, a.box.account.name)
	if err == nil {
		err = rules.Room(quota, a.octets+size, int64(len(a.bodies))+1)
	}
	if err != nil {
		return err
	}
	b, err := s.takeBody(ctx, r, size, nil)
	if err != nil {
		return err
	}
	a.bodies, a.metas = append(a.bodies, b), append(a.metas, m)
	a.octets += size
	if a.inline += int64(len(b.data)); a.inline > maxAppend && b.data != nil {
		a.inline -= int64(len(b.data))
		return s.stageSmall(ctx, b)
	}
	return nil
}

func (a *appending) Commit(ctx context.Context) (r imap.AppendResult, err error) {
	if a.ended {
		return r, errEnded
	}
	a.ended = true
	err = a.box.write(ctx, func(w *writeTx, b *box) error {
		r.UIDValidity = b.validity
		if len(a.bodies) == 0 {
			return nil
		}
		r.UIDs, err = w.add(b, a.bodies, a.metas)
		return err
	})
	if err != nil {
		a.drop()
	}
	return r, err
}

// add checks everything, then inserts the messages.
func (w *writeTx) add(b *box, bodies []*body, metas []imap.Meta) (uids imap.UIDSet, err error) {
	rows, octets, keywords := make([]row, len(bodies)), int64(0), b.keywords
	for i, m := range metas {
		date := m.InternalDate
		if date.IsZero() {
			date = time.Now()
		}
		rows[i] = row{flags: m.Flags & imap.FlagsSystem, size: bodies[i].size, date: packDate(date)}
		var bits imap.Flags
		if keywords, bits, err = rules.Keywords(keywords, m.Keywords); err != nil {
			return uids, err
		}
		rows[i].flags |= bits
		octets += rows[i].size
	}
	if err := rules.Room(b.account.quota, octets, int64(len(rows))); err != nil {
		return uids, err
	}
	if err := b.hasUIDs(len(rows)); err != nil {
		return uids, err
	}
	for i := range rows {
		if rows[i].blob, err = w.link(bodies[i], 1); err != nil {
			return uids, err
		}
	}
	b.keywords = keywords
	return w.insert(b, rows)
}

func (a *appending) Abort() {
	if !a.ended {
		a.ended = true
		a.drop()
	}
}

func (a *appending) drop() {
	for _, b := range a.bodies {
		a.box.account.s.abandon(b)
	}
	a.bodies = nil
}
