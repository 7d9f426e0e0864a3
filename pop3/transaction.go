package pop3

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// number parses a message number or a number of lines.
func number(arg string) (int64, bool) {
	if len(arg) == 0 || len(arg) > 12 {
		return 0, false
	}
	var n int64
	for i := range len(arg) {
		if arg[i] < '0' || arg[i] > '9' {
			return 0, false
		}
		n = 10*n + int64(arg[i]-'0')
	}
	return n, true
}

// message finds the message that arg numbers. If there is none it has
// answered, and returns false.
func (s *session) message(arg string) (int, bool) {
	n, ok := number(arg)
	if !ok {
		s.badCommand(errSyntax)
		return 0, false
	}
	if n < 1 || n > int64(len(s.messages)) || s.gone[n-1] {
		s.fail(ErrNoMessage)
		return 0, false
	}
	return int(n - 1), true
}

// stat writes the number and octets of messages that are not marked, and CRLF.
func (s *session) stat() {
	s.out.int(int64(len(s.messages) - s.deleted))
	s.out.str(" ")
	s.out.int(s.octets)
	s.out.str("\r\n")
}

func (s *session) cmdStat(_ string, hasArg bool) {
	if hasArg {
		s.badCommand(errSyntax)
		return
	}
	s.out.str("+OK ")
	s.stat()
}

func (s *session) cmdList(arg string, hasArg bool) {
	s.listing(arg, hasArg, func(m *Message) { s.out.int(m.Size) })
}

func (s *session) cmdUidl(arg string, hasArg bool) {
	s.listing(arg, hasArg, func(m *Message) { s.out.str(m.UID) })
}

// listing answers LIST and UIDL, for one message or for all.
func (s *session) listing(arg string, hasArg bool, value func(*Message)) {
	entry := func(i int) {
		s.out.int(int64(i + 1))
		s.out.str(" ")
		value(&s.messages[i])
		s.out.str("\r\n")
	}
	if hasArg {
		if i, ok := s.message(arg); ok {
			s.out.str("+OK ")
			entry(i)
		}
		return
	}
	s.out.str("+OK ")
	s.stat()
	for i := range s.messages {
		if !s.gone[i] {
			entry(i)
		}
		if s.out.err != nil {
			return
		}
	}
	s.out.str(".\r\n")
}

func (s *session) cmdRetr(arg string, _ bool) {
	if i, ok := s.message(arg); ok {
		s.send(i, stuffer{})
	}
}

func (s *session) cmdTop(arg string, _ bool) {
	first, second, _ := strings.Cut(arg, " ")
	lines, ok := number(strings.TrimLeft(second, " "))
	if !ok {
		s.badCommand(errSyntax)
		return
	}
	if i, ok := s.message(first); ok {
		s.send(i, stuffer{top: true, lines: lines})
	}
}

// blockSize is how much of a message is read at a time.
const blockSize = 32 << 10

// send streams a message. Once the reply has begun, an error cannot be told:
// the connection ends, so that the client does not take a part for the whole.
func (s *session) send(i int, d stuffer) {
	m := &s.messages[i]
	if m.UTF8 && !s.utf8 {
		s.fail(errNeedUTF8)
		return
	}
	body, err := s.drop.Open(s.ctx, m.UID)
	if err != nil {
		s.log.Warn("message not opened", "user", s.identity, "uid", m.UID, "error", err)
		s.fail(replyError(err, errTempStore))
		return
	}
	defer body.Close()
	if s.block == nil {
		s.block = s.cfg.getBlock()
	}
	n, err := body.Read(s.block)
	if n == 0 && err != nil && err != io.EOF {
		s.log.Warn("message not read", "user", s.identity, "uid", m.UID, "error", err)
		s.fail(replyError(err, errTempStore))
		return
	}
	s.out.str("+OK ")
	s.out.int(m.Size)
	s.out.str(" octets\r\n")
	d.out = &s.out
	for {
		d.write(s.block[:n])
		if err == io.EOF || d.done {
			break
		}
		if err != nil {
			s.log.Warn("message not read to its end, hanging up", "user", s.identity, "uid", m.UID, "error", err)
			s.out.flush() // the replies before it are good
			s.out.err = errors.Join(errCut, fmt.Errorf("message %s: %w", m.UID, err))
		}
		if s.out.err != nil {
			return
		}
		n, err = body.Read(s.block)
	}
	d.end()
}

var errCut = errors.New("pop3: reply broken off")

func (s *session) cmdDele(arg string, _ bool) {
	i, ok := s.message(arg)
	if !ok {
		return
	}
	s.gone[i] = true
	s.deleted++
	s.octets -= s.messages[i].Size
	s.out.line("+OK message marked as deleted")
}

func (s *session) cmdNoop(_ string, hasArg bool) {
	if hasArg {
		s.badCommand(errSyntax)
		return
	}
	s.out.line("+OK")
}

func (s *session) cmdRset(_ string, hasArg bool) {
	if hasArg {
		s.badCommand(errSyntax)
		return
	}
	for i := range s.gone {
		if s.gone[i] {
			s.gone[i] = false
			s.octets += s.messages[i].Size
		}
	}
	s.deleted = 0
	s.out.str("+OK ")
	s.stat()
}
