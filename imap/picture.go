package imap

import (
	"slices"
	"sort"
)

// A picture is what a session has told its client of the selected mailbox. The session always moves to the newest view; messages that are gone from it, and whose
// expunge could not be told yet, keep their places. Sequence numbers in commands and responses are those of the picture.
type picture struct {
	view     *View    // the newest
	keywords []string // of the view
	exists   uint32   // messages that the client knows of
	gone     []missing
	told     ModSeq // flags have been told up to here
	floor    ModSeq // while anything is gone: the highest modification sequence before
	toldKeys int    // keywords that FLAGS has named
	echoed   []echo // what the command at hand has told of flags, ascending
	readOnly bool
}

// missing is a message that is no more, and that the client was not told of.
type missing struct {
	seq uint32
	uid UID
}

type echo struct {
	uid    UID
	modseq ModSeq
}

func newPicture(v *View, readOnly bool) picture {
	p := picture{readOnly: readOnly, view: v, keywords: v.Keywords(), exists: uint32(v.Len()), told: v.ModSeq()}
	p.toldKeys = len(p.keywords)
	return p
}

// advance moves to a newer view.
func (p *picture) advance(v *View) {
	if v == p.view || v.ModSeq() <= p.view.ModSeq() {
		return
	}
	was := len(p.gone)
	fresh := slices.Clip(p.gone) // never changed in place: a FETCH under way has a copy of the picture
	for seq, uid := range v.Vanished(p.view) {
		// A message that came and went while the client could not be told never was, as far as it is concerned.
		if at := p.seq(seq); at <= p.exists {
			fresh = append(fresh, missing{at, uid})
		}
	}
	if was == 0 && len(fresh) > 0 {
		p.floor = p.view.ModSeq()
	}
	if was > 0 && len(fresh) > was {
		slices.SortFunc(fresh, func(a, b missing) int { return int(a.seq) - int(b.seq) })
	}
	p.gone = fresh
	p.view = v
	if k := v.Keywords(); len(k) != len(p.keywords) {
		p.keywords = k
	}
}

// highest is the modification sequence up to which the client may believe to know everything (RFC 7162 s3.2.5).
func (p *picture) highest() ModSeq {
	if len(p.gone) > 0 {
		return p.floor
	}
	return p.view.ModSeq()
}

// seq turns a number of the view into one of the picture.
func (p *picture) seq(inView uint32) uint32 {
	if len(p.gone) == 0 {
		return inView
	}
	k := sort.Search(len(p.gone), func(k int) bool { return p.gone[k].seq-uint32(k) > inView })
	return inView + uint32(k)
}

// before turns a number of the picture into the view's count of messages up to it, and says whether that message is still there.
func (p *picture) before(seq uint32) (inView uint32, there bool) {
	k := sort.Search(len(p.gone), func(k int) bool { return p.gone[k].seq >= seq })
	if k < len(p.gone) && p.gone[k].seq == seq {
		return seq - uint32(k) - 1, false
	}
	return seq - uint32(k), true
}

// star is what "*" means: the highest number, or the UID of that message (RFC 3501 s9).
func (p *picture) star(uid bool) UID {
	if !uid {
		return UID(p.exists)
	}
	last, _ := p.before(p.exists)
	top := p.view.Message(last).UID
	if n := len(p.gone); n > 0 {
		top = max(top, p.gone[n-1].uid)
	}
	return top
}

