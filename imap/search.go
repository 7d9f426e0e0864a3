package imap

import "time"

// cmdSearch is SEARCH and UID SEARCH (RFC 3501 s6.4.4, RFC 4731).
func (s *session) cmdSearch(c *command) error {
	q, err := s.parseSearch(&c.p)
	if err != nil {
		return err
	}
	if q.modseq {
		s.enableCondstore()
	}
	found, highest, err := s.search(&q.key)
	if err != nil {
		return err
	}
	if q.extended {
		s.sendESearch(c, &q, found, highest)
		return nil
	}
	w := &s.out
	w.str("* SEARCH")
	if c.uid {
		for uid := range found.All() {
			w.byte(' ')
			w.num(uint64(uid))
		}
	} else {
		for seq := range s.box.view.Within(found) {
			w.byte(' ')
			w.num(uint64(s.box.seq(seq)))
		}
	}
	if q.modseq && !found.IsEmpty() {
		w.str(" (MODSEQ ")
		w.num(uint64(highest))
		w.byte(')')
	}
	w.crlf()
	return w.err
}

func (s *session) sendESearch(c *command, q *searchQuery, found UIDSet, highest ModSeq) {
	w := &s.out
	w.str("* ESEARCH (TAG ")
	w.string(c.tag)
	w.byte(')')
	if c.uid {
		w.str(" UID")
	}
	if q.modseq && !q.all && !q.count { // of the messages that are named (RFC 7162 s3.1.10)
		highest = s.modSeqOf(q, found)
	}
	found = s.box.numbers(found, c.uid)
	item := func(name string, n uint64) {
		w.byte(' ')
		w.str(name)
		w.byte(' ')
		w.num(n)
	}
	if !found.IsEmpty() {
		if q.min {
			item("MIN", uint64(found.Min()))
		}
		if q.max {
			item("MAX", uint64(found.Max()))
		}
		if q.all {
			w.str(" ALL ")
			w.str(found.String())
		}
	}
	if q.count {
		item("COUNT", uint64(found.Len()))
	}
	if q.modseq && !found.IsEmpty() {
		item("MODSEQ", uint64(highest))
	}
	w.crlf()
}

// modSeqOf gives the higher modification sequence of those messages that MIN and MAX name.
func (s *session) modSeqOf(q *searchQuery, found UIDSet) (highest ModSeq) {
	for _, uid := range [...]UID{found.Min(), found.Max()} {
		if seq, ok := s.box.view.Seq(uid); ok && (uid == found.Min() && q.min || uid == found.Max() && q.max) {
			highest = max(highest, s.box.view.Message(seq).ModSeq)
		}
	}
	return highest
}

// search finds messages in two rounds. What flags, sizes, dates and sets decide is decided on the view alone; only what is then still open is asked of the backend, which may have an index, and
// of the messages themselves. highest is the highest modification sequence among what was found.
func (s *session) search(key *SearchKey) (found UIDSet, highest ModSeq, err error) {
	b := s.box
	m := newMatcher(key, b.keywords)
	var open UIDSet
	take := func(msg *Message) {
		found.Add(msg.UID)
		highest = max(highest, msg.ModSeq)
	}
	messages := b.view.All()
	if within, ok := m.within(); ok {
		messages = b.view.Within(within)
	}
	for _, msg := range messages {
		switch m.onView(m.root, &msg) {
		case yes:
			take(&msg)
		case maybe:
			open.Add(msg.UID)
		}
	}
	if open.IsEmpty() {
		return found, highest, nil
	}
	if open, err = s.candidates(m, open); err != nil {
		return found, highest, err
	}
	var late UIDSet
	s.polled = time.Now() // only a search that takes long is worth it
	for item, err := range b.mbox.Fetch(s.ctx, open, m.want) {
		if err != nil {
			return found, highest, err
		}
		seq, ok := b.view.Seq(item.UID)
		if !ok {
			continue
		}
		msg := b.view.Message(seq)
		match, err := m.onMessage(m.root, &msg, &item)
		if err != nil {
			return found, highest, err
		}
		if match {
			late.Add(item.UID)
			highest = max(highest, msg.ModSeq)
		}
		if s.ctx.Err() != nil {
			return found, highest, s.ctx.Err()
		}
		if err := s.poll(); err != nil {
			return found, highest, err
		}
	}
	return found.Union(late), highest, nil
}

// candidates lets the backend's index narrow what is to be looked at.
func (s *session) candidates(m *matcher, open UIDSet) (UIDSet, error) {
	keys := []*node{m.root}
	if m.root.key.Op == SearchAnd {
		keys = m.root.kids
	}
	for _, n := range keys {
		if n.cost == costView || open.IsEmpty() {
			continue
		}
		uids, exact, ok, err := s.box.mbox.Candidates(s.ctx, open, *n.key)
		if err != nil {
			return open, err
		}
		if ok {
			open = open.Intersect(uids)
			n.proved = exact
		}
	}
	return open, nil
}
