package imap

import "iter"

// Changed gives the messages that came or changed after a modification sequence, in order. It costs by what changed.
func (v *View) Changed(since ModSeq) iter.Seq2[uint32, Message] {
	return func(yield func(uint32, Message) bool) {
		for gi := range v.groups {
			g := &v.groups[gi]
			if g.modseq <= since {
				continue
			}
			for ci := range g.chunks {
				c := &g.chunks[ci]
				if c.modseq <= since {
					continue
				}
				for i := range c.hot {
					if c.hot[i].modseq > since && !yield(g.before+c.before+uint32(i)+1, c.message(i)) {
						return
					}
				}
			}
		}
	}
}

// Vanished gives the messages of an older picture that are no more, in order, with the sequence numbers that they had there. It costs by what was
// expunged, but for a glance at each group that changed. When UIDVALIDITY differs, nothing is left.
func (v *View) Vanished(old *View) iter.Seq2[uint32, UID] {
	return func(yield func(uint32, UID) bool) {
		c := cursor{groups: v.groups}
		if v.uidValidity != old.uidValidity {
			c.groups = nil
		}
		for gi := range old.groups {
			g := &old.groups[gi]
			if c.group(g) {
				continue // shared
			}
			for ci := range g.chunks {
				was := &g.chunks[ci]
				now := c.chunk(was.first)
				if now != nil && len(now.uids) == len(was.uids) && &now.uids[0] == &was.uids[0] {
					continue // at most flags changed
				}
				for i, uid := range was.uids {
					if now == nil || now.last < uid {
						now = c.chunk(uid)
					}
					if now != nil {
						if at := findIn(now.uids, uid); at < len(now.uids) && now.uids[at] == uid {
							continue
						}
					}
					if !yield(g.before+was.before+uint32(i)+1, uid) {
						return
					}
				}
			}
		}
	}
}

// cursor walks along a view by ascending UIDs.
type cursor struct {
	groups []groupEntry
	chunks []chunkEntry
}

// group says whether the group is part of the view as it is.
func (c *cursor) group(g *groupEntry) bool {
	i := findUID(c.groups, g.first)
	if i == len(c.groups) {
		return false
	}
	same := c.groups[i].chunks
	return len(same) == len(g.chunks) && &same[0] == &g.chunks[0]
}

// chunk gives the chunk that ends at or after uid, or nil.
func (c *cursor) chunk(uid UID) *chunkEntry {
	if len(c.chunks) == 0 || c.chunks[len(c.chunks)-1].last < uid {
		c.groups = c.groups[findUID(c.groups, uid):]
		if len(c.groups) == 0 {
			c.chunks = nil
			return nil
		}
		c.chunks = c.groups[0].chunks
	}
	c.chunks = c.chunks[findUID(c.chunks, uid):]
	return &c.chunks[0]
}
