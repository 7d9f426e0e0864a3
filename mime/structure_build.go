package mime

import (
	"bytes"
	"strings"
)

// Structure returns the picture of the message that IMAP needs. It reads nothing but what parsing kept.
func (m *Message) Structure() *Structure {
	s := &Structure{Size: m.size, Envelope: m.Header().Envelope()}
	bodies := make([]BodyPart, len(m.parts)-1)
	body := func(i int32) *BodyPart {
		if i == 0 {
			return &s.Root
		}
		return &bodies[i-1]
	}
	for i := range m.parts {
		p := &m.parts[i]
		b := body(int32(i))
		b.fill(p)
		for c := range p.Children() {
			if b.Children == nil {
				b.Children = make([]*BodyPart, 0, 2)
			}
			b.Children = append(b.Children, body(c.index))
		}
		switch {
		case p.embeds:
			e := m.parts[p.first].Header().Envelope()
			b.Envelope = &e
		case p.mediaType == "message/rfc822" || p.mediaType == "message/global":
			b.Envelope = &Envelope{} // not looked into: encoded, or beyond a limit
		}
		if len(b.Children) == 0 && (b.Type == "multipart" || b.Envelope != nil) {
			b.Children = []*BodyPart{{
				Type: "text", Subtype: "plain", Encoding: "7bit",
				HeaderOffset: b.Offset, Offset: b.Offset, Size: b.Size, Lines: b.Lines,
			}}
		}
	}
	return s
}

// fill takes over what stands in the part's own header.
func (b *BodyPart) fill(p *Part) {
	b.Type, b.Subtype, _ = strings.Cut(p.mediaType, "/")
	b.HeaderOffset, b.HeaderSize = p.HeaderRange()
	b.Offset, b.Size = p.BodyRange()
	b.Lines = p.lines
	b.Encoding = p.encoding.String()
	h := p.Header()
	params := h.limit().Params
	for pos := h.start(); pos < len(h.raw); {
		if h.raw[pos]|0x20 != 'c' {
			_, pos = cutLine(h.raw, pos)
			continue
		}
		f, next, ok := h.field(pos)
		pos = next
		name := f.name
		if !ok || len(f.raw) < 8 {
			continue
		}
		v := f.raw[f.colon+1:]
		switch n := name(); {
		case equalFold(n, "Content-Type") && b.Params == nil:
			_, at := paramHead(v)
			b.Params = rawParams(v[at:], params)
		case equalFold(n, "Content-Transfer-Encoding") && p.encoding == EncodingUnknown:
			if e := string(stripComments(unfoldBytes(v))); e != "" {
				b.Encoding = e
			}
		case equalFold(n, "Content-ID") && b.ID == "":
			b.ID = unfold(v)
		case equalFold(n, "Content-Description") && b.Description == "":
			b.Description = unfold(v)
		case equalFold(n, "Content-MD5") && b.MD5 == "":
			b.MD5 = unfold(v)
		case equalFold(n, "Content-Disposition") && b.Disposition == "":
			head, at := dispositionHead(v)
			b.Disposition = internLower(stripComments(head))
			b.DispositionParams = rawParams(v[at:], params)
		case equalFold(n, "Content-Language") && b.Language == nil:
			for tag := range bytes.SplitSeq(stripComments(unfoldBytes(v)), []byte{','}) {
				if tag = bytes.TrimSpace(tag); len(tag) > 0 && len(b.Language) < params {
					b.Language = append(b.Language, string(tag))
				}
			}
		case equalFold(n, "Content-Location") && b.Location == "":
			b.Location = unfold(v)
		}
	}
}

// Envelope returns the IMAP ENVELOPE of the header. Names and texts are as written; see [Structure].
func (h Header) Envelope() Envelope {
	var e Envelope
	for f := range h.Fields() {
		n := f.name()
		text := func(s *string, name string) bool {
			if *s == "" && equalFold(n, name) {
				*s = f.Value()
				return true
			}
			return false
		}
		list := func(l *AddressList, name string) bool {
			if *l == nil && equalFold(n, name) {
				*l = parseAddressList(f.raw[f.colon+1:], h.limit().Addresses, true)
				return true
			}
			return false
		}
		switch len(n) {
		case 2:
			_ = list(&e.To, "To") || list(&e.Cc, "Cc")
		case 3:
			list(&e.Bcc, "Bcc")
		case 4:
			_ = list(&e.From, "From") || text(&e.Date, "Date")
		case 6:
			list(&e.Sender, "Sender")
		case 7:
			text(&e.Subject, "Subject")
		case 8:
			list(&e.ReplyTo, "Reply-To")
		case 10:
			text(&e.MessageID, "Message-ID")
		case 11:
			text(&e.InReplyTo, "In-Reply-To")
		}
	}
	// RFC 9051 s7.5.2: a server sets them from From where the header has none, or empty ones.
	if len(e.Sender) == 0 {
		e.Sender = e.From
	}
	if len(e.ReplyTo) == 0 {
		e.ReplyTo = e.From
	}
	return e
}
