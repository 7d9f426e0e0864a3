package pop3

import (
	"bytes"
	"context"
	"log/slog"
	"runtime/debug"

	"github.com/gomailroom/mailroom/internal/line"
	"github.com/gomailroom/mailroom/internal/sasl"
)

// session is the protocol without I/O: octets go into in, run acts on the
// whole lines among them, and replies go to out.
type session struct {
	ctx  context.Context
	cfg  *settings
	peer Peer
	in   line.Buffer
	out  output
	conn sasl.Channel

	state     state
	started   bool // a command has come
	banner    string
	user      string // given by USER
	auth      sasl.Server
	mechanism string // of auth
	utf8      bool
	bad       int
	failures  int
	lines     int   // handled so far
	why       error // the server has ended the session; nil: the client has, or nobody

	drop     Maildrop
	messages []Message
	gone     []bool // marked as deleted
	deleted  int
	octets   int64 // of messages that are not marked
	block    []byte
}

type state uint8

const (
	authorization state = iota
	transaction
	ended
)

// action is what run wants of its caller.
type action uint8

const (
	readMore action = iota
	startTLS        // a handshake, then tlsStarted
	hangUp
)

func newSession(ctx context.Context, cfg *settings, peer Peer, conn sasl.Channel) *session {
	s := &session{ctx: ctx, cfg: cfg, peer: peer, conn: conn}
	s.in = line.Buffer{MaxLine: sasl.MaxResponse + 64, Ending: line.LF}
	s.out.fresh = cfg.getOutput
	return s
}

// log writes an event of the session. Every line has the connection's id and the client's address, and the user once there is one.
func (s *session) log(level slog.Level, event string, attrs ...any) {
	if !s.cfg.log.Enabled(s.ctx, level) {
		return
	}
	about := []any{"id", s.peer.ID, "remote", s.peer.Remote}
	if s.peer.Identity != "" {
		about = append(about, "user", s.peer.Identity)
	}
	s.cfg.log.Log(s.ctx, level, event, append(about, attrs...)...)
}

func (s *session) greet() {
	if s.cfg.sasl.Secret == nil {
		s.ok("POP3 server ready")
		return
	}
	s.banner = newBanner(s.cfg.hostname) // RFC 1939 s7, APOP
	s.ok("POP3 server ready ", s.banner)
}

// stopped tells whether the session is to end because the server does. One with marked messages goes on to its QUIT: the client believes them
// gone once it has said so.
func (s *session) stopped() bool { return s.cfg.stopping() && s.deleted == 0 && s.state != ended }

// run handles the whole lines that have come.
func (s *session) run() action {
	for s.out.err == nil && s.state != ended {
		if s.stopped() {
			s.fail(errShutdown)
			s.end(ErrServerClosed)
			return hangUp
		}
		if !s.started && s.foreign() {
			s.fail(errUnknown)
			s.end(errForeign)
			return hangUp
		}
		l, ok, err := s.in.Line()
		if !ok {
			return readMore
		}
		s.started = true
		s.lines++
		if a := s.handle(l, err); a != readMore {
			return a
		}
	}
	return hangUp
}

// handle acts on one line.
func (s *session) handle(l []byte, err error) action {
	if err == nil {
		s.traceCommand(l)
	}
	switch {
	case err != nil:
		s.auth = nil
		s.badCommand(errTooLong)
	case s.auth != nil:
		s.authResponse(l)
	default:
		verb, arg, hasArg := bytes.Cut(l, []byte(" "))
		if len(l) > maxCommand && !bytes.EqualFold(verb, []byte("AUTH")) {
			s.badCommand(errTooLong)
			break
		}
		if bytes.IndexByte(l, '\r') >= 0 || bytes.IndexByte(l, 0) >= 0 {
			s.badCommand(errSyntax)
			break
		}
		return s.command(string(bytes.ToUpper(verb[:min(len(verb), 8)])), arg, hasArg)
	}
	return readMore
}

// foreign reports whether the first octets are another protocol's: a TLS
// handshake, or HTTP, by which web pages would speak to mail servers.
func (s *session) foreign() bool {
	p := s.in.Buffered()
	if len(p) > 0 && p[0] == 0x16 {
		return true
	}
	for _, method := range []string{"GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "CONNECT ", "PRI * HTTP"} {
		if bytes.HasPrefix(p, []byte(method)) {
			return true
		}
	}
	return false
}

