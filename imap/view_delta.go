package imap

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Delta is what changed in a mailbox from one picture to the next.
type Delta struct {
	ModSeq   ModSeq    // of the mailbox afterwards; higher than before
	UIDNext  UID       // afterwards; 0: just past the new messages
	Put      []Message // new messages, and the new flags of those that exist; ascending by UID, each with the modification sequence of its change
	Gone     UIDSet    // expunged; also such as came and went between the pictures
	Keywords []string  // all of them afterwards: the old ones with new ones behind; nil: as before
}

// A DeltaError says why a Delta cannot follow a picture: it contradicts it, or itself. A store whose delta is refused has lost track and loads the mailbox anew.
type DeltaError struct {
	UID    UID // that it is about, or 0
	Reason string
}

func (e *DeltaError) Error() string {
	if e.UID == 0 {
		return "imap: bad delta: " + e.Reason
	}
	return fmt.Sprintf("imap: bad delta: UID %d: %s", e.UID, e.Reason)
}

// Apply gives the picture after a change. The receiver stays as it is; so does the delta, of which nothing is kept but its keywords. A delta that makes no sense is refused with a
// [*DeltaError].
func (v *View) Apply(d Delta) (*View, error) {
	next, err := v.head(&d)
	if err != nil {
		return nil, err
	}
	known, _ := slices.BinarySearchFunc(d.Put, v.uidNext, func(m Message, uid UID) int { return cmp.Compare(m.UID, uid) })
	groups := v.groups
	if known > 0 || !d.Gone.IsEmpty() && d.Gone.Min() < v.uidNext {
		e := edit{puts: d.Put[:known], gone: d.Gone.r}
		if groups, err = e.groups(v.groups); err != nil {
			return nil, err
		}
		if want := d.Gone.Intersect(UIDSetRange(1, v.uidNext-1)); want.Len() != e.removed {
			return nil, &DeltaError{want.Subtract(v.UIDs(1, v.sum.n)).Min(), "gone, but was not there"}
		}
	} else {
		groups = slices.Clone(groups)
	}
	if uint64(v.sum.n)+uint64(len(d.Put)) > math.MaxUint32-1 {
		return nil, &DeltaError{0, "too many messages"}
	}
	next.setGroups(appendMessages(groups, d.Put[known:]))
	return next, nil
}

// head checks what can be checked without looking at the tree.
func (v *View) head(d *Delta) (*View, error) {
	next := &View{uidValidity: v.uidValidity, uidNext: v.uidNext, modseq: d.ModSeq, keywords: v.keywords}
	if d.ModSeq < v.modseq || d.ModSeq == v.modseq && (len(d.Put) > 0 || !d.Gone.IsEmpty()) {
		return nil, &DeltaError{0, fmt.Sprintf("modification sequence %d after %d", d.ModSeq, v.modseq)}
	}
	if d.ModSeq > math.MaxInt64 { // RFC 7162 s3.1.1
		return nil, &DeltaError{0, "modification sequence of more than 63 bits"}
	}
	if d.Keywords != nil {
		if err := checkKeywords(v.keywords, d.Keywords); err != nil {
			return nil, err
		}
		next.keywords = slices.Clone(d.Keywords)
	}
	switch {
	case d.UIDNext != 0 && d.UIDNext < v.uidNext:
		return nil, &DeltaError{d.UIDNext, fmt.Sprintf("UIDNEXT was %d", v.uidNext)}
	case d.UIDNext != 0:
		next.uidNext = d.UIDNext
	case len(d.Put) > 0:
		next.uidNext = max(v.uidNext, d.Put[len(d.Put)-1].UID+1) // 0 after the very last UID, which the loop below refuses
	}
	if d.Gone.Max() >= next.uidNext {
		return nil, &DeltaError{d.Gone.Max(), "gone, but not below UIDNEXT"}
	}
	flags := FlagsSystem | (1<<len(next.keywords)-1)*FlagKeyword
	gone, last := d.Gone.r, UID(0)
	for i := range d.Put {
		m := &d.Put[i]
		for len(gone) > 0 && gone[0].last < m.UID {
			gone = gone[1:]
		}
		switch {
		case m.UID <= last:
			return nil, &DeltaError{m.UID, fmt.Sprintf("put after UID %d", last)}
		case m.UID >= next.uidNext:
			return nil, &DeltaError{m.UID, "put, but not below UIDNEXT"}
		case m.ModSeq <= v.modseq || m.ModSeq > d.ModSeq:
			return nil, &DeltaError{m.UID, fmt.Sprintf("modification sequence %d is not past %d and up to %d", m.ModSeq, v.modseq, d.ModSeq)}
		case m.Flags&^flags != 0:
			return nil, &DeltaError{m.UID, "flag without a keyword"}
		case m.Size < 0:
			return nil, &DeltaError{m.UID, "negative size"}
		case len(gone) > 0 && gone[0].first <= m.UID:
			return nil, &DeltaError{m.UID, "both put and gone"}
		}
		last = m.UID
	}
	return next, nil
}

