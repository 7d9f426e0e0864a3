package sqlstore

import (
	"fmt"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore/internal/rules"
)

func (w *writeTx) setFlags(b *box, uids imap.UIDSet, c imap.FlagChange) (conflicts imap.UIDSet, err error) {
	keywords, bits := b.keywords, imap.Flags(0)
	if c.Op == imap.FlagsRemove {
		bits = rules.Known(keywords, c.Keywords)
	} else if keywords, bits, err = rules.Keywords(keywords, c.Keywords); err != nil {
		return conflicts, err
	}
	change := rules.NewChange(c.Op, c.Flags&imap.FlagsSystem|bits)
	and, or, modseq := int64(change.And), int64(change.Or), int64(w.modseqOf(b))
	query, since := "UPDATE message SET flags = (flags & ?) | ?, modseq = ? WHERE mailbox = ? AND uid BETWEEN ? AND ? AND ((flags & ?) | ?) <> flags", []any(nil)
	if c.Conditional {
		query, since = query+" AND modseq <= ?", []any{int64(c.UnchangedSince)}
	}
	query += " RETURNING uid, flags, size, date"
	var put []imap.Message
	var uid, flags, size, date int64
	for first, last := range uids.Ranges() {
		if c.Conditional {
			err := w.each("SELECT uid FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ? AND modseq > ?", []any{b.id, int64(first), int64(last), int64(c.UnchangedSince)},
				[]any{&uid}, func() error { conflicts.Add(imap.UID(uid)); return nil })
			if err != nil {
				return conflicts, err
			}
		}
		w.wrote = true
		err := w.each(query, append([]any{and, or, modseq, b.id, int64(first), int64(last), and, or}, since...), []any{&uid, &flags, &size, &date}, func() error {
			put = append(put, imap.Message{UID: imap.UID(uid), Flags: imap.Flags(flags), ModSeq: imap.ModSeq(modseq), Size: size, InternalDate: unpackDate(date)})
			return nil
		})
		if err != nil {
			return conflicts, err
		}
	}
	if len(put) > 0 {
		t := w.touch(b)
		t.put, b.keywords = append(t.put, put...), keywords
	}
	return conflicts, nil
}

// expunge removes messages and remembers their UIDs. unlink says that they are not somewhere else now.
func (w *writeTx) expunge(b *box, uids imap.UIDSet, unlink bool) error {
	gone, err := w.remove(b, uids, unlink)
	if err != nil || gone.IsEmpty() {
		return err
	}
	w.touch(b).gone.AddSet(gone)
	for first, last := range gone.Ranges() {
		if err := w.exec("INSERT INTO expunged (mailbox, modseq, first, last) VALUES (?, ?, ?, ?)", b.id, int64(b.modseq), int64(first), int64(last)); err != nil {
			return err
		}
	}
	return w.trim(b, gone.NumRanges())
}

// trim forgets the oldest half of what was expunged once there is too much of it.
func (w *writeTx) trim(b *box, more int) error {
	if b.ranges < 0 {
		if _, err := w.one("SELECT count(*) FROM expunged WHERE mailbox = ?", []any{b.id}, &b.ranges); err != nil {
			return err
		}
	} else {
		b.ranges += more
	}
	if b.ranges <= w.s.options.ExpungedRanges {
		return nil
	}
	var floor int64
	if _, err := w.one("SELECT modseq FROM expunged WHERE mailbox = ? ORDER BY modseq LIMIT 1 OFFSET ?", []any{b.id, b.ranges / 2}, &floor); err != nil {
		return err
	}
	n, err := w.execN("DELETE FROM expunged WHERE mailbox = ? AND modseq <= ?", b.id, floor)
	b.floor, b.ranges = imap.ModSeq(floor), b.ranges-int(n)
	return err
}

