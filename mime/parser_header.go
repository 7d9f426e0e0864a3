package mime

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// takeHeader takes a line of a header from b[i:] and returns what it left.
func (p *Parser) takeHeader(b []byte, i int) int {
	part := &p.m.parts[p.cur]
	limits := &p.m.limits
	if !p.gathering {
		p.lineStart, p.lineEOL = p.off, p.eolBefore(b, i)
		p.lineAt = p.headPos(p.off)
		kept := p.lineAt - part.headAt
		if kept >= limits.HeaderBytes || p.headTotal+kept >= limits.TotalHeaderBytes {
			p.full = p.full || kept < limits.HeaderBytes
			p.skipHeader(DefectLimitHeaderBytes)
			return i
		}
	}
	end := bytes.IndexByte(b[i:], '\n')
	next := i + end + 1
	if end < 0 {
		next = len(b)
	}
	length := next - i
	if p.gathering {
		length += int(p.off - p.lineStart)
	}
	if length > limits.HeaderBytes { // one line is longer than all that is kept
		if !p.whole {
			p.m.head = p.m.head[:p.lineAt]
		}
		p.gathering, p.middle = false, true
		p.skipHeader(DefectLimitHeaderBytes)
		return i
	}
	if !p.whole {
		p.m.head = append(p.m.head, b[i:next]...)
	}
	p.off += int64(next - i)
	if end < 0 {
		p.gathering = true
		return next
	}
	p.gathering = false
	raw := p.m.head[p.lineAt : p.lineAt+length]
	p.headerLine(raw, trimEOL(raw), p.lineStart, p.off)
	return next
}

// headPos returns where the byte at off, which comes next, stands in m.head.
func (p *Parser) headPos(off int64) int {
	if p.whole {
		return int(off)
	}
	return len(p.m.head)
}

// skipHeader ends what is kept of the header before the line that is being read.
func (p *Parser) skipHeader(why DefectKind) {
	p.defect(why, p.lineStart)
	p.junkLines = 0
	p.m.parts[p.cur].headEnd = p.lineAt
	p.state = inSkipHeader
}

// headerLine looks at a line of a header that starts at start. next is where it ends.
func (p *Parser) headerLine(raw, line []byte, start, next int64) {
	ended := len(raw) > 0 && raw[len(raw)-1] == '\n'
	if len(line) > 2 && line[0] == '-' && line[1] == '-' {
		if level, closes, ok := p.match(line); ok {
			p.headerAtDelimiter(level, closes, start, next, ended)
			return
		}
		if p.opensBody(line) { // the blank line before the first part is missing
			p.startJunk(start)
			p.countLine(ended)
			p.rewind()
			return
		}
	}
	switch {
	case len(line) == 0:
		if p.junkLines > 1 {
			// Several lines that are no fields, then a blank one: a paragraph of a body whose blank line is missing.
			p.countLine(ended)
			p.rewind()
			return
		}
		p.acceptJunk()
		p.countLine(ended)
		p.endHeader(next, p.lines)
		return
	case line[0] == ' ' || line[0] == '\t':
		if p.fields > 0 && p.junkLines == 0 {
			break
		}
		if p.junk(start, ended) {
			return
		}
	case fieldColon(line) >= 0 || p.atByteOrderMark(line, start):
		p.acceptJunk()
		if p.fields >= p.m.limits.Fields {
			p.skipHeader(DefectLimitFields)
			if !p.whole {
				p.m.head = p.m.head[:p.lineAt]
			}
			break
		}
		p.endField(start)
		p.fields++
	case p.fields == 0 && p.junkLines == 0 && isMboxLine(line):
		p.defect(DefectMboxLine, start)
	default:
		if p.junk(start, ended) {
			return
		}
	}
	p.countLine(ended)
}

// atByteOrderMark reports whether the first line of the message is a field behind a byte order mark, and records that.
func (p *Parser) atByteOrderMark(line []byte, start int64) bool {
	field, ok := bytes.CutPrefix(line, byteOrderMark)
	if !ok || start != p.m.parts[p.cur].headerStart || fieldColon(field) < 0 {
		return false
	}
	p.defect(DefectByteOrderMark, start)
	return true
}

func isMboxLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}

// junk takes a line that is no field. Where no field came before it, or too many such lines, it is the body that has begun,
// and junk reports that the lines were taken as such.
func (p *Parser) junk(start int64, ended bool) bool {
	if p.junkLines == 0 {
		p.startJunk(start)
	}
	p.junkLines++
	if p.fields > 0 && p.junkLines <= maxJunk {
		return false
	}
	p.countLine(ended)
	p.rewind()
	return true
}