func checkKeywords(old, names []string) error {
	if len(names) > MaxKeywords {
		return &DeltaError{0, fmt.Sprintf("%d keywords, %d allowed", len(names), MaxKeywords)}
	}
	if len(names) < len(old) || !slices.Equal(names[:len(old)], old) {
		return &DeltaError{0, "keywords do not go on from those before"}
	}
	for i, name := range names[len(old):] {
		if name == "" || slices.ContainsFunc(names[:len(old)+i], func(other string) bool { return strings.EqualFold(name, other) }) {
			return &DeltaError{0, fmt.Sprintf("keyword %q is empty or twice there", name)}
		}
	}
	return nil
}

// edit walks along the tree with changes to known messages.
type edit struct {
	puts    []Message
	gone    []uidRange
	removed int
}

// touches says whether a change concerns the UIDs of an entry. It drops removals that lie before.
func (e *edit) touches(s *span) bool {
	for len(e.gone) > 0 && e.gone[0].last < s.first {
		e.gone = e.gone[1:]
	}
	return len(e.puts) > 0 && e.puts[0].UID <= s.last || len(e.gone) > 0 && e.gone[0].first <= s.last
}

// sparse says whether two neighbours, of n together, are better one: so that a mailbox that is emptied here and there keeps no near-empty nodes.
func sparse(n, limit int) bool { return n <= limit/2 }

func (e *edit) groups(old []groupEntry) ([]groupEntry, error) {
	out := make([]groupEntry, 0, len(old)+1)
	for i := range old {
		g := &old[i]
		if !e.touches(&g.span) {
			out = append(out, *g)
			continue
		}
		before := e.removed
		chunks, err := e.chunks(g.chunks)
		if err != nil {
			return nil, err
		}
		if n := len(out); e.removed > before && n > 0 && sparse(len(out[n-1].chunks)+len(chunks), groupMax) {
			out[n-1] = newGroup(slices.Concat(out[n-1].chunks, chunks))
		} else if len(chunks) > 0 {
			out = append(out, newGroup(chunks))
		}
	}
	if len(e.puts) > 0 {
		return nil, &DeltaError{e.puts[0].UID, "put, but neither there nor new"}
	}
	return out, nil
}

func (e *edit) chunks(old []chunkEntry) ([]chunkEntry, error) {
	out := make([]chunkEntry, 0, len(old))
	for i := range old {
		c := &old[i]
		if !e.touches(&c.span) {
			out = append(out, *c)
			continue
		}
		before := e.removed
		changed, err := e.chunk(c)
		if err != nil {
			return nil, err
		}
		if len(changed.uids) == 0 {
			continue
		}
		if n := len(out); e.removed > before && n > 0 && sparse(int(out[n-1].n)+len(changed.uids), chunkMax) {
			both := newChunk(int(out[n-1].n) + len(changed.uids))
			both.addPart(out[n-1].chunk, 0, int(out[n-1].n))
			both.addPart(changed, 0, len(changed.uids))
			changed, out = both, out[:n-1]
		}
		out = append(out, changed.entry())
	}
	return out, nil
}

// chunk puts new flags into a copy of the hot block, then takes out what is gone.
func (e *edit) chunk(c *chunkEntry) (*chunk, error) {
	out := c.chunk
	if len(e.puts) > 0 && e.puts[0].UID <= c.last {
		out = &chunk{uids: c.uids, cold: c.cold, hot: slices.Clone(c.hot)}
		at := 0
		for len(e.puts) > 0 && e.puts[0].UID <= c.last {
			m := &e.puts[0]
			if c.uids[at] != m.UID {
				at += findIn(c.uids[at:], m.UID)
			}
			if c.uids[at] != m.UID {
				return nil, &DeltaError{m.UID, "put, but neither there nor new"}
			}
			if c.cold[at].size != m.Size {
				return nil, &DeltaError{m.UID, fmt.Sprintf("size %d was %d", m.Size, c.cold[at].size)}
			}
			out.hot[at] = hot{m.Flags, m.ModSeq}
			e.puts = e.puts[1:]
			at = min(at+1, len(c.uids)-1)
		}
	}
	if len(e.gone) == 0 || e.gone[0].first > c.last {
		return out, nil
	}
	var keep [][2]int // from, to
	n, from := 0, 0
	for _, r := range e.gone {
		if r.first > c.last {
			break
		}
		i := from + findIn(c.uids[from:], r.first)
		keep, n = append(keep, [2]int{from, i}), n+i-from
		from = len(c.uids)
		if r.last < c.last {
			from = i + findIn(c.uids[i:], r.last+1)
		}
		e.removed += from - i
	}
	keep, n = append(keep, [2]int{from, len(c.uids)}), n+len(c.uids)-from
	kept := newChunk(n)
	for _, k := range keep {
		kept.addPart(out, k[0], k[1])
	}
	return kept, nil
}
