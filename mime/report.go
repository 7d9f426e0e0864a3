package mime

import (
	"bytes"
	"io"
	"time"
)

// originalHeader bounds the header that a report sends back.
const originalHeader = 256 << 10

// A Report is a multipart/report (RFC 6522): a letter by a program, with text for people, a part for programs, and the message that it is about. Package
// mime/report has the kinds of reports that there are; this is what they have in common.
type Report struct {
	From, To      Address
	Subject       string
	Date          time.Time // default: now
	MessageID     string    // default: random, in the domain of From
	InReplyTo     string
	References    []string
	AutoSubmitted string // RFC 3834 s5

	Type        string // report-type: "delivery-status", ...
	Text        string // what people read
	MachineType string // media type of the part for programs
	Machine     []byte // that part, lines ending in CRLF

	Original     Content // the message; nil sends nothing back
	OriginalUTF8 bool    // Original has UTF-8 in its header (RFC 6533)
	HeadersOnly  bool    // send only its header back
}

// Compose makes the report for a 7-bit way.
func (n Report) Compose() (*Composed, error) { return n.ComposeFor(Capabilities{}) }

// ComposeFor makes the report for a way that can carry more. The envelope has the null reverse path: [Composed.From] is "".
func (n Report) ComposeFor(caps Capabilities) (*Composed, error) {
	toLocal, _ := n.To.Split()
	fromLocal, _ := n.From.Split()
	b := &builder{}
	b.utf8 = caps.UTF8 || !isASCII(toLocal+fromLocal)
	b.date("Date", n.Date)
	b.addresses("From", n.From)
	b.addresses("To", n.To)
	b.unstructured("Subject", n.Subject)
	b.messageID(n.MessageID, n.From)
	if n.InReplyTo != "" {
		b.ids("In-Reply-To", n.InReplyTo)
	}
	b.ids("References", n.References...)
	b.plain("Auto-Submitted", n.AutoSubmitted)
	b.plain("MIME-Version", "1.0")
	if !isToken(n.Type) {
		b.fail("Type", "is not a token: "+n.Type)
	}
	if t := ParseMediaType(n.MachineType); !isToken(t.Type) || !isToken(t.Subtype) || t.String() != n.MachineType {
		b.fail("MachineType", "is no media type: "+n.MachineType)
	}

	parts := []*entity{
		textEntity("text/plain", nil, toCRLF(n.Text), caps),
		machineEntity(n.MachineType, n.Machine, caps),
	}
	if n.Original != nil {
		part, err := originalEntity(n.Original, n.HeadersOnly, n.OriginalUTF8, caps)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	if b.err != nil {
		return nil, b.err
	}
	c := &Composed{recipients: []string{b.envelope(n.To)}}
	c.finish(b.buf, newMultipart("report", [][2]string{{"report-type", n.Type}}, parts...))
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
