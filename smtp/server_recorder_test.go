package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// recorder is a handler that writes down what it is asked, and decides by local parts: "no" is refused, "later" is
// refused for now, "plain" gives a plain error, "bye" 421, "panic" panics. Senders decide about Begin and, by other names, about Data.
type recorder struct {
	mu    sync.Mutex
	calls []string
	fault string // an order of calls that must not be
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, fmt.Sprintf(format, args...))
}

func (r *recorder) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.calls, "\n")
}

func (r *recorder) wrong(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault == "" {
		r.fault = fmt.Sprintf(format, args...)
	}
}

func (r *recorder) Connect(_ context.Context, p *Peer) (Session, error) {
	return &recordSession{r: r}, nil
}

type recordSession struct {
	r    *recorder
	open *recordTransaction
}

var errPlain = errors.New("the database has a secret: hunter2")

func decide(local string) error {
	switch local {
	case "no":
		return &Error{Code: 550, Enhanced: EnhancedCode{5, 1, 1}, Text: "no such mailbox"}
	case "later":
		return &Error{Code: 450, Enhanced: EnhancedCode{4, 2, 1}, Text: "greylisted\ntry again"}
	case "plain":
		return errPlain
	case "bye":
		return &Error{Code: 421, Enhanced: EnhancedCode{4, 3, 2}, Text: "go away"}
	case "panic":
		panic("recorder")
	case "inject":
		return &Error{Code: 550, Text: "a\r\n250 OK\x00\tü"}
	case "away": // as of a client, behind a handler that is a proxy
		return &Error{Enhanced: EnhancedCode{4, 4, 1}, Command: "connect to 10.0.0.1:25", Err: errPlain}
	case "unable":
		return &Error{Enhanced: EnhancedCode{5, 6, 3}, Command: "MAIL", Err: ErrNo8BitMIME}
	case "moved":
		return &Error{Code: 551, Enhanced: EnhancedCode{5, 1, 6}, Text: "try <bäb@example.com>"}
	case "code":
		return &Error{Code: 250, Text: "fooled"}
	case "class":
		return &Error{Code: 550, Enhanced: EnhancedCode{4, 0, 0}, Text: "mixed"}
	}
	return nil
}

func (s *recordSession) Begin(_ context.Context, p *Peer, from ReversePath, params MailParams) (Transaction, error) {
	s.r.note("begin <%s>%s", from, params.text())
	if s.open != nil {
		s.r.wrong("Begin within a transaction")
	}
	if p.Hello == "" {
		s.r.wrong("Begin before EHLO")
	}
	if err := decide(from.Local); err != nil {
		return nil, err
	}
	s.open = &recordTransaction{s: s, from: from}
	return s.open, nil
}

func (p *MailParams) text() string {
	b, err := appendMailParams(nil, p)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

type recordTransaction struct {
	s     *recordSession
	from  ReversePath
	rcpts []ForwardPath
	ended bool
}

func (t *recordTransaction) Rcpt(_ context.Context, to ForwardPath, params RcptParams) error {
	b, _ := appendRcptParams(nil, &params)
	t.s.r.note("rcpt <%s>%s", to, b)
	if t.ended {
		t.s.r.wrong("Rcpt after the end")
	}
	if err := decide(to.Local); err != nil {
		return err
	}
	t.rcpts = append(t.rcpts, to)
	return nil
}

func (t *recordTransaction) end(how string) {
	if t.ended {
		t.s.r.wrong("%s after the end", how)
	}
	t.ended, t.s.open = true, nil
}

func (t *recordTransaction) Data(_ context.Context, message io.Reader) (Receipt, error) {
	t.end("Data")
	if len(t.rcpts) == 0 {
		t.s.r.wrong("Data without recipients")
	}
	switch t.from.Local {
	case "early":
		t.s.r.note("data refused unread")
		return Receipt{}, &Error{Code: 554, Enhanced: EnhancedCode{5, 7, 1}, Text: "not wanted"}
	case "lazy":
		t.s.r.note("data accepted unread")
		return Receipt{}, nil
	case "deaf":
		io.Copy(io.Discard, message) // and does not look at the error
		t.s.r.note("data heard")
		return Receipt{}, nil
	case "dataplain":
		return Receipt{}, errPlain
	case "datapanic":
		panic("recorder")
	}
	var b bytes.Buffer
	_, err := io.Copy(&b, message)
	if err != nil {
		t.s.r.note("data failed: %v", err) // what came before it depends on how the input was cut
		return Receipt{}, err
	}
	t.s.r.note("data %q", b.Bytes())
	receipt := Receipt{Text: "queued as 1"}
	if t.from.Local == "each" {
		for _, to := range t.rcpts {
			receipt.Each = append(receipt.Each, decide(strings.TrimPrefix(to.Local, "x")))
		}
	}
	return receipt, nil
}

func (t *recordTransaction) Abort() {
	t.s.r.note("abort")
	t.end("Abort")
}

// scriptConn gives Read the pieces one after the other, then io.EOF, and keeps what is written.
type scriptConn struct {
	pieces [][]byte
	out    bytes.Buffer
}

func (c *scriptConn) Read(p []byte) (int, error) {
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]
	return n, nil
}

func (c *scriptConn) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *scriptConn) Close() error                { return nil }
func (c *scriptConn) LocalAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25} }
func (c *scriptConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1025}
}
func (c *scriptConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }

// converse runs a whole session on the given input, and gives what the server sent and the handler was asked.
func converse(srv *Server, pieces ...string) (replies string, r *recorder, err error) {
	c := &scriptConn{}
	for _, p := range pieces {
		c.pieces = append(c.pieces, []byte(p))
	}
	r = &recorder{}
	srv.Handler = r
	srv.Hostname = "mx.example.org"
	err = srv.ServeConn(context.Background(), c)
	return c.out.String(), r, err
}
