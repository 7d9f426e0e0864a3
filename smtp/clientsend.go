package smtp

import (
	"context"
	"slices"
	"time"
)

// Send sends a message to the recipients of an envelope. The Result is never nil and tells for each recipient what became of it: one that is
// refused does not keep the others from their mail.
//
// One transaction does it where the server lets it. Recipients beyond the server's limits (RCPTMAX and RCPTDOMAINMAX of RFC 9422), and those that it refuses as too
// many at once while it takes others (452 4.5.3, RFC 5321 s4.5.3.1.10), follow in further transactions over the same connection.
//
// The error is nil when the dialog ran to its end and the server took the message for at least one recipient. Otherwise it is an [*Error]: the reply that
// refused the message, or, without Code and with a cause in Err, why it could not be sent or how the connection failed. Its Temporary method tells whether to try again.
// One that is [ErrMaybeDelivered] came when the server had all of the message: another attempt may deliver it twice.
//
// A parameter of the envelope that the server does not offer is left out where nothing depends on it (RET, ENVID, NOTIFY, ORCPT,
// MT-PRIORITY, BY with notification, RRVS, AUTH), which [Result] tells. REQUIRETLS, HOLDFOR, HOLDUNTIL and BY with return are errors then, but for REQUIRETLS of a message from the null
// reverse-path (RFC 8689 s5).
func (c *Conn) Send(ctx context.Context, e *Envelope, content Content) (*Result, error) {
	res := failed(e, nil)
	res.TLS = c.tls
	release, err := c.acquire(ctx)
	if err == nil {
		defer release()
		err = c.send(ctx, e, content, res)
	}
	if err != nil {
		res.fail(err)
	}
	return res, err
}

// fail gives the error to all recipients whose fate is not known.
func (r *Result) fail(err error) {
	for i := range r.Recipients {
		if rcpt := &r.Recipients[i]; !rcpt.done {
			rcpt.Reply, rcpt.Err, rcpt.done = Reply{}, err, true
		}
	}
}

// send runs transactions until each recipient has its answer.
func (c *Conn) send(ctx context.Context, e *Envelope, content Content, res *Result) error {
	var first error
	for taken := false; ; {
		more, err := c.transaction(ctx, e, content, res)
		taken = taken || err == nil
		if first == nil {
			first = err
		}
		switch {
		case c.dead != nil && err != nil:
			return err
		case more && slices.ContainsFunc(res.Recipients, func(r RecipientResult) bool { return !r.done }):
			continue
		case !taken:
			return first
		}
		res.fail(err) // those whose turn did not come
		return nil
	}
}

// transaction sends the message to the recipients that have no answer yet, or as many of them as the server takes at once. more tells whether others may
// fare better in a transaction of their own.
func (c *Conn) transaction(ctx context.Context, e *Envelope, content Content, res *Result) (more bool, err error) {
	src, params, err := c.prepare(e, content, res)
	if err != nil {
		return false, err
	}
	defer src.close()
	t := transfer{c: c, res: res, src: src}
	t.form.binary = params.Body == BodyBinaryMIME
	t.bdat = c.has("CHUNKING")
	t.form.dots = !t.bdat
	if err := t.commands(e, params); err != nil {
		return false, err
	}
	if err := t.envelope(ctx); err != nil {
		return t.nobody, err
	}
	if t.bdat {
		err = t.chunks(ctx)
	} else {
		err = t.data(ctx)
	}
	return err == nil, err
}

// A transfer is one message on its way out.
type transfer struct {
	c    *Conn
	res  *Result
	src  *source
	form wireForm
	bdat bool

	steps    []step
	accepted []int // the recipients that the server took, as indices
	nobody   bool  // each recipient was refused
}

// A step is a command of the envelope.
type step struct {
	line    string
	name    string // the line without parameters, for errors
	rcpt    int    // the recipient's index, or one of the following
	timeout time.Duration
}

const (
	stepReset = -1 - iota
	stepMail
	stepData
)

// commands writes down the commands of the envelope. A recipient who cannot be written, or whom this server cannot take, fails here.
func (t *transfer) commands(e *Envelope, params MailParams) error {
	c := t.c
	t.steps = make([]step, 0, len(e.To)+3)
	if c.dirty {
		t.steps = append(t.steps, step{"RSET", "RSET", stepReset, c.timeouts.Command})
	}
	mail, name, err := c.mailLine(e.From, &params)
	if err != nil {
		return err
	}
	t.steps = append(t.steps, step{mail, name, stepMail, c.timeouts.Command})
	var first error
	if limit := c.caps.Limit("MAILMAX"); limit > 0 && c.mails >= limit { // RFC 9422 s4.1
		return local(EnhancedCode{4, 5, 3}, name, ErrTooManyMails)
	}
	n, most := 0, rcptLimit{recipients: c.caps.Limit("RCPTMAX"), domains: c.caps.Limit("RCPTDOMAINMAX")}
	if c.learned > 0 && (most.recipients == 0 || c.learned < most.recipients) {
		most.recipients = c.learned
	}
	for i, to := range e.To {
		if t.res.Recipients[i].done {
			continue
		}
		t.res.Dropped = c.offeredRcpt(&to.Params, t.res.Dropped)
		line, name, err := c.rcptLine(to.Path, &to.Params)
		switch {
		case err != nil:
			t.refuse(i, Reply{}, err)
			if first == nil {
				first = err
			}
		case most.allows(to.Path.Domain):
			n++
			t.steps = append(t.steps, step{line, name, i, c.timeouts.Command})
		}
	}
	if n == 0 {
		if first == nil {
			first = local(EnhancedCode{5, 5, 1}, "", errNoRecipients)
		}
		return first
	}
	if !t.bdat {
		t.steps = append(t.steps, step{"DATA", "DATA", stepData, c.timeouts.Data})
	}
	return nil
}

