package sqlstore

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/internal/rules"
	"github.com/gomailroom/mailroom/mime"
)

type mailbox struct {
	account *account
	id      int64
	live    *live
}

// write runs an operation on the mailbox, which must still be there.
func (m *mailbox) write(ctx context.Context, run func(w *writeTx, b *box) error) error {
	if m.live.gone.Load() {
		return imap.ErrGone
	}
	return m.account.write(ctx, func(w *writeTx, row *accountRow) error {
		b, err := w.box(row, m.id)
		if err != nil {
			return err
		}
		return run(w, b)
	})
}

func (m *mailbox) ID() imap.MailboxID { return boxID(m.id) }

func (m *mailbox) View(ctx context.Context) (*imap.View, error) {
	select {
	case <-m.account.s.closing:
		return nil, mailstore.ErrClosed
	default:
		return m.account.s.view(ctx, m.live)
	}
}

func (m *mailbox) SetFlags(ctx context.Context, uids imap.UIDSet, c imap.FlagChange) (conflicts imap.UIDSet, err error) {
	err = m.write(ctx, func(w *writeTx, b *box) error {
		conflicts, err = w.setFlags(b, uids, c)
		return err
	})
	return conflicts, err
}

func (m *mailbox) Expunge(ctx context.Context, uids imap.UIDSet) error {
	return m.write(ctx, func(w *writeTx, b *box) error { return w.expunge(b, uids, true) })
}

func (m *mailbox) Transfer(ctx context.Context, uids imap.UIDSet, dest imap.MailboxID, move bool) (r imap.CopyResult, err error) {
	id, ok := parseBoxID(dest)
	if !ok {
		return r, fmt.Errorf("%w: %s", imap.ErrNotFound, dest)
	}
	err = m.write(ctx, func(w *writeTx, b *box) error {
		to, err := w.box(b.account, id)
		if err == imap.ErrGone || err == nil && to.noSelect {
			err = fmt.Errorf("%w: %s", imap.ErrNotFound, dest)
		}
		if err == nil {
			r, err = w.transfer(b, uids, to, move)
		}
		return err
	})
	return r, err
}

func (m *mailbox) Vanished(ctx context.Context, since imap.ModSeq) (uids imap.UIDSet, known bool, err error) {
	v, err := m.View(ctx)
	if err != nil {
		return uids, false, err
	}
	err = m.account.s.snapshot(ctx, func(r reader) error {
		var floor int64
		found, err := one(ctx, r, "SELECT floor FROM mailbox WHERE id = ?", []any{m.id}, &floor)
		if err == nil && !found {
			err = imap.ErrGone
		}
		if known = since >= imap.ModSeq(floor); err != nil || !known {
			return err
		}
		uids, err = vanished(ctx, r, m.id, since)
		return err
	})
	if err == nil && !known && v.UIDNext() > 1 {
		uids = imap.UIDSetRange(1, v.UIDNext()-1).Subtract(v.UIDs(1, uint32(v.Len())))
	}
	return uids, known, err
}

func (m *mailbox) Candidates(ctx context.Context, within imap.UIDSet, k imap.SearchKey) (uids imap.UIDSet, exact, ok bool, err error) {
	return imap.UIDSet{}, false, false, nil
}

// A fetch reads rows in batches, so that no transaction stays open while the caller is at work.
const (
	fetchRows   = 256
	fetchBodies = 64 // up to 4 MiB of bodies in their rows
	fetchGap    = 16 // UIDs between two ranges that are read over rather than asked for apart
)

func (m *mailbox) Fetch(ctx context.Context, uids imap.UIDSet, want imap.Want) iter.Seq2[imap.Item, error] {
	return func(yield func(imap.Item, error) bool) {
		if m.live.gone.Load() {
			yield(imap.Item{}, imap.ErrGone)
			return
		}
		limit := fetchRows
		if want.Body {
			limit = fetchBodies
		}
		items := make([]imap.Item, 0, limit)
		for span, some := range spans(uids) {
			for first := span.first; ; {
				items = items[:0]
				more, err := m.fetch(ctx, first, span.last, some, want, limit, &items)
				for _, item := range items {
					if !yield(item, nil) {
						return
					}
				}
				if err == nil && more > 0 {
					if err = ctx.Err(); err == nil && m.live.gone.Load() {
						err = imap.ErrGone
					}
				}
				if err != nil {
					yield(imap.Item{}, err)
					return
				}
				if more == 0 {
					break
				}
				first = more
			}
		}
	}
}

type span struct{ first, last imap.UID }

// spans joins ranges that are close to each other; each comes with the UIDs meant.
func spans(uids imap.UIDSet) iter.Seq2[span, imap.UIDSet] {
	return func(yield func(span, imap.UIDSet) bool) {
		var s span
		var some imap.UIDSet
		for first, last := range uids.Ranges() {
			if s.first != 0 && first-s.last > fetchGap {
				if !yield(s, some) {
					return
				}
				s, some = span{}, imap.UIDSet{}
			}
			if s.first == 0 {
				s.first = first
			}
			s.last = last
			some.AddRange(first, last)
		}
		if s.first != 0 {
			yield(s, some)
		}
	}
}

const fetchFrom = " FROM message m JOIN blob b ON b.id = m.blob WHERE m.mailbox = ? AND m.uid BETWEEN ? AND ? ORDER BY m.uid LIMIT ?"

// fetch reads one batch. more is the UID to go on from, or 0 at the end.
func (m *mailbox) fetch(ctx context.Context, first, last imap.UID, some imap.UIDSet, want imap.Want, limit int, items *[]imap.Item) (more imap.UID, err error) {
	var uid, saved, email, blob, size int64
	var prefix, structure, data []byte
	columns := "SELECT m.uid, m.saved, m.email, m.blob, b.size, m.prefix"
	dest := []any{&uid, &saved, &email, &blob, &size, &prefix}
	if want.Structure {
		columns, dest = columns+", b.structure", append(dest, &structure)
	}
	if want.Body {
		columns, dest = columns+", b.data", append(dest, &data)
	}
	rows := 0
	err = m.account.s.read(ctx, func(r reader) error {
		return each(ctx, r, columns+fetchFrom, []any{m.id, int64(first), int64(last), limit}, dest, func() error {
			rows++
			more = imap.UID(uid) + 1
			if !some.Contains(imap.UID(uid)) {
				return nil
			}
			item := imap.Item{UID: imap.UID(uid)}
			if want.Structure {
				s, err := mime.DecodeStructure(structure)
				if err != nil {
					return fmt.Errorf("mailstore: structure of UID %d in mailbox %d: %w", uid, m.id, err)
				}
				item.Structure = s.Shift(int64(len(prefix)))
			}
			if want.Body {
				item.Body = rules.Bytes(data)
				if size > inlineBlob {
					item.Body = &chunked{s: m.account.s, blob: blob, size: size}
				}
				if len(prefix) > 0 {
					item.Body = &rules.Prefixed{Prefix: prefix, Body: item.Body}
				}
			}
			if want.Extra {
				item.SaveDate, item.EmailID = time.Unix(saved, 0), fmt.Sprintf("e%d-%d", email>>32, uint32(email))
			}
			*items = append(*items, item)
			return nil
		})
	})
	if rows < limit || more > last || more == 0 {
		more = 0
	}
	return more, err
}
