package memstore

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

// maxExpunges is how many expunges a mailbox remembers, and forgets half of when there are more.
const maxExpunges = 10_000

type mailbox struct {
	imap.Live
	account  *account
	id       imap.MailboxID
	number   uint64
	name     string
	use      string
	noSelect bool
	gone     bool
	stored   map[imap.UID]*stored
	expunges []expunge // ascending by modseq
	floor    imap.ModSeq
}

// stored is what a view does not have of a message. It never changes.
type stored struct {
	prefix, content []byte // content is shared by all who got the message
	structure       *mime.Structure
	saved           time.Time
	email           string
}

func (m *stored) size() int64 { return int64(len(m.prefix) + len(m.content)) }

func (m *stored) body() imap.Body {
	if len(m.prefix) == 0 {
		return rules.Bytes(m.content)
	}
	return &rules.Prefixed{Prefix: m.prefix, Body: rules.Bytes(m.content)}
}

type expunge struct {
	modseq imap.ModSeq
	uids   imap.UIDSet
}

// locked is account.locked for a mailbox that must still be there.
func (b *mailbox) locked(ctx context.Context, f func(h *hints) error) error {
	return b.account.locked(ctx, func(h *hints) error {
		if b.gone {
			return imap.ErrGone
		}
		return f(h)
	})
}

// apply makes the next picture. The lock is held.
func (b *mailbox) apply(d imap.Delta, h *hints) error {
	v, err := b.Current().Apply(d)
	if err != nil {
		return err
	}
	b.Publish(v)
	b.account.hint(h, b.id)
	return nil
}

func (b *mailbox) ID() imap.MailboxID { return b.id }

func (b *mailbox) View(ctx context.Context) (v *imap.View, err error) {
	err = b.locked(ctx, func(*hints) error { v = b.Current(); return nil })
	return v, err
}

