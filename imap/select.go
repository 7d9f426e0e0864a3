package imap

import (
	"errors"
	"log/slog"
)

// A box is the selected mailbox of a session.
type box struct {
	name string
	mbox Mailbox
	picture
	stop func() // watching
}

// cmdSelect is SELECT and EXAMINE (RFC 3501 s6.3.1, s6.3.2).
func (s *session) cmdSelect(c *command) error {
	c.p.sp()
	name := c.p.mailbox()
	condstore := false
	if c.p.more() { // RFC 4466 s2.1
		c.p.list(func() {
			if c.p.word() == "CONDSTORE" {
				condstore = true
			} else if c.p.err == nil {
				c.p.err = bad("Unknown parameter")
			}
		})
	}
	if err := c.p.end(); err != nil {
		return err
	}
	s.unselect() // also when what follows fails
	mbox, err := s.account.Open(s.ctx, name)
	if err != nil {
		return err
	}
	s.changed.Store(false)
	id := mbox.ID()
	stop := s.account.Watch(func(changed MailboxID) {
		if changed == id {
			s.mailboxChanged()
		}
	})
	view, err := mbox.View(s.ctx)
	if err != nil {
		stop()
		if errors.Is(err, ErrGone) {
			return no("NONEXISTENT", "No such mailbox")
		}
		return err
	}
	if condstore {
		s.condstore = true
	}
	s.box = &box{name: name, mbox: mbox, stop: stop, picture: newPicture(view, c.name == "EXAMINE")}
	s.state = selected
	s.describe()
	c.code = "READ-WRITE"
	if s.box.readOnly {
		c.code = "READ-ONLY"
	}
	return nil
}

// describe sends what a client has to know of a mailbox. \Recent is not kept: RECENT is always 0, as RFC 9051 does away with it.
func (s *session) describe() {
	w, b := &s.out, s.box
	b.reportKeywords(w)
	w.str("* ")
	w.num(uint64(b.exists))
	w.str(" EXISTS\r\n* 0 RECENT\r\n")
	if seq := b.view.firstUnseen(); seq > 0 {
		w.str("* OK [UNSEEN ")
		w.num(uint64(seq))
		w.str("] First unseen\r\n")
	}
	w.str("* OK [UIDVALIDITY ")
	w.num(uint64(b.view.UIDValidity()))
	w.str("] UIDs are valid\r\n* OK [UIDNEXT ")
	w.num(uint64(b.view.UIDNext()))
	w.str("] Next UID\r\n")
	s.highestModSeq()
}

func (s *session) highestModSeq() {
	s.out.str("* OK [HIGHESTMODSEQ ")
	s.out.num(uint64(max(s.box.highest(), 1))) // mod-sequence-value is at least 1
	s.out.str("] Highest\r\n")
}

func (s *session) unselect() {
	if s.box != nil {
		s.box.stop()
		s.box, s.state = nil, authenticated
	}
}

// cmdClose expunges without telling (RFC 3501 s6.4.2).
func (s *session) cmdClose(c *command) error {
	if err := c.p.end(); err != nil {
		return err
	}
	b := s.box
	s.unselect()
	if b.readOnly {
		return nil
	}
	view, err := b.mbox.View(s.ctx)
	if err != nil {
		return ignoreGone(err)
	}
	if uids := view.deletedUIDs(); !uids.IsEmpty() {
		return ignoreGone(b.mbox.Expunge(s.ctx, uids))
	}
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

// cmdUnselect is RFC 3691.
func (s *session) cmdUnselect(c *command) error {
	if err := c.p.end(); err != nil {
		return err
	}
	s.unselect()
	return nil
}

// advance moves the picture to the newest view, without telling.
func (s *session) advance() error {
	s.changed.Store(false)
	view, err := s.box.mbox.View(s.ctx)
	if err != nil {
		if errors.Is(err, ErrGone) {
			return bye("", "The mailbox was deleted")
		}
		return err
	}
	if view.UIDValidity() != s.box.view.UIDValidity() {
		return bye("", "The mailbox was replaced")
	}
	s.box.advance(view)
	if limit := s.cfg.limits.PendingExpunges; limit > 0 && len(s.box.gone) > limit {
		return bye("", "Too many expunges that could not be told")
	}
	return nil
}

// update tells the client what has changed. Its error ends the session.
func (s *session) update(expunges bool) error {
	if err := s.advance(); err != nil {
		var e *Error
		if errors.As(err, &e) && e.status() == StatusBye {
			return err
		}
		s.log(slog.LevelError, "mailbox not read", "mailbox", s.box.name, "error", err)
		return nil // the next command looks again
	}
	s.box.report(&s.out, expunges, s.condstore)
	return nil
}

// writable refuses changes of a mailbox that was opened by EXAMINE.
func (s *session) writable() error {
	if s.box.readOnly {
		return no("READ-ONLY", "The mailbox is read-only")
	}
	return nil
}
