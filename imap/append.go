package imap

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"time"
)

// cmdAppend is APPEND of one message or several (RFC 3501 s6.3.11, RFC 3502). A message is copied from the connection into the store, and is asked for only when the store begins to read: what is refused by its size is never
// sent by a client that waits.
func (s *session) cmdAppend(c *command) error {
	msg := c.msg
	c.p.sp()
	name := c.p.mailbox()
	if msg.kind != evMessage {
		c.p.sp()
		c.p.fail("a literal")
		return c.p.err
	}
	c.p.sp()
	meta, err := c.p.appendMeta()
	if err != nil {
		return s.refuseMessage(msg, err)
	}
	mbox, err := s.account.Open(s.ctx, name)
	if errors.Is(err, ErrNotFound) {
		err = no("TRYCREATE", "No such mailbox")
	}
	if err != nil {
		return s.refuseMessage(msg, err)
	}
	appending, err := mbox.Append(s.ctx)
	if err != nil {
		return s.refuseMessage(msg, err)
	}
	committed := false
	defer func() {
		if !committed {
			appending.Abort()
		}
	}()
	for {
		if err := s.addMessage(appending, meta, msg); err != nil {
			return err
		}
		s.in.append = true
		msg, err = s.nextMessage()
		s.in.append = false
		if err != nil {
			return err
		}
		p := parser{b: msg.data}
		if msg.kind == evCommand {
			if err := p.end(); err != nil {
				return err
			}
			break
		}
		p.sp()
		if meta, err = p.appendMeta(); err != nil {
			return s.refuseMessage(msg, err)
		}
	}
	r, err := appending.Commit(s.ctx)
	committed = true
	if err != nil {
		return err
	}
	if !r.UIDs.IsEmpty() {
		c.code = "APPENDUID " + strconv.FormatUint(uint64(r.UIDValidity), 10) + " " + r.UIDs.String()
	}
	return nil
}

// appendMeta reads what may stand before a message, up to its literal.
func (p *parser) appendMeta() (m Meta, err error) {
	if p.peek() == '(' {
		f := p.flagList()
		m.Flags, m.Keywords = f.system, f.keywords
		p.sp()
	}
	if p.peek() == '"' {
		m.InternalDate = p.dateTime()
		p.sp()
	}
	if p.peek() == '~' && p.err == nil {
		return m, no("UNKNOWN-CTE", "BINARY is not supported")
	}
	p.expect('{')
	if p.err == nil {
		if _, _, ok := literalAtEnd(p.b[p.i-1:]); !ok || bytes.IndexByte(p.b[p.i:], '{') >= 0 {
			p.fail("a literal")
		}
	}
	return m, p.err
}

// refuseMessage fails an APPEND, and throws away what a client sends that does not wait.
func (s *session) refuseMessage(msg event, err error) error {
	if msg.sync {
		return err
	}
	if msg.size > s.in.maxDrain {
		return bye("TOOBIG", "Message too large")
	}
	s.in.refuse(msg.size)
	return err
}

func (s *session) addMessage(a Appending, meta Meta, msg event) error {
	if s.cfg.limits.MessageSize > 0 && msg.size > s.cfg.limits.MessageSize {
		return s.refuseMessage(msg, ErrTooLarge)
	}
	if msg.size == 0 { // RFC 3502 s6.3.11: the client has thought better of it
		return s.refuseMessage(msg, no("", "Empty message"))
	}
	body := &messageReader{s: s, left: msg.size, ask: msg.sync}
	err := a.Add(s.ctx, meta, msg.size, body)
	if body.err != nil {
		return &fatalError{body.err}
	}
	if err == nil && body.ask { // the store wants nothing of it, and the client still waits
		err = body.begin()
	}
	msg.size, msg.sync = body.left, body.ask
	if err != nil {
		return s.refuseMessage(msg, err)
	}
	s.in.skipN = body.left
	return nil
}

// nextMessage waits for what follows a message: another, or the end of the command.
func (s *session) nextMessage() (event, error) {
	deadline := s.deadline()
	for {
		switch ev := s.in.next(); ev.kind {
		case evCommand, evMessage:
			return ev, nil
		case evMore:
			if err := s.fill(deadline, nobody); err != nil {
				return ev, &fatalError{err}
			}
		default:
			return ev, &Error{Status: StatusBad, Code: "TOOBIG", Text: "Command too long"}
		}
	}
}

// A messageReader reads the literal of a message from the connection.
type messageReader struct {
	s    *session
	left int64
	ask  bool // the client waits for "+"
	err  error
}

func (r *messageReader) begin() error {
	r.ask = false
	r.s.out.str("+ Go ahead\r\n")
	r.err = r.s.out.flush()
	return r.err
}

func (r *messageReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.ask {
		if err := r.begin(); err != nil {
			return 0, err
		}
	}
	p = p[:min(int64(len(p)), r.left)]
	n := r.s.in.take(p)
	if n == 0 {
		if n, r.err = r.s.read(p, time.Now().Add(r.s.cfg.limits.CommandTimeout), nobody); r.err != nil {
			if errors.Is(r.err, io.EOF) {
				r.err = io.ErrUnexpectedEOF
			} else if errors.Is(r.err, os.ErrDeadlineExceeded) {
				r.err = bye("", "No more of the message came")
			}
			return 0, r.err
		}
	}
	r.left -= int64(n)
	return n, nil
}
