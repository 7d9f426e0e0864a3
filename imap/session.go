package imap

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gomailroom/mailroom/internal/conns"
)

// state is where a session stands (RFC 3501 s3). The values are bits, so that a command can name several.
type state uint8

const (
	notAuthenticated state = 1 << iota
	authenticated
	selected
	loggedOut

	anyState = notAuthenticated | authenticated | selected
	loggedIn = authenticated | selected
)

// A session is one connection, and runs in one goroutine: reading, commands and reports alike. Others only raise its flags and cut its waiting short, by a read deadline in the past.
type session struct {
	srv     *Server
	cfg     *settings
	link    *conns.Conn // among the server's connections
	raw     net.Conn    // as accepted: its deadlines are those of conn
	conn    net.Conn    // raw, or TLS on it
	ctx     context.Context
	id      string // of the connection, for logs
	loginBy time.Time

	changed atomic.Bool // the selected mailbox may have changed
	waiting atomic.Bool // in IDLE: a change ends the waiting

	in     framer
	out    writer
	early  []byte    // came while a command ran, and was read to see whether the client is still there
	polled time.Time // when that was looked at last

	state     state
	tls       bool // on this connection, or as a proxy says
	identity  string
	mechanism string
	account   Account
	box       *box
	condstore bool // RFC 7162 s3.1: MODSEQ goes along with FLAGS
	gone      bool // the client has closed, or the connection broke
	badInRow  int
	failures  int // of authentication
}

// errWoken ends a wait in IDLE that a change has cut short.
var errWoken = errors.New("imap: woken")

func newSession(srv *Server, cfg *settings, link *conns.Conn) *session {
	s := &session{
		srv: srv, cfg: cfg, link: link, raw: link.Conn, conn: link.Conn, ctx: link.Context,
		id: rand.Text()[:13], loginBy: time.Now().Add(cfg.limits.LoginTimeout), state: notAuthenticated,
	}
	s.tls = link.Proxy != nil && link.Proxy.TLS != nil
	s.out.w = blockWriter{s}
	s.in.maxLine = min(cfg.limits.LineLength, 16<<10)
	s.in.maxLiteral = min(cfg.limits.LiteralSize, 1<<10)
	s.in.maxCommand = min(cfg.limits.CommandSize, 20<<10)
	return s
}

// log writes an event of the session. Every line has the connection's id and the client's address, and the user once there is one.
func (s *session) log(level slog.Level, event string, attrs ...any) {
	if !s.cfg.log.Enabled(s.ctx, level) {
		return
	}
	about := []any{"id", s.id, "remote", s.link.Remote}
	if s.identity != "" {
		about = append(about, "user", s.identity)
	}
	s.cfg.log.Log(s.ctx, level, event, append(about, attrs...)...)
}

// unlock raises the limits of the input after login.
func (s *session) unlock() {
	s.in.maxLine = s.cfg.limits.LineLength
	s.in.maxLiteral = s.cfg.limits.LiteralSize
	s.in.maxCommand = s.cfg.limits.CommandSize
	s.in.maxDrain = max(s.cfg.limits.MessageSize, 1<<20)
}

