package mime

import (
	"bytes"
	"io"
)

const qpBuffer = 4 << 10

// qpDecoder reads quoted-printable (RFC 2045 s6.7) line by line. White space at the end of a line is dropped, a soft break
// may be followed by white space, and an equals sign that starts no escape stays, as s6.7 note 5 advises.
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
			d.in, d.dec = make([]byte, qpBuffer), make([]byte, 0, qpBuffer)
		}
		if d.err == nil {
			if d.from > 0 {
				d.to = copy(d.in, d.in[d.from:d.to])
				d.from = 0
			}
			n, err := d.src.Read(d.in[d.to:])
			d.to += n
			d.err = err
		}
		final := d.err != nil
		out, n := decodeQP(d.dec[:0], d.in[d.from:d.to], final, false)
		if n == 0 && d.to-d.from == len(d.in) { // a line longer than the buffer
			out, n = decodeQPPiece(d.dec[:0], d.in)
		}
		d.out = out
		d.from += n
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// decodeQP decodes the whole lines of src, and with final also what follows them, and returns how much it took. In word, it
// decodes the text of an encoded word, in which an underscore is a space (RFC 2047 s4.2).
func decodeQP(dst, src []byte, final, word bool) (out []byte, taken int) {
	for taken < len(src) {
		end := bytes.IndexByte(src[taken:], '\n')
		if end < 0 && !final {
			break
		}
		var line, eol []byte
		if end < 0 {
			line = src[taken:]
			taken = len(src)
		} else {
			line, eol = src[taken:taken+end], src[taken+end:taken+end+1]
			if end > 0 && line[end-1] == '\r' {
				line, eol = line[:end-1], src[taken+end-1:taken+end+1]
			}
			taken += end + 1
		}
		if !word {
			line = bytes.TrimRight(line, " \t")
			if n := len(line); n > 0 && line[n-1] == '=' {
				line, eol = line[:n-1], nil
			}
		}
		dst = appendQPDecoded(dst, line)
		dst = append(dst, eol...)
	}
	return dst, taken
}

// decodeQPPiece decodes a piece from the middle of a line and leaves a possible escape at its end.
func decodeQPPiece(dst, src []byte) (out []byte, taken int) {
	taken = len(src)
	if i := bytes.LastIndexByte(src[taken-3:], '='); i >= 0 {
		taken -= 3 - i
	}
	return appendQPDecoded(dst, src[:taken]), taken
}

func appendQPDecoded(dst, src []byte) []byte {
	for {
		i := bytes.IndexByte(src, '=')
		if i < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:i]...)
		src = src[i:]
		if len(src) >= 3 {
			if hi, lo := unhex(src[1]), unhex(src[2]); hi >= 0 && lo >= 0 {
				dst = append(dst, byte(hi<<4|lo))
				src = src[3:]
				continue
			}
		}
		dst = append(dst, '=')
		src = src[1:]
	}
}
