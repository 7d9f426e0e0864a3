package imap

import (
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// envelope writes ENVELOPE (RFC 3501 s7.4.2).
func (w *writer) envelope(e *mime.Envelope) {
	w.byte('(')
	w.nstring(e.Date)
	w.byte(' ')
	w.nstring(e.Subject)
	for _, l := range [...]mime.AddressList{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		w.byte(' ')
		w.addresses(l)
	}
	w.byte(' ')
	w.nstring(e.InReplyTo)
	w.byte(' ')
	w.nstring(e.MessageID)
	w.byte(')')
}

// addresses writes a list of addresses. A group is a pair of addresses without host around its members.
func (w *writer) addresses(l mime.AddressList) {
	open := false
	begin := func() {
		if !open {
			w.byte('(')
			open = true
		}
	}
	for i := range l {
		g := &l[i]
		if g.IsGroup {
			begin()
			w.str("(NIL NIL ")
			w.string(g.Name)
			w.str(" NIL)")
		}
		for _, a := range g.Members {
			begin()
			local, domain := a.Split()
			w.byte('(')
			w.nstring(a.Name)
			w.str(" NIL ")
			w.string(unquoteLocal(local))
			w.byte(' ')
			if domain == "" { // NIL would make it a group
				domain = ".MISSING-HOST-NAME."
			}
			w.string(domain)
			w.byte(')')
		}
		if g.IsGroup {
			w.str("(NIL NIL NIL NIL)")
		}
	}
	if open {
		w.byte(')')
	} else {
		w.str("NIL")
	}
}

// unquoteLocal takes the quoting of RFC 5322 off a local part.
func unquoteLocal(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// bodyStructure writes BODY or, with the extension data, BODYSTRUCTURE (RFC 3501 s7.4.2).
func (w *writer) bodyStructure(p *mime.BodyPart, extended bool) {
	w.byte('(')
	if p.IsMultipart() {
		for _, child := range p.Children {
			w.bodyStructure(child, extended)
		}
		w.byte(' ')
		w.string(p.Subtype)
		if extended {
			w.byte(' ')
			w.params(p.Params)
			w.extension(p)
		}
		w.byte(')')
		return
	}
	typ, subtype := p.Type, p.Subtype
	if !p.IsMessage() && (strings.EqualFold(typ, "multipart") || isMessageType(typ, subtype)) {
		typ, subtype = "application", "octet-stream" // the grammar has no multipart without parts, and no message without envelope
	}
	w.string(typ)
	w.byte(' ')
	w.string(subtype)
	w.byte(' ')
	w.params(p.Params)
	w.byte(' ')
	w.nstring(p.ID)
	w.byte(' ')
	w.nstring(p.Description)
	w.byte(' ')
	w.string(p.Encoding)
	w.byte(' ')
	w.num(uint64(p.Size))
	switch {
	case p.IsMessage():
		w.byte(' ')
		w.envelope(p.Envelope)
		w.byte(' ')
		w.bodyStructure(p.Children[0], extended)
		w.byte(' ')
		w.num(uint64(p.Lines))
	case strings.EqualFold(typ, "text"):
		w.byte(' ')
		w.num(uint64(p.Lines))
	}
	if extended {
		w.byte(' ')
		w.nstring(p.MD5)
		w.extension(p)
	}
	w.byte(')')
}

func isMessageType(typ, subtype string) bool {
	return strings.EqualFold(typ, "message") && (strings.EqualFold(subtype, "rfc822") || strings.EqualFold(subtype, "global"))
}

func (w *writer) params(params []mime.Param) {
	if len(params) == 0 {
		w.str("NIL")
		return
	}
	for i := range params {
		if i == 0 {
			w.byte('(')
		} else {
			w.byte(' ')
		}
		w.string(params[i].Name)
		w.byte(' ')
		w.string(params[i].Value)
	}
	w.byte(')')
}

// extension writes disposition, language and location.
func (w *writer) extension(p *mime.BodyPart) {
	if p.Disposition == "" {
		w.str(" NIL ")
	} else {
		w.str(" (")
		w.string(p.Disposition)
		w.byte(' ')
		w.params(p.DispositionParams)
		w.str(") ")
	}
	switch len(p.Language) {
	case 0:
		w.str("NIL")
	case 1:
		w.string(p.Language[0])
	default:
		w.byte('(')
		for i, l := range p.Language {
			if i > 0 {
				w.byte(' ')
			}
			w.string(l)
		}
		w.byte(')')
	}
	w.byte(' ')
	w.nstring(p.Location)
}