// mailLine writes MAIL. name is the command without its parameters.
func (c *Conn) mailLine(from ReversePath, p *MailParams) (line, name string, err error) {
	name = "MAIL FROM:<" + from.String() + ">"
	if err := from.Validate(); err != nil {
		return "", name, local(EnhancedCode{5, 1, 7}, name, badAddress(err))
	}
	mailbox, ok := c.writable(from.Mailbox)
	if !ok {
		return "", name, local(EnhancedCode{5, 6, 7}, name, ErrNoSMTPUTF8)
	}
	if mailbox != from.Mailbox {
		name = "MAIL FROM:<" + mailbox.String() + ">"
	}
	b, err := appendMailParams(append(make([]byte, 0, len(name)+64), name...), p)
	if err != nil {
		return "", name, local(EnhancedCode{5, 5, 4}, name, err)
	}
	return string(b), name, nil
}

// rcptLine writes RCPT.
func (c *Conn) rcptLine(to ForwardPath, p *RcptParams) (line, name string, err error) {
	name = "RCPT TO:<" + to.String() + ">"
	if err := to.Validate(); err != nil || to.Mailbox == (Mailbox{}) {
		return "", name, local(EnhancedCode{5, 1, 3}, name, badAddress(err))
	}
	mailbox, ok := c.writable(to.Mailbox)
	if !ok {
		return "", name, local(EnhancedCode{5, 6, 7}, name, ErrNoSMTPUTF8)
	}
	if mailbox != to.Mailbox {
		name = "RCPT TO:<" + mailbox.String() + ">"
	}
	if *p == (RcptParams{}) {
		return name, name, nil
	}
	b, err := appendRcptParams([]byte(name), p)
	if err != nil {
		return "", name, local(EnhancedCode{5, 5, 4}, name, err)
	}
	return string(b), name, nil
}

// refuse settles one recipient.
func (t *transfer) refuse(i int, r Reply, err error) {
	rcpt := &t.res.Recipients[i]
	rcpt.Reply, rcpt.Err, rcpt.done = r, err, true
}

// envelope sends MAIL, every RCPT, and DATA where it is used. It gives nil when the message is to follow.
func (t *transfer) envelope(ctx context.Context) error {
	var mailErr, firstErr error
	var dataReply Reply
	late := false // some have to wait for another transaction
	c := t.c
	err := c.pipeline(ctx, t.steps, func(s step, r Reply) (more bool) {
		switch s.rcpt {
		case stepReset: // there is nothing to be done about a refusal but to see what MAIL says
		case stepMail:
			c.mails++
			t.res.Mail = r
			mailErr = c.expect(r, 2, s.name)
			return mailErr == nil
		case stepData:
			dataReply = r
		default:
			if mailErr != nil { // 503, since there is no transaction: that of MAIL says why
				return false
			}
			err := c.expect(r, 2, s.name) // 250, 251 or 252
			if err == nil {
				t.res.Recipients[s.rcpt].Reply = r
				t.accepted = append(t.accepted, s.rcpt)
				return true
			}
			if firstErr == nil {
				firstErr = err
			}
			if len(t.accepted) > 0 && tooMany(r) { // it is asked for again once the others have the message
				late = true
			} else {
				t.refuse(s.rcpt, r, err)
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	if late {
		c.learned = len(t.accepted) // so that a server that does not say its limit is not asked for all of the rest each time
	}
	if mailErr == nil && len(t.accepted) == 0 {
		mailErr, t.nobody = firstErr, true
	}
	switch {
	case mailErr != nil && dataReply.Code == 354 && c.d.LMTP: // there would be a reply for each of no recipients: none to wait for
		_ = c.expect(dataReply, 2, "DATA")
		return t.refused(mailErr)
	case mailErr != nil && dataReply.Code == 354:
		// RFC 2920 s3.1: the server waits for a message, though it has nobody to give it to. It gets an empty one.
		c.wbuf = append(c.wbuf, ".\r\n"...)
		if err := c.flush(ctx, c.timeouts.Block, "DATA"); err != nil {
			return err
		}
		if _, err := c.reply(ctx, c.timeouts.Final, "end of data"); err != nil {
			return err
		}
		return t.refused(mailErr)
	case mailErr != nil:
		return t.refused(mailErr)
	case !t.bdat:
		return t.refusedData(dataReply)
	}
	return nil
}

// refused gives a reply to MAIL to every recipient. Where each had a reply of its own there is nothing to give.
func (t *transfer) refused(err error) error {
	for i := range t.res.Recipients {
		if !t.res.Recipients[i].done && !t.nobody {
			t.refuse(i, t.res.Mail, err)
		}
	}
	return err
}

// refusedData looks at the reply to DATA, which is the one command whose success is 354. RFC 5321 s4.3.2
func (t *transfer) refusedData(r Reply) error {
	err := t.c.expect(r, 3, "DATA")
	if err != nil {
		t.settle(r, err)
	}
	return err
}

// settle gives one reply to all recipients that were accepted.
func (t *transfer) settle(r Reply, err error) {
	for _, i := range t.accepted {
		t.refuse(i, r, err)
	}
}
