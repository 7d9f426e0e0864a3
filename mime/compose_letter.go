package mime

import (
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Compose makes the message that any server takes: 7bit, and ASCII in the header unless an address cannot be written so.
// It opens every file once, to learn its size and type.
func (l Letter) Compose() (*Composed, error) { return l.ComposeFor(Capabilities{}) }

// ComposeFor makes the message for a way that can carry more: with EightBit, text is not encoded where it need not be; with UTF8, header
// fields are not either.
func (l Letter) ComposeFor(caps Capabilities) (*Composed, error) {
	b := &builder{}
	b.utf8 = caps.UTF8 || l.needsUTF8()
	b.letterHeader(&l)
	body := b.letterBody(&l, caps)
	if b.err != nil {
		return nil, b.err
	}
	c := &Composed{}
	c.from = b.envelope(l.From)
	if l.Sender.Addr != "" {
		c.from = b.envelope(l.Sender)
	}
	seen := map[string]bool{}
	for a := range l.everyone() {
		if rcpt := b.envelope(a); !seen[rcpt] {
			seen[rcpt] = true
			c.recipients = append(c.recipients, rcpt)
		}
	}
	c.finish(b.buf, body)
	for _, rcpt := range append(c.recipients, c.from) {
		c.utf8 = c.utf8 || !isASCII(rcpt)
	}
	return c, nil
}

func (b *builder) envelope(a Address) string {
	spec, reason := addrSpec(a, b.utf8)
	if reason != "" {
		b.fail("Bcc", reason) // the others were written, so they are known to be good
	}
	return spec
}

// everyone yields the recipients: To, the groups, Cc, Bcc.
func (l *Letter) everyone() iter.Seq[Address] {
	return func(yield func(Address) bool) {
		lists := [][]Address{l.To}
		for _, g := range l.ToGroups {
			lists = append(lists, g.Members)
		}
		for _, list := range append(lists, l.Cc, l.Bcc) {
			for _, a := range list {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// needsUTF8 reports whether an address has a local part that only SMTPUTF8 carries.
func (l *Letter) needsUTF8() bool {
	beyond := func(a Address) bool {
		local, _ := a.Split()
		return !isASCII(local)
	}
	for a := range l.everyone() {
		if beyond(a) {
			return true
		}
	}
	return beyond(l.From) || beyond(l.Sender) || slices.ContainsFunc(l.ReplyTo, beyond)
}

func (b *builder) letterHeader(l *Letter) {
	b.date("Date", l.Date)
	b.addresses("From", l.From)
	if l.Sender != (Address{}) {
		b.addresses("Sender", l.Sender)
	}
	b.addresses("Reply-To", l.ReplyTo...)
	b.to(l)
	b.addresses("Cc", l.Cc...)
	for _, a := range l.Bcc {
		b.check("Bcc", a.Addr)
		b.envelope(a)
	}
	b.unstructured("Subject", l.Subject)
	b.messageID(l.MessageID, l.From)
	b.ids("In-Reply-To", l.InReplyTo...)
	b.ids("References", l.References...)
	b.plain("Auto-Submitted", l.AutoSubmitted)
	if l.List != nil {
		b.list(l.List)
	}
	if l.Unsubscribe != nil {
		b.unsubscribe(l.Unsubscribe)
	}
	for _, f := range l.Extra {
		b.extra(f)
	}
	b.plain("MIME-Version", "1.0")
}

// letterBody nests what there is: mixed( alternative( text, related( html, inline... ), calendar ), attachments... ).
func (b *builder) letterBody(l *Letter, caps Capabilities) *entity {
	var views []*entity
	if l.Text != "" || l.HTML == "" && l.Calendar == nil && len(l.Attachments)+len(l.Inline) == 0 {
		text, params := toCRLF(l.Text), [][2]string(nil)
		if l.Flowed {
			text, params = appendFlowed(nil, text), [][2]string{{"format", "flowed"}}
		}
		views = append(views, textEntity("text/plain", params, text, caps))
	}
	attached := make([]*entity, 0, len(l.Attachments)+1)
	var inline []*entity
	for i, f := range l.Inline {
		inline = append(inline, b.file(fmt.Sprintf("Inline[%d]", i), f, "inline", caps))
	}
	if l.HTML != "" {
		html := textEntity("text/html", nil, toCRLF(l.HTML), caps)
		if len(inline) > 0 {
			// RFC 2387 s3.1: the type of the first part is required.
			html = newMultipart("related", [][2]string{{"type", "text/html"}}, append([]*entity{html}, inline...)...)
		}
		views = append(views, html)
	} else {
		attached = append(attached, inline...)
	}
	for i, f := range l.Attachments {
		attached = append(attached, b.file(fmt.Sprintf("Attachments[%d]", i), f, "attachment", caps))
	}
	if l.Calendar != nil {
		view, file := b.calendar(l.Calendar, caps)
		views = append(views, view)
		attached = append(attached, file)
	}
	if len(views) > 1 {
		views = []*entity{newMultipart("alternative", nil, views...)}
	}
	if len(attached) == 0 {
		return views[0]
	}
	return newMultipart("mixed", nil, append(views, attached...)...)
}

// calendar gives the view that Outlook and Gmail act upon, and the file that others open (RFC 6047 s2.4).
func (b *builder) calendar(c *Calendar, caps Capabilities) (view, file *entity) {
	method, name := c.Method, c.Name
	if method == "" {
		method = calendarMethod(c.Data)
	}
	if !isToken(method) {
		b.fail("Calendar.Method", "is no method of RFC 5546: "+method)
	}
	if name == "" {
		name = "invite.ics"
	}
	data := toCRLF(string(c.Data))
	view = textEntity("text/calendar", [][2]string{{"method", method}}, data, caps)
	f := BytesFile(name, data)
	f.ContentType = "application/ics"
	return view, b.file("Calendar", f, "attachment", caps)
}

// file makes the part of a file: base64, or binary where the link takes it; short texts by their content; and messages as they are, since they may not be encoded
// as a whole (RFC 2046 s5.2.1). A message that cannot go so, because of NUL octets or lines beyond 998 octets, goes as any other file.
func (b *builder) file(field string, f File, disposition string, caps Capabilities) *entity {
	b.check(field+".Name", f.Name)
	b.check(field+".ContentType", f.ContentType)
	b.check(field+".Description", f.Description)
	size, start, err := f.inspect()
	if err != nil {
		if b.err == nil {
			b.err = &FileError{Name: f.Name, Err: err}
		}
		return nil
	}
	e := &entity{file: &fileBody{name: f.Name, content: f.Content, size: size, base64: true}}
	t := ParseMediaType(f.mediaType(start))
	mediaType := t.String()
	if !isToken(t.Type) || !isToken(t.Subtype) || t.Type == "multipart" {
		b.fail(field+".ContentType", "is no type that a file can have: "+f.ContentType)
		return nil
	}
	encoding := "base64"
	if mediaType == "message/rfc822" || mediaType == "message/global" {
		switch encoding, err = e.file.asMessage(caps); {
		case errors.Is(err, errNotCarried):
			mediaType, t.Params, encoding, e.file.base64 = "application/octet-stream", nil, "base64", true
		case err != nil:
			if b.err == nil {
				b.err = err
			}
			return nil
		}
		e.eightBit = encoding == "8bit"
	} else if t.Type == "text" && size <= largestText {
		if encoding, e.data, err = e.file.asText(caps); err != nil {
			if b.err == nil {
				b.err = err
			}
			return nil
		}
		e.file, e.eightBit = nil, encoding == "8bit"
	} else if caps.Binary {
		encoding, e.file.base64, e.file.raw, e.binary = "binary", false, true, true
	}

	w := builder{fieldWriter: fieldWriter{}}
	w.begin("Content-Type")
	w.token(" ", mediaType)
	hasCharset := false
	for _, p := range t.Params {
		w.param(p.Name, p.Value)
		hasCharset = hasCharset || p.Name == "charset"
	}
	if t.Type == "text" && !hasCharset && isUTF8Start(start) {
		w.param("charset", "utf-8")
	}
	if f.Name != "" {
		w.oldParam("name", f.Name)
	}
	w.end()
	w.transferEncoding(encoding)
	w.begin("Content-Disposition")
	w.token(" ", disposition)
	if f.Name != "" {
		w.param("filename", f.Name)
	}
	w.end()
	w.unstructured("Content-Description", f.Description)
	if id := f.ContentID; id != "" || disposition == "inline" {
		if id == "" {
			id = f.Name
		}
		w.ids("Content-ID", id)
		if w.err != nil {
			b.fail(field+".ContentID", "is missing or cannot be written: "+fmt.Sprintf("%q", id))
		}
	}
	e.fields = w.buf
	return e
}
