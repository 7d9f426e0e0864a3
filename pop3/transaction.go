package pop3

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
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

// stat gives the number and octets of messages that are not marked.
func (s *session) stat() string {
	return strconv.Itoa(len(s.messages)-s.deleted) + " " + strconv.FormatInt(s.octets, 10)
}

func (s *session) cmdStat(_ string, hasArg bool) {
	if hasArg {
		s.badCommand(errSyntax)
		return
	}
	s.ok(s.stat())
}

func (s *session) cmdList(arg string, hasArg bool) {
	s.listing(arg, hasArg, func(b []byte, m *Message) []byte { return strconv.AppendInt(b, m.Size, 10) })
}

func (s *session) cmdUidl(arg string, hasArg bool) {
	s.listing(arg, hasArg, func(b []byte, m *Message) []byte { return append(b, m.UID...) })
}

// listing answers LIST and UIDL, for one message or for all.
func (s *session) listing(arg string, hasArg bool, value func([]byte, *Message) []byte) {
	var b []byte
	entry := func(i int) []byte {
		b = strconv.AppendInt(b[:0], int64(i+1), 10)
		return value(append(b, ' '), &s.messages[i])
	}
	if hasArg {
		if i, ok := s.message(arg); ok {
			s.ok(string(entry(i)))
		}
		return
	}
	s.ok(s.stat())
	for i := range s.messages {
		if !s.gone[i] {
			b = append(entry(i), '\r', '\n')
			s.out.write(b)
		}
		if s.out.err != nil {
			return
		}
	}
	s.out.line(".")
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
		s.log(slog.LevelWarn, "message not opened", "uid", m.UID, "error", err)
		s.fail(replyError(err, errTempStore))
		return
	}
	defer body.Close()
	if s.block == nil {
		s.block = s.cfg.getBlock()
	}
	n, err := body.Read(s.block)
	if n == 0 && err != nil && err != io.EOF {
		s.log(slog.LevelError, "message not read", "uid", m.UID, "error", err)
		s.fail(replyError(err, errTempStore))
		return
	}
	s.ok(strconv.FormatInt(m.Size, 10), " octets")
	d.out = &s.out
	for {
		d.write(s.block[:n])
		if err == io.EOF || d.done {
			break
		}
		if err != nil {
			s.log(slog.LevelError, "message not read to its end, hanging up", "uid", m.UID, "error", err)
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
	s.ok("message marked as deleted")
}

func (s *session) cmdNoop(_ string, hasArg bool) {
	if hasArg {
		s.badCommand(errSyntax)
		return
	}
	s.ok()
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
	s.ok(s.stat())
}
