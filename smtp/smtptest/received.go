package smtptest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/smtp"
)

// A Received is a message that the server took. It does not change any more.
type Received struct {
	Envelope smtp.Envelope // the recipients that were accepted
	Data     []byte        // with CRLF, dot-stuffing undone
	Peer     smtp.Peer     // who sent it
	At       time.Time
}

// Message parses the message.
func (r *Received) Message() *mime.Message { return mime.ParseBytes(r.Data) }

// To tells whether an address is among the recipients, whatever its case.
func (r *Received) To(addr string) bool {
	return slices.ContainsFunc(r.Envelope.To, func(to smtp.Recipient) bool { return strings.EqualFold(to.Path.String(), addr) })
}

// String gives envelope and message, for a failing test to show.
func (r *Received) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "from <%s>", r.Envelope.From)
	for _, to := range r.Envelope.To {
		fmt.Fprintf(&b, " to <%s>", to.Path)
	}
	return b.String() + "\n" + string(r.Data)
}

// Messages gives what was received so far, in the order of arrival.
func (s *Server) Messages() []*Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Reset forgets what was received.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = nil
}

// Wait waits until n messages were received, and gives all that were. When the context ends before, or after ten seconds if it has no deadline, the error
// tells which there are.
func (s *Server) Wait(ctx context.Context, n int) ([]*Received, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for {
		messages, changed := s.look()
		if len(messages) >= n {
			return messages, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return messages, fmt.Errorf("smtptest: %d of %d messages were received%s: %w", len(messages), n, list(messages), context.Cause(ctx))
		}
	}
}

// WaitFor waits for a message that matches, and gives the first; it may have been received before. It waits as long as Wait does.
func (s *Server) WaitFor(ctx context.Context, match func(*Received) bool) (*Received, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for {
		messages, changed := s.look()
		if i := slices.IndexFunc(messages, match); i >= 0 {
			return messages[i], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("smtptest: none of %d messages is the one that was waited for%s: %w", len(messages), list(messages), context.Cause(ctx))
		}
	}
}

// bounded gives a context a deadline where it has none, as that of a test: a message that does not come fails the test, and not all of them by the time they have
// together.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, patience, errPatience)
}

const patience = 10 * time.Second

var errPatience = fmt.Errorf("after %v: %w", patience, context.DeadlineExceeded)

// list names messages, for an error.
func list(messages []*Received) string {
	const most = 5
	var b strings.Builder
	for i, m := range messages {
		if i == most {
			b.WriteString(", ...")
			break
		}
		b.WriteString([]string{" (", ", "}[min(i, 1)])
		fmt.Fprintf(&b, "%q to", m.Message().Header().Text("Subject"))
		for _, to := range m.Envelope.To {
			fmt.Fprintf(&b, " <%s>", to.Path)
		}
	}
	if b.Len() > 0 {
		b.WriteByte(')')
	}
	return b.String()
}

func (s *Server) look() ([]*Received, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages), s.changed
}

func (s *Server) keep(r *Received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, r)
	close(s.changed)
	s.changed = make(chan struct{})
}

// recorder is the handler: the script first, then the user's handler, then the shelf.
type recorder struct {
	s    *Server
	next smtp.Handler
}

// Connect implements [smtp.Handler].
func (h *recorder) Connect(ctx context.Context, p *smtp.Peer) (smtp.Session, error) {
	if err := h.s.play(ctx, OnConnect); err != nil {
		return nil, err
	}
	session := &recorderSession{s: h.s}
	if h.next != nil {
		var err error
		if session.next, err = h.next.Connect(ctx, p); err != nil {
			return nil, err
		}
	}
	return session, nil
}

type recorderSession struct {
	s    *Server
	next smtp.Session
}

// Begin implements [smtp.Session].
func (h *recorderSession) Begin(ctx context.Context, p *smtp.Peer, from smtp.ReversePath, params smtp.MailParams) (smtp.Transaction, error) {
	if err := h.s.play(ctx, OnMail, from.String()); err != nil {
		return nil, err
	}
	t := &recording{s: h.s, got: &Received{Peer: *p, Envelope: smtp.Envelope{From: from, Params: params}}}
	if h.next != nil {
		var err error
		if t.next, err = h.next.Begin(ctx, p, from, params); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// A recording is a transaction.
type recording struct {
	s    *Server
	got  *Received
	next smtp.Transaction
}

// Rcpt implements [smtp.Transaction].
func (t *recording) Rcpt(ctx context.Context, to smtp.ForwardPath, params smtp.RcptParams) error {
	if err := t.s.play(ctx, OnRcpt, to.String()); err != nil {
		return err
	}
	if t.next != nil {
		if err := t.next.Rcpt(ctx, to, params); err != nil {
			return err
		}
	}
	t.got.Envelope.To = append(t.got.Envelope.To, smtp.Recipient{Path: to, Params: params})
	return nil
}

// Data implements [smtp.Transaction].
func (t *recording) Data(ctx context.Context, message io.Reader) (smtp.Receipt, error) {
	data, err := t.read(ctx, message)
	if err != nil {
		t.abortNext()
		return smtp.Receipt{}, err
	}
	var receipt smtp.Receipt
	each := make([]error, len(t.got.Envelope.To))
	all := true
	for i, to := range t.got.Envelope.To {
		each[i] = t.s.play(ctx, OnMessage, to.Path.String())
		all = all && each[i] != nil
	}
	if all || t.s.Config.Mode != smtp.LMTP { // one reply for everybody: the first refusal
		for _, err := range each {
			if err != nil {
				t.abortNext()
				return smtp.Receipt{}, err
			}
		}
	}
	if t.next != nil {
		if receipt, err = t.next.Data(ctx, bytes.NewReader(data)); err != nil {
			return receipt, err
		}
		for i, err := range receipt.Each {
			if i < len(each) && each[i] == nil {
				each[i] = err
			}
		}
	}
	taken := t.got.Envelope.To[:0:0]
	for i, to := range t.got.Envelope.To {
		if each[i] == nil {
			taken = append(taken, to)
		}
	}
	receipt.Each = each
	if len(taken) > 0 {
		t.got.Envelope.To, t.got.Data, t.got.At = taken, data, time.Now()
		t.s.keep(t.got)
	}
	return receipt, nil
}

// read reads the message, as the rules for it say.
func (t *recording) read(ctx context.Context, message io.Reader) ([]byte, error) {
	rules := t.s.holding(OnData, t.got.Envelope.From.String())
	slices.SortStableFunc(rules, func(a, b Rule) int { return cmp.Compare(a.Octets, b.Octets) })
	var data bytes.Buffer
	for _, r := range rules {
		if _, err := io.CopyN(&data, message, r.Octets-int64(data.Len())); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		if err := r.play(ctx); err != nil {
			return nil, err
		}
	}
	_, err := data.ReadFrom(message)
	return data.Bytes(), err
}

// Abort implements [smtp.Transaction].
func (t *recording) Abort() { t.abortNext() }

func (t *recording) abortNext() {
	if t.next != nil {
		t.next.Abort()
	}
}
