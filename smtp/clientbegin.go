package smtp

import (
	"context"
	"io"
)

// Begin starts a transaction with MAIL and gives the same interface that a server's handler has, so that a proxy hands each call on. The transaction holds the connection until Data or Abort.
//
// What the message holds is not known here: the parameters must announce it, and the server must offer what they announce. Parameters that [Conn.Send] leaves out
// are left out here too. The errors that the
// methods give for replies are an [*Error] without a cause, as the server said it; a proxy may return them as they are.
func (c *Conn) Begin(ctx context.Context, from ReversePath, params MailParams) (Transaction, error) {
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	t := &clientTransaction{c: c}
	if err := t.begin(ctx, from, params); err != nil {
		c.unlock()
		return nil, err
	}
	return t, nil
}

type clientTransaction struct {
	c        *Conn
	binary   bool
	accepted []RecipientResult
	over     bool
}

func (t *clientTransaction) begin(ctx context.Context, from ReversePath, params MailParams) error {
	c := t.c
	defer c.watch(ctx)()
	if _, err := c.offered(from, &params); err != nil {
		return err
	}
	if err := c.fits(&params); err != nil {
		return err
	}
	if !from.IsASCII() && c.has("SMTPUTF8") {
		params.UTF8 = true
	}
	if !c.has("8BITMIME") {
		params.Body = "" // 7BIT: it fits
	}
	t.binary = params.Body == BodyBinaryMIME
	line, name, err := c.mailLine(from, &params)
	if err != nil {
		return err
	}
	if c.dirty {
		if _, err := c.command(ctx, c.timeouts.Command, "RSET", ""); err != nil {
			return err
		}
	}
	c.dirty = true
	r, err := c.commandNamed(ctx, c.timeouts.Command, line, "", name)
	if err != nil {
		return err
	}
	return c.expect(r, 2, name)
}

// Rcpt implements [Transaction].
func (t *clientTransaction) Rcpt(ctx context.Context, to ForwardPath, params RcptParams) error {
	c := t.c
	if t.over {
		return errOver
	}
	defer c.watch(ctx)()
	c.offeredRcpt(&params, nil)
	line, name, err := c.rcptLine(to, &params)
	if err != nil {
		return err
	}
	r, err := c.commandNamed(ctx, c.timeouts.Command, line, "", name)
	if err != nil {
		return err
	}
	if err := c.expect(r, 2, name); err != nil {
		return err
	}
	t.accepted = append(t.accepted, RecipientResult{Path: to, Reply: r})
	return nil
}

// Data implements [Transaction]. When the message cannot be read to its end the server does not get it.
func (t *clientTransaction) Data(ctx context.Context, message io.Reader) (Receipt, error) {
	c := t.c
	if t.over {
		return Receipt{}, errOver
	}
	defer t.end()
	defer c.watch(ctx)()
	if len(t.accepted) == 0 {
		return Receipt{}, local(EnhancedCode{5, 5, 1}, "DATA", errNoRecipients)
	}
	src, err := readSource(io.NopCloser(message))
	if err != nil {
		return Receipt{}, unreadable(err)
	}
	defer src.close()
	res := Result{Recipients: t.accepted}
	x := transfer{c: c, res: &res, src: src, bdat: c.has("CHUNKING")}
	x.form = wireForm{binary: t.binary, dots: !x.bdat}
	for i := range t.accepted {
		x.accepted = append(x.accepted, i)
	}
	if x.bdat {
		err = x.chunks(ctx)
	} else {
		var r Reply
		if r, err = c.command(ctx, c.timeouts.Data, "DATA", ""); err == nil {
			if err = x.refusedData(r); err == nil {
				err = x.data(ctx)
			}
		}
	}
	if err != nil && !c.d.LMTP {
		return Receipt{}, err
	}
	receipt := Receipt{Text: res.Final.Text}
	if c.d.LMTP {
		if err != nil {
			res.fail(err)
		}
		receipt.Each = make([]error, len(res.Recipients))
		for i, r := range res.Recipients {
			receipt.Each[i] = r.Err
		}
	}
	return receipt, nil
}

// Abort implements [Transaction]. RSET is sent with the next transaction.
func (t *clientTransaction) Abort() { t.end() }

func (t *clientTransaction) end() {
	if !t.over {
		t.over = true
		t.c.unlock()
	}
}
