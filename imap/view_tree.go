package imap

import (
	"slices"
	"time"
)

// A view is a tree of fixed height: a root of groups of chunks of messages. A change copies what lies on its way and shares the rest. What seldom changes (UID, size,
// date) is apart from what often does (flags, modification sequence); neither block holds pointers, so that the garbage collector does not look inside.
const (
	chunkMax = 256 // messages
	groupMax = 64  // chunks
)

type chunk struct {
	uids []UID
	cold []cold
	hot  []hot
}

type cold struct {
	size int64
	date packedDate
}

type hot struct {
	flags  Flags
	modseq ModSeq
}

// span sums up what is below an entry.
type span struct {
	before      uint32 // messages before, under the same parent
	n           uint32
	unseen      uint32
	deleted     uint32
	first, last UID
	modseq      ModSeq // the highest
	size        int64
}

func (s *span) bounds() *span { return s }

type chunkEntry struct {
	span
	*chunk
}

type groupEntry struct {
	span
	chunks []chunkEntry
}

// findBefore gives the entry that has the message at a position: the last one with before <= at.
func findBefore[E any, P interface {
	*E
	bounds() *span
}](entries []E, at uint32) int {
	lo, hi := 0, len(entries)
	for hi-lo > 1 {
		mid := int(uint(lo+hi) / 2)
		if P(&entries[mid]).bounds().before <= at {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// findUID gives the first entry that ends at or after uid.
func findUID[E any, P interface {
	*E
	bounds() *span
}](entries []E, uid UID) int {
	lo, hi := 0, len(entries)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if P(&entries[mid]).bounds().last < uid {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// findIn gives the position of the first UID at or after uid.
func findIn(uids []UID, uid UID) int {
	lo, hi := 0, len(uids)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if uids[mid] < uid {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func newChunk(n int) *chunk {
	return &chunk{make([]UID, 0, n), make([]cold, 0, n), make([]hot, 0, n)}
}

func (c *chunk) message(i int) Message {
	return Message{UID: c.uids[i], Flags: c.hot[i].flags, ModSeq: c.hot[i].modseq, Size: c.cold[i].size, InternalDate: c.cold[i].date.time()}
}

func (c *chunk) add(m *Message) {
	c.uids = append(c.uids, m.UID)
	c.cold = append(c.cold, cold{m.Size, packDate(m.InternalDate)})
	c.hot = append(c.hot, hot{m.Flags, m.ModSeq})
}

// addPart adds the messages from i to j of another chunk.
func (c *chunk) addPart(from *chunk, i, j int) {
	c.uids = append(c.uids, from.uids[i:j]...)
	c.cold = append(c.cold, from.cold[i:j]...)
	c.hot = append(c.hot, from.hot[i:j]...)
}

// entry sums a chunk up.
func (c *chunk) entry() chunkEntry {
	n := len(c.uids)
	s := span{n: uint32(n), first: c.uids[0], last: c.uids[n-1]}
	for i := range c.hot {
		h := &c.hot[i]
		s.unseen += uint32(^h.flags & FlagSeen / FlagSeen)
		s.deleted += uint32(h.flags & FlagDeleted / FlagDeleted)
		s.modseq = max(s.modseq, h.modseq)
		s.size += c.cold[i].size
	}
	return chunkEntry{s, c}
}

// add counts what follows s and says where that begins.
func (s *span) add(next *span) {
	next.before = s.n
	if s.n == 0 {
		s.first = next.first
	}
	s.last = next.last
	s.n += next.n
	s.unseen += next.unseen
	s.deleted += next.deleted
	s.modseq = max(s.modseq, next.modseq)
	s.size += next.size
}

// newGroup sums chunks up, which it keeps.
func newGroup(chunks []chunkEntry) groupEntry {
	g := groupEntry{chunks: chunks}
	for i := range chunks {
		g.span.add(&chunks[i].span)
	}
	return g
}

// setGroups makes these the view's groups, which it keeps.
func (v *View) setGroups(groups []groupEntry) {
	v.sum, v.groups = span{}, groups
	for i := range groups {
		v.sum.add(&groups[i].span)
	}
}

// appendMessages adds new messages after the last ones, filling the last chunk and the last group first.
func appendMessages(groups []groupEntry, messages []Message) []groupEntry {
	if len(messages) == 0 {
		return groups
	}
	var chunks []chunkEntry
	if n := len(groups); n > 0 && (len(groups[n-1].chunks) < groupMax || groups[n-1].chunks[groupMax-1].n < chunkMax) {
		chunks = slices.Clone(groups[n-1].chunks)
		groups = groups[:n-1]
	}
	if n := len(chunks); n > 0 && chunks[n-1].n < chunkMax {
		old := chunks[n-1].chunk
		take := min(chunkMax-len(old.uids), len(messages))
		c := newChunk(len(old.uids) + take)
		c.addPart(old, 0, len(old.uids))
		for i := range messages[:take] {
			c.add(&messages[i])
		}
		chunks[n-1], messages = c.entry(), messages[take:]
	}
	for len(messages) > 0 {
		if len(chunks) == groupMax {
			groups, chunks = append(groups, newGroup(chunks)), nil
		}
		take := min(chunkMax, len(messages))
		c := newChunk(take)
		for i := range messages[:take] {
			c.add(&messages[i])
		}
		chunks, messages = append(chunks, c.entry()), messages[take:]
	}
	return append(groups, newGroup(chunks))
}

// packedDate is a date of 48 bits of seconds since 1970 and 16 bits of zone in minutes.
type packedDate int64

func packDate(t time.Time) packedDate {
	const limit = 1 << 47
	_, offset := t.Zone()
	return packedDate(max(-limit, min(t.Unix(), limit-1))<<16 | int64(uint16(int16(offset/60))))
}

func (d packedDate) time() time.Time {
	t, minutes := time.Unix(int64(d>>16), 0), int(int16(d))
	if minutes == 0 {
		return t.UTC()
	}
	return t.In(time.FixedZone("", minutes*60))
}