// startJunk marks the line at start as the first that may belong to the body.
func (p *Parser) startJunk(start int64) {
	if p.junkLines == 0 {
		p.junkStart, p.junkCount, p.junkAt = start, p.lines, p.lineAt
	}
}

// acceptJunk takes the lines that wait for lines of the header, since the header goes on.
func (p *Parser) acceptJunk() {
	if p.junkLines > 0 {
		p.defect(DefectHeaderLine, p.junkStart)
		p.junkLines = 0
	}
}

// rewind ends the header before the first line that waits, and takes these lines again as what follows it.
func (p *Parser) rewind() {
	p.junkLines = 0
	p.defect(DefectHeaderEnd, p.junkStart)
	var again []byte
	if p.whole {
		again = p.m.head[p.junkAt:int(p.off)]
	} else {
		again = bytes.Clone(p.m.head[p.junkAt:])
		p.m.head = p.m.head[:p.junkAt]
	}
	p.off, p.lines = p.junkStart, p.junkCount
	tail := p.tail
	p.tail = [2]byte{0, '\n'} // a line end came before; its length only counts for a part that is empty
	p.m.parts[p.cur].headEnd = p.junkAt
	p.endHeader(p.off, p.lines)
	p.take(again)
	p.tail = tail // the piece that is being taken has not ended
}

// opensBody reports whether the line is a delimiter of the multipart that the header being read declares.
func (p *Parser) opensBody(line []byte) bool {
	part := &p.m.parts[p.cur]
	c := contentFields(Header{raw: p.m.head[part.headAt:p.lineAt], limits: &p.m.limits})
	boundary := bytes.TrimRight(line[2:], " \t")
	if c.boundary == "" && strings.HasPrefix(c.mediaType, "multipart/") {
		return isBoundary(boundary) // it will be guessed
	}
	return c.boundary != "" && string(boundary) == c.boundary
}

// headerAtDelimiter ends a header that runs into a delimiter line.
func (p *Parser) headerAtDelimiter(level int, closes bool, start, next int64, ended bool) {
	if p.junkLines > 0 {
		// The lines that wait are the body. The delimiter is taken with them.
		p.countLine(ended)
		p.rewind()
		return
	}
	p.m.parts[p.cur].headEnd = p.lineAt
	if !p.whole {
		p.m.head = p.m.head[:p.lineAt]
	}
	p.cutHeader(start)
	p.delimiter(level, closes, start, 0, next)
	p.countLine(ended)
}

// cutHeader ends a header, if one is being read, that has no blank line at its end, and the empty bodies after it.
func (p *Parser) cutHeader(off int64) {
	if p.state != inHeader && p.state != inSkipHeader {
		return
	}
	if off > p.m.parts[p.cur].headerStart {
		p.defect(DefectHeaderEnd, off)
	}
	for p.state == inHeader || p.state == inSkipHeader {
		p.endHeader(off, p.lines)
	}
}

// endHeader ends the header of the part being read, finds out what its body is, and starts it at off.
func (p *Parser) endHeader(off, lines int64) {
	m := p.m
	part := &m.parts[p.cur]
	if p.state == inHeader && part.headEnd == 0 || part.headEnd < part.headAt {
		part.headEnd = p.headPos(off)
	}
	part.bodyStart = off
	part.lines = -lines
	p.state = inBody
	raw := m.head[part.headAt:part.headEnd]
	p.headTotal += len(raw)
	p.endField(off)
	p.checkHeader(raw, part.headerStart)

	c := contentFields(Header{raw: raw, limits: &m.limits})
	mediaType := c.mediaType
	if mediaType == "" {
		mediaType = "text/plain"
		if parent := &m.parts[part.parent]; p.cur != 0 && parent.multipart && parent.mediaType == "multipart/digest" {
			mediaType = "message/rfc822" // RFC 2046 s5.1.5
		}
	} else if mediaType == badMediaType {
		mediaType = "text/plain" // RFC 2045 s5.2
		p.defect(DefectContentType, part.headerStart)
	}
	part.mediaType, part.encoding = mediaType, c.encoding
	if c.again {
		p.defect(DefectDuplicateContentType, part.headerStart)
	}
	if c.encoding == EncodingUnknown {
		p.defect(DefectEncoding, part.headerStart)
	}
	switch {
	case len(mediaType) > 10 && mediaType[:10] == "multipart/":
		p.beginMultipart(c.boundary)
	case (mediaType == "message/rfc822" || mediaType == "message/global") && c.encoding <= EncodingBinary:
		if p.room() {
			part.embeds = true
			p.addPart(off)
		}
	}
}

