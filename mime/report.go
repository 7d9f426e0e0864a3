package mime

import (
	"bytes"
	"io"
	"strings"
	"time"
)

// originalHeader bounds the header that a report sends back.
const originalHeader = 256 << 10

// A notice is what all reports have in common: a letter by a program, whose body is a multipart/report (RFC 6522).
type notice struct {
	from, to          Address
	subject, id       string
	date              time.Time
	inReplyTo         string
	references        []string
	autoSubmitted     string
	reportType        string
	text              string
	machineType       string // media type of the part for programs
	machine           []byte
	original          Content
	headersOnly, utf8 bool
}

func (n *notice) compose(caps Capabilities) (*Composed, error) {
	toLocal, _ := n.to.Split()
	fromLocal, _ := n.from.Split()
	b := &builder{}
	b.utf8 = caps.UTF8 || !isASCII(toLocal+fromLocal)
	b.date("Date", n.date)
	b.addresses("From", n.from)
	b.addresses("To", n.to)
	b.unstructured("Subject", n.subject)
	b.messageID(n.id, n.from)
	if n.inReplyTo != "" {
		b.ids("In-Reply-To", n.inReplyTo)
	}
	b.ids("References", n.references...)
	b.plain("Auto-Submitted", n.autoSubmitted)
	b.plain("MIME-Version", "1.0")

	parts := []*entity{
		textEntity("text/plain", nil, toCRLF(n.text), caps),
		machineEntity(n.machineType, n.machine, caps),
	}
	if n.original != nil {
		part, err := originalEntity(n.original, n.headersOnly, n.utf8, caps)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	if b.err != nil {
		return nil, b.err
	}
	c := &Composed{recipients: []string{b.envelope(n.to)}}
	c.finish(b.buf, newMultipart("report", [][2]string{{"report-type", n.reportType}}, parts...))
	c.utf8 = c.utf8 || !isASCII(c.recipients[0])
	return c, nil
}

// machineEntity makes the part for programs. Only the types of RFC 6533 may be encoded; the others are ASCII.
func machineEntity(mediaType string, data []byte, caps Capabilities) *entity {
	e := &entity{}
	var encoding string
	encoding, e.data = encodeText(data, caps)
	e.eightBit = encoding == "8bit"
	w := fieldWriter{}
	w.begin("Content-Type")
	w.token(" ", mediaType)
	w.end()
	if encoding != "7bit" {
		w.transferEncoding(encoding)
	}
	e.fields = w.buf
	return e
}

// originalEntity makes the part that sends a message back, whole or its header alone. A message that cannot go as a part sends its header.
func originalEntity(original Content, headersOnly, utf8 bool, caps Capabilities) (*entity, error) {
	whole, header := "message/rfc822", "text/rfc822-headers"
	if utf8 {
		whole, header = "message/global", "message/global-headers" // RFC 6533 s4
	}
	if !headersOnly {
		size, _, err := (&File{Content: original}).inspect()
		if err != nil {
			return nil, &FileError{Name: "original message", Err: err}
		}
		e := &entity{file: &fileBody{name: "original message", content: original, size: size}}
		encoding, err := e.file.asMessage(caps)
		if err == nil {
			if encoding == "8bit" && utf8 && !caps.EightBit {
				e.file.base64, encoding = true, "base64" // RFC 6532 s3.7 allows it for message/global
			}
			e.eightBit = encoding == "8bit"
			w := fieldWriter{}
			w.begin("Content-Type")
			w.token(" ", whole)
			w.end()
			w.transferEncoding(encoding)
			e.fields = w.buf
			return e, nil
		}
	}
	rc, err := original.Open()
	if err != nil {
		return nil, &FileError{Name: "original message", Err: err}
	}
	defer rc.Close()
	raw, err := io.ReadAll(io.LimitReader(rc, originalHeader))
	if err != nil {
		return nil, &FileError{Name: "original message", Err: err}
	}
	raw = bytes.TrimRight(ParseHeader(raw).Bytes(), "\r\n")
	return machineEntity(header, append(toCRLF(string(raw)), crlf...), caps), nil
}

// A reportWriter writes the fields of the part for programs. It never fails: what a field cannot hold is replaced, since a report
// must not be lost because of what it reports.
type reportWriter struct {
	fieldWriter
	utf8 bool
}

// field writes a field unless value is empty.
func (r *reportWriter) field(name, value string) {
	value = strings.Join(strings.Fields(strings.Map(r.fit, strings.ToValidUTF8(value, "?"))), " ")
	if value == "" {
		return
	}
	r.begin(name)
	for token := range strings.SplitSeq(value, " ") {
		for len(token) > longestRawToken {
			r.token(" ", token[:longestRawToken])
			token = token[longestRawToken:]
		}
		r.token(" ", token)
	}
	r.end()
}

func (r *reportWriter) fit(c rune) rune {
	switch {
	case c < ' ' || c == 0x7f:
		return ' '
	case c >= 0x80 && !r.utf8:
		return '?'
	}
	return c
}

func (r *reportWriter) date(name string, t time.Time) {
	if !t.IsZero() {
		r.field(name, t.Format(dateLayout))
	}
}

func (r *reportWriter) typed(name, kind, value string) {
	if value != "" {
		r.field(name, kind+"; "+value)
	}
}

// address writes an address with its type (RFC 3464 s2.3.2, RFC 6533 s3).
func (r *reportWriter) address(name, addr string) {
	switch {
	case isASCII(addr):
		r.typed(name, "rfc822", addr)
	case r.utf8:
		r.typed(name, "utf-8", addr)
	default:
		r.typed(name, "utf-8", xtext8(addr))
	}
}

// blank ends a group of fields.
func (r *reportWriter) blank() { r.buf = append(r.buf, crlf...) }

// xtext8 is RFC 6533 s3's utf-8-addr-xtext.
func xtext8(addr string) string {
	var b strings.Builder
	for _, c := range addr {
		if c <= ' ' || c == '\\' || c == '+' || c == '=' || c >= 0x7f {
			b.WriteString(`\x{`)
			const hex = "0123456789ABCDEF"
			started := false
			for shift := 20; shift >= 0; shift -= 4 {
				d := c >> shift & 15
				if started = started || d != 0 || shift <= 4; started {
					b.WriteByte(hex[d])
				}
			}
			b.WriteByte('}')
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}
