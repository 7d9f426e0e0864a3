package mime

import (
	"encoding/binary"
	"io"
	"sync"
)

// b64 gives the bits of a base64 letter at each of the four places of a quantum; bit 31 marks what is no letter.
var b64 = func() (t [4][256]uint32) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for place := range t {
		for i := range t[place] {
			t[place][i] = 1 << 31
		}
		for v := range len(alphabet) {
			t[place][alphabet[v]] = uint32(v) << (18 - 6*place)
		}
	}
	return t
}()

// b64Pair gives the twelve bits of two base64 letters, by their bytes as a little-endian number, or badPair. Only some 8 KiB of it are ever looked at.
var b64Pair = sync.OnceValue(func() *[1 << 16]uint16 {
	t := new([1 << 16]uint16)
	for i := range t {
		hi, lo := b64[2][i&0xff], b64[3][i>>8]
		if t[i] = uint16(hi | lo); (hi|lo)&(1<<31) != 0 {
			t[i] = badPair
		}
	}
	return t
})

const badPair = 1 << 15

// decodeBlocks decodes what it can of src eight letters at a time. dst has to have two bytes more than are decoded.
func decodeBlocks(dst, src []byte) (written, taken int) {
	t := b64Pair()
	for len(src) >= 8 && len(dst) >= 8 {
		x := binary.LittleEndian.Uint64(src)
		a, b, c, d := t[uint16(x)], t[uint16(x>>16)], t[uint16(x>>32)], t[uint16(x>>48)]
		if (a|b|c|d)&badPair != 0 {
			break
		}
		binary.BigEndian.PutUint64(dst, uint64(a)<<52|uint64(b)<<40|uint64(c)<<28|uint64(d)<<16)
		src, dst = src[8:], dst[6:]
		written += 6
		taken += 8
	}
	return written, taken
}

// base64State decodes base64 that arrives in pieces. Bytes that are no letters are left out; padding ends a run, and
// letters after it start a new one (RFC 2045 s6.8: characters outside the alphabet are to be ignored). What is no base64 after padding ends all: it is what
// a mailing list puts below a message.
type base64State struct {
	acc    uint32 // bits of an unfinished quantum
	n      int    // letters in it
	padded bool   // padding came
	done   bool   // and then something that is no base64
}

// decode appends at dst, which has room for 3/4 of src and three more bytes, and returns how much it wrote.
func (s *base64State) decode(dst, src []byte) int {
	w := 0
	for i := 0; i < len(src) && !s.done; {
		if s.n == 0 {
			n, taken := decodeBlocks(dst[w:], src[i:])
			w += n
			i += taken
			for i+4 <= len(src) {
				v := b64[0][src[i]] | b64[1][src[i+1]] | b64[2][src[i+2]] | b64[3][src[i+3]]
				if v&(1<<31) != 0 {
					break
				}
				d := dst[w : w+3 : w+3]
				d[0], d[1], d[2] = byte(v>>16), byte(v>>8), byte(v)
				w += 3
				i += 4
			}
			if i == len(src) {
				break
			}
			if src[i] == '\r' && i+1 < len(src) && src[i+1] == '\n' { // as most lines end
				i += 2
				continue
			}
		}
		c := src[i]
		i++
		if v := b64[3][c]; v&(1<<31) == 0 {
			s.acc = s.acc<<6 | v
			if s.n++; s.n == 4 {
				dst[w], dst[w+1], dst[w+2] = byte(s.acc>>16), byte(s.acc>>8), byte(s.acc)
				w += 3
				s.acc, s.n = 0, 0
			}
		} else if c == '=' {
			w += s.flush(dst[w:])
			s.padded = true
		} else if s.padded && !isSpace(c) {
			s.done = true
		}
	}
	return w
}

// flush writes the whole bytes of an unfinished quantum.
func (s *base64State) flush(dst []byte) (w int) {
	switch s.n {
	case 2:
		dst[0] = byte(s.acc >> 4)
		w = 1
	case 3:
		dst[0], dst[1] = byte(s.acc>>10), byte(s.acc>>2)
		w = 2
	}
	s.acc, s.n = 0, 0
	return w
}

// base64Decoder is the streaming reader over base64State.
type base64Decoder struct {
	src   io.Reader
	state base64State
	in    []byte
	out   []byte // decoded and not yet read
	small [96]byte
	err   error
}

func (d *base64Decoder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if len(d.out) > 0 {
			n := copy(p, d.out)
			d.out = d.out[n:]
			return n, nil
		}
		if d.err != nil {
			return 0, d.err
		}
		if d.in == nil {
			d.in = make([]byte, 8<<10)
		}
		dst, direct := p, true
		if len(p) < len(d.small) {
			dst, direct = d.small[:], false
		}
		// Four letters give three bytes; up to three letters wait from before.
		n, err := d.src.Read(d.in[:min(len(d.in), (len(dst)-6)/3*4)])
		w := d.state.decode(dst, d.in[:n])
		if err != nil {
			d.err = err
			if err == io.EOF {
				w += d.state.flush(dst[w:])
			}
		}
		if w > 0 && direct {
			return w, nil
		}
		if w > 0 {
			d.out = d.small[:w]
		}
	}
}

// WriteTo decodes in large pieces, for io.Copy.
func (d *base64Decoder) WriteTo(w io.Writer) (total int64, err error) {
	buf := copyBuffers.Get().(*[copyChunk]byte)
	defer copyBuffers.Put(buf)
	out := d.out
	d.out = nil
	for {
		if len(out) > 0 {
			n, err := w.Write(out)
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		if d.err == io.EOF {
			return total, nil
		}
		if d.err != nil {
			return total, d.err
		}
		in, dst := buf[:copyChunk/2], buf[copyChunk/2:]
		n, err := d.src.Read(in)
		k := d.state.decode(dst, in[:n])
		if d.err = err; err == io.EOF {
			k += d.state.flush(dst[k:])
		}
		out = dst[:k]
	}
}
