package mime

import (
	"encoding/base64"
	"encoding/binary"
	"io"
	"sync"
)

// Encoded lines are 76 characters, which carry 57 octets (RFC 2045 s6.8).
const (
	base64LineIn  = 57
	base64LineOut = 76 + 2 // with CRLF
)

// base64Size is how many octets n octets take in base64 with CRLF line ends.
func base64Size(n int64) int64 {
	chars := (n + 2) / 3 * 4
	return chars + (chars+75)/76*2
}

// base64Pairs maps 12 bits to their two characters, as a little-endian number, so that six octets cost four table reads and one store.
var base64Pairs = func() (t [4096]uint16) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return t
}()

// encodeBase64Lines writes src to dst as whole lines, the last of which may be short, and returns how much it wrote.
// Only the last call for a message may have a src that is not a multiple of base64LineIn.
func encodeBase64Lines(dst, src []byte) int {
	n := 0
	for len(src) >= base64LineIn {
		in, out := src[:base64LineIn], dst[n:n+base64LineOut]
		for i, o := 0, 0; i < base64LineIn-3; i, o = i+6, o+8 {
			v := binary.BigEndian.Uint64(in[i : i+8])
			binary.LittleEndian.PutUint64(out[o:o+8], uint64(base64Pairs[v>>52])|uint64(base64Pairs[v>>40&4095])<<16|
				uint64(base64Pairs[v>>28&4095])<<32|uint64(base64Pairs[v>>16&4095])<<48)
		}
		last := uint(in[54])<<16 | uint(in[55])<<8 | uint(in[56])
		binary.LittleEndian.PutUint32(out[72:76], uint32(base64Pairs[last>>12])|uint32(base64Pairs[last&4095])<<16)
		out[76], out[77] = '\r', '\n'
		n += base64LineOut
		src = src[base64LineIn:]
	}
	if len(src) > 0 {
		base64.StdEncoding.Encode(dst[n:], src)
		n += base64.StdEncoding.EncodedLen(len(src))
		dst[n], dst[n+1] = '\r', '\n'
		n += 2
	}
	return n
}

const base64Block = 512 // lines encoded at a time

// base64Reader gives what r reads, in base64 lines.
type base64Reader struct {
	r       io.Reader
	err     error
	raw     *base64Input
	encoded []byte // what a short Read left over
	buf     []byte // backs encoded
}

// base64Input and base64Output hold the lines that are encoded at a time.
type (
	base64Input  [base64Block * base64LineIn]byte
	base64Output [base64Block * base64LineOut]byte
)

var (
	base64Inputs  = sync.Pool{New: func() any { return new(base64Input) }}
	base64Outputs = sync.Pool{New: func() any { return new(base64Output) }}
)

func newBase64Reader(r io.Reader) *base64Reader {
	return &base64Reader{r: r, raw: base64Inputs.Get().(*base64Input)}
}

// release gives the buffer back. Nothing can be read after it.
func (b *base64Reader) release() {
	if b.raw != nil {
		base64Inputs.Put(b.raw)
		b.raw, b.encoded, b.err = nil, nil, io.ErrClosedPipe
	}
}

// fill reads up to lines lines of input and encodes them into dst, which has room for them.
func (b *base64Reader) fill(dst []byte, lines int) int {
	if b.err != nil {
		return 0
	}
	raw := b.raw[:lines*base64LineIn]
	n, err := io.ReadFull(b.r, raw)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	b.err = err
	if err != nil && err != io.EOF {
		n -= n % base64LineIn // no padding in the middle of what the caller may take for whole
	}
	return encodeBase64Lines(dst, raw[:n])
}

func (b *base64Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(b.encoded) == 0 {
		if lines := min(len(p)/base64LineOut, base64Block); lines > 0 {
			if n := b.fill(p, lines); n > 0 {
				return n, nil
			}
			return 0, b.err
		}
		if b.buf == nil {
			b.buf = make([]byte, 8*base64LineOut)
		}
		b.encoded = b.buf[:b.fill(b.buf, 8)]
		if len(b.encoded) == 0 {
			return 0, b.err
		}
	}
	n := copy(p, b.encoded)
	b.encoded = b.encoded[n:]
	return n, nil
}
