package mime

import (
	"io"
	"slices"
	"strings"
)

// ReplyMode says who gets a reply.
type ReplyMode uint8

// The modes of replies.
const (
	ReplySender ReplyMode = iota // who the sender wants answers at: Reply-To, else From
	ReplyAll                     // and everybody else who has the message, or those whom Mail-Followup-To names
)

// ForwardMode says how a message is passed on.
type ForwardMode uint8

// The modes of forwards.
const (
	ForwardInline   ForwardMode = iota // its text is quoted, its attachments are attached
	ForwardAttached                    // the whole message is attached as it is
)

const maxReferences = 50

// Reply returns a letter that answers the message, with the recipients, subject, threading fields and quoted text that it ought to have. self
// are the addresses of who answers: the letter is from the one that the message was sent to, else from the first, and none of them gets a copy.
//
// The error says that the message could not be read; the letter then lacks the quote.
func (m *Message) Reply(mode ReplyMode, self ...Address) (Letter, error) {
	h := m.Header()
	to, cc := recipients(h, "To"), recipients(h, "Cc")
	l := Letter{From: chooseSelf(self, to, cc), Subject: withPrefix("Re: ", "re:", h), Flowed: true}
	l.To, l.Cc = m.answerTo(mode, self, to, cc)

	id := firstID(h, "Message-ID")
	l.References = h.MessageIDs("References")
	if parents := h.MessageIDs("In-Reply-To"); len(l.References) == 0 && len(parents) == 1 {
		l.References = parents // RFC 5322 s3.6.4
	}
	if id != "" {
		l.InReplyTo = []string{id}
		l.References = append(slices.Clone(l.References), id)
	}
	l.References = writableIDs(l.References)

	text, err := m.Text()
	l.Text = m.attribution() + quote(text)
	return l, err
}

// Forward returns a letter that passes the message on, without recipients. The message must stay readable until the letter is sent.
func (m *Message) Forward(mode ForwardMode, self ...Address) (Letter, error) {
	h := m.Header()
	l := Letter{From: chooseSelf(self, recipients(h, "To"), recipients(h, "Cc")), Subject: withPrefix("Fwd: ", "fwd:", h)}
	if id := firstID(h, "Message-ID"); id != "" {
		l.References = writableIDs([]string{id})
	}
	if mode == ForwardAttached {
		l.Attachments = []File{{Name: "forwarded.eml", ContentType: "message/rfc822", Content: m}}
		return l, nil
	}
	l.Flowed = true
	text, err := m.Text()
	var b strings.Builder
	b.WriteString("---------- Forwarded message ----------\n")
	for _, name := range []string{"From", "Date", "Subject", "To", "Cc"} {
		if value := oneLine(h.Text(name)); value != "" {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	b.WriteString("\n")
	b.WriteString(strings.ReplaceAll(text, "\r\n", "\n"))
	l.Text = b.String()
	for _, p := range m.Attachments() {
		f := File{Name: oneLine(p.Filename()), ContentType: p.MediaType(), Content: partContent{p}}
		if !isToken(p.ContentType().Type) || !isToken(p.ContentType().Subtype) || p.IsMultipart() {
			f.ContentType = "application/octet-stream"
		}
		l.Attachments = append(l.Attachments, f)
	}
	return l, err
}

// partContent is the decoded content of a part. Its size is not known before it was read.
type partContent struct{ part *Part }

func (c partContent) Open() (io.ReadCloser, error) { return io.NopCloser(c.part.Decoded()), nil }
func (c partContent) Size() int64                  { return -1 }

// answerTo is who gets the reply.
func (m *Message) answerTo(mode ReplyMode, self, to, cc []Address) (answerTo, copies []Address) {
	h := m.Header()
	sender := recipients(h, "Reply-To")
	if len(sender) == 0 {
		sender = recipients(h, "From")
	}
	if from := recipients(h, "From"); len(from) == 1 && hasAddr(self, from[0]) && len(to) > 0 {
		sender, to = to, nil // somebody goes on with a conversation of their own
	}
	if mode == ReplyAll {
		if followup := without(recipients(h, "Mail-Followup-To"), self); len(followup) > 0 {
			return followup, nil
		}
		copies = without(append(slices.Clone(to), cc...), append(slices.Clone(self), sender...))
	}
	if others := without(sender, self); len(others) > 0 {
		return others, copies
	}
	if len(copies) > 0 {
		return copies, nil
	}
	return without(sender, nil), nil
}

// recipients are the mailboxes of a field that can be written to, with names that fit a header.
func recipients(h Header, name string) (list []Address) {
	for _, a := range h.Addresses(name).All() {
		a.Name = oneLine(a.Name)
		if _, reason := addrSpec(a, true); reason == "" && a.Addr == oneLine(a.Addr) {
			list = append(list, a)
		}
	}
	return list
}

// without returns list without those in excluded, and each address once.
func without(list, excluded []Address) (out []Address) {
	for _, a := range list {
		if !hasAddr(excluded, a) && !hasAddr(out, a) {
			out = append(out, a)
		}
	}
	return out
}

func hasAddr(list []Address, a Address) bool {
	return slices.ContainsFunc(list, func(b Address) bool { return strings.EqualFold(a.Addr, b.Addr) })
}

func chooseSelf(self []Address, lists ...[]Address) Address {
	for _, list := range lists {
		for _, a := range self {
			if hasAddr(list, a) {
				return a
			}
		}
	}
	if len(self) > 0 {
		return self[0]
	}
	return Address{}
}

// withPrefix puts the prefix before the subject, unless it is there.
func withPrefix(prefix, is string, h Header) string {
	subject := oneLine(h.Text("Subject"))
	if len(subject) >= len(is) && strings.EqualFold(subject[:len(is)], is) {
		return subject
	}
	return strings.TrimSpace(prefix + subject)
}

func firstID(h Header, name string) string {
	if ids := writableIDs(h.MessageIDs(name)); len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// writableIDs leaves out what cannot be written, and the middle of a list that has grown too long: its first message names the thread, its
// last ones the place in it.
func writableIDs(ids []string) []string {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		id = strings.Trim(id, "<>")
		return id == "" || !isPrintable(id) || strings.ContainsAny(id, " <>") || len(id) > longestRawToken
	})
	if n := len(ids); n > maxReferences {
		ids = append(ids[:1], ids[n-maxReferences+1:]...)
	}
	return ids
}

// attribution is the line before a quote.
func (m *Message) attribution() string {
	who := "somebody"
	if from := recipients(m.Header(), "From"); len(from) > 0 {
		if who = from[0].Name; who == "" {
			who = from[0].Addr
		}
	}
	if date, ok := m.Header().Date(); ok {
		return "On " + date.Format("Mon, 2 Jan 2006 at 15:04 -0700") + ", " + who + " wrote:\n"
	}
	return who + " wrote:\n"
}

// quote puts a mark before each line of text, without the signature below it.
func quote(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if i := strings.LastIndex("\n"+text, "\n-- \n"); i >= 0 {
		text = text[:max(i-1, 0)]
	}
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return ""
	}
	var b strings.Builder
	b.Grow(len(text) + len(text)/20)
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == "" || line[0] == '>':
			b.WriteString(">")
		default:
			b.WriteString("> ")
		}
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}
