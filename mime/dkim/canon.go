package dkim

import (
	"bytes"
	"encoding/binary"
	"hash"
)

// A bodyHash canonicalizes a body (RFC 6376 s3.4.3, s3.4.4) and hashes it, a block at a time.
//
// Whole lines that need no change, which are nearly all, go to the hash as they came, many at once. A line that ends in a bare LF
// is taken for one that ends in CRLF, as it would on the wire.
type bodyHash struct {
	relaxed bool
	limit   int64 // octets to hash, -1 for all (l=)
	h       hash.Hash
	total   int64 // octets of the canonical body so far, the empty lines at its end left out

	// The state in the middle of a line, for what a block's edge cuts.
	content bool // the line has had something but white space at its end
	wsp     bool // relaxed: white space waits for what follows
	cr      bool // a CR waits for its LF
	empty   int64
	scratch []byte
}

func newBodyHash(relaxed bool, limit int64, h hash.Hash) *bodyHash {
	return &bodyHash{relaxed: relaxed, limit: limit, h: h}
}

func (b *bodyHash) hash(p []byte) {
	if b.limit >= 0 {
		p = p[:min(int64(len(p)), max(0, b.limit-b.total))]
		b.h.Write(p)
		return
	}
	b.h.Write(p)
}

// emit hashes canonical octets.
func (b *bodyHash) emit(p []byte) {
	b.hash(p)
	b.total += int64(len(p))
}

var crlfs = bytes.Repeat([]byte("\r\n"), 512)

// flushEmpty hashes the empty lines that turned out not to be at the end.
func (b *bodyHash) flushEmpty() {
	for b.empty > 0 {
		n := min(b.empty, int64(len(crlfs)/2))
		b.emit(crlfs[:2*n])
		b.empty -= n
	}
}

// Write takes the next octets of the body. It never fails.
func (b *bodyHash) Write(p []byte) (int, error) {
	n := len(p)
	if b.content || b.wsp || b.cr {
		i := bytes.IndexByte(p, '\n') + 1
		if i == 0 {
			i = len(p)
		}
		b.slow(p[:i])
		p = p[i:]
	}
	if end := bytes.LastIndexByte(p, '\n') + 1; end > 0 {
		b.lines(p[:end])
		p = p[end:]
	}
	b.slow(p)
	return n, nil
}

// lines takes whole lines. start and end are the run of lines that can be hashed as it is: end is after its last line that is not empty.
func (b *bodyHash) lines(p []byte) {
	start, end := 0, 0
	flush := func() {
		if end > start {
			b.emit(p[start:end])
		}
	}
	// White space other than a space is rare: it is looked for once.
	tabs := b.relaxed && bytes.IndexByte(p, '\t') >= 0
	for pos := 0; pos < len(p); {
		next := pos + bytes.IndexByte(p[pos:], '\n') + 1
		line := p[pos:next]
		switch {
		case len(line) == 2 && line[0] == '\r':
			b.empty++
		case len(line) < 2 || line[len(line)-2] != '\r' || b.relaxed && !tidy(line[:len(line)-2], tabs):
			// The run ends. The empty lines after it have been counted.
			flush()
			b.slow(line)
			start, end = next, next
		default:
			if end == start { // a run begins; empty lines before it may be of an earlier block
				b.flushEmpty()
				start = pos
			}
			b.empty = 0 // those inside the run go with it
			end = next
		}
		pos = next
	}
	flush()
}

// tidy reports whether relaxed canonicalization leaves a line alone: no white space at its end, none in a row, no tabs.
func tidy(line []byte, tabs bool) bool {
	if tabs && bytes.IndexByte(line, '\t') >= 0 {
		return false
	}
	if n := len(line); n > 0 && line[n-1] == ' ' {
		return false
	}
	// Eight pairs of neighbours at a time: a zero octet in v is a pair of spaces.
	for len(line) > 8 {
		v := binary.LittleEndian.Uint64(line) ^ spaces | binary.LittleEndian.Uint64(line[1:]) ^ spaces
		if (v-ones)&^v&highs != 0 {
			return false
		}
		line = line[8:]
	}
	for i := 1; i < len(line); i++ {
		if line[i] == ' ' && line[i-1] == ' ' {
			return false
		}
	}
	return true
}

const (
	ones   = 0x0101010101010101
	highs  = 0x80 * ones
	spaces = ' ' * ones
)

// slow takes octets one by one.
func (b *bodyHash) slow(p []byte) {
	out := b.scratch[:0]
	for _, c := range p {
		if c == '\n' {
			b.cr, b.wsp = false, false
			if b.content {
				out = append(out, '\r', '\n')
				b.content = false
			} else {
				b.empty++
			}
			b.emit(out)
			out = out[:0]
			continue
		}
		if b.cr {
			b.cr = false
			out = b.put(out, '\r')
		}
		switch {
		case c == '\r':
			b.cr = true
		case b.relaxed && (c == ' ' || c == '\t'):
			b.wsp = true
		default:
			out = b.put(out, c)
		}
		if len(out) >= 4096 {
			b.emit(out)
			out = out[:0]
		}
	}
	b.emit(out)
	b.scratch = out[:0]
}

// put appends an octet of a line. At the start of a line out is empty, so that the empty lines before can be hashed first.
func (b *bodyHash) put(out []byte, c byte) []byte {
	if !b.content {
		b.flushEmpty()
		b.content = true
	}
	if b.wsp {
		b.wsp = false
		out = append(out, ' ')
	}
	return append(out, c)
}

// sum ends the body and returns its hash. A last line without a line end gets one; empty lines at the end are gone; an empty body
// is one line end for simple canonicalization and nothing for relaxed.
func (b *bodyHash) sum() []byte {
	if b.cr { // a CR that ends the message is content
		b.cr = false
		b.emit(b.put(nil, '\r'))
	}
	if b.content {
		b.content = false
		b.emit(crlfs[:2])
	}
	if b.total == 0 && !b.relaxed {
		b.emit(crlfs[:2])
	}
	return b.h.Sum(nil)
}

// appendHeader appends a header field in canonical form, with its line end. raw is the field as it is in the message.
func appendHeader(dst, raw []byte, relaxed bool) []byte {
	if !relaxed {
		// RFC 6376 s3.4.1: as it is, though a bare LF is what CRLF was on the wire.
		for len(raw) > 0 {
			line, rest, _ := bytes.Cut(raw, lf)
			dst = append(dst, bytes.TrimSuffix(line, cr)...)
			dst = append(dst, '\r', '\n')
			raw = rest
		}
		return dst
	}
	// RFC 6376 s3.4.2
	name, value, _ := bytes.Cut(raw, colon)
	for _, c := range bytes.TrimRight(name, " \t\r\n") {
		dst = append(dst, lower(c))
	}
	dst = append(dst, ':')
	first := len(dst)
	wsp := false
	for _, c := range value {
		switch c {
		case ' ', '\t':
			wsp = true
		case '\r', '\n':
		default:
			if wsp && len(dst) > first {
				dst = append(dst, ' ')
			}
			wsp = false
			dst = append(dst, c)
		}
	}
	return append(dst, '\r', '\n')
}

var (
	lf    = []byte("\n")
	cr    = []byte("\r")
	colon = []byte(":")
)

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