func (b *mailbox) Fetch(ctx context.Context, uids imap.UIDSet, want imap.Want) iter.Seq2[imap.Item, error] {
	return func(yield func(imap.Item, error) bool) {
		v, err := b.View(ctx)
		if err != nil {
			yield(imap.Item{}, err)
			return
		}
		for _, msg := range v.Within(uids) {
			var m *stored
			if err := b.locked(ctx, func(*hints) error { m = b.stored[msg.UID]; return nil }); err != nil {
				yield(imap.Item{}, err)
				return
			}
			if m == nil {
				continue // expunged since
			}
			item := imap.Item{UID: msg.UID}
			if want.Structure {
				item.Structure = m.structure
			}
			if want.Body {
				item.Body = m.body()
			}
			if want.Extra {
				item.SaveDate, item.EmailID = m.saved, m.email
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

func (b *mailbox) SetFlags(ctx context.Context, uids imap.UIDSet, c imap.FlagChange) (conflicts imap.UIDSet, err error) {
	err = b.locked(ctx, func(h *hints) error {
		v := b.Current()
		keywords, bits := v.Keywords(), imap.Flags(0)
		if c.Op == imap.FlagsRemove {
			bits = rules.Known(keywords, c.Keywords)
		} else if keywords, bits, err = rules.Keywords(keywords, c.Keywords); err != nil {
			return err
		}
		change := rules.NewChange(c.Op, c.Flags&imap.FlagsSystem|bits)
		d := imap.Delta{ModSeq: v.ModSeq() + 1, Keywords: keywords}
		for _, m := range v.Within(uids) {
			if c.Conditional && m.ModSeq > c.UnchangedSince {
				conflicts.Add(m.UID)
			} else if flags := change.Apply(m.Flags); flags != m.Flags {
				m.Flags, m.ModSeq = flags, d.ModSeq
				d.Put = append(d.Put, m)
			}
		}
		if len(d.Put) == 0 {
			return nil
		}
		return b.apply(d, h)
	})
	return conflicts, err
}

func (b *mailbox) Expunge(ctx context.Context, uids imap.UIDSet) error {
	return b.locked(ctx, func(h *hints) error { return b.expunge(uids, h) })
}

// expunge removes what exists. The lock is held.
func (b *mailbox) expunge(uids imap.UIDSet, h *hints) error {
	v := b.Current()
	var gone imap.UIDSet
	var octets int64
	for _, m := range v.Within(uids) {
		gone.Add(m.UID)
		octets += m.Size
	}
	if gone.IsEmpty() {
		return nil
	}
	if err := b.apply(imap.Delta{ModSeq: v.ModSeq() + 1, Gone: gone}, h); err != nil {
		return err
	}
	for uid := range gone.All() {
		delete(b.stored, uid)
	}
	b.account.quota.Octets -= octets
	b.account.quota.Messages -= int64(gone.Len())
	if b.expunges = append(b.expunges, expunge{v.ModSeq() + 1, gone}); len(b.expunges) > maxExpunges {
		b.floor = b.expunges[maxExpunges/2-1].modseq
		b.expunges = append([]expunge(nil), b.expunges[maxExpunges/2:]...)
	}
	return nil
}

func (b *mailbox) Vanished(ctx context.Context, since imap.ModSeq) (uids imap.UIDSet, known bool, err error) {
	err = b.locked(ctx, func(*hints) error {
		if known = since >= b.floor; !known {
			v := b.Current()
			if v.UIDNext() > 1 {
				uids = imap.UIDSetRange(1, v.UIDNext()-1).Subtract(v.UIDs(1, uint32(v.Len())))
			}
			return nil
		}
		for i := len(b.expunges) - 1; i >= 0 && b.expunges[i].modseq > since; i-- {
			uids.AddSet(b.expunges[i].uids)
		}
		return nil
	})
	return uids, known, err
}

func (b *mailbox) Transfer(ctx context.Context, uids imap.UIDSet, dest imap.MailboxID, move bool) (r imap.CopyResult, err error) {
	err = b.locked(ctx, func(h *hints) error {
		for _, d := range b.account.boxes {
			if d.id == dest && !d.noSelect {
				r, err = b.transfer(uids, d, move, h)
				return err
			}
		}
		return fmt.Errorf("%w: %s", imap.ErrNotFound, dest)
	})
	return r, err
}

// transfer copies, then removes the originals. The lock is held.
func (b *mailbox) transfer(uids imap.UIDSet, dest *mailbox, move bool, h *hints) (r imap.CopyResult, err error) {
	v := b.Current()
	var all []*stored
	var metas []imap.Meta
	for _, m := range v.Within(uids) {
		s := *b.stored[m.UID]
		s.saved = time.Now()
		all = append(all, &s)
		metas = append(metas, imap.Meta{Flags: m.Flags & imap.FlagsSystem, Keywords: rules.Names(v.Keywords(), m.Flags), InternalDate: m.InternalDate})
		r.Source.Add(m.UID)
	}
	r.UIDValidity = dest.Current().UIDValidity()
	if len(all) == 0 {
		return r, nil
	}
	if move { // it needs no room for both
		quota := b.account.quota
		b.account.quota.OctetLimit, b.account.quota.MessageLimit = 0, 0
		defer func() {
			b.account.quota.OctetLimit, b.account.quota.MessageLimit = quota.OctetLimit, quota.MessageLimit
		}()
	}
	if r.Dest, err = dest.add(all, metas, h); err != nil {
		return imap.CopyResult{}, err
	}
	if move {
		err = b.expunge(r.Source, h)
	}
	return r, err
}

// add puts messages at the end, all or none. The lock is held.
func (b *mailbox) add(all []*stored, metas []imap.Meta, h *hints) (uids imap.UIDSet, err error) {
	v := b.Current()
	d := imap.Delta{ModSeq: v.ModSeq() + 1, Keywords: v.Keywords()}
	octets := int64(0)
	if uint64(v.UIDNext())+uint64(len(all)) > 1<<32-1 {
		return uids, fmt.Errorf("%w: the mailbox has no UIDs left", imap.ErrLimit)
	}
	for i, m := range all {
		msg := imap.Message{UID: v.UIDNext() + imap.UID(i), Flags: metas[i].Flags & imap.FlagsSystem, ModSeq: d.ModSeq, Size: m.size(), InternalDate: metas[i].InternalDate}
		if msg.InternalDate.IsZero() {
			msg.InternalDate = time.Now()
		}
		var bits imap.Flags
		if d.Keywords, bits, err = rules.Keywords(d.Keywords, metas[i].Keywords); err != nil {
			return uids, err
		}
		msg.Flags |= bits
		d.Put = append(d.Put, msg)
		uids.Add(msg.UID)
		octets += msg.Size
	}
	if err := rules.Room(b.account.quota, octets, int64(len(all))); err != nil {
		return imap.UIDSet{}, err
	}
	if err := b.apply(d, h); err != nil {
		return imap.UIDSet{}, err
	}
	for i, m := range all {
		if m.email == "" { // a copy keeps its own (RFC 8474 s5.1)
			m.email = fmt.Sprintf("e%d-%d", b.number, d.Put[i].UID)
		}
		b.stored[d.Put[i].UID] = m
	}
	b.account.quota.Octets += octets
	b.account.quota.Messages += int64(len(all))
	return uids, nil
}

func (b *mailbox) Candidates(ctx context.Context, within imap.UIDSet, k imap.SearchKey) (uids imap.UIDSet, exact, ok bool, err error) {
	return imap.UIDSet{}, false, false, nil
}

var errEnded = fmt.Errorf("mailstore: append has ended: %w", mailstore.ErrClosed)
