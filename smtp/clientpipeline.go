package smtp

import (
	"context"
	"errors"
	"fmt"
)

// maxInFlight is how many commands may wait for their replies. Their replies fit into the buffers between client and server, so that neither can wait for the
// other for ever (RFC 2920 s3.1), and the window moves on when it is half empty, so that thousands of recipients cost few round trips.
const maxInFlight = 100

// pipeline sends commands and hands their replies over, in order. Where the server does not offer PIPELINING it waits for each reply. Once got has returned
// false nothing more is sent, and the replies to what was sent are still handed over.
func (c *Conn) pipeline(ctx context.Context, steps []step, got func(s step, r Reply) (more bool)) error {
	window := 1
	if c.pipelining() {
		window = maxInFlight
	}
	sent := 0
	for i := 0; i < len(steps); i++ {
		if sent < len(steps) && sent-i <= window/2 {
			for ; sent < len(steps) && sent-i < window; sent++ {
				c.dirty = true
				c.queue(steps[sent].line, "")
			}
			if err := c.flush(ctx, steps[i].timeout, steps[i].name); err != nil {
				return err
			}
		}
		r, err := c.reply(ctx, steps[i].timeout, steps[i].name)
		if err != nil {
			return err
		}
		if !got(steps[i], r) {
			steps = steps[:sent]
		}
	}
	return nil
}

var (
	errNoRecipients = errors.New("the envelope has no recipients")
	errOver         = errors.New("smtp: the transaction is over")
)

func badAddress(err error) error {
	if err == nil {
		return ErrBadAddress
	}
	return fmt.Errorf("%w: %w", ErrBadAddress, err)
}
