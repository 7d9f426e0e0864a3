package imap

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/gomailroom/mailroom/internal/proxyproto"
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
	srv    *Server
	limits Limits
	log    *slog.Logger
	raw    net.Conn // deadlines; never changes
	conn   net.Conn // raw, or TLS on it
	remote netip.Addr
	start  time.Time
	ctx    context.Context
	cancel context.CancelFunc

	changed  atomic.Bool // the selected mailbox may have changed
	waiting  atomic.Bool // in IDLE: a change ends the waiting
	stopping atomic.Bool // the server shuts down, or the context has ended

	in     framer
	out    writer
	early  []byte    // came while a command ran, and was read to see whether the client is still there
	polled time.Time // when that was looked at last

	state     state
	tls       bool
	identity  string
	account   Account
	box       *box
	condstore bool // RFC 7162 s3.1: MODSEQ goes along with FLAGS
	gone      bool // the client has closed, or the connection broke
	badInRow  int
	logins    int // failed
}

// errWoken ends a wait in IDLE that a change has cut short.
var errWoken = errors.New("imap: woken")

func newSession(srv *Server, c net.Conn, cancel context.CancelFunc) *session {
	s := &session{
		srv: srv, limits: srv.Limits.withDefaults(), raw: c, conn: c, cancel: cancel,
		remote: remoteAddr(c), start: time.Now(), state: notAuthenticated,
	}
	s.log = srv.logger().With("remote", s.remote)
	s.out.w = blockWriter{s}
	s.in.maxLine = min(s.limits.Line, 16<<10)
	s.in.maxLiteral = min(s.limits.Literal, 1<<10)
	s.in.maxCommand = min(s.limits.Command, 20<<10)
	return s
}

// unlock raises the limits of the input after login.
func (s *session) unlock() {
	s.in.maxLine = s.limits.Line
	s.in.maxLiteral = s.limits.Literal
	s.in.maxCommand = s.limits.Command
	s.in.maxDrain = max(s.limits.Message, 1<<20)
}

// interrupt makes the session look at its flags. Any goroutine may call it.
func (s *session) interrupt() {
	s.stopping.Store(true)
	s.raw.SetReadDeadline(time.Unix(1, 0))
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
	w.s.raw.SetWriteDeadline(time.Now().Add(w.s.limits.WriteTimeout))
	return w.s.conn.Write(p)
}

func (s *session) run(ctx context.Context) (err error) {
	s.ctx = ctx
	defer func() {
		s.close()
		if err != nil {
			s.log.Info("disconnected", "error", err)
		} else {
			s.log.Info("disconnected")
		}
		if f := s.srv.trace().Disconnected; f != nil {
			f(s.remote, s.identity, err)
		}
	}()
	if h, err := proxyproto.Accept(s.conn, s.srv.ProxyFrom); err != nil {
		s.gone = true
		return err
	} else if h != nil {
		s.proxied(h)
	}
	if f := s.srv.trace().Connected; f != nil {
		f(s.remote)
	}
	if c, ok := s.conn.(*tls.Conn); ok {
		if err := s.handshake(c); err != nil {
			s.gone = true
			return err
		}
	}
	s.out.line("* OK [CAPABILITY ", s.capabilities(), "] IMAP server ready")
	for s.state != loggedOut {
		if s.state == notAuthenticated && notIMAP(s.in.start()) {
			return s.bye(bye("", "This is an IMAP server"))
		}
		ev := s.in.next()
		if ev.kind != evMore {
			if err := s.handle(ev); err != nil {
				return s.bye(err)
			}
			continue
		}
		if err := s.fill(s.deadline(), stops); err != nil {
			return s.bye(err)
		}
	}
	return s.out.flush()
}

// deadline is how long to wait for the client.
func (s *session) deadline() time.Time {
	if s.state == notAuthenticated {
		return s.start.Add(s.limits.LoginTimeout)
	}
	return time.Now().Add(s.limits.IdleTimeout)
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
		case s.ctx.Err() != nil || until&stops != 0 && s.stopping.Load():
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
		code, text, err = "UNAVAILABLE", "The server is going down", nil
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

// close ends the connection in order: TLS says close_notify, and what the client still sends is read for a moment, since closing on unread input may take from it what it was told last.
func (s *session) close() {
	defer s.conn.Close()
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
			s.log.Error("closing account failed", "error", err)
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
