package mime

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/bits"
)

const qpBuffer = 4 << 10

// qpDecoder reads quoted-printable (RFC 2045 s6.7) whole lines at a time.
type qpDecoder struct {
	src      io.Reader
	in       []byte // buffer of what was read
	from, to int    // what of it is not decoded yet
	dec      []byte // buffer of what was decoded
	out      []byte // what of it was not yet read
	err      error
}

func (d *qpDecoder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(d.out) == 0 {
		if d.err != nil && d.from == d.to {
			return 0, d.err
		}
		if d.in == nil {
			d.in, d.dec = make([]byte, qpBuffer), make([]byte, qpBuffer)
		}
		if d.err == nil {
			d.to = copy(d.in, d.in[d.from:d.to])
			d.from = 0
			var n int
			n, d.err = d.src.Read(d.in[d.to:])
			d.to += n
		}
		piece, whole := d.next()
		d.out = d.dec[:decodeQP(d.dec, piece, whole, false)]
		d.from += len(piece)
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// next returns what can be decoded of what was read, and whether a line ends there.
func (d *qpDecoder) next() (piece []byte, whole bool) {
	b := d.in[d.from:d.to]
	if d.err != nil {
		return b, true
	}
	if end := bytes.LastIndexByte(b, '\n'); end >= 0 || len(b) < len(d.in) {
		return b[:end+1], true
	}
	// A line longer than the buffer. White space that may end it stays behind, and so does an escape that may go on, unless that is all there is.
	n := len(bytes.TrimRight(b, " \t\r"))
	if i := bytes.LastIndexByte(b[max(0, n-2):n], '='); i >= 0 {
		n = max(0, n-2) + i
	}
	if n > 0 {
		b = b[:n]
	}
	return b, false
}

// decodeQP decodes src to dst, which is at least as long and elsewhere, in one pass, and returns how much it wrote. White space at the end of a line is
// dropped, a soft break may have white space before its line end, and an equals sign that starts no escape stays, as the notes of RFC 2045 s6.7 advise. whole
// says that a line ends with src. With lf, every CRLF and CR of the result is an LF, as onlyLF has it.
func decodeQP(dst, src []byte, whole, lf bool) int {
	w := 0
	keep := 0 // white space that was written before it stays, whatever follows
	cr := -1  // with lf: the end of an LF that stands for a CR. An LF right after it belongs to it.
	for i := 0; i < len(src); {
		if i+8 <= len(src) {
			x := binary.LittleEndian.Uint64(src[i:])
			binary.LittleEndian.PutUint64(dst[w:], x)
			n := bits.TrailingZeros64(qpSpecial(x)) / 8 // 8 if there is none
			i, w = i+n, w+n
			if n == 8 {
				continue
			}
		}
		c := src[i]
		i++
		switch {
		case c == '=':
			v, ok := hexPair(src[i:])
			if ok {
				i += 2
				for v >= 0x80 && i+3 <= len(src) && src[i] == '=' { // the octets of a character
					next, ok := hexPair(src[i+1:])
					if !ok {
						break
					}
					dst[w] = v
					v = next
					i, w = i+3, w+1
				}
				c = v
			} else if n := softBreak(src[i:], whole); n >= 0 {
				i += n
				keep = w
				continue
			}
			if c == '\n' && cr == w {
				keep, cr = w, -1
				continue
			}
			keep = w + 1
		case c == '\n', c == '\r' && i < len(src) && src[i] == '\n':
			for w > keep && (dst[w-1] == ' ' || dst[w-1] == '\t') {
				w--
			}
			if c == '\r' {
				i++
				if !lf {
					dst[w] = '\r'
					w++
				}
			} else if cr == w {
				cr = -1
				continue
			}
			dst[w] = '\n'
			w++
			keep = w
			continue
		}
		if lf && c == '\r' {
			c, cr = '\n', w+1
		}
		dst[w] = c
		w++
	}
	for whole && w > keep && (dst[w-1] == ' ' || dst[w-1] == '\t') {
		w--
	}
	return w
}

// qpSpecial marks the first octet of x, in the order of memory, that may not be copied as it is: an equals sign, CR and LF. It also finds other control
// characters. Of what is above the first mark nothing is sure.
func qpSpecial(x uint64) uint64 {
	const low, high = 0x0101010101010101, 0x8080808080808080
	equals := x ^ '='*low
	return ((equals-low)&^equals | (x-0x0e*low)&^x) & high
}

// hexPair reads the two digits of an escape.
func hexPair(b []byte) (v byte, ok bool) {
	if len(b) < 2 {
		return 0, false
	}
	hi, lo := unhex(b[0]), unhex(b[1])
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

// softBreak returns the length of the line end that b starts with, and of the white space before it, or -1.
func softBreak(b []byte, whole bool) int {
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	switch {
	case i == len(b) && whole:
		return i
	case i < len(b) && b[i] == '\n':
		return i + 1
	case i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n':
		return i + 2
	}
	return -1
}

// appendQPDecoded decodes text that has no lines.
func appendQPDecoded(dst, src []byte) []byte {
	for {
		i := bytes.IndexByte(src, '=')
		if i < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:i]...)
		src = src[i+1:]
		if c, ok := hexPair(src); ok {
			dst = append(dst, c)
			src = src[2:]
		} else {
			dst = append(dst, '=')
		}
	}
}
