package imap

// firstUnseen gives the number of the first message without FlagSeen, or 0. Chunks that have none are passed over.
func (v *View) firstUnseen() (first uint32) {
	v.where(func(s *span) bool { return s.unseen > 0 }, func(seq uint32, c *chunk, i int) bool {
		if c.hot[i].flags&FlagSeen == 0 {
			first = seq
		}
		return first == 0
	})
	return first
}

// deletedUIDs gives the messages with FlagDeleted, at the cost of the chunks that have some.
func (v *View) deletedUIDs() (uids UIDSet) {
	v.where(func(s *span) bool { return s.deleted > 0 }, func(_ uint32, c *chunk, i int) bool {
		if c.hot[i].flags&FlagDeleted != 0 {
			uids.Add(c.uids[i])
		}
		return true
	})
	return uids
}

// where calls yield for each message of the chunks that may have what is sought, until it gives false.
func (v *View) where(may func(*span) bool, yield func(seq uint32, c *chunk, i int) bool) {
	for gi := range v.groups {
		g := &v.groups[gi]
		if !may(&g.span) {
			continue
		}
		for ci := range g.chunks {
			c := &g.chunks[ci]
			if !may(&c.span) {
				continue
			}
			for i := range c.hot {
				if !yield(g.before+c.before+uint32(i)+1, c.chunk, i) {
					return
				}
			}
		}
	}
}
