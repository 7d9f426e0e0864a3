package smtp

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
	"time"

	"github.com/gomailroom/mailroom/internal/conns"
	"github.com/gomailroom/mailroom/internal/sasl"
	"github.com/gomailroom/mailroom/internal/smtphook"
)

// session drives a machine over a connection and asks the handler.
type session struct {
	srv    *Server
	m      machine
	raw    net.Conn           // as accepted: its deadlines are those of conn
	conn   net.Conn           // raw, or TLS on it
	link   *conns.Conn        // raw among the server's connections
	base   context.Context    // of the connection
	ctx    context.Context    // for the handler: base, or one that ends when XCLIENT names another client
	forget context.CancelFunc // ends ctx, when that is not base

	readBy, writeBy time.Time // the deadlines of raw, as far as they are known; zero: none

	peer        *Peer // replaced, never changed
	proxyTLS    bool  // peer.TLS is what a proxy told
	helloGiven  string
	handler     Session
	transaction Transaction
	sasl        sasl.Server
	authPeer    *Peer // the peer that it will be when the exchange succeeds
	pending     event // came up while Data was reading; eventInput: none
	inData      bool

	held     *buffers
	large    *[largeBuffer]byte
	small    [64]byte // what an idle connection reads into
	line     int      // the machine's line count at lineFrom
	lineFrom time.Time
}

// ServeConn serves one connection and closes it. It is for connections that did not come from a listener. The session ends with ctx.
// It returns nil when the client said QUIT or left outside of a transaction, ErrServerClosed after Shutdown or Close, and else why the session ended: an
// *Error is the reply with which the server ended it.
//
// The functions from here down to the read that an idle connection waits in have small frames: with them its stack stays at 4 KiB.
func (s *Server) ServeConn(ctx context.Context, c net.Conn) (err error) {
	x, err := s.open(ctx, c)
	if err != nil {
		return err
	}
	defer x.end(&err)
	return x.serve()
}

// open makes a session of a connection. If there is an error the connection is closed.
func (s *Server) open(ctx context.Context, c net.Conn) (*session, error) {
	settings, err := s.prepare()
	if err != nil {
		c.Close()
		return nil, err
	}
	link, err := s.group.Open(ctx, c)
	if err != nil {
		return nil, refuse(c, err)
	}
	x := &session{srv: s, raw: c, conn: c, link: link, base: link.Context, ctx: link.Context, m: machine{settings: settings}}
	x.peer = &Peer{ID: rand.Text()[:13], Remote: link.Remote, Local: link.Local}
	if h := link.Proxy; h != nil && h.TLS != nil {
		x.peer.TLS, x.proxyTLS, x.m.secure = h.TLS, true, true
	}
	x.acquire()
	x.log("connected", "local", x.peer.Local, "proxied", link.Proxy != nil)
	return x, nil
}

// refuse tells a client why it is not let in, and gives the error for it.
func refuse(c net.Conn, err error) error {
	reply := replyShutdown
	switch err {
	case ErrServerClosed:
	case conns.ErrTooMany:
		reply, err = replyTooManyConns, replyTooManyConns
	case conns.ErrTooManyFrom:
		reply, err = replyTooManyFrom, replyTooManyFrom
	default: // before anything is known of the peer there is nobody to speak to
		c.Close()
		return err
	}
	conns.Refuse(c, string(appendReply(nil, reply.Code, reply.Enhanced, reply.Text, false)))
	return err
}

// end is deferred by ServeConn. A handler that panics costs its own connection only.
func (x *session) end(err *error) {
	defer x.link.End()
	defer x.release()
	if r := recover(); r != nil {
		x.logAt(slog.LevelError, "handler panicked", "panic", r, "stack", string(debug.Stack()))
		*err = fmt.Errorf("smtp: handler panicked: %v", r)
		x.m.close(replyInternalClose)
	}
	x.abortQuietly() // there is no transaction any more if it was Data that panicked
	if f := x.flush(time.Now()); *err == nil {
		*err = f
	}
	x.bye()
	if why := x.m.cut; *err == nil && why == replyShutdown {
		*err = ErrServerClosed
	} else if *err == nil && why != nil {
		*err = why
	}
	*err = x.link.Err(*err)
	if *err == nil {
		x.log("disconnected")
	} else {
		x.log("disconnected", "error", *err)
	}
	if t := x.m.trace.Disconnected; t != nil {
		t(x.peer, *err)
	}
}

