package mime

import (
	"bytes"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-message/textproto"
)

// ContentType returns the Content-Type of the header; its Type is "" if there is none, or none that can be read.
func (h Header) ContentType() MediaType {
	f, ok := h.find("Content-Type")
	if !ok {
		return MediaType{}
	}
	return parseMediaType(f.raw[f.colon+1:], h.limit().Params)
}

// Disposition returns the Content-Disposition of the header; its Type is "" if there is none.
func (h Header) Disposition() Disposition {
	f, ok := h.find("Content-Disposition")
	if !ok {
		return Disposition{}
	}
	v := f.raw[f.colon+1:]
	head, pos := dispositionHead(v)
	return Disposition{Type: internLower(stripComments(head)), Params: decodeParams(v[pos:], h.limit().Params)}
}

// Addresses returns the mailboxes of all fields with the name, groups in order. Names are decoded.
func (h Header) Addresses(name string) AddressList { return h.addresses(name, false) }

func (h Header) addresses(name string, raw bool) AddressList {
	var list AddressList
	left := h.limit().Addresses
	for f := range h.named(name) {
		if left <= 0 {
			break
		}
		more := parseAddressList(f.raw[f.colon+1:], left, raw)
		for _, g := range more {
			left -= len(g.Members)
		}
		if n := len(list); n > 0 && len(more) > 0 && !list[n-1].IsGroup && !more[0].IsGroup {
			list[n-1].Members = append(list[n-1].Members, more[0].Members...)
			more = more[1:]
		}
		if list == nil {
			list = more
		} else {
			list = append(list, more...)
		}
	}
	return list
}

// Date returns the Date field, and whether it could be read.
func (h Header) Date() (time.Time, bool) {
	f, ok := h.find("Date")
	if !ok {
		return time.Time{}, false
	}
	return ParseDate(f.Value())
}

// MessageIDs returns the message identifiers of the first field with the name, without angle brackets: Message-ID,
// In-Reply-To, References, Content-ID.
func (h Header) MessageIDs(name string) []string {
	f, ok := h.find(name)
	if !ok {
		return nil
	}
	return parseMessageIDs(f.raw[f.colon+1:])
}

// Keywords returns the words and phrases of all Keywords fields, decoded (RFC 5322 s3.6.5).
func (h Header) Keywords() []string {
	var words []string
	for f := range h.named("Keywords") {
		for word := range bytes.SplitSeq(f.raw[f.colon+1:], []byte{','}) {
			if text := decodeText(word); text != "" && len(words) < h.limit().Addresses {
				words = append(words, text)
			}
		}
	}
	return words
}

func (h Header) limit() Limits {
	if h.limits != nil {
		return *h.limits
	}
	return Limits{}.withDefaults()
}

// ParseMessageIDs returns the message identifiers in a field's value, without angle brackets (RFC 5322 s3.6.4). Words
// outside brackets are left out, as In-Reply-To of old mail has them; if there are no brackets at all, the words with an at
// sign count, or else a single word.
func ParseMessageIDs(value string) []string { return parseMessageIDs([]byte(value)) }

func parseMessageIDs(b []byte) []string {
	var ids []string
	for rest := b; ; {
		open := bytes.IndexByte(rest, '<')
		if open < 0 {
			break
		}
		rest = rest[open+1:]
		end := bytes.IndexByte(rest, '>')
		if end < 0 {
			break
		}
		if next := bytes.LastIndexByte(rest[:end], '<'); next >= 0 { // "<a <b@c>": the first one has no end
			rest, end = rest[next+1:], end-next-1
		}
		if id := unfold(rest[:end]); id != "" {
			ids = append(ids, id)
		}
		rest = rest[end+1:]
	}
	if ids != nil || bytes.IndexByte(b, '>') >= 0 {
		return ids
	}
	words := bytes.Fields(bytes.Trim(bytes.TrimSpace(b), "<,;"))
	for _, w := range words {
		if bytes.IndexByte(w, '@') >= 0 || len(words) == 1 {
			ids = append(ids, string(w))
		}
	}
	return ids
}

// Textproto returns the header in go-message's type. Lines that are no fields are left out: that type cannot hold them.
func (h Header) Textproto() textproto.Header {
	var fields [][]byte
	for f := range h.Fields() {
		raw := f.raw
		if !bytes.HasSuffix(raw, []byte("\r\n")) {
			// go-message writes raw fields as they are, so the line end has to be whole.
			raw = append(bytes.TrimRight(raw[:len(raw):len(raw)], "\r\n"), "\r\n"...)
		}
		fields = append(fields, raw)
	}
	var t textproto.Header
	for i := len(fields) - 1; i >= 0; i-- { // Add puts a field before the others
		t.AddRaw(fields[i])
	}
	return t
}

// GoMessage returns the header in the type of go-message that reads addresses, dates and texts. It is [Header.Textproto] inside.
func (h Header) GoMessage() mail.Header {
	return mail.Header{Header: message.Header{Header: h.Textproto()}}
}

// HeaderFrom returns a header with the fields of go-message's type; that of a mail.Header is h.Header.Header. Fields that it cannot format are left out.
func HeaderFrom(t textproto.Header) Header {
	var raw []byte
	for fields := t.Fields(); fields.Next(); {
		b, err := fields.Raw()
		if err != nil {
			continue
		}
		raw = append(raw, b...)
	}
	return Header{raw: append(raw, "\r\n"...)}
}
