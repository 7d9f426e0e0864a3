package mime

import (
	"bytes"
	"iter"
	"strings"
)

// Header is the header of a message or part: its bytes as received, in order. The zero value is an empty header. A
// Header is a small value that shares the bytes it was made from; nobody may change them.
//
// Nothing is indexed: a lookup runs over the bytes and allocates nothing.
type Header struct {
	raw    []byte
	offset int64
	limits *Limits // nil: defaults
}

// ParseHeader returns the header that raw starts with. It ends before or at the first blank line, or with raw. It keeps raw.
func ParseHeader(raw []byte) Header {
	for pos := 0; pos < len(raw); {
		line, next := cutLine(raw, pos)
		pos = next
		if len(line) == 0 {
			return Header{raw: raw[:pos:pos]}
		}
	}
	return Header{raw: raw}
}

// Bytes returns the header as received, with the blank line that ends it if there was one.
func (h Header) Bytes() []byte { return h.raw }

// Offset returns where the header starts in its message.
func (h Header) Offset() int64 { return h.offset }

// Len returns the number of fields.
func (h Header) Len() int {
	n := 0
	for range h.Fields() {
		n++
	}
	return n
}

// Field is one header field as received.
type Field struct {
	raw    []byte
	colon  int
	Offset int64 // where the field starts in its message
}

// Name returns the field's name as written, without the space that old mail has before the colon.
func (f Field) Name() string { return string(f.name()) }

func (f Field) name() []byte { return bytes.TrimRight(f.raw[:f.colon], " \t") }

// Is reports whether the field has the name, in any case of letters.
func (f Field) Is(name string) bool { return equalFold(f.name(), name) }

// Raw returns the whole field with its name, folds and line end.
func (f Field) Raw() []byte { return f.raw }

// Value returns the field's value, unfolded (RFC 5322 s2.2.3) and without white space around it. Encoded words stay.
func (f Field) Value() string { return unfold(f.raw[f.colon+1:]) }

// Text returns the field's value as text to show: folds become one space, encoded words and raw 8-bit text are decoded.
func (f Field) Text() string { return decodeText(f.raw[f.colon+1:]) }

// Fields yields the fields in order. Lines that are no fields are left out.
func (h Header) Fields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for pos := h.start(); pos < len(h.raw); {
			f, next, ok := h.field(pos)
			pos = next
			if ok && !yield(f) {
				return
			}
		}
	}
}

// start returns where the fields begin: behind a byte order mark, which some programs put before a text.
func (h Header) start() int {
	if bytes.HasPrefix(h.raw, byteOrderMark) {
		return len(byteOrderMark)
	}
	return 0
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// field cuts the field, or the line that is none, at pos and returns where the next one starts.
func (h Header) field(pos int) (f Field, next int, ok bool) {
	line, next := cutLine(h.raw, pos)
	colon := fieldColon(line)
	for next < len(h.raw) && (h.raw[next] == ' ' || h.raw[next] == '\t') {
		_, next = cutLine(h.raw, next)
	}
	if colon < 0 {
		return Field{}, next, false
	}
	return Field{raw: h.raw[pos:next:next], colon: colon, Offset: h.offset + int64(pos)}, next, true
}

// named yields the fields with the name. It reads no more than it has to and allocates nothing.
func (h Header) named(name string) iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for pos := h.start(); pos < len(h.raw); {
			// Most lines are told apart by their first letter alone.
			if c := h.raw[pos]; len(name) > 0 && c|0x20 != name[0]|0x20 {
				_, pos = cutLine(h.raw, pos)
				continue
			}
			f, next, ok := h.field(pos)
			pos = next
			if ok && f.Is(name) && !yield(f) {
				return
			}
		}
	}
}

// find returns the first field with the name.
func (h Header) find(name string) (Field, bool) {
	for f := range h.named(name) {
		return f, true
	}
	return Field{}, false
}

// Has reports whether a field with the name is there.
func (h Header) Has(name string) bool {
	_, ok := h.find(name)
	return ok
}

// Get returns the value of the first field with the name, unfolded, or "". Encoded words stay; see [Header.Text].
func (h Header) Get(name string) string {
	if f, ok := h.find(name); ok {
		return f.Value()
	}
	return ""
}

// Text returns the text of the first field with the name, decoded as people read it, or "".
func (h Header) Text(name string) string {
	if f, ok := h.find(name); ok {
		return f.Text()
	}
	return ""
}

// Raw returns the bytes of the first field with the name, or nil.
func (h Header) Raw(name string) []byte {
	f, _ := h.find(name)
	return f.raw
}

// Values returns the unfolded values of all fields with the name, in order.
func (h Header) Values(name string) []string {
	var values []string
	for f := range h.named(name) {
		values = append(values, f.Value())
	}
	return values
}

// Subset returns the fields whose names are listed, or with not those whose names are not, as received, and a blank
// line: what IMAP calls HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 9051 s6.4.5.1).
func (h Header) Subset(names []string, not bool) []byte {
	var b []byte
	for f := range h.Fields() {
		listed := false
		for _, name := range names {
			if f.Is(name) {
				listed = true
				break
			}
		}
		if listed == not {
			continue
		}
		b = append(b, f.raw...)
		if f.raw[len(f.raw)-1] != '\n' { // the last line of a header that ends with the message
			b = append(b, "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// HeaderSubset is [Header.Subset] on the bytes of a header.
func HeaderSubset(raw []byte, names []string, not bool) []byte {
	return ParseHeader(raw).Subset(names, not)
}

// cutLine returns the line at pos without its end, and where the next one starts.
func cutLine(b []byte, pos int) (line []byte, next int) {
	i := bytes.IndexByte(b[pos:], '\n')
	if i < 0 {
		line, next = b[pos:], len(b)
	} else {
		line, next = b[pos:pos+i], pos+i+1
	}
	return trimCR(line), next
}

// fieldColon returns the index of the colon after a field name, or -1 if the line does not start with one.
func fieldColon(line []byte) int {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return -1
	}
	end := colon
	for end > 0 && (line[end-1] == ' ' || line[end-1] == '\t') { // RFC 5322 s4.5: space before the colon
		end--
	}
	if end == 0 {
		return -1
	}
	for _, c := range line[:end] {
		if c <= ' ' || c >= 0x7f { // RFC 5322 s3.6.8; RFC 6532 leaves names in ASCII
			return -1
		}
	}
	return colon
}

// unfold removes the line ends of a field's value and the white space around it (RFC 5322 s2.2.3).
func unfold(b []byte) string {
	b = bytes.Trim(b, " \t\r\n")
	if bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return string(b)
	}
	var s strings.Builder
	s.Grow(len(b))
	for i, c := range b {
		switch {
		case c == '\n':
		case c == '\r':
			if i+1 < len(b) && b[i+1] != '\n' {
				s.WriteByte(' ') // a bare CR never reaches a value
			}
		default:
			s.WriteByte(c)
		}
	}
	return s.String()
}

// equalFold reports whether b and s are equal but for the case of ASCII letters.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if c != s[i] && lower(c) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
