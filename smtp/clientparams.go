package smtp

import (
	"errors"
	"io"
	"slices"

	"golang.org/x/net/idna"
)

// local makes the error for what the client itself finds wrong.
func local(enhanced EnhancedCode, command string, cause error) *Error {
	return &Error{Enhanced: enhanced, Command: command, Err: cause}
}

// offered fits the parameters of MAIL to what the server offers. What only asks for a service that nothing depends on is left out and named in dropped;
// what would change the meaning of the message if it were left out is an error.
func (c *Conn) offered(from ReversePath, p *MailParams) (dropped []string, err error) {
	drop := func(keyword, extension string, given bool, clear func()) {
		if given && !c.has(extension) {
			clear()
			dropped = append(dropped, keyword)
		}
	}
	drop("RET", "DSN", p.Return != "", func() { p.Return = "" })
	drop("ENVID", "DSN", p.EnvelopeID != "", func() { p.EnvelopeID = "" })
	drop("MT-PRIORITY", "MT-PRIORITY", p.Priority != nil, func() { p.Priority = nil })
	drop("AUTH", "AUTH", p.Auth != nil, func() { p.Auth = nil })
	if p.DeliverBy != nil && !c.has("DELIVERBY") && p.DeliverBy.Return { // RFC 2852 s4.1.4: it may not be relayed then
		return dropped, local(EnhancedCode{5, 3, 3}, "MAIL", ErrNoDeliverBy)
	}
	drop("BY", "DELIVERBY", p.DeliverBy != nil, func() { p.DeliverBy = nil })
	if (p.HoldFor > 0 || !p.HoldUntil.IsZero()) && !c.has("FUTURERELEASE") { // it would be delivered too early
		return dropped, local(EnhancedCode{5, 3, 3}, "MAIL", ErrNoFutureRelease)
	}
	if p.RequireTLS && (!c.has("REQUIRETLS") || !c.tls.Verified) { // RFC 8689 s4.2.1
		if !from.IsNull() {
			return dropped, local(EnhancedCode{5, 7, 30}, "MAIL", ErrNoRequireTLS)
		}
		p.RequireTLS, dropped = false, append(dropped, "REQUIRETLS") // RFC 8689 s5: a notification is not lost for it
	}
	if limit := c.caps.Size(); limit > 0 && p.Size > limit { // RFC 1870 s6.2
		return dropped, local(EnhancedCode{5, 3, 4}, "MAIL", ErrMessageTooBig)
	}
	if !c.has("SIZE") {
		p.Size = 0
	}
	return dropped, nil
}

// offeredRcpt does the same for the parameters of RCPT.
func (c *Conn) offeredRcpt(p *RcptParams, dropped []string) []string {
	drop := func(keyword, extension string, given bool) bool {
		if !given || c.has(extension) {
			return false
		}
		if !slices.Contains(dropped, keyword) {
			dropped = append(dropped, keyword)
		}
		return true
	}
	if drop("NOTIFY", "DSN", p.Notify != 0) {
		p.Notify = 0
	}
	if drop("ORCPT", "DSN", p.OriginalRecipient != OriginalRecipient{}) {
		p.OriginalRecipient = OriginalRecipient{}
	}
	if drop("RRVS", "RRVS", !p.RequireSince.IsZero()) { // RFC 7293 s4.1
		p.RequireSince = RcptParams{}.RequireSince
	}
	return dropped
}

// fits tells whether a server takes the body and header that the parameters announce.
func (c *Conn) fits(p *MailParams) error {
	switch {
	case p.UTF8 && !c.has("SMTPUTF8"): // RFC 6531 s3.2; the header needs it
		return local(EnhancedCode{5, 6, 9}, "MAIL", ErrNoSMTPUTF8)
	case p.Body == Body8BitMIME && !c.has("8BITMIME"):
		return local(EnhancedCode{5, 6, 3}, "MAIL", ErrNo8BitMIME)
	case p.Body == BodyBinaryMIME && !(c.has("BINARYMIME") && c.has("CHUNKING")):
		return local(EnhancedCode{5, 6, 3}, "MAIL", ErrNoBinaryMIME)
	}
	return nil
}

