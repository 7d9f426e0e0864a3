package imap

import (
	"errors"
	"slices"
)

// statusItems is what STATUS can tell (RFC 3501 s6.3.10, RFC 7162, RFC 8438, RFC 9051, RFC 7889).
var statusItems = []string{"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "HIGHESTMODSEQ", "APPENDLIMIT"}

// statusAtts reads the list of items.
func (p *parser) statusAtts() (items []string) {
	p.list(func() {
		w := p.word()
		if p.err == nil && !slices.Contains(statusItems, w) {
			p.err = bad("Unknown status item")
		}
		if !slices.Contains(items, w) {
			items = append(items, w)
		}
	})
	if p.err == nil && len(items) == 0 {
		p.fail("a status item")
	}
	return items
}

func (s *session) cmdStatus(c *command) error {
	c.p.sp()
	name := c.p.mailbox()
	c.p.sp()
	items := c.p.statusAtts()
	if err := c.p.end(); err != nil {
		return err
	}
	return s.sendStatus(name, items)
}

func (s *session) sendStatus(name string, items []string) error {
	mbox, err := s.account.Open(s.ctx, name)
	if err != nil {
		return err
	}
	view, err := mbox.View(s.ctx)
	if errors.Is(err, ErrGone) {
		return ErrNotFound
	} else if err != nil {
		return err
	}
	if slices.Contains(items, "HIGHESTMODSEQ") {
		s.enableCondstore()
	}
	w := &s.out
	w.str("* STATUS ")
	w.mailbox(name)
	sep := " ("
	for _, item := range items {
		w.str(sep)
		w.str(item)
		w.byte(' ')
		if item == "APPENDLIMIT" && s.cfg.limits.MessageSize <= 0 {
			w.str("NIL") // RFC 7889 s4
		} else {
			w.num(s.statusItem(item, mbox, view))
		}
		sep = " "
	}
	w.str(")\r\n")
	return nil
}

func (s *session) statusItem(item string, mbox Mailbox, v *View) uint64 {
	switch item {
	case "MESSAGES":
		return uint64(v.Len())
	case "UIDNEXT":
		return uint64(v.UIDNext())
	case "UIDVALIDITY":
		return uint64(v.UIDValidity())
	case "UNSEEN":
		return uint64(v.Unseen())
	case "DELETED":
		return uint64(v.Deleted())
	case "SIZE":
		return uint64(v.Size())
	case "APPENDLIMIT":
		return uint64(s.cfg.limits.MessageSize)
	case "HIGHESTMODSEQ":
		if s.box != nil && s.box.mbox.ID() == mbox.ID() {
			return uint64(max(s.box.highest(), 1)) // never beyond what it was told there
		}
		return uint64(max(v.ModSeq(), 1))
	}
	return 0 // RECENT
}