// command runs a command that is valid in the current state.
func (s *session) command(verb string, arg []byte, hasArg bool) action {
	if verb != "PASS" {
		arg = bytes.TrimRight(arg, " ")
		hasArg = len(arg) > 0
	}
	switch verb {
	case "QUIT":
		s.quit(hasArg)
		return readMore
	case "CAPA":
		s.capa(hasArg)
		return readMore
	case "LANG":
		s.lang(string(arg))
		return readMore
	case "STLS":
		return s.stls(hasArg)
	}
	var run func(s *session, arg string, hasArg bool)
	var when state
	switch verb {
	case "USER":
		run, when = (*session).cmdUser, authorization
	case "PASS":
		run, when = (*session).cmdPass, authorization
	case "APOP":
		run, when = (*session).cmdApop, authorization
	case "AUTH":
		run, when = (*session).cmdAuth, authorization
	case "UTF8":
		run, when = (*session).cmdUTF8, authorization
	case "STAT":
		run, when = (*session).cmdStat, transaction
	case "LIST":
		run, when = (*session).cmdList, transaction
	case "UIDL":
		run, when = (*session).cmdUidl, transaction
	case "RETR":
		run, when = (*session).cmdRetr, transaction
	case "TOP":
		run, when = (*session).cmdTop, transaction
	case "DELE":
		run, when = (*session).cmdDele, transaction
	case "NOOP":
		run, when = (*session).cmdNoop, transaction
	case "RSET":
		run, when = (*session).cmdRset, transaction
	default:
		s.badCommand(errUnknown)
		return readMore
	}
	if s.state != when {
		s.badCommand(errNotNow)
		return readMore
	}
	run(s, string(arg), hasArg)
	return readMore
}

// ok writes the first line of a positive reply.
func (s *session) ok(parts ...string) {
	status := "+OK "
	if len(parts) == 0 {
		status = "+OK"
	}
	s.out.str(status)
	s.out.line(parts...)
	s.traceReply(status, parts...)
}

// fail writes a negative reply.
func (s *session) fail(e *Error) {
	text := e.reply()
	s.out.line("-ERR ", text)
	s.traceReply("-ERR ", text)
}

// badCommand answers what no correct client sends, and has enough at a point.
func (s *session) badCommand(e *Error) {
	s.fail(e)
	if s.bad++; s.bad >= s.cfg.limits.BadCommands {
		s.end(errTooManyBad)
	}
}

// end ends the session by the server's decision.
func (s *session) end(why error) { s.state, s.why = ended, why }

// quit ends the session; in the transaction state the update state follows
// (RFC 1939 s6).
func (s *session) quit(hasArg bool) {
	if hasArg {
		s.badCommand(errSyntax)
		return
	}
	if s.state == transaction && s.deleted > 0 {
		s.out.flush() // what was fetched has to be out before it is removed
		if s.out.err != nil {
			return
		}
		if err := s.drop.Commit(s.ctx, s.marked()); err != nil {
			s.log(slog.LevelError, "maildrop not updated", "error", err)
			s.close()
			s.fail(replyError(err, errTempUpdate))
			return
		}
		s.log(slog.LevelInfo, "messages deleted", "count", s.deleted)
	}
	s.close() // before the reply: the client may come back at once
	s.ok("bye")
}

func (s *session) marked() []string {
	uids := make([]string, 0, s.deleted)
	for i, gone := range s.gone {
		if gone {
			uids = append(uids, s.messages[i].UID)
		}
	}
	return uids
}

// close lets go of the maildrop.
func (s *session) close() {
	s.state = ended
	drop := s.drop
	if drop == nil {
		return
	}
	s.drop = nil
	if err := drop.Close(); err != nil {
		s.log(slog.LevelError, "maildrop not closed", "error", err)
	}
}

// closeQuietly is close at the end of the connection, when a panic is of no more consequence than a log entry.
func (s *session) closeQuietly() {
	defer func() {
		if r := recover(); r != nil {
			s.log(slog.LevelError, "backend panicked", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	s.close()
}
