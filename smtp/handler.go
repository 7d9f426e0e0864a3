package smtp

import (
	"context"
	"errors"
	"io"
)

// A Handler decides what a [Server] does with connections. It must be safe for concurrent use.
//
// The order of calls is always Connect, then any number of Begin, and for each transaction that began any number of Rcpt
// followed by exactly one of Data and Abort. Calls for one connection never overlap.
type Handler interface {
	// Connect is called once for a connection, before the greeting. The context of all calls ends with the session, and by Close; use
	// context.AfterFunc to release what the session holds. That a client has left while the handler works is noticed when the server next reads or writes. XCLIENT
	// calls Connect anew, with another Peer, and ends the context of what it replaces. An error is sent instead of the greeting: an *Error as it is,
	// anything else as 421. One with a code of 5xx gets 503 for everything but QUIT then, for which the client has ten seconds; any other closes the connection. RFC 5321 s3.1
	Connect(ctx context.Context, p *Peer) (Session, error)
}

// A Session is one connection's side of a [Handler].
type Session interface {
	// Begin is called for MAIL. The Peer is current: what EHLO, STARTTLS and AUTH established is in it. RFC 5321 s3.3
	Begin(ctx context.Context, p *Peer, from ReversePath, params MailParams) (Transaction, error)
}

// A Transaction is one message on its way in.
type Transaction interface {
	// Rcpt is called for each RCPT. A nil error accepts the recipient.
	Rcpt(ctx context.Context, to ForwardPath, params RcptParams) error
	// Data reads the message: dot-stuffing is undone, lines end in CRLF as they came. It is only called when at least one
	// recipient was accepted. A handler takes responsibility for the message only after it has read io.EOF and returned
	// nil. Any other error of the reader means that the message is incomplete and must be dropped, and whatever Data
	// then returns, the server does not answer 250: an *Error is the reply to come (too large, bare LF and the like),
	// os.ErrDeadlineExceeded and io.ErrUnexpectedEOF are a client that was too slow or left, and [ErrMessageReset] one that gave the
	// message up. Returning before io.EOF makes the server read and drop the rest. The reader is an io.WriterTo, so io.Copy takes large
	// blocks without a buffer; it must not be used after Data has returned. The context ends with the connection.
	Data(ctx context.Context, message io.Reader) (Receipt, error)
	// Abort ends a transaction without a message: RSET, a new EHLO, STARTTLS, QUIT, or the loss of the connection.
	Abort()
}

// A Receipt is what a [Transaction] says about a message that it took.
type Receipt struct {
	// Text follows "250 2.0.0 " in the reply, for example "queued as 1A2B". Empty means "OK".
	Text string
	// Each holds one result for each accepted recipient, in the order of acceptance; nil means that all were
	// delivered. In LMTP each becomes a reply of its own (RFC 2033 s4.2). In SMTP, where there is one reply only, mixed
	// results are answered with 250 and the handler owes a delivery status notification for those that failed; if all failed, the first error is the reply.
	Each []error
}

// HandlerFunc is a [Handler] for servers that take any sender and recipient and look only at whole messages. A nil error
// accepts the message for all recipients.
type HandlerFunc func(ctx context.Context, p *Peer, e *Envelope, message io.Reader) error

// Connect implements [Handler].
func (f HandlerFunc) Connect(context.Context, *Peer) (Session, error) { return funcSession{f}, nil }

type funcSession struct{ f HandlerFunc }

func (s funcSession) Begin(_ context.Context, p *Peer, from ReversePath, params MailParams) (Transaction, error) {
	return &funcTransaction{f: s.f, peer: p, envelope: Envelope{From: from, Params: params}}, nil
}

type funcTransaction struct {
	f        HandlerFunc
	peer     *Peer
	envelope Envelope
}

func (t *funcTransaction) Rcpt(_ context.Context, to ForwardPath, params RcptParams) error {
	t.envelope.To = append(t.envelope.To, Recipient{Path: to, Params: params})
	return nil
}

func (t *funcTransaction) Data(ctx context.Context, message io.Reader) (Receipt, error) {
	return Receipt{}, t.f(ctx, t.peer, &t.envelope, message)
}

func (t *funcTransaction) Abort() {}

// ErrServerClosed is returned by Serve and ServeConn after Shutdown or Close.
var ErrServerClosed = errors.New("smtp: server closed")
