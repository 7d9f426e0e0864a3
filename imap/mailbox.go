package imap

import "strings"

// newName checks the name of a mailbox to be: no empty levels, no wildcards.
func newName(name string) (string, error) {
	if name == "" || strings.HasPrefix(name, "/") || strings.Contains(name, "//") || strings.ContainsAny(name, "*%") {
		return "", no("CANNOT", "Such a mailbox name is not possible")
	}
	return name, nil
}

// cmdCreate is RFC 3501 s6.3.3, with USE of RFC 6154 s3.
func (s *session) cmdCreate(c *command) error {
	c.p.sp()
	name := c.p.mailbox()
	var uses []string
	if c.p.more() {
		c.p.list(func() {
			if c.p.word() != "USE" && c.p.err == nil {
				c.p.err = bad("Unknown parameter")
			}
			c.p.sp()
			c.p.list(func() {
				c.p.expect('\\')
				uses = append(uses, `\`+c.p.atom())
			})
		})
	}
	if err := c.p.end(); err != nil {
		return err
	}
	// A separator at the end says that names will be made below it; nothing else (RFC 3501 s6.3.3).
	name, err := newName(strings.TrimSuffix(name, "/"))
	if err != nil {
		return err
	}
	if name == "INBOX" {
		return ErrExists
	}
	use := ""
	for i, u := range uses {
		if use = specialUse(u); use == "" || i > 0 {
			return no("USEATTR", "Special use not supported")
		}
	}
	_, err = s.account.Create(s.ctx, name, use)
	return err
}

// specialUse gives an attribute that a mailbox can be created with, in its usual spelling, or "" (RFC 6154 s2). \All and \Flagged are views of others' messages, which stores do not have.
func specialUse(name string) string {
	for _, u := range [...]string{`\Archive`, `\Drafts`, `\Junk`, `\Sent`, `\Trash`} {
		if strings.EqualFold(name, u) {
			return u
		}
	}
	return ""
}

func (s *session) cmdDelete(c *command) error {
	c.p.sp()
	name := c.p.mailbox()
	if err := c.p.end(); err != nil {
		return err
	}
	if name == "INBOX" {
		return no("CANNOT", "INBOX cannot be deleted")
	}
	var deleted MailboxID
	if s.box != nil {
		if m, err := s.account.Open(s.ctx, name); err == nil {
			deleted = m.ID()
		}
	}
	if err := s.account.Delete(s.ctx, name); err != nil {
		return err
	}
	if s.box != nil && s.box.mbox.ID() == deleted {
		s.unselect()
		s.out.line("* OK [CLOSED] The selected mailbox is no more")
	}
	return nil
}

func (s *session) cmdRename(c *command) error {
	c.p.sp()
	from := c.p.mailbox()
	c.p.sp()
	to := c.p.mailbox()
	if err := c.p.end(); err != nil {
		return err
	}
	to, err := newName(strings.TrimSuffix(to, "/"))
	if err != nil {
		return err
	}
	if to == "INBOX" {
		return ErrExists
	}
	if strings.HasPrefix(to, from+"/") && from != "INBOX" {
		return no("CANNOT", "A mailbox cannot be moved below itself")
	}
	return s.account.Rename(s.ctx, from, to)
}

// cmdSubscribe is SUBSCRIBE and UNSUBSCRIBE. A name needs no mailbox to be subscribed (RFC 3501 s6.3.6).
func (s *session) cmdSubscribe(c *command) error {
	c.p.sp()
	name := c.p.mailbox()
	if err := c.p.end(); err != nil {
		return err
	}
	name, err := newName(strings.TrimSuffix(name, "/"))
	if err != nil {
		return err
	}
	return s.account.Subscribe(s.ctx, name, c.name == "SUBSCRIBE")
}
