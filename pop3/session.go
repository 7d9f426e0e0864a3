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
	wantTLS   bool // STLS was accepted
	afterAuth bool // the last known command was AUTH, see traceCommand
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

// state is where a session stands (RFC 1939 s3). The values are bits, so that a command can name both in which it is valid.
type state uint8

const (
	authorization state = 1 << iota
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
	s := &session{ctx: ctx, cfg: cfg, peer: peer, conn: conn, state: authorization}
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
		s.handle(l, err)
		if s.wantTLS {
			s.wantTLS = false
			return startTLS
		}
	}
	return hangUp
}

// handle acts on one line.
func (s *session) handle(l []byte, err error) {
	if err != nil {
		s.auth = nil
		s.badCommand(errTooLong)
		return
	}
	s.traceCommand(l)
	if s.auth != nil {
		s.authResponse(l)
		return
	}
	verb, arg, hasArg := bytes.Cut(l, []byte(" "))
	switch {
	case len(l) > maxCommand && !bytes.EqualFold(verb, []byte("AUTH")):
		s.badCommand(errTooLong)
	case bytes.IndexByte(l, '\r') >= 0 || bytes.IndexByte(l, 0) >= 0:
		s.badCommand(errSyntax)
	default:
		s.command(string(bytes.ToUpper(verb)), arg, hasArg)
	}
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

// commands are what the server knows, with the states in which each is valid.
var commands = map[string]struct {
	when state
	run  func(s *session, arg string, hasArg bool)
}{
	"QUIT": {authorization | transaction, (*session).cmdQuit},
	"CAPA": {authorization | transaction, (*session).cmdCapa},
	"LANG": {authorization | transaction, (*session).cmdLang},

	"STLS": {authorization, (*session).cmdStls},
	"USER": {authorization, (*session).cmdUser},
	"PASS": {authorization, (*session).cmdPass},
	"APOP": {authorization, (*session).cmdApop},
	"AUTH": {authorization, (*session).cmdAuth},
	"UTF8": {authorization, (*session).cmdUTF8},

	"STAT": {transaction, (*session).cmdStat},
	"LIST": {transaction, (*session).cmdList},
	"UIDL": {transaction, (*session).cmdUidl},
	"RETR": {transaction, (*session).cmdRetr},
	"TOP":  {transaction, (*session).cmdTop},
	"DELE": {transaction, (*session).cmdDele},
	"NOOP": {transaction, (*session).cmdNoop},
	"RSET": {transaction, (*session).cmdRset},
}

// command runs a command that is valid in the current state.
func (s *session) command(verb string, arg []byte, hasArg bool) {
	if verb != "PASS" {
		arg = bytes.TrimRight(arg, " ")
		hasArg = len(arg) > 0
	}
	switch c, ok := commands[verb]; {
	case !ok:
		s.badCommand(errUnknown)
	case c.when&s.state == 0:
		s.badCommand(errNotNow)
	default:
		c.run(s, string(arg), hasArg)
	}
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

// cmdQuit ends the session; in the transaction state the update state follows
// (RFC 1939 s6).
func (s *session) cmdQuit(_ string, hasArg bool) {
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
