package imap

import "strings"

// cmdStore is STORE and UID STORE (RFC 3501 s6.4.6), with UNCHANGEDSINCE of RFC 7162 s3.1.3.
func (s *session) cmdStore(c *command) error {
	set, change, silent, err := c.p.store()
	if err != nil {
		return err
	}
	if change.Conditional {
		s.enableCondstore()
	}
	if err := s.writable(); err != nil {
		return err
	}
	b := s.box
	uids, lost, err := b.resolve(set, c.uid)
	if err != nil {
		return err
	}
	uids = b.existing(uids)
	before := b.view
	var conflicts UIDSet
	if !uids.IsEmpty() {
		if conflicts, err = b.mbox.SetFlags(s.ctx, uids, change); err != nil {
			return err
		}
		if err := s.advance(); err != nil {
			return err
		}
	}
	if len(b.keywords) > b.toldKeys {
		b.reportKeywords(&s.out)
	}
	if silent {
		s.storedSilently(before, uids.Subtract(conflicts), change)
	} else {
		for seq, m := range b.view.Within(uids) {
			b.reportFlags(&s.out, b.seq(seq), m, true, s.condstore)
			b.echo(m.UID, m.ModSeq)
			if s.out.err != nil {
				return s.out.err
			}
		}
	}
	if !conflicts.IsEmpty() { // tagged OK or NO, with what was left alone (RFC 7162 s3.1.3)
		c.code = "MODIFIED " + b.numbers(conflicts, c.uid).String()
		c.text = "Conditional STORE left out what had changed"
	}
	if lost {
		return no("EXPUNGEISSUED", "Some of these messages are no more")
	}
	return nil
}

// storedSilently keeps to itself what the client asked for, but not what others have changed meanwhile (RFC 3501 s6.4.6). With CONDSTORE the new modification
// sequences are told in any case (RFC 7162 s3.1.3).
func (s *session) storedSilently(before *View, uids UIDSet, change FlagChange) {
	b := s.box
	mask := change.Flags
	for _, name := range change.Keywords {
		for i, k := range b.keywords {
			if strings.EqualFold(name, k) {
				mask |= FlagKeyword << i
			}
		}
	}
	for seq, m := range b.view.Within(uids) {
		was, ok := before.Seq(m.UID)
		if !ok || m.ModSeq <= b.told {
			continue
		}
		expected := before.Message(was).Flags
		switch change.Op {
		case FlagsAdd:
			expected |= mask
		case FlagsRemove:
			expected &^= mask
		case FlagsReplace:
			expected = mask
		}
		if m.Flags != expected {
			continue // the report at the end of the command tells
		}
		if s.condstore {
			b.reportFlags(&s.out, b.seq(seq), m, false, true)
		}
		b.echo(m.UID, m.ModSeq)
	}
}

// numbers gives UIDs as the client knows them.
func (p *picture) numbers(uids UIDSet, uid bool) UIDSet {
	if uid {
		return uids
	}
	var seqs UIDSet
	for seq := range p.view.Within(uids) {
		seqs.Add(UID(p.seq(seq)))
	}
	return seqs
}

func (p *parser) store() (set string, c FlagChange, silent bool, err error) {
	p.sp()
	set = p.sequence()
	p.sp()
	if p.peek() == '(' {
		p.list(func() {
			if p.word() != "UNCHANGEDSINCE" {
				p.fail("UNCHANGEDSINCE")
			}
			p.sp()
			c.UnchangedSince, c.Conditional = ModSeq(p.number()), true
		})
		p.sp()
	}
	switch {
	case p.accept('+'):
		c.Op = FlagsAdd
	case p.accept('-'):
		c.Op = FlagsRemove
	default:
		c.Op = FlagsReplace
	}
	switch p.word() {
	case "FLAGS":
	case "FLAGS.SILENT":
		silent = true
	default:
		p.fail("FLAGS or FLAGS.SILENT")
	}
	p.sp()
	var f flagSet
	if p.peek() == '(' {
		f = p.flagList()
	} else {
		for p.flag(&f); p.more(); {
			p.flag(&f)
		}
	}
	c.Flags, c.Keywords = f.system, f.keywords
	return set, c, silent, p.end()
}
