package mime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrTooLong is returned with what could be read when text is longer than Limits.DecodedBytes.
var ErrTooLong = errors.New("mime: decoded text is longer than Limits.DecodedBytes")

// Body says which parts of a message people see, by the rules of RFC 8621 s4.1.4: the parts to show one after the other in
// a view of plain text and in one of HTML, and those to offer as attachments. A message inside a message is an attachment, and a multipart that no
// delimiter divides is a text.
type Body struct {
	Text, HTML, Attachments []*Part
}

// Body returns the parts that are shown and attached.
func (m *Message) Body() Body {
	var v bodyView
	root := m.Root()
	if root.IsMultipart() && !root.IsLeaf() {
		v.walk(root, strings.TrimPrefix(root.mediaType, "multipart/"), false, true, true)
	} else {
		v.add(root, true, "mixed", false, true, true)
	}
	return v.body
}

// isUndivided reports whether p says that it is a multipart, and no delimiter divides it: what is there is text.
func (p *Part) isUndivided() bool { return p.multipart && p.IsLeaf() }

func (p *Part) isText() bool { return strings.HasPrefix(p.mediaType, "text/") || p.isUndivided() }

// Attachments returns the parts to offer as attachments; see [Body].
func (m *Message) Attachments() []*Part { return m.Body().Attachments }

type bodyView struct{ body Body }

// walk is parseStructure of RFC 8621 s4.1.4 on a multipart. text and html say whether its parts go there.
func (v *bodyView) walk(p *Part, kind string, inAlternative, text, html bool) {
	texts, htmls := len(v.body.Text), len(v.body.HTML)
	first := p.firstShown(kind)
	for c := range p.Children() {
		if c.IsMultipart() && !c.IsLeaf() {
			sub := strings.TrimPrefix(c.mediaType, "multipart/")
			v.walk(c, sub, inAlternative || sub == "alternative", text, html)
		} else {
			text, html = v.add(c, c == first, kind, inAlternative, text, html)
		}
	}
	if kind == "alternative" && text && html {
		// An alternative with only one of the two is shown in both views.
		switch {
		case texts == len(v.body.Text) && htmls != len(v.body.HTML):
			v.body.Text = append(v.body.Text, v.body.HTML[htmls:]...)
		case htmls == len(v.body.HTML) && texts != len(v.body.Text):
			v.body.HTML = append(v.body.HTML, v.body.Text[texts:]...)
		}
	}
}

// firstShown returns the part of a multipart that counts as its first: in a multipart/related the one that the start parameter names, if it is there
// (RFC 2387 s3.2).
func (p *Part) firstShown(kind string) (first *Part) {
	start := ""
	if kind == "related" {
		start = trimAngles(p.ContentType().Params.Get("start"))
	}
	for c := range p.Children() {
		if start != "" && c.ContentID() == start {
			return c
		}
		if first == nil {
			first = c
		}
	}
	return first
}

// add puts the leaf c of a multipart of some kind where it is seen, and returns which views go on.
func (v *bodyView) add(c *Part, first bool, kind string, inAlternative, text, html bool) (bool, bool) {
	b := &v.body
	media := strings.HasPrefix(c.mediaType, "image/") || strings.HasPrefix(c.mediaType, "audio/") || strings.HasPrefix(c.mediaType, "video/")
	plain, rich := c.mediaType == "text/plain" || c.isUndivided(), c.mediaType == "text/html"
	inline := c.disposition() != "attachment" && (plain || rich || media) &&
		(first || kind != "related" && (media || c.Filename() == ""))
	if !inline {
		b.Attachments = append(b.Attachments, c)
		return text, html
	}
	if kind == "alternative" {
		switch {
		case plain:
			b.Text = append(b.Text, c)
		case rich:
			b.HTML = append(b.HTML, c)
		default:
			b.Attachments = append(b.Attachments, c)
		}
		return text, html
	}
	if inAlternative {
		html = html && !plain
		text = text && !rich
	}
	if text {
		b.Text = append(b.Text, c)
	}
	if html {
		b.HTML = append(b.HTML, c)
	}
	if media && !(text && html) {
		b.Attachments = append(b.Attachments, c)
	}
	return text, html
}

// Text returns the message as plain text: the parts of Body.Text one after the other, decoded to UTF-8 with line ends "\n",
// format=flowed unwrapped, and HTML turned into text where there is no other.
func (m *Message) Text() (string, error) {
	return m.join(m.Body().Text, func(p *Part, s string) string {
		if p.mediaType == "text/html" {
			return HTMLText(s)
		}
		return s
	})
}

// HTML returns the message as HTML: the parts of Body.HTML one after the other, decoded to UTF-8, and plain text made HTML
// where there is no other. It is what the sender wrote: do not show it in a browser without a sanitizer.
func (m *Message) HTML() (string, error) {
	return m.join(m.Body().HTML, func(p *Part, s string) string {
		if p.mediaType == "text/html" {
			return s
		}
		return textHTML(s)
	})
}

// join reads the text parts and puts them together, within Limits.DecodedBytes.
func (m *Message) join(parts []*Part, form func(*Part, string) string) (string, error) {
	var b strings.Builder
	left := m.limits.DecodedBytes
	for _, p := range parts {
		if !p.isText() {
			continue
		}
		s, err := p.text(left)
		left -= int64(len(s))
		if len(parts) == 1 {
			return form(p, s), err
		}
		if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(form(p, s))
		if err != nil {
			return b.String(), err
		}
	}
	return b.String(), nil
}