// serve runs the session up to its last reply, which is left in the machine's out.
func (x *session) serve() error {
	if err := x.greet(); err != nil {
		return err
	}
	for {
		e, err := x.next()
		if err == nil && e != eventClosed {
			err = x.handle(e)
		}
		if err != nil || e == eventClosed {
			return err
		}
	}
}

// greet does all up to the greeting, or the reply that stands in its place.
func (x *session) greet() error {
	m := &x.m
	if t := m.trace.Command; t != nil {
		m.onCommand = func(line string) { t(x.peer, line) }
	}
	if hook := smtphook.From(x.base); hook != nil {
		m.intercept = func(verb string) *Error { return x.scripted(hook, verb) }
	}
	x.trust()
	if c, ok := x.conn.(*tls.Conn); ok {
		if err := x.handshake(c); err != nil {
			return err
		}
	} else {
		x.findMechanisms()
	}
	if err := x.listen(); err != nil || m.state == stateClosed {
		return err
	}
	if t := m.trace.Connected; t != nil {
		t(x.peer)
	}
	x.welcome()
	return nil
}

// scripted is what a hook wants said in the server's place.
func (x *session) scripted(hook smtphook.Command, verb string) *Error {
	x.flush(time.Now()) // the hook may wait; an error shows again when more input is needed
	err := hook(verb)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	x.m.state = stateClosed
	x.raw.Close()
	return nil
}

// welcome asks the handler, and greets.
func (x *session) welcome() {
	var err error
	if x.handler, err = x.connect(); err != nil {
		x.m.reject(x.connectError(err))
		return
	}
	x.m.say(220, EnhancedCode{}, x.m.hostname+" "+greetings[x.m.mode])
}

var greetings = [...]string{Transfer: "ESMTP", Submission: "ESMTP", LMTP: "LMTP"}

// next gives the machine's next event, reading as it must. The error means that the connection is of no further use; what can still be said of it is in out.
func (x *session) next() (event, error) {
	if e := x.pending; e != eventInput {
		x.pending = eventInput
		return e, nil
	}
	for {
		if x.srv.group.Stopping() && !x.busy() {
			x.m.close(replyShutdown)
			return eventClosed, nil
		}
		if e := x.m.next(); e != eventInput {
			return e, nil
		}
		if err := x.fillCommand(); err == io.EOF && !x.busy() {
			return eventClosed, nil
		} else if err == io.EOF {
			return eventClosed, io.ErrUnexpectedEOF
		} else if err != nil {
			return eventClosed, err
		}
	}
}

// busy tells whether the client has a transaction, which Shutdown lets it finish.
func (x *session) busy() bool { return x.transaction != nil || x.inData }

// handle does what an event asks for. Errors are those of the connection.
func (x *session) handle(e event) error {
	m := &x.m
	switch e {
	case eventHello:
		x.hello()
	case eventMail:
		defer x.flushIfSlow(x.decisionStart())
		t, err := x.handler.Begin(x.ctx, x.peer, m.from, m.mail)
		if err == nil && t == nil {
			err = errors.New("smtp: Session.Begin returned no transaction")
		}
		if err == nil {
			x.transaction = t
		}
		m.answer(x.wireError(err))
	case eventRcpt:
		defer x.flushIfSlow(x.decisionStart())
		m.answer(x.wireError(x.transaction.Rcpt(x.ctx, m.to, m.rcpt)))
	case eventData, eventChunk:
		return x.message(e)
	case eventReset:
		x.abort()
		m.answer(nil)
	case eventTLS:
		x.abort()
		return x.startTLS()
	case eventAuth:
		x.auth()
	case eventResponse:
		x.authStep(m.response)
	case eventXClient:
		x.xclient()
	case eventVerify:
		x.verify(x.srv.Verify)
	case eventExpand:
		x.verify(x.srv.Expand)
	}
	if len(m.out) > flushAt {
		return x.flush(time.Now())
	}
	return nil
}