// resolve turns a sequence set into UIDs. lost says that the set named messages that are no more; a number that never was is an error.
func (p *picture) resolve(set string, uid bool) (uids UIDSet, lost bool, err error) {
	if uid {
		star := p.star(true)
		if star == 0 {
			star = 1 // an empty mailbox: nothing is found below anyway
		}
		uids, err = ParseUIDSet(set, star, maxSetRanges)
		if err != nil {
			return uids, false, bad("Invalid UID set")
		}
		return uids, false, nil
	}
	if p.exists == 0 {
		return uids, false, bad("Invalid sequence number: the mailbox is empty") // RFC 3501 s9, seq-number
	}
	seqs, err := ParseUIDSet(set, UID(p.exists), maxSetRanges)
	if err != nil || seqs.Max() > UID(p.exists) {
		return uids, false, bad("Invalid sequence number")
	}
	want := seqs.Len()
	found := 0
	for first, last := range seqs.Ranges() {
		lo, there := p.before(uint32(first))
		if !there {
			lo++
		}
		hi, _ := p.before(uint32(last))
		for _, m := range p.view.Messages(lo, hi) {
			uids.Add(m.UID)
			found++
		}
	}
	return uids, found < want, nil
}

// existing cuts a set down to the messages that exist.
func (p *picture) existing(uids UIDSet) (found UIDSet) {
	for _, m := range p.view.Within(uids) {
		found.Add(m.UID)
	}
	return found
}

func (p *picture) echo(uid UID, modseq ModSeq) { p.echoed = append(p.echoed, echo{uid, modseq}) }

// report tells the client what has changed. Expunges come first, from the highest number down, then EXISTS, then flags, so that each number means the same on both
// sides (RFC 3501 s7.4.1).
func (p *picture) report(w *writer, expunges, modseq bool) {
	if expunges && len(p.gone) > 0 {
		for _, m := range slices.Backward(p.gone) {
			w.str("* ")
			w.num(uint64(m.seq))
			w.str(" EXPUNGE\r\n")
		}
		p.exists -= uint32(len(p.gone))
		p.gone = nil
	}
	knew := p.exists
	if n := uint32(p.view.Len() + len(p.gone)); n != p.exists {
		p.exists = n
		w.str("* ")
		w.num(uint64(n))
		w.str(" EXISTS\r\n")
	}
	if p.told < p.view.ModSeq() {
		if len(p.keywords) > p.toldKeys {
			p.reportKeywords(w)
		}
		echoed := p.echoed
		for inView, m := range p.view.Changed(p.told) {
			seq := p.seq(inView)
			if seq > knew {
				break // new: EXISTS says it
			}
			for len(echoed) > 0 && echoed[0].uid < m.UID {
				echoed = echoed[1:]
			}
			if len(echoed) > 0 && echoed[0].uid == m.UID && echoed[0].modseq == m.ModSeq {
				continue
			}
			p.reportFlags(w, seq, m, true, modseq)
		}
		p.told = p.view.ModSeq()
	}
	p.echoed = p.echoed[:0]
	if cap(p.echoed) > 1024 {
		p.echoed = nil
	}
}

// reportFlags sends FETCH with the flags of a message. Its UID goes along, so that clients need not trust numbers.
func (p *picture) reportFlags(w *writer, seq uint32, m Message, flags, modseq bool) {
	w.str("* ")
	w.num(uint64(seq))
	w.str(" FETCH (UID ")
	w.num(uint64(m.UID))
	if flags {
		w.str(" FLAGS ")
		w.flags(m.Flags, p.keywords)
	}
	if modseq {
		w.str(" MODSEQ (")
		w.num(uint64(m.ModSeq))
		w.byte(')')
	}
	w.str(")\r\n")
}

// reportKeywords sends FLAGS with the keywords in use, and PERMANENTFLAGS (RFC 3501 s7.2.6, s7.1).
func (p *picture) reportKeywords(w *writer) {
	p.toldKeys = len(p.keywords)
	names := func() {
		for i, s := range systemFlags {
			if i > 0 {
				w.byte(' ')
			}
			w.str(s.name)
		}
		for _, k := range p.keywords {
			w.byte(' ')
			w.str(k)
		}
	}
	w.str("* FLAGS (")
	names()
	w.str(")\r\n* OK [PERMANENTFLAGS (")
	if !p.readOnly {
		names()
		if len(p.keywords) < MaxKeywords {
			w.str(` \*`)
		}
	}
	w.str(")] Flags that last\r\n")
}
