package smtp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
)

// SendMail sends a message over a connection of its own. It is the easy way for a program that sends now and then; a program that sends much
// keeps a [Conn] or a [Pool]. dialer may be nil, which is the zero Dialer.
//
// The error is nil only when the server took the message for every recipient. The Result tells for whom it was taken, and is never nil.
func SendMail(ctx context.Context, dialer *Dialer, addr string, e *Envelope, content Content) (*Result, error) {
	if dialer == nil {
		dialer = &Dialer{}
	}
	c, err := dialer.Dial(ctx, addr)
	if err != nil {
		return failed(e, err), err
	}
	defer c.Close()
	r, err := c.Send(ctx, e, content)
	_ = c.Quit(ctx) // what becomes of it changes nothing
	if err == nil {
		err = r.Err()
	}
	return r, err
}

// NewEnvelope makes an envelope from addresses: "bob@example.org", with or without angle brackets. An empty from is the null
// reverse-path.
func NewEnvelope(from string, to ...string) (*Envelope, error) {
	sender, err := ParseReversePath(from)
	if err != nil {
		return nil, fmt.Errorf("sender %q: %w", from, err)
	}
	e := &Envelope{From: sender}
	for _, t := range to {
		path, err := ParseForwardPath(t)
		if err != nil {
			return nil, fmt.Errorf("recipient %q: %w", t, err)
		}
		e.To = append(e.To, Recipient{Path: path})
	}
	return e, nil
}

// failed is the result of a message that came to no server.
func failed(e *Envelope, err error) *Result {
	r := &Result{Recipients: make([]RecipientResult, len(e.To))}
	for i, to := range e.To {
		r.Recipients[i] = RecipientResult{Path: to.Path, Err: err}
	}
	return r
}

// BytesContent is a message in memory, as [Content].
type BytesContent []byte

// Open implements [Content].
func (b BytesContent) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// Size implements [Content].
func (b BytesContent) Size() int64 { return int64(len(b)) }

// StringContent is a message in memory, as [Content]. Lines may end in "\n" alone: what is sent ends in CRLF.
type StringContent string

// Open implements [Content].
func (s StringContent) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(s))), nil
}

// Size implements [Content].
func (s StringContent) Size() int64 { return int64(len(s)) }