// mailboxChanged is what the account's Watch calls.
func (s *session) mailboxChanged() {
	if !s.changed.Swap(true) && s.waiting.Load() {
		s.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// blockWriter writes with a deadline, so that a client that reads nothing holds nothing for ever.
type blockWriter struct{ s *session }

func (w blockWriter) Write(p []byte) (int, error) {
	w.s.raw.SetWriteDeadline(time.Now().Add(w.s.cfg.limits.WriteTimeout))
	return w.s.conn.Write(p)
}

// end is deferred by ServeConn. A backend that panics costs its own connection only.
func (s *session) end(err *error) {
	defer s.link.End()
	if r := recover(); r != nil {
		s.panicked(r)
		*err = fmt.Errorf("imap: backend panicked: %v", r)
	}
	s.close()
	if *err = s.link.Err(*err); *err == nil {
		s.log(slog.LevelInfo, "disconnected")
	} else {
		s.log(slog.LevelInfo, "disconnected", "error", *err)
	}
	if f := s.cfg.trace.Disconnected; f != nil {
		f(s.snapshot(), *err)
	}
}

func (s *session) panicked(r any) {
	s.log(slog.LevelError, "backend panicked", "panic", r, "stack", string(debug.Stack()))
	s.gone = true
}

func (s *session) run() error {
	s.log(slog.LevelInfo, "connected", "local", s.link.Local, "proxied", s.link.Proxy != nil)
	if c, ok := s.conn.(*tls.Conn); ok {
		if err := s.handshake(c); err != nil {
			s.gone = true
			return err
		}
	}
	if f := s.cfg.trace.Connected; f != nil {
		f(s.snapshot())
	}
	s.out.line("* OK [CAPABILITY ", s.capabilities(), "] IMAP server ready")
	deadline := s.deadline()
	for s.state != loggedOut {
		if s.state == notAuthenticated && notIMAP(s.in.start()) {
			return s.bye(bye("", "This is an IMAP server"))
		}
		ev := s.in.next()
		if ev.kind != evMore {
			if err := s.handle(ev); err != nil {
				return s.bye(err)
			}
			deadline = s.deadline() // only whole commands, and the parts of them that the client waits after, count
			continue
		}
		if err := s.fill(deadline, stops); err != nil {
			return s.bye(err)
		}
	}
	return s.out.flush()
}

// deadline is how long to wait for the client.
func (s *session) deadline() time.Time {
	if s.state == notAuthenticated {
		return s.loginBy
	}
	return time.Now().Add(s.cfg.limits.CommandTimeout)
}

// What may end a wait for input before its time.
type waitFor uint8

const (
	stops  waitFor = 1 << iota // a shutdown, with ErrServerClosed
	wakes                      // a change of the mailbox, with errWoken
	nobody waitFor = 0         // only the end of the context
)

// fill sends what is to be sent, and reads once.
func (s *session) fill(deadline time.Time, until waitFor) error {
	if err := s.out.flush(); err != nil {
		return err
	}
	s.in.release()
	n, err := s.read(s.in.space(1), deadline, until)
	s.in.commit(n)
	return err
}

// read reads at least one octet. A read that was cut short goes on, unless there is a reason to stop.
func (s *session) read(p []byte, deadline time.Time, until waitFor) (int, error) {
	for {
		s.raw.SetReadDeadline(deadline)
		// The flags are looked at after the deadline is set, and raised before it is cut short: none is missed.
		switch {
		case s.ctx.Err() != nil || until&stops != 0 && s.srv.group.Stopping():
			return 0, ErrServerClosed
		case until&wakes != 0 && s.changed.Load():
			return 0, errWoken
		}
		if len(s.early) > 0 {
			n := copy(p, s.early)
			s.early = s.early[n:]
			return n, nil
		}
		n, err := s.conn.Read(p)
		if n > 0 {
			return n, nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			return 0, err
		}
	}
}

// bye says good-bye where that can be done, and gives the reason that ServeConn returns.
func (s *session) bye(err error) error {
	code, text := "", ""
	var e *Error
	switch {
	case errors.As(err, &e):
		code, text = oneLine(e.Code), oneLine(e.Text)
	case errors.Is(err, ErrServerClosed):
		code, text = "UNAVAILABLE", "The server is going down"
	case errors.Is(err, os.ErrDeadlineExceeded):
		text = "Idle for too long"
	case errors.Is(err, io.EOF):
		s.gone = true
		if s.in.buffered() == 0 {
			err = nil
		}
		return err
	default:
		s.gone = true
		s.out.flush() // a client that stopped in the middle of a command may still read the replies to those before
		return err
	}
	if s.out.err == nil {
		s.out.str("* BYE ")
		if code != "" {
			s.out.line("[", code, "] ", text)
		} else {
			s.out.line(text)
		}
		s.out.flush()
	}
	return err
}

// lingerTime bounds how long the end of a connection waits for a client to have read the last line.
const lingerTime = time.Second

// close ends the connection in order: TLS says close_notify, and what the client still sends is read for a moment, since closing on unread input may take from it what it was told last. A
// panic is of no more consequence here than a log entry.
func (s *session) close() {
	defer func() {
		if r := recover(); r != nil {
			s.panicked(r)
		}
	}()
	s.unselect()
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok && s.out.err == nil && s.ctx.Err() == nil && !s.gone {
		s.raw.SetWriteDeadline(time.Now().Add(lingerTime))
		if c.CloseWrite() == nil {
			s.raw.SetReadDeadline(time.Now().Add(lingerTime))
			io.CopyN(io.Discard, s.conn, 1<<20)
		}
	}
	if s.account != nil {
		if err := s.account.Close(); err != nil {
			s.log(slog.LevelError, "account not closed", "error", err)
		}
	}
}

func (s *session) handle(ev event) error {
	switch ev.kind {
	case evContinue:
		s.out.str("+ Go ahead\r\n")
		return nil
	case evTooLong:
		return s.refused(ev, &Error{Status: StatusBad, Code: "TOOBIG", Text: "Command too long"})
	case evTooBig:
		return s.refused(ev, &Error{Status: StatusNo, Code: "TOOBIG", Text: "Literal too large"})
	case evHopeless:
		return &Error{Status: StatusBye, Code: "TOOBIG", Text: "Literal too large"}
	}
	return s.command(ev)
}

// refused answers a command that was not read to its end.
func (s *session) refused(ev event, e *Error) error {
	p := parser{b: ev.data}
	tag := p.tag()
	if !p.accept(' ') {
		tag = "*"
	}
	return s.finish(&command{tag: tag, name: "?", start: time.Now()}, e)
}

// notIMAP recognizes TLS and HTTP clients on the wrong port by what a command of theirs begins with. No answer would help them.
func notIMAP(line []byte) bool {
	if len(line) > 1 && line[0] == 0x16 && line[1] == 3 {
		return true
	}
	for _, method := range [...]string{"GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "CONNECT ", "PRI "} {
		if len(line) > len(method) && string(line[:len(method)]) == method {
			rest := line[len(method):]
			return len(rest) > 0 && (rest[0] == '/' || rest[0] == '*' || method == "CONNECT ")
		}
	}
	return false
}