// Text returns the text of a text part: decoded to UTF-8, line ends as "\n", format=flowed unwrapped (RFC 3676). A text longer
// than Limits.DecodedBytes is cut and comes with [ErrTooLong].
func (p *Part) Text() (string, error) { return p.text(p.msg.limits.DecodedBytes) }

func (p *Part) text(limit int64) (string, error) {
	ct := p.ContentType()
	charset := ct.Params.Get("charset")
	buf := copyBuffers.Get().(*[copyChunk]byte)
	defer copyBuffers.Put(buf)
	wide := isUTF16(charset)
	raw, err := p.decoded(buf[:], limit, !wide)
	if err != nil && !errors.Is(err, ErrTooLong) {
		return "", fmt.Errorf("mime: read part %d: %w", p.index, err)
	}
	s := ""
	switch charset, valid := detectCharset(charset, p.mediaType, raw); {
	case valid:
		s = string(raw)
	case isUTF16(charset): // in which CR and LF are no octets of their own
		if !wide {
			raw, err = p.decoded(buf[:], limit, false)
		}
		s = string(onlyLF([]byte(decodeCharset(charset, raw))))
	default:
		s = decodeCharset(charset, raw)
	}
	s = strings.TrimPrefix(s, "\uFEFF")
	if p.mediaType == "text/plain" && strings.EqualFold(ct.Params.Get("format"), "flowed") {
		s = DecodeFlowed(s, strings.EqualFold(ct.Params.Get("delsp"), "yes"))
	}
	return s, err
}

func isUTF16(charset string) bool {
	return len(charset) >= 6 && strings.EqualFold(charset[:6], "utf-16")
}

// decoded returns at most limit bytes of the body without its transfer encoding, with lf as lines that end in LF. It uses buf if that is long enough.
func (p *Part) decoded(buf []byte, limit int64, lf bool) ([]byte, error) {
	size := p.Size()
	if p.msg.src == nil || size > limit || p.encoding == EncodingUU {
		b, err := readLimited(p.Decoded(), size, limit)
		if lf {
			b = onlyLF(b)
		}
		return b, err
	}
	room := size
	if p.encoding == EncodingQuotedPrintable {
		room *= 2 // it is not decoded in its place
	}
	if int64(len(buf)) < room {
		buf = make([]byte, room)
	}
	b, rest := buf[:size], buf[size:]
	if n, err := p.msg.src.ReadAt(b, p.bodyStart); int64(n) < size {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch p.encoding {
	case EncodingQuotedPrintable:
		return rest[:decodeQP(rest, b, true, lf)], nil
	case EncodingBase64:
		var s base64State
		n := s.decode(b, b)
		b = b[:n+s.flush(b[n:])]
	}
	if lf {
		b = onlyLF(b)
	}
	return b, nil
}

// onlyLF makes every CRLF and CR of b an LF, in its place.
func onlyLF(b []byte) []byte {
	i := bytes.IndexByte(b, '\r')
	if i < 0 {
		return b
	}
	to := i
	for i < len(b) {
		b[to] = '\n' // for the CR at i
		to++
		if i++; i < len(b) && b[i] == '\n' {
			i++
		}
		next := bytes.IndexByte(b[i:], '\r')
		if next < 0 {
			next = len(b) - i
		}
		to += copy(b[to:], b[i:i+next])
		i += next
	}
	return b[:to]
}

// readLimited reads at most limit bytes. size is about how many there are.
func readLimited(r io.Reader, size, limit int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, min(size, limit)+bytes.MinRead))
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		return b.Bytes()[:limit], ErrTooLong
	}
	return b.Bytes(), err
}

// previewBytes is as much of a text as a preview looks at.
const previewBytes = 16 << 10

// Preview returns the beginning of the text in at most n characters, white space made single spaces, and quoted lines left
// out: what a list of messages shows (RFC 8970, RFC 8621 s4.1.4).
func (m *Message) Preview(n int) (string, error) {
	var b strings.Builder
	for _, p := range m.Body().Text {
		if !p.isText() {
			continue
		}
		s, err := p.text(previewBytes)
		if err != nil && !errors.Is(err, ErrTooLong) {
			return "", err
		}
		if p.mediaType == "text/html" {
			s = HTMLText(s)
		}
		for line := range strings.Lines(s) {
			if !strings.HasPrefix(line, ">") {
				b.WriteString(line)
			}
		}
		b.WriteByte(' ')
		if b.Len() > previewBytes {
			break
		}
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	count := 0
	for i := range text {
		if count == n {
			return strings.TrimRight(text[:i], " "), nil
		}
		count++
	}
	return text, nil
}

// Embedded returns the message inside a message/rfc822 as a message of its own. It decodes a transfer encoding, which RFC 2046
// s5.2.1 forbids there and some senders use. A message longer than Limits.DecodedBytes is cut and comes with [ErrTooLong].
func (p *Part) Embedded() (*Message, error) {
	if p.mediaType != "message/rfc822" && p.mediaType != "message/global" {
		return nil, fmt.Errorf("mime: part %d is %s, not a message", p.index, p.mediaType)
	}
	b, err := readLimited(p.Decoded(), p.Size(), p.msg.limits.DecodedBytes)
	if err != nil && !errors.Is(err, ErrTooLong) {
		return nil, fmt.Errorf("mime: read part %d: %w", p.index, err)
	}
	return ParseBytesLimits(b, p.msg.limits), err
}
