package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/gomailroom/mailroom/imap"
)

// live is the picture of a mailbox, loaded when it is first looked at, and then kept up by the writer.
type live struct {
	imap.Live
	id      int64
	latest  atomic.Uint64 // highest modification sequence known to be in the database
	stale   atomic.Bool   // the database may be ahead of latest
	broken  atomic.Bool   // the picture cannot be brought up to date: load it in full
	gone    atomic.Bool
	loading chan struct{} // one slot
}

// lives are the pictures that somebody holds, and some that were used of late.
type lives struct {
	mu     sync.Mutex
	all    map[int64]weak.Pointer[live]
	recent []*live // the latest last
	budget int     // of messages in recent
}

func (l *lives) init(budget int) { l.all, l.budget = map[int64]weak.Pointer[live]{}, budget }

// get gives the picture of a mailbox, which may have to be loaded. It exists as long as somebody holds it.
func (l *lives) get(id int64) *live {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v := l.all[id].Value(); v != nil {
		return v
	}
	v := &live{id: id, loading: make(chan struct{}, 1)}
	l.all[id] = weak.Make(v)
	runtime.AddCleanup(v, func(id int64) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if p, ok := l.all[id]; ok && p.Value() == nil {
			delete(l.all, id)
		}
	}, id)
	return v
}

// find gives a picture that somebody holds, or nil.
func (l *lives) find(id int64) *live {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[id].Value()
}

// used keeps a picture for a while, and lets go of those that were used longest ago.
func (l *lives) used(v *live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.recent, v); i >= 0 {
		l.recent = slices.Delete(l.recent, i, i+1)
	}
	l.recent = append(l.recent, v)
	const each = 1000 // what an empty one counts
	total := 0
	for i := len(l.recent) - 1; i >= 0; i-- {
		if view := l.recent[i].Current(); view != nil {
			total += view.Len()
		}
		if total += each; total > l.budget && i < len(l.recent)-1 {
			l.recent = slices.Delete(l.recent, 0, i+1)
			return
		}
	}
}

// stale makes every picture look at the database before it is used again.
func (l *lives) stale() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.all {
		if v := p.Value(); v != nil {
			v.stale.Store(true)
		}
	}
}

// deleted closes a picture for good.
func (l *lives) deleted(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v := l.all[id].Value(); v != nil {
		v.gone.Store(true)
	}
	l.recent = slices.DeleteFunc(l.recent, func(v *live) bool { return v.id == id })
}

// publish brings a picture up to date with what the writer committed.
func (l *lives) publish(b *box, c *change, log *slog.Logger) {
	if b.deleted {
		l.deleted(b.id)
		return
	}
	v := l.find(b.id)
	if v == nil {
		return
	}
	v.latest.Store(uint64(b.modseq))
	old := v.Current()
	if old == nil || old.ModSeq() != c.from {
		return // it catches up when it is looked at
	}
	next, err := old.Apply(imap.Delta{ModSeq: b.modseq, UIDNext: b.uidNext, Put: c.puts(), Gone: c.gone, Keywords: b.keywords})
	if err != nil { // a bug, or somebody else's hand in the database
		log.Error("mailstore: picture does not fit", "mailbox", b.id, "error", err)
		v.broken.Store(true)
		return
	}
	v.Publish(next)
}

// puts gives the messages in order, the last word on each, without those that are gone.
func (c *change) puts() []imap.Message {
	byUID := func(a, b imap.Message) int { return cmp.Compare(a.UID, b.UID) }
	if !slices.IsSortedFunc(c.put, byUID) {
		slices.SortStableFunc(c.put, byUID)
	}
	out := c.put[:0]
	for i, m := range c.put {
		if i+1 < len(c.put) && c.put[i+1].UID == m.UID || !c.gone.IsEmpty() && c.gone.Contains(m.UID) {
			continue
		}
		out = append(out, m)
	}
	return out
}