// remove takes messages out and gives back what they used.
func (w *writeTx) remove(b *box, uids imap.UIDSet, unlink bool) (gone imap.UIDSet, err error) {
	var uid, size, blob, octets int64
	var blobs []int64
	large := map[int64]bool{}
	for first, last := range uids.Ranges() {
		w.wrote = true
		err := w.each("DELETE FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ? RETURNING uid, size, blob", []any{b.id, int64(first), int64(last)},
			[]any{&uid, &size, &blob}, func() error {
				gone.Add(imap.UID(uid))
				octets += size
				if blobs = append(blobs, blob); size > inlineBlob {
					large[blob] = true
				}
				return nil
			})
		if err != nil {
			return gone, err
		}
	}
	if gone.IsEmpty() {
		return gone, nil
	}
	w.use(b.account, -octets, -int64(gone.Len()))
	if !unlink {
		return gone, nil
	}
	for _, blob := range blobs {
		n, err := w.execN("DELETE FROM blob WHERE id = ? AND refs <= 1", blob)
		if err == nil && n == 0 {
			err = w.exec("UPDATE blob SET refs = refs - 1 WHERE id = ?", blob)
		} else if err == nil && large[blob] {
			err = w.exec("DELETE FROM chunk WHERE blob = ?", blob)
		}
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// row is a message on its way into a mailbox.
type row struct {
	flags  imap.Flags
	size   int64
	date   int64 // packed
	email  int64 // 0: it gets one
	blob   int64
	prefix []byte
}

// insert puts messages at the end of a mailbox.
func (w *writeTx) insert(b *box, rows []row) (uids imap.UIDSet, err error) {
	t := w.touch(b)
	now, octets := time.Now().Unix(), int64(0)
	for i := range rows {
		r := &rows[i]
		uid := b.uidNext
		b.uidNext++
		if r.email == 0 {
			r.email = b.id<<32 | int64(uid)
		}
		err := w.exec("INSERT INTO message (mailbox, uid, modseq, flags, size, date, saved, email, blob, prefix) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			b.id, int64(uid), int64(b.modseq), int64(r.flags), r.size, r.date, now, r.email, r.blob, r.prefix)
		if err != nil {
			return uids, err
		}
		t.put = append(t.put, imap.Message{UID: uid, Flags: r.flags, ModSeq: b.modseq, Size: r.size, InternalDate: unpackDate(r.date)})
		uids.Add(uid)
		octets += r.size
	}
	w.use(b.account, octets, int64(len(rows)))
	return uids, nil
}

// hasUIDs says whether a mailbox can number n more messages.
func (b *box) hasUIDs(n int) error {
	if uint64(b.uidNext)+uint64(n) > 1<<32-1 {
		return fmt.Errorf("%w: the mailbox has no UIDs left", imap.ErrLimit)
	}
	return nil
}

func (w *writeTx) transfer(b *box, uids imap.UIDSet, to *box, move bool) (r imap.CopyResult, err error) {
	var rows []row
	var uid, flags, octets int64
	keywords := to.keywords
	r.UIDValidity = to.validity
	for first, last := range uids.Ranges() {
		x := row{}
		err := w.each("SELECT uid, flags, size, date, email, blob, prefix FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid", []any{b.id, int64(first), int64(last)},
			[]any{&uid, &flags, &x.size, &x.date, &x.email, &x.blob, &x.prefix}, func() error {
				var bits imap.Flags
				var err error
				if keywords, bits, err = rules.Keywords(keywords, rules.Names(b.keywords, imap.Flags(flags))); err != nil {
					return err
				}
				x.flags = imap.Flags(flags)&imap.FlagsSystem | bits
				rows = append(rows, x)
				octets += x.size
				r.Source.Add(imap.UID(uid))
				return nil
			})
		if err != nil {
			return imap.CopyResult{}, err
		}
	}
	if len(rows) == 0 {
		return r, nil
	}
	if err := to.hasUIDs(len(rows)); err != nil {
		return imap.CopyResult{}, err
	}
	if move {
		if err := w.expunge(b, r.Source, false); err != nil {
			return imap.CopyResult{}, err
		}
	} else {
		if err := rules.Room(b.account.quota, octets, int64(len(rows))); err != nil {
			return imap.CopyResult{}, err
		}
		for i := range rows {
			if err := w.exec("UPDATE blob SET refs = refs + 1 WHERE id = ?", rows[i].blob); err != nil {
				return imap.CopyResult{}, err
			}
		}
	}
	to.keywords = keywords
	r.Dest, err = w.insert(to, rows)
	return r, err
}
