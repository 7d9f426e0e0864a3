package smtp

import (
	"context"
	"strconv"
)

// data sends the message behind the reply 354. RFC 5321 s4.1.1.4
func (t *transfer) data(ctx context.Context) error {
	c := t.c
	c.sent = true
	for {
		block, err := t.src.next()
		if err != nil {
			// There is no way to end the message without having it delivered as it is: only the loss of the connection tells the server (RFC 5321 s4.1.1.4).
			return c.kill(unreadable(err))
		}
		out := t.form.append(t.src.buf.out[:0], block)
		if t.src.eof {
			out = t.form.end(out)
		}
		t.src.buf.out = out
		if err := c.write(ctx, c.timeouts.Block, "DATA", out); err != nil {
			return err
		}
		if t.src.eof {
			return t.final(ctx)
		}
	}
}

// chunksInFlight is how many BDAT commands may wait for their replies.
const chunksInFlight = 8

// chunkHead is room for the longest BDAT line before its chunk, so that both go out in one write.
const chunkHead = 24

// chunks sends the message with BDAT. RFC 3030 s2
func (t *transfer) chunks(ctx context.Context) error {
	c := t.c
	c.sent = true
	window := 1
	if c.pipelining() && !c.d.LMTP { // LMTP answers the last chunk once for each recipient, but not if an earlier one failed: wait and see
		window = chunksInFlight
	}
	var refusal, broken error
	for waiting := 0; ; {
		if refusal == nil && broken == nil && waiting < window {
			block, err := t.src.next()
			if err != nil {
				broken = unreadable(err) // between chunks the dialog goes on, with RSET
				continue
			}
			if err := t.chunk(ctx, block); err != nil {
				return err
			}
			if !t.src.eof {
				waiting++
				continue
			}
		}
		// The replies to chunks that are not the last.
		for ; waiting > 0 && (t.src.eof || refusal != nil || broken != nil || waiting >= window); waiting-- {
			r, err := c.reply(ctx, c.timeouts.Block, "BDAT")
			if err != nil && t.src.eof && refusal == nil {
				return inDoubt(err)
			} else if err != nil {
				return err
			}
			if err := c.expect(r, 2, "BDAT"); err != nil && refusal == nil {
				refusal = err
				t.settle(r, err)
			}
		}
		switch {
		case t.src.eof && refusal != nil: // the last chunk was under way already
			_, err := c.reply(ctx, c.timeouts.Final, "BDAT")
			if err == nil {
				err = refusal
			}
			return err
		case t.src.eof:
			return t.final(ctx)
		case refusal != nil:
			return refusal
		case broken != nil:
			return broken
		}
	}
}

// chunk writes one BDAT command with its octets.
func (t *transfer) chunk(ctx context.Context, block []byte) error {
	out := append(t.src.buf.out[:0], make([]byte, chunkHead)...)
	out = t.form.append(out, block)
	if t.src.eof {
		out = t.form.end(out)
	}
	t.src.buf.out = out
	var room [chunkHead]byte
	head := strconv.AppendInt(append(room[:0], "BDAT "...), int64(len(out)-chunkHead), 10)
	if t.src.eof {
		head = append(head, " LAST"...)
	}
	if tr := t.c.d.Trace; tr != nil && tr.Sent != nil {
		tr.Sent(string(head))
	}
	head = append(head, '\r', '\n')
	out = out[chunkHead-len(head):]
	copy(out, head)
	return t.c.write(ctx, t.c.timeouts.Block, "BDAT", out)
}

// final reads what the server says to the whole message: one reply, or with LMTP one for each recipient that it took (RFC 2033 s4.2).
func (t *transfer) final(ctx context.Context) error {
	c := t.c
	t.res.Size = t.form.size
	if tr := c.d.Trace; tr != nil && tr.Message != nil {
		tr.Message(t.form.size)
	}
	const command = "end of data"
	if !c.d.LMTP {
		r, err := c.reply(ctx, c.timeouts.Final, command)
		if err != nil {
			return inDoubt(err)
		}
		t.res.Final = r
		err = inDoubt(c.expect(r, 2, command))
		t.settle(r, err)
		c.dirty = t.bdat && err != nil // RFC 3030 s2: after a failure only RSET
		return err
	}
	var first error
	taken := false
	for _, i := range t.accepted {
		r, err := c.reply(ctx, c.timeouts.Final, command)
		if err != nil {
			return inDoubt(err)
		}
		t.res.Final = r
		err = c.expect(r, 2, command+" for <"+t.res.Recipients[i].Path.String()+">")
		t.refuse(i, r, err)
		taken = taken || err == nil
		if err != nil && first == nil {
			first = err
		}
	}
	c.dirty = t.bdat && !taken
	if taken {
		return nil
	}
	return first
}
