package imap

import (
	"errors"
	"log/slog"
	"strings"
	"time"
)

// A command is one that is being carried out.
type command struct {
	tag, name string
	uid       bool // UID FETCH and the like
	p         parser
	start     time.Time
	msg       event  // of APPEND: the message that follows
	code      string // of the tagged OK, without brackets
	text      string // likewise; default "NAME completed"
	holds     bool   // no EXPUNGE while it runs
}

type commandDef struct {
	states state
	run    func(*session, *command) error
	holds  bool // sequence numbers are in use: no EXPUNGE may be sent (RFC 3501 s7.4.1)
}

var commandDefs = map[string]commandDef{
	"CAPABILITY":   {anyState, (*session).cmdCapability, false},
	"NOOP":         {anyState, (*session).cmdNoop, false},
	"LOGOUT":       {anyState, (*session).cmdLogout, false},
	"ID":           {anyState, (*session).cmdID, false},
	"STARTTLS":     {notAuthenticated, (*session).cmdStartTLS, false},
	"LOGIN":        {notAuthenticated, (*session).cmdLogin, false},
	"AUTHENTICATE": {notAuthenticated, (*session).cmdAuthenticate, false},

	"ENABLE":      {loggedIn, (*session).cmdEnable, false},
	"SELECT":      {loggedIn, (*session).cmdSelect, false},
	"EXAMINE":     {loggedIn, (*session).cmdSelect, false},
	"CREATE":      {loggedIn, (*session).cmdCreate, false},
	"DELETE":      {loggedIn, (*session).cmdDelete, false},
	"RENAME":      {loggedIn, (*session).cmdRename, false},
	"SUBSCRIBE":   {loggedIn, (*session).cmdSubscribe, false},
	"UNSUBSCRIBE": {loggedIn, (*session).cmdSubscribe, false},
	"LIST":        {loggedIn, (*session).cmdList, false},
	"LSUB":        {loggedIn, (*session).cmdLsub, false},
	"NAMESPACE":   {loggedIn, (*session).cmdNamespace, false},
	"STATUS":      {loggedIn, (*session).cmdStatus, false},
	"APPEND":      {loggedIn, (*session).cmdAppend, false},
	"IDLE":        {loggedIn, (*session).cmdIdle, false},

	"CHECK":    {selected, (*session).cmdNoop, false},
	"CLOSE":    {selected, (*session).cmdClose, false},
	"UNSELECT": {selected, (*session).cmdUnselect, false},
	"EXPUNGE":  {selected, (*session).cmdExpunge, false},
	"SEARCH":   {selected, (*session).cmdSearch, true},
	"FETCH":    {selected, (*session).cmdFetch, true},
	"STORE":    {selected, (*session).cmdStore, true},
	"COPY":     {selected, (*session).cmdCopy, false},
	"MOVE":     {selected, (*session).cmdCopy, false},

	"UID EXPUNGE": {selected, (*session).cmdExpunge, false},
	"UID SEARCH":  {selected, (*session).cmdSearch, false},
	"UID FETCH":   {selected, (*session).cmdFetch, false},
	"UID STORE":   {selected, (*session).cmdStore, false},
	"UID COPY":    {selected, (*session).cmdCopy, false},
	"UID MOVE":    {selected, (*session).cmdCopy, false},
}

// command carries out what the framer has found. An error ends the session.
func (s *session) command(ev event) error {
	c := &command{tag: "*", name: "?", p: parser{b: ev.data}, start: time.Now(), msg: ev}
	refuse := func(err error) error {
		if ev.kind == evMessage {
			err = s.refuseMessage(ev, err)
		}
		return s.finish(c, err)
	}
	tag := c.p.tag()
	c.p.sp()
	if c.p.err != nil {
		return refuse(bad("Expected a tag and a command"))
	}
	c.tag = tag
	name := c.p.word()
	if name == "UID" {
		c.uid = true
		c.p.sp()
		name += " " + c.p.word()
	}
	def, ok := commandDefs[name]
	if !ok {
		return refuse(bad("Unknown command"))
	}
	c.name, c.holds = name, def.holds
	if def.states&s.state == 0 {
		return refuse(bad("Not possible " + s.why(def.states)))
	}
	return s.finish(c, def.run(s, c))
}

// why explains that a command is for other states than this.
func (s *session) why(allowed state) string {
	switch {
	case allowed == notAuthenticated:
		return "after login"
	case s.state == notAuthenticated:
		return "before login"
	}
	return "while no mailbox is selected"
}

// finish tells the client what has changed, and how the command has ended.
func (s *session) finish(c *command, err error) error {
	status, code, text := "OK", c.code, c.text
	if text == "" {
		text = c.name + " completed"
	}
	if s.out.err != nil {
		return s.out.err
	}
	if err == errAnswered {
		return nil
	}
	if err != nil {
		var fatal *fatalError
		if s.ctx.Err() != nil {
			return ErrServerClosed
		} else if errors.As(err, &fatal) {
			return fatal.err
		}
		e := answer(err)
		if e.Command == "" {
			e.Command = c.name
		}
		status, code, text = string(e.status()), oneLine(e.Code), oneLine(e.Text)
		if e.status() == StatusBye {
			s.traceCommand(c, status, code)
			return e
		}
		level := slog.LevelDebug
		if code == "SERVERBUG" || code == "UNAVAILABLE" {
			level = slog.LevelError
		}
		s.log(level, "command failed", "command", c.name, "error", e)
	}
	if status == "BAD" {
		if s.badInRow++; s.tooManyBad() {
			s.traceCommand(c, status, code)
			return bye("", "Too many bad commands")
		}
	} else {
		s.badInRow = 0
	}
	if s.state == selected {
		if err := s.update(!c.holds); err != nil {
			return err
		}
	}
	s.out.str(c.tag)
	s.out.str(" ")
	s.out.str(status)
	if code != "" {
		s.out.str(" [")
		s.out.str(code)
		s.out.str("]")
	}
	if text == "" {
		text = "Failed" // resp-text has at least one character
	}
	s.out.line(" ", text)
	s.traceCommand(c, status, code)
	return nil
}

func (s *session) tooManyBad() bool {
	limit := s.cfg.limits.BadCommands
	if s.state == notAuthenticated && limit > 0 {
		limit = min(limit, 5)
	}
	return limit > 0 && s.badInRow >= limit
}

func (s *session) traceCommand(c *command, status, code string) {
	if f := s.cfg.trace.Command; f != nil {
		info := CommandInfo{Name: c.name, Status: status, Code: code, Duration: time.Since(c.start)}
		if s.box != nil {
			info.Mailbox = s.box.name
		}
		f(s.snapshot(), info)
	}
}

// oneLine keeps a text of others within its line.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 400)]
}