// writable gives a mailbox as this server can be told it. Without SMTPUTF8 a domain goes as A-labels (RFC 5890); a local part outside ASCII has no other form.
func (c *Conn) writable(m Mailbox) (Mailbox, bool) {
	if m.IsASCII() || c.has("SMTPUTF8") {
		return m, true
	}
	domain, err := idna.Lookup.ToASCII(m.Domain)
	m.Domain = domain
	return m, err == nil && m.IsASCII()
}

// prepare opens the message and settles in what form it goes out.
func (c *Conn) prepare(e *Envelope, content Content, res *Result) (*source, MailParams, error) {
	p := e.Params
	if size := content.Size(); size >= 0 {
		p.Size = size
	}
	var err error
	if res.Dropped, err = c.offered(e.From, &p); err != nil {
		return nil, p, err
	}
	src, err := openSource(content)
	if err != nil {
		return nil, p, unreadable(err)
	}
	err = c.settle(src, content, &p)
	if isLocal(err) && c.d.Reencode != nil {
		src.close()
		if content, err = c.d.Reencode(content, c.Capabilities()); err != nil {
			if own, ok := errors.AsType[*Error](err); ok {
				return nil, p, own
			}
			return nil, p, unreadable(err)
		}
		if p.Size = content.Size(); p.Size < 0 || !c.has("SIZE") {
			p.Size = 0
		}
		again, _ := content.(io.Closer)
		if src, err = openSource(content); err != nil {
			if again != nil {
				again.Close()
			}
			return nil, p, unreadable(err)
		}
		src.content = again
		p.Body, p.UTF8 = "", false
		err = c.settle(src, content, &p) // what still does not fit fails now
	}
	if err != nil {
		src.close()
		return nil, p, err
	}
	// RFC 6531 s3.4: an address outside ASCII needs the parameter, whatever the header holds.
	utf8 := !e.From.IsASCII() || slices.ContainsFunc(e.To, func(r Recipient) bool { return !r.Path.IsASCII() })
	if utf8 && c.has("SMTPUTF8") {
		p.UTF8 = true
	}
	return src, p, nil
}

// settle fills in BODY and SMTPUTF8. A message that turns out to be plain ASCII goes to any server.
func (c *Conn) settle(src *source, content Content, p *MailParams) error {
	if p.UTF8 && !c.has("SMTPUTF8") {
		ok, err := src.ascii(content, true)
		if err != nil {
			return unreadable(err)
		}
		p.UTF8 = !ok
	}
	switch {
	case p.Body == Body7Bit && !c.has("8BITMIME"): // the sender vouches for it, and the server knows nothing else
		p.Body = ""
	case p.Body != "" && p.Body != Body8BitMIME: // as it is; what makes no sense is found when MAIL is written
	case c.has("8BITMIME"):
		if !src.eof || !isASCII(src.head) {
			p.Body = Body8BitMIME // where it is not known, it may be: RFC 6152 s3
		}
	default:
		ok, err := src.ascii(content, false)
		if err != nil {
			return unreadable(err)
		}
		if p.Body = Body8BitMIME; ok {
			p.Body = ""
		}
	}
	return c.fits(p)
}

// isLocal tells whether an error is one that another form of the message may cure.
func isLocal(err error) bool {
	return errors.Is(err, ErrNo8BitMIME) || errors.Is(err, ErrNoBinaryMIME) || errors.Is(err, ErrNoSMTPUTF8)
}

// unreadable is the error for a message that could not be read: it may be readable later.
func unreadable(err error) *Error {
	return local(EnhancedCode{4, 3, 0}, "reading the message", err)
}
