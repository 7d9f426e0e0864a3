package smtp

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"time"
)

// ErrMessageReset is what the reader of [Transaction].Data gives when the client gave up the message between two chunks:
// RSET, EHLO, STARTTLS or QUIT. RFC 3030 s2
var ErrMessageReset = errors.New("smtp: the client gave up the message")

var errDataReturned = errors.New("smtp: the message was read after Data returned")

// message takes one message: it calls Data, makes sure that all of the message is taken out of the stream, and answers.
func (x *session) message(e event) error {
	m := &x.m
	if e == eventData {
		m.answer(nil)
		if len(m.in.pending()) == 0 { // the client can send while the handler prepares
			if err := x.flush(time.Now()); err != nil {
				return err
			}
		}
	}
	t := x.transaction
	x.transaction, x.inData = nil, true
	r := &messageReader{x: x}
	receipt, err := t.Data(x.ctx, r)
	defer x.shrink()
	info := MessageInfo{Recipients: m.accepted}
	r.drain(err != nil)
	r.closed, x.inData = true, false
	info.Size = m.content.size
	if r.lost != nil {
		info.Err = r.lost
		x.report(info)
		return r.lost
	}
	switch {
	case r.gaveUp:
		info.Err = ErrMessageReset
		m.reset()
	case m.content.fault != nil: // whatever Data returned
		info.Err = m.content.fault
		m.finish(m.content.fault, nil, "")
	case err != nil:
		info.Err = err
		m.finish(x.wireError(err), nil, "")
	default:
		info.Err = x.accept(receipt)
	}
	x.report(info)
	return nil
}

// accept answers a message that the handler took, at least for some.
func (x *session) accept(receipt Receipt) error {
	m := &x.m
	if receipt.Each == nil {
		m.finish(nil, nil, receipt.Text)
		return nil
	}
	each := make([]*Error, m.accepted)
	var first *Error
	failed := 0
	for i := range each {
		if i < len(receipt.Each) {
			each[i] = x.wireError(receipt.Each[i])
		} else {
			each[i] = x.wireError(fmt.Errorf("smtp: Receipt.Each has %d results for %d recipients", len(receipt.Each), m.accepted))
		}
		if each[i] != nil {
			if failed++; first == nil {
				first = each[i]
			}
		}
	}
	if m.mode != LMTP {
		if failed < len(each) {
			first = nil
		}
		m.finish(first, nil, receipt.Text)
	} else {
		m.finish(nil, each, receipt.Text)
	}
	if first != nil {
		return first
	}
	return nil
}

func (x *session) report(info MessageInfo) {
	if x.m.log.Enabled(x.ctx, slog.LevelInfo) {
		if info.Err == nil {
			x.log("message", "octets", info.Size, "recipients", info.Recipients)
		} else {
			x.log("message refused", "octets", info.Size, "recipients", info.Recipients, "error", info.Err)
		}
	}
	if t := x.m.trace.Message; t != nil {
		t(x.peer, info)
	}
}

// messageReader is the reader that Data gets. It drives the machine: through the content, and with BDAT through the
// commands between chunks as well.
type messageReader struct {
	x      *session
	block  []byte        // not yet read by the handler
	err    error         // sticky
	closed bool          // Data has returned
	gaveUp bool          // the client did not finish; the event that said so is x.pending
	lost   error         // the connection is of no use any more
	waited time.Duration // how long the client has let us wait, in all
}

// Read implements [io.Reader].
func (r *messageReader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, errDataReturned
	}
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.block) == 0 {
		if r.block = r.next(); len(r.block) == 0 {
			return 0, r.err
		}
	}
	n := copy(p, r.block)
	r.block = r.block[n:]
	return n, nil
}

// WriteTo implements [io.WriterTo], so that io.Copy needs no buffer of its own.
func (r *messageReader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if r.closed {
			return total, errDataReturned
		}
		if len(r.block) == 0 {
			if r.block = r.next(); len(r.block) == 0 {
				if r.err == io.EOF {
					return total, nil
				}
				return total, r.err
			}
		}
		n, err := w.Write(r.block)
		total += int64(n)
		r.block = r.block[n:]
		if err != nil {
			return total, err
		}
	}
}

// next gives a block that is not empty, or sets err.
func (r *messageReader) next() []byte {
	m := &r.x.m
	for r.err == nil {
		b, e := m.block()
		if fault := m.content.fault; fault != nil {
			r.err = fault
			return nil
		}
		switch e {
		case eventBlock:
			if len(b) > 0 {
				return b
			}
		case eventInput:
			r.fill()
		case eventChunkEnd:
			m.chunkOK()
			r.nextChunk()
		case eventEnd:
			r.err = io.EOF
		case eventClosed:
			r.lose(errTooLarge)
		}
	}
	return nil
}

var errTooSlow = fmt.Errorf("smtp: the chunks come too slowly: %w", os.ErrDeadlineExceeded)

var errTooLarge = errors.New("smtp: the client went on far beyond the limit of message size")

// nextChunk waits for the next BDAT. Commands that end the transaction are left for the session's loop.
func (r *messageReader) nextChunk() {
	x := r.x
	for {
		now := time.Now()
		e, err := x.next()
		r.waited += time.Since(now)
		switch {
		case err != nil:
			r.lose(err)
			return
		case e == eventChunk && r.patience() < 0: // chunks that are small and far between
			x.m.close(replyTimeout)
			r.lose(errTooSlow)
			return
		case e == eventChunk:
			return
		case e == eventVerify || e == eventExpand:
			if err := x.handle(e); err != nil {
				r.lose(err)
				return
			}
			continue
		}
		x.pending, r.gaveUp, r.err = e, true, ErrMessageReset
		return
	}
}

// drain takes the rest of the message out of the stream; of one that is refused no more than the chunk that is underway.
func (r *messageReader) drain(refused bool) {
	m := &r.x.m
	for r.block = nil; !refused && r.err == nil; {
		r.next()
	}
	if r.err == io.EOF || r.gaveUp {
		return
	}
	for r.lost == nil {
		switch _, e := m.block(); e {
		case eventInput:
			r.fill()
		case eventChunkEnd, eventEnd:
			return
		case eventClosed:
			r.lose(errTooLarge)
		}
	}
}

// patience is how long in all the client may still let the server wait.
func (r *messageReader) patience() time.Duration {
	l := &r.x.m.limits
	if l.DataTimeout < 0 || l.MinRate <= 0 {
		return math.MaxInt64
	}
	return l.DataTimeout + time.Duration(r.x.m.content.size/l.MinRate)*time.Second - r.waited
}

// fill reads more of the content. The client may not be silent for longer than DataTimeout, nor make the server wait for longer in all than its rate
// allows.
func (r *messageReader) fill() {
	x := r.x
	now := time.Now()
	if err := x.flush(now); err != nil {
		r.lose(err)
		return
	}
	var deadline time.Time
	if l := &x.m.limits; l.DataTimeout >= 0 {
		deadline = now.Add(min(l.DataTimeout, r.patience()))
	}
	space := x.m.in.space()
	if len(space) == 0 {
		x.enlarge()
		space = x.m.in.space()
	}
	if err := x.read(space, now, deadline); err != nil {
		r.lose(err)
		return
	}
	r.waited += time.Since(now)
	if len(x.m.in.space()) == 0 && x.large == nil { // the client is faster than the small buffer
		x.enlarge()
	}
}

// lose ends the message and the session. A handler must not take the end of the connection for that of the message.
func (r *messageReader) lose(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	r.lost, r.err = err, err
	r.x.m.state = stateClosed
}