// checkHeader records what no header should have.
func (p *Parser) checkHeader(raw []byte, off int64) {
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		p.defect(DefectNUL, off+int64(i))
	}
	for i := 0; i < len(raw); {
		n := bytes.IndexByte(raw[i:], '\r')
		if n < 0 {
			break
		}
		i += n + 1
		if i < len(raw) && raw[i] != '\n' {
			p.defect(DefectBareCR, off+int64(i-1))
			break
		}
	}
	if i := firstInvalidUTF8(raw); i >= 0 {
		p.defect(DefectRaw8Bit, off+int64(i))
	}
	p.checkCounts(raw, off)
}

func firstInvalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// endField ends the field being read at off, where the next one or the body starts.
func (p *Parser) endField(off int64) {
	p.longest = max(p.longest, off-p.fieldAt)
	p.fieldAt = off
}

// checkCounts records fields with more addresses or parameters than are read. Only long ones can have so many.
func (p *Parser) checkCounts(raw []byte, off int64) {
	limits := &p.m.limits
	fewAddresses, fewParams := 2*limits.Addresses, len("a=b;")*limits.Params
	if p.longest < int64(min(fewAddresses, fewParams)) {
		return
	}
	h := Header{raw: raw, offset: off, limits: limits}
	for f := range h.Fields() {
		v := f.raw[f.colon+1:]
		switch name := f.name(); {
		case len(v) > fewAddresses && isAddressField(name):
			if count(parseAddressList(v, limits.Addresses+1, true)) > limits.Addresses {
				p.defect(DefectLimitAddresses, f.Offset)
			}
		case len(v) > fewParams && (equalFold(name, "Content-Type") || equalFold(name, "Content-Disposition")):
			if _, pos := paramHead(v); len(rawParams(v[pos:], limits.Params+1)) > limits.Params {
				p.defect(DefectLimitParams, f.Offset)
			}
		}
	}
}

func count(l AddressList) (n int) {
	for _, g := range l {
		n += len(g.Members)
	}
	return n
}

func isAddressField(name []byte) bool {
	for _, s := range [...]string{"From", "To", "Cc", "Bcc", "Sender", "Reply-To"} {
		if equalFold(name, s) {
			return true
		}
	}
	return false
}

// beginMultipart opens the part being read as a multipart.
func (p *Parser) beginMultipart(boundary string) {
	part := &p.m.parts[p.cur]
	if part.encoding > EncodingBinary {
		// RFC 2045 s6.4 forbids it, and what senders mean is the parts'.
		p.defect(DefectMultipartEncoding, part.headerStart)
		part.encoding = Encoding7Bit
	}
	if boundary == "" || len(boundary) > maxDelimiter-8 {
		p.defect(DefectNoBoundary, part.headerStart)
		part.multipart = true
		p.guess = p.cur + 1
		return
	}
	if !p.room() {
		return
	}
	part.multipart = true
	p.push(boundary)
}

// room reports whether the part being read may have parts inside.
func (p *Parser) room() bool {
	switch {
	case int(p.m.parts[p.cur].depth)+1 > p.m.limits.Depth:
		p.defect(DefectLimitDepth, p.m.parts[p.cur].bodyStart)
	case p.full:
	case len(p.m.parts) >= p.m.limits.Parts:
		p.full = true
		p.defect(DefectLimitParts, p.m.parts[p.cur].bodyStart)
	default:
		return true
	}
	return false
}

// addPart adds a child to the part being read, whose header starts at off, and goes on with it.
func (p *Parser) addPart(off int64) {
	m := p.m
	i := int32(len(m.parts))
	parent := &m.parts[p.cur]
	if parent.last != 0 {
		m.parts[parent.last].next = i
	} else {
		parent.first = i
	}
	parent.last = i
	at := p.headPos(off)
	m.parts = append(m.parts, Part{
		index: i, parent: p.cur, depth: parent.depth + 1, mediaType: "text/plain",
		headerStart: off, bodyStart: off, bodyEnd: off, headAt: at,
	})
	p.cur, p.state, p.fields, p.junkLines = i, inHeader, 0, 0
	p.fieldAt, p.longest = off, 0
}
