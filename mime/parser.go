package mime

import (
	"bytes"
	"fmt"
	"io"
)

// Parse reads the message of size bytes that r holds. The error is that of r: no message is too broken to be parsed. The
// message keeps r for reading bodies.
func Parse(r io.ReaderAt, size int64) (*Message, error) { return ParseLimits(r, size, Limits{}) }

// ParseLimits is [Parse] with limits other than the defaults.
func ParseLimits(r io.ReaderAt, size int64, limits Limits) (*Message, error) {
	p := NewParser(limits)
	buf := copyBuffers.Get().(*[copyChunk]byte)
	defer copyBuffers.Put(buf)
	for off := int64(0); off < size; {
		n, err := r.ReadAt(buf[:min(copyChunk, size-off)], off)
		p.Write(buf[:n]) // never fails
		off += int64(n)
		if off == size {
			break
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("mime: read message at byte %d of %d: %w", off, size, err)
		}
	}
	m := p.Close()
	m.src = r
	return m, nil
}

// ParseBytes parses the message b. It copies nothing: the message keeps b, which nobody may change.
func ParseBytes(b []byte) *Message { return ParseBytesLimits(b, Limits{}) }

// ParseBytesLimits is [ParseBytes] with limits other than the defaults.
func ParseBytesLimits(b []byte, limits Limits) *Message {
	p := NewParser(limits)
	p.whole = true
	p.m.head = b
	p.Write(b) // never fails
	m := p.Close()
	m.src = bytes.NewReader(b)
	return m
}

// maxDelimiter is the length of the longest line that can be a delimiter. RFC 2046 s5.1.1 allows 74 bytes and padding, and
// others take boundaries of thousands.
const maxDelimiter = 16 << 10

// maxJunk is the number of lines that are no fields after which the body is taken to have begun.
const maxJunk = 8

// Parser parses a message that is written to it in pieces of any size. Nothing of bodies is kept. [NewParser] makes one.
//
// It runs over the bytes once. A line that starts with two hyphens is looked up among the boundaries of all open
// multiparts at once, so that nesting costs nothing; every other line of a body costs one search for its end.
type Parser struct {
	m     *Message
	whole bool // m.head is the message itself

	off    int64   // of what was taken
	tail   [2]byte // last two bytes taken
	lines  int64   // line ends taken
	state  parseState
	cur    int32 // part that is being read
	middle bool  // the rest of the line is not looked at

	// A line that began in an earlier piece.
	gathering bool
	carry     []byte // what there is of it, in a body
	lineStart int64
	lineEOL   int // length of the line end before it
	lineAt    int // where it starts in m.head, in a header

	fields    int   // fields in the header being read
	fieldAt   int64 // where the last of them starts
	longest   int64 // length of the longest
	headTotal int   // bytes of headers kept
	full      bool

	junkLines            int // lines that are no fields and wait for what follows
	junkStart, junkCount int64
	junkAt               int

	guess int32 // one more than the part whose boundary is to be guessed
	open  []openBoundary
	index map[string]int32 // boundary to its innermost place in open; only when there are many
}

type parseState uint8

const (
	inHeader     parseState = iota
	inSkipHeader            // beyond what is kept of a header
	inBody
	inOpaque // nothing is looked at any more
)

// openBoundary is a multipart whose close delimiter has not come yet.
type openBoundary struct {
	boundary string
	part     int32
	shadowed int32 // place of the next outer one with the same boundary, or -1
}

// NewParser returns a parser with the limits.
func NewParser(limits Limits) *Parser {
	p := &Parser{m: &Message{limits: limits.withDefaults(), parts: make([]Part, 1, 4)}}
	p.m.parts[0].mediaType = "text/plain"
	return p
}

// Write takes the next piece of the message. It never fails.
func (p *Parser) Write(b []byte) (int, error) {
	if !p.whole && p.m.head == nil && len(b) > 0 {
		p.m.head = make([]byte, 0, min(len(b), 4096))
	}
	p.take(b)
	return len(b), nil
}

// Close ends the message and returns it. The parser is of no use afterwards.
func (p *Parser) Close() *Message {
	for p.gathering || p.state == inHeader && p.junkLines > 0 {
		if p.gathering {
			p.endLastLine()
		} else {
			p.rewind()
		}
	}
	p.cutHeader(p.off)
	m := p.m
	if p.state != inOpaque {
		p.closeBoundaries(0, p.off)
	}
	for i := p.cur; ; i = m.parts[i].parent {
		m.parts[i].end(p.off, 0, p.lines)
		if i == 0 {
			break
		}
	}
	m.size = p.off
	for i := range m.parts {
		m.parts[i].msg = m
	}
	return m
}

// endLastLine takes a last line that has no line end.
func (p *Parser) endLastLine() {
	if !p.gathering {
		return
	}
	p.gathering = false
	if p.state == inHeader {
		head := p.m.head[p.lineAt:]
		p.headerLine(head, head, p.lineStart, p.off)
		return
	}
	p.bodyLine(p.carry, p.lineStart, p.lineEOL, p.off)
	p.carry = p.carry[:0]
}

