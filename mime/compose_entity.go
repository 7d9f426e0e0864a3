package mime

import (
	"bytes"
	"crypto/rand"
	"strings"
)

// An entity is a part on its way out: fields, and then parts, octets or a file.
type entity struct {
	fields   []byte // folded lines with their line ends, without the blank line
	boundary string // of a multipart
	parts    []*entity
	data     []byte
	file     *fileBody
	eightBit bool
	binary   bool
}

// newMultipart returns an entity of a multipart subtype. The boundary cannot occur in quoted-printable or base64, where "=_" does not, and
// nobody can know it before, so content that is sent as it is does not have it either.
func newMultipart(subtype string, params [][2]string, parts ...*entity) *entity {
	e := &entity{boundary: "=_" + rand.Text(), parts: parts}
	w := fieldWriter{}
	w.begin("Content-Type")
	w.token(" ", "multipart/"+subtype)
	for _, p := range params {
		w.param(p[0], p[1])
	}
	w.param("boundary", e.boundary)
	w.end()
	e.fields = w.buf
	return e
}

// appendTo adds the entity to c, blank line and all. It ends with a line end, which belongs to the delimiter that may follow
// (RFC 2046 s5.1.1), unless e is the whole message.
func (e *entity) appendTo(c *Composed) {
	c.add(e.fields)
	c.add(crlf)
	c.eightBit = c.eightBit || e.eightBit
	c.binary = c.binary || e.binary
	switch {
	case e.boundary != "":
		for _, part := range e.parts {
			c.add([]byte("--" + e.boundary + "\r\n"))
			part.appendTo(c)
		}
		c.add([]byte("--" + e.boundary + "--\r\n"))
	case e.file != nil:
		c.addFile(e.file)
		if !e.file.base64 || e.file.size == 0 {
			c.add(crlf)
		}
	default:
		c.add(e.data)
		c.add(crlf)
	}
}

// finish lays the message out.
func (c *Composed) finish(fields []byte, body *entity) {
	body.fields = append(fields, body.fields...)
	if body.boundary == "" && body.file == nil {
		// The line end that closes a part of a multipart here only has to end the last line (RFC 5322 s2.1).
		body.data = bytes.TrimSuffix(body.data, crlf)
	}
	c.utf8 = !isASCII(body.fields)
	header := append(bytes.Clone(body.fields), crlf...)
	c.header = ParseHeader(header)
	body.appendTo(c)
}

// textEntity makes a text part of text whose lines end in CRLF, in the plainest encoding that will do.
func textEntity(mediaType string, params [][2]string, text []byte, caps Capabilities) *entity {
	e := &entity{}
	var encoding string
	encoding, e.data = encodeText(text, caps)
	e.eightBit = encoding == "8bit"
	charset := "utf-8"
	w := fieldWriter{}
	w.begin("Content-Type")
	w.token(" ", mediaType)
	w.param("charset", charset)
	for _, p := range params {
		w.param(p[0], p[1])
	}
	w.end()
	w.transferEncoding(encoding)
	e.fields = w.buf
	return e
}

func (w *fieldWriter) transferEncoding(encoding string) {
	w.begin("Content-Transfer-Encoding")
	w.token(" ", encoding)
	w.end()
}

// encodeText chooses: 7bit for ASCII, 8bit where the link takes it, else the shorter of quoted-printable and base64.
// Lines beyond 998 octets (RFC 5322 s2.1.1) and lines that mbox files mangle ("From ", RFC 4155) are always encoded.
func encodeText(text []byte, caps Capabilities) (encoding string, encoded []byte) {
	plain := longestLine(text) <= hardColumn && bytes.IndexByte(text, 0) < 0 &&
		!bytes.HasPrefix(text, fromSpace) && !bytes.Contains(text, []byte("\nFrom "))
	if plain && isASCII(text) {
		return "7bit", text
	}
	if plain && (caps.EightBit || caps.Binary) {
		return "8bit", text
	}
	return encodeShorter(text)
}

// encodeExact is encodeText for text whose line ends are to arrive as they are.
func encodeExact(text []byte, caps Capabilities) (encoding string, encoded []byte) {
	crlfs := bytes.Count(text, crlf)
	if bytes.Count(text, crlf[1:]) != crlfs || bytes.Count(text, crlf[:1]) != crlfs {
		return encodeShorter(text)
	}
	return encodeText(text, caps)
}

func encodeShorter(text []byte) (encoding string, encoded []byte) {
	qp := appendQP(make([]byte, 0, len(text)+len(text)/8), text)
	if n := base64Size(int64(len(text))); n < int64(len(qp)) {
		encoded = make([]byte, n)
		encodeBase64Lines(encoded, text)
		return "base64", bytes.TrimSuffix(encoded, crlf)
	}
	return "quoted-printable", qp
}

func longestLine(text []byte) (longest int) {
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return max(longest, len(text))
		}
		longest = max(longest, i-1)
		text = text[i+1:]
	}
	return longest
}

// calendarMethod reads the METHOD property of an iCalendar object (RFC 5545 s3.7.2).
func calendarMethod(data []byte) string {
	for line := range bytes.Lines(data) {
		name, value, ok := strings.Cut(string(bytes.TrimSpace(line)), ":")
		if ok && strings.EqualFold(name, "METHOD") && isToken(value) {
			return strings.ToUpper(value)
		}
		if strings.EqualFold(name, "BEGIN") && !strings.EqualFold(value, "VCALENDAR") {
			break
		}
	}
	return "REQUEST"
}