func (x *session) hello() {
	x.abort()
	p := *x.peer
	if p.Hello, p.Extended = x.m.text, x.m.extended; x.helloGiven != "" {
		p.Hello = x.helloGiven
	}
	x.peer = &p
	x.m.answer(nil)
}

// decisionStart is the time, if there is more input already: else the reply goes out as soon as it is there.
func (x *session) decisionStart() time.Time {
	if len(x.m.in.pending()) == 0 {
		return time.Time{}
	}
	return time.Now()
}

// flushIfSlow sends the replies so far after a slow decision: the client may have a long row of recipients to be decided on, and it waits for the
// first reply no longer than for the last.
func (x *session) flushIfSlow(start time.Time) {
	if start.IsZero() {
		return
	}
	if now := time.Now(); now.Sub(start) > slowDecision {
		x.flush(now) // an error shows again when more input is needed
	}
}

func (x *session) verify(f func(context.Context, *Peer, string) ([]Mailbox, error)) {
	list, err := f(x.ctx, x.peer, x.m.text)
	if err != nil {
		x.m.answer(x.wireError(err))
		return
	}
	x.m.sayMailboxes(list)
}

// abort ends the transaction without a message.
func (x *session) abort() {
	if t := x.transaction; t != nil {
		x.transaction = nil
		t.Abort()
	}
}

// abortQuietly is abort at the end of the session, when a panic is of no more consequence than a log entry.
func (x *session) abortQuietly() {
	defer func() {
		if r := recover(); r != nil {
			x.logAt(slog.LevelError, "handler panicked", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	x.abort()
}

func (x *session) connect() (Session, error) {
	h, err := x.srv.Handler.Connect(x.ctx, x.peer)
	if err == nil && h == nil {
		err = errors.New("smtp: Handler.Connect returned no session")
	}
	return h, err
}

// wireError makes a handler's error fit to be sent. Anything but an *Error is the server's own affair: it is logged, and the peer gets 451 with a
// fixed text.
func (x *session) wireError(err error) *Error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e == nil || e.Code != 0 && (e.Code < 400 || e.Code > 599) {
		x.logAt(slog.LevelError, "handler failed", "error", err)
		return replyInternal
	}
	code := e.Code
	if code == 0 { // of a client of this package, behind which the handler stands
		x.logAt(slog.LevelWarn, "handler failed", "error", err)
		if code = 554; e.Temporary() {
			code = 451
		}
	}
	class := code / 100
	if e.Code != 0 && e.Enhanced[0] == class && e.Enhanced[1] >= 0 && e.Enhanced[2] >= 0 && e.Text != "" {
		return e
	}
	fit := &Error{Code: code, Enhanced: e.Enhanced, Text: e.Text}
	if fit.Enhanced[0] != class || fit.Enhanced[1] < 0 || fit.Enhanced[2] < 0 { // RFC 2034 s4
		fit.Enhanced = EnhancedCode{class, 0, 0}
	}
	if fit.Text == "" {
		if fit.Text = "refused"; class == 4 {
			fit.Text = "not possible at the moment"
		}
	}
	return fit
}

// connectError is the reply that stands in place of the greeting: 421, 554 and the like. RFC 5321 s3.1
func (x *session) connectError(err error) *Error {
	if e := x.wireError(err); e != replyInternal {
		return e
	}
	return replyInternalClose
}

// log writes an event of the session at level Info.
func (x *session) log(event string, attrs ...any) { x.logAt(slog.LevelInfo, event, attrs...) }

// logAt writes an event. Every line has the connection's id and the client's address, and the user once there is one.
func (x *session) logAt(level slog.Level, event string, attrs ...any) {
	if !x.m.log.Enabled(x.base, level) {
		return
	}
	about := []any{"id", x.peer.ID, "remote", x.peer.Remote}
	if x.peer.Identity != "" {
		about = append(about, "user", x.peer.Identity)
	}
	x.m.log.Log(x.base, level, event, append(about, attrs...)...)
}

const slowDecision = time.Second

func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