// take runs over the bytes of b.
func (p *Parser) take(b []byte) {
	base := p.off
	for i := 0; i < len(b); {
		if p.state == inOpaque || p.state == inBody && len(p.open) == 0 && !p.gathering && p.guess != p.cur+1 {
			p.lines += int64(bytes.Count(b[i:], newline))
			break
		}
		if p.middle {
			end := bytes.IndexByte(b[i:], '\n')
			if end < 0 {
				break
			}
			p.middle = false
			p.lines++
			i += end + 1
			continue
		}
		p.off = base + int64(i)
		switch {
		case p.state == inHeader:
			i = p.takeHeader(b, i)
		case p.gathering || b[i] == '-' || p.state == inSkipHeader && (b[i] == '\r' || b[i] == '\n'):
			i = p.takeLine(b, i)
		default:
			end := bytes.IndexByte(b[i:], '\n')
			if end < 0 {
				p.middle = true
				i = len(b)
				break
			}
			p.lines++
			i += end + 1
		}
	}
	p.off = base + int64(len(b))
	switch n := len(b); n {
	case 0:
	case 1:
		p.tail = [2]byte{p.tail[1], b[0]}
	default:
		p.tail = [2]byte{b[n-2], b[n-1]}
	}
}

var newline = []byte{'\n'}

// takeLine takes a line of a body that may be a delimiter, or the line that ends a header that is not kept.
func (p *Parser) takeLine(b []byte, i int) int {
	if !p.gathering {
		p.lineStart, p.lineEOL = p.off, p.eolBefore(b, i)
	}
	end := bytes.IndexByte(b[i:], '\n')
	next := i + end + 1
	if end < 0 {
		next = len(b)
	}
	if len(p.carry)+next-i > maxDelimiter {
		p.carry, p.gathering = p.carry[:0], false
		p.middle = true
		return i // the line ends somewhere behind
	}
	if end < 0 {
		p.carry, p.gathering = append(p.carry, b[i:]...), true
		return next
	}
	line := b[i:next]
	if p.gathering {
		p.carry = append(p.carry, line...)
		line, p.gathering = p.carry, false
	}
	p.off += int64(next - i)
	p.bodyLine(line, p.lineStart, p.lineEOL, p.off)
	p.carry = p.carry[:0]
	return next
}

// bodyLine looks at a line, with its end, that starts at start after a line end of eol bytes. next is where it ends.
func (p *Parser) bodyLine(line []byte, start int64, eol int, next int64) {
	ended := bytes.HasSuffix(line, newline)
	line = trimEOL(line)
	if len(line) > 2 && line[0] == '-' && line[1] == '-' && (len(p.open) > 0 || p.guess == p.cur+1) {
		p.guessBoundary(line)
		if level, closes, ok := p.match(line); ok {
			if p.state == inSkipHeader {
				p.cutHeader(start)
				eol = 0
			}
			p.delimiter(level, closes, start, eol, next)
			p.countLine(ended)
			return
		}
	}
	p.countLine(ended)
	if p.state == inSkipHeader && len(line) == 0 {
		p.endHeader(next, p.lines)
	}
}

func (p *Parser) countLine(ended bool) {
	if ended {
		p.lines++
	}
}

// eolBefore returns the length of the line end before b[i].
func (p *Parser) eolBefore(b []byte, i int) int {
	last, before := p.tail[1], p.tail[0]
	if i > 0 {
		last, before = b[i-1], p.tail[1]
	}
	if i > 1 {
		before = b[i-2]
	}
	switch {
	case last != '\n':
		return 0
	case before == '\r':
		return 2
	}
	return 1
}

func trimEOL(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	return trimCR(line)
}

// trimCR returns a line without the CR at its end, or the several that programs make who turn LF into CRLF twice.
func trimCR(line []byte) []byte {
	for n := len(line); n > 0 && line[n-1] == '\r'; n-- {
		line = line[:n-1]
	}
	return line
}

// defect records a defect of the part that is being read.
func (p *Parser) defect(kind DefectKind, offset int64) {
	if len(p.m.defects) < p.m.limits.Defects {
		p.m.defects = append(p.m.defects, Defect{Kind: kind, Offset: offset, Part: int(p.cur)})
	}
}

// end sets where the body ends: before the line end of eol bytes that comes before start. lines is the count there. When
// the body is empty, that line end is the blank line of the header and cannot be the delimiter's as well: then end returns 0,
// so that what contains the part keeps it too.
func (p *Part) end(start int64, eol int, lines int64) int {
	p.lines += lines
	p.bodyEnd = start
	if start-int64(eol) < p.bodyStart {
		return 0
	}
	if eol > 0 {
		p.bodyEnd -= int64(eol)
		p.lines--
	}
	return eol
}
