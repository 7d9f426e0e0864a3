package imap

import (
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// capabilities says what can be used now (RFC 3501 s7.2.1). IDLE and the like are there before login too: some clients ask only once.
func (s *session) capabilities() string {
	caps := []string{"IMAP4rev1", "LITERAL+", "SASL-IR", "ID", "ENABLE", "IDLE"}
	if s.state == notAuthenticated {
		if s.canStartTLS() {
			caps = append(caps, "STARTTLS")
		}
		if !s.loginAllowed() {
			caps = append(caps, "LOGINDISABLED")
		}
		for _, m := range s.cfg.sasl.Mechanisms(s.channel()) {
			caps = append(caps, "AUTH="+m)
		}
	}
	caps = append(caps, "NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT", "CHILDREN", "SPECIAL-USE", "CREATE-SPECIAL-USE",
		"LIST-EXTENDED", "LIST-STATUS", "STATUS=SIZE", "ESEARCH", "WITHIN", "CONDSTORE", "MULTIAPPEND")
	if s.cfg.limits.MessageSize > 0 {
		caps = append(caps, "APPENDLIMIT="+strconv.FormatInt(s.cfg.limits.MessageSize, 10))
	}
	return strings.Join(caps, " ")
}

func (s *session) cmdCapability(c *command) error {
	if err := c.p.end(); err != nil {
		return err
	}
	s.out.line("* CAPABILITY ", s.capabilities())
	return nil
}

// cmdNoop is NOOP, and CHECK: what has changed is told at the end of every command.
func (s *session) cmdNoop(c *command) error { return c.p.end() }

func (s *session) cmdLogout(c *command) error {
	if err := c.p.end(); err != nil {
		return err
	}
	s.unselect()
	s.out.line("* BYE Good-bye")
	s.state = loggedOut
	return nil
}

// cmdID is RFC 2971. What the client says of itself is logged.
func (s *session) cmdID(c *command) error {
	c.p.sp()
	var fields []string
	if !c.p.isNil() {
		c.p.list(func() {
			v := ""
			if len(fields)%2 == 0 || !c.p.isNil() {
				v = string(c.p.string())
			}
			fields = append(fields, v)
		})
	}
	if err := c.p.end(); err != nil {
		return err
	}
	if len(fields)%2 != 0 || len(fields) > 60 { // RFC 2971 s3.3: at most 30 pairs
		return bad("ID needs at most 30 pairs of field and value")
	}
	if len(fields) > 0 {
		s.log(slog.LevelInfo, "client told of itself", "fields", fields)
	}
	id := s.srv.ID
	if id == nil {
		id = map[string]string{"name": "mailroom"}
	}
	s.out.str("* ID ")
	if len(id) == 0 {
		s.out.str("NIL")
	} else {
		sep := "("
		for _, k := range slices.Sorted(maps.Keys(id)) {
			s.out.str(sep)
			s.out.string(k)
			s.out.byte(' ')
			s.out.nstring(id[k])
			sep = " "
		}
		s.out.byte(')')
	}
	s.out.crlf()
	return nil
}

// cmdEnable is RFC 5161. What is unknown is passed over.
func (s *session) cmdEnable(c *command) error {
	var words []string
	c.p.sp()
	for words = append(words, c.p.word()); c.p.more(); {
		words = append(words, c.p.word())
	}
	if err := c.p.end(); err != nil {
		return err
	}
	s.out.str("* ENABLED")
	for _, w := range words {
		if w == "CONDSTORE" {
			if !s.condstore {
				s.out.str(" CONDSTORE")
			}
			s.enableCondstore()
		}
	}
	s.out.crlf()
	return nil
}

// enableCondstore is what each of the commands of RFC 7162 s3.1 does. The client learns where the selected mailbox stands.
func (s *session) enableCondstore() {
	if !s.condstore && s.state == selected {
		s.highestModSeq()
	}
	s.condstore = true
}

func (s *session) cmdNamespace(c *command) error {
	if err := c.p.end(); err != nil {
		return err
	}
	s.out.line(`* NAMESPACE (("" "/")) NIL NIL`) // RFC 2342
	return nil
}
