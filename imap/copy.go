package imap

import (
	"errors"
	"strconv"
)

// cmdCopy is COPY and MOVE, with numbers or UIDs (RFC 3501 s6.4.7, RFC 6851). All messages are taken or none.
func (s *session) cmdCopy(c *command) error {
	c.p.sp()
	set := c.p.sequence()
	c.p.sp()
	name := c.p.mailbox()
	if err := c.p.end(); err != nil {
		return err
	}
	move := c.name == "MOVE" || c.name == "UID MOVE"
	if move {
		if err := s.writable(); err != nil {
			return err
		}
	}
	b := s.box
	uids, lost, err := b.resolve(set, c.uid)
	if err != nil {
		return err
	}
	if lost {
		return no("EXPUNGEISSUED", "Some of these messages are no more")
	}
	dest, err := s.account.Open(s.ctx, name)
	if errors.Is(err, ErrNotFound) {
		return no("TRYCREATE", "No such mailbox")
	} else if err != nil {
		return err
	}
	uids = b.existing(uids)
	if uids.IsEmpty() {
		return nil
	}
	r, err := b.mbox.Transfer(s.ctx, uids, dest.ID(), move)
	if err != nil {
		return err
	}
	if r.Source.IsEmpty() {
		return nil
	}
	code := "COPYUID " + strconv.FormatUint(uint64(r.UIDValidity), 10) + " " + r.Source.String() + " " + r.Dest.String()
	if move { // before the expunges, so that the client knows where the messages are (RFC 6851 s4.3)
		s.out.line("* OK [", code, "] Moved")
	} else {
		c.code = code
	}
	return nil
}

// cmdExpunge is EXPUNGE, and UID EXPUNGE, which goes no further than its set (RFC 4315 s2.1).
func (s *session) cmdExpunge(c *command) error {
	set := ""
	if c.uid {
		c.p.sp()
		set = c.p.sequence()
	}
	if err := c.p.end(); err != nil {
		return err
	}
	if err := s.writable(); err != nil {
		return err
	}
	if err := s.advance(); err != nil {
		return err
	}
	uids := s.box.view.deletedUIDs()
	if c.uid {
		within, _, err := s.box.resolve(set, true)
		if err != nil {
			return err
		}
		uids = uids.Intersect(within)
	}
	if uids.IsEmpty() {
		return nil
	}
	return s.box.mbox.Expunge(s.ctx, uids)
}
