// Package line cuts a stream of octets into lines without doing any I/O.
//
// A [Buffer] is fed what the network delivered, and hands out whole lines and
// counted octets. It holds no more than one line and what was fed with it, and
// after a line that is too long it finds the start of the next one by itself.
//
//	var b line.Buffer
//	for {
//		l, ok, err := b.Line()
//		if !ok {
//			n, err := conn.Read(b.Space(4096))
//			b.Commit(n)
//			...
//			continue
//		}
//		...
//	}
package line

import (
	"bytes"
	"errors"
)

// DefaultMaxLine is the longest line of a [Buffer] whose MaxLine is zero.
const DefaultMaxLine = 8192

var (
	// ErrTooLong reports a line longer than MaxLine. It is given once per such
	// line, as soon as that is certain; the rest of the line is discarded.
	ErrTooLong = errors.New("line: longer than the limit")
	// ErrBareNewline reports a CR or LF that is not part of a CRLF. The line
	// that has it is given along.
	ErrBareNewline = errors.New("line: CR or LF outside a CRLF")
)

// Ending says what ends a line.
type Ending int

const (
	// CRLF: lines end with CRLF and nothing else. A line with a CR or LF of its
	// own comes with ErrBareNewline.
	CRLF Ending = iota
	// LF: lines end with LF; a CR before it is dropped. Other CRs belong to the
	// line.
	LF
)

// Buffer cuts a stream into lines. The zero value is ready for use.
// It is not safe for concurrent use.
type Buffer struct {
	MaxLine int    // octets in a line, without its ending; 0 means DefaultMaxLine
	Ending  Ending // what ends a line; default CRLF

	buf  []byte
	off  int  // buf[off:] is unread
	scan int  // buf[off:scan] was searched for a line ending
	bare bool // the part searched has a bare CR or LF
	skip bool // discarding the rest of a line that was too long
}

// Feed appends a copy of p. Slices that Line, Take and Buffered gave before
// are void after it.
func (b *Buffer) Feed(p []byte) {
	copy(b.Space(len(p)), p)
	b.Commit(len(p))
}

// Space returns n writable octets behind what is buffered, for a Read to fill
// directly. Commit says how many of them were filled. Slices that Line, Take
// and Buffered gave before are void after it.
func (b *Buffer) Space(n int) []byte {
	const keep = 64 << 10 // a larger buffer is not kept once it is empty
	if b.off == len(b.buf) {
		b.off, b.scan = 0, 0
		b.buf = b.buf[:0]
		if cap(b.buf) > keep && n <= keep {
			b.buf = nil
		}
	}
	if cap(b.buf)-len(b.buf) < n {
		unread := b.buf[b.off:]
		if cap(b.buf)-len(unread) < n {
			b.buf = make([]byte, 0, max(2*len(unread), len(unread)+n))
		}
		b.buf = append(b.buf[:0], unread...)
		b.scan -= b.off
		b.off = 0
	}
	return b.buf[len(b.buf) : len(b.buf)+n]
}

// Commit appends the first n octets of what Space returned.
func (b *Buffer) Commit(n int) {
	b.buf = b.buf[:len(b.buf)+n]
	if b.skip {
		b.discard()
	}
}

// Line returns the next line without its ending. ok is false when more input
// is needed; ok is true also with an error, which concerns this line alone:
// the next call goes on with the next line. The slice is valid until the next
// Feed or Space.
func (b *Buffer) Line() (line []byte, ok bool, err error) {
	limit := b.MaxLine
	if limit <= 0 {
		limit = DefaultMaxLine
	}
	if b.skip {
		return nil, false, nil
	}
	for {
		i := bytes.IndexByte(b.buf[b.scan:], '\n')
		if i < 0 {
			return b.unfinished(limit)
		}
		end := b.scan + i
		line = b.buf[b.off:end]
		cr := end > b.off && b.buf[end-1] == '\r'
		if cr {
			line = line[:len(line)-1]
		}
		if b.Ending == CRLF && !cr {
			b.scan = end + 1
			b.bare = true
			if len(b.buf[b.off:b.scan]) > limit { // cannot become short again
				return b.tooLong()
			}
			continue
		}
		bare := b.bare || b.Ending == CRLF && bytes.IndexByte(line, '\r') >= 0
		b.off = end + 1
		b.scan = b.off
		b.bare = false
		if len(line) > limit {
			return nil, true, ErrTooLong
		}
		if bare {
			return line, true, ErrBareNewline
		}
		return line, true, nil
	}
}

// unfinished handles input without a line ending: it waits, or gives up.
func (b *Buffer) unfinished(limit int) ([]byte, bool, error) {
	b.scan = len(b.buf)
	n := b.scan - b.off
	if n > 0 && b.buf[b.scan-1] == '\r' {
		n-- // may be half of the ending
	}
	if n > limit {
		return b.tooLong()
	}
	return nil, false, nil
}

func (b *Buffer) tooLong() ([]byte, bool, error) {
	b.skip = true
	b.bare = false
	b.off = b.scan
	if b.off > 0 && b.buf[b.off-1] == '\r' {
		b.off-- // may be half of the ending
	}
	b.scan = b.off
	b.discard()
	return nil, true, ErrTooLong
}

// discard drops input through the end of the line.
func (b *Buffer) discard() {
	for {
		i := bytes.IndexByte(b.buf[b.scan:], '\n')
		if i < 0 {
			b.off = len(b.buf)
			if b.off > 0 && b.buf[b.off-1] == '\r' && b.scan < len(b.buf) {
				b.off--
			}
			b.scan = b.off
			return
		}
		end := b.scan + i
		b.off = end + 1
		if b.Ending == LF || end > b.scan && b.buf[end-1] == '\r' {
			b.skip = false
			b.scan = b.off
			return
		}
		b.scan = b.off
	}
}

// Take removes and returns at most n unread octets, whatever they are: the
// content of a literal or chunk whose length is known. It returns nil when
// nothing is buffered. The slice is valid until the next Feed or Space.
func (b *Buffer) Take(n int) []byte {
	n = min(n, len(b.buf)-b.off)
	if n <= 0 || b.skip {
		return nil
	}
	p := b.buf[b.off : b.off+n : b.off+n]
	b.off += n
	b.scan = b.off
	b.bare = false
	return p
}

// Buffered returns what was fed and not yet taken. It is valid until the next
// Feed or Space.
func (b *Buffer) Buffered() []byte { return b.buf[b.off:] }

// Len returns the number of octets that were fed and not yet taken.
func (b *Buffer) Len() int { return len(b.buf) - b.off }

// Reset drops everything buffered, as when TLS starts: what came before the
// handshake must not be taken for part of what it protects.
func (b *Buffer) Reset() {
	b.buf = b.buf[:0]
	b.off, b.scan = 0, 0
	b.bare, b.skip = false, false
}