// view gives the newest picture, from the database where there is none yet.
func (s *Store) view(ctx context.Context, v *live) (*imap.View, error) {
	const tries = 100 // it takes more than one when others write meanwhile
	for range tries {
		if v.gone.Load() {
			return nil, imap.ErrGone
		}
		if current := v.Current(); current != nil && !v.stale.Load() && uint64(current.ModSeq()) >= v.latest.Load() {
			return current, ctx.Err()
		}
		select {
		case v.loading <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		err := s.load(ctx, v)
		<-v.loading
		if err != nil {
			return nil, err
		}
		s.lives.used(v)
	}
	return nil, temporary(fmt.Errorf("mailbox %d went back in time: was the database restored while it was in use?", v.id))
}

// load reads what is new in the database since the picture, or all.
func (s *Store) load(ctx context.Context, v *live) error {
	v.stale.Store(false) // what comes from here on makes it stale again
	err := s.snapshot(ctx, func(r reader) error {
		b, keywords := &box{}, ""
		found, err := one(ctx, r, "SELECT uidvalidity, uidnext, modseq, floor, keywords FROM mailbox WHERE id = ?", []any{v.id},
			&b.validity, &b.uidNext, &b.modseq, &b.floor, &keywords)
		if err != nil {
			return err
		}
		if !found {
			v.gone.Store(true)
			return imap.ErrGone
		}
		old := v.Current()
		if old != nil && old.ModSeq() == b.modseq {
			return nil
		}
		d := imap.Delta{ModSeq: b.modseq, UIDNext: b.uidNext, Keywords: strings.Fields(keywords)}
		if old != nil && !v.broken.Load() && old.ModSeq() >= b.floor {
			if d.Gone, err = vanished(ctx, r, v.id, old.ModSeq()); err != nil {
				return err
			}
			if d.Put, err = messages(ctx, r, v.id, old.ModSeq()); err != nil {
				return err
			}
			next, err := old.Apply(d)
			if err == nil {
				v.Publish(next)
				return nil
			}
			s.log.Error("mailstore: picture does not fit", "mailbox", v.id, "error", err)
		}
		d.Gone = imap.UIDSet{}
		if d.Put, err = messages(ctx, r, v.id, 0); err != nil {
			return err
		}
		next, err := imap.NewView(b.validity).Apply(d)
		if err != nil {
			return fmt.Errorf("mailstore: mailbox %d is damaged: %w", v.id, err)
		}
		v.broken.Store(false)
		v.Publish(next)
		return nil
	})
	if err != nil {
		v.stale.Store(true)
	}
	return err
}

// messages gives the messages that changed after a modification sequence.
func messages(ctx context.Context, r reader, id int64, since imap.ModSeq) (all []imap.Message, err error) {
	var uid, flags, modseq, size, date int64 // the type that database/sql scans without a detour
	err = each(ctx, r, "SELECT uid, flags, modseq, size, date FROM message WHERE mailbox = ? AND modseq > ? ORDER BY uid", []any{id, int64(since)},
		[]any{&uid, &flags, &modseq, &size, &date}, func() error {
			all = append(all, imap.Message{UID: imap.UID(uid), Flags: imap.Flags(flags), ModSeq: imap.ModSeq(modseq), Size: size, InternalDate: unpackDate(date)})
			return nil
		})
	return all, err
}

// vanished gives the UIDs that were expunged after a modification sequence.
func vanished(ctx context.Context, r reader, id int64, since imap.ModSeq) (uids imap.UIDSet, err error) {
	var first, last uint32
	err = each(ctx, r, "SELECT first, last FROM expunged WHERE mailbox = ? AND modseq > ? ORDER BY first", []any{id, int64(since)}, []any{&first, &last}, func() error {
		uids.AddRange(imap.UID(first), imap.UID(last))
		return nil
	})
	return uids, err
}

// Dates are kept as seconds in the upper 48 bits and the zone's minutes in the lower 16.
func packDate(t time.Time) int64 {
	const limit = 1 << 47
	_, offset := t.Zone()
	return max(-limit, min(t.Unix(), limit-1))<<16 | int64(uint16(int16(offset/60)))
}

func unpackDate(d int64) time.Time {
	t, minutes := time.Unix(d>>16, 0), int(int16(d))
	if minutes == 0 {
		return t.UTC()
	}
	return t.In(time.FixedZone("", minutes*60))
}
