package smime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	maxDepth   = 16      // of values inside values, in what is read as a whole
	maxElement = 1 << 20 // octets of certificates, recipients, signers: of each
)

var errBER = fail(Malformed, "the data is not in the Basic Encoding Rules")

// A tag is the first octet of a value; tags beyond 30 do not occur in CMS.
type tag byte

const (
	tagInteger  tag = 0x02
	tagOctets   tag = 0x04
	tagOID      tag = 0x06
	tagSequence tag = 0x30
	tagSet      tag = 0x31
	constructed tag = 0x20
	context0    tag = 0x80
	context1    tag = 0x81
	context2    tag = 0x82
)

// ber reads values in the Basic Encoding Rules from a stream: of definite and indefinite length, since programs that stream write the second (RFC 5652 s2).
type ber struct {
	r    *bufio.Reader
	pos  int64
	ends []int64 // of the values that are open: where they end, or -1
}

func newBER(r io.Reader) *ber { return &ber{r: bufio.NewReaderSize(r, 32<<10)} }

type header struct {
	tag tag
	end int64 // where the value ends, or -1
}

func (b *ber) byte() (byte, error) {
	c, err := b.r.ReadByte()
	if err == io.EOF {
		err = fail(Malformed, "the data is cut off")
	}
	b.pos++
	return c, err
}

// end reports whether the innermost open value ends here.
func (b *ber) end() (bool, error) {
	if len(b.ends) == 0 {
		return false, nil
	}
	last := b.ends[len(b.ends)-1]
	if last >= 0 {
		return b.pos >= last, nil
	}
	two, err := b.r.Peek(2)
	if err != nil {
		if err == io.EOF {
			err = fail(Malformed, "the data is cut off")
		}
		return false, err
	}
	return two[0] == 0 && two[1] == 0, nil
}

// next reads the tag and length of the next value of the innermost open one.
func (b *ber) next() (h header, err error) {
	t, err := b.byte()
	if err != nil {
		return h, err
	}
	l, err := b.byte()
	if err != nil {
		return h, err
	}
	if t&0x1f == 0x1f {
		return h, errBER
	}
	h.tag = tag(t)
	switch {
	case l < 0x80:
		h.end = b.pos + int64(l)
	case l == 0x80:
		if h.tag&constructed == 0 {
			return h, errBER
		}
		h.end = -1
	default:
		n := int64(0)
		for range l & 0x7f {
			c, err := b.byte()
			if err != nil {
				return h, err
			}
			if n >= 1<<48 {
				return h, errBER
			}
			n = n<<8 | int64(c)
		}
		h.end = b.pos + n
	}
	// A value does not reach beyond the one that it is in.
	for i := len(b.ends) - 1; i >= 0 && h.end >= 0; i-- {
		if b.ends[i] >= 0 {
			if h.end > b.ends[i] {
				return h, errBER
			}
			break
		}
	}
	return h, nil
}

// enter opens the next value, which has the tag.
func (b *ber) enter(want tag) error {
	h, err := b.next()
	if err != nil {
		return err
	}
	if h.tag != want {
		return errBER
	}
	return b.open(h)
}

func (b *ber) open(h header) error {
	if len(b.ends) == 2*maxDepth {
		return fail(Malformed, "values are nested too deep")
	}
	b.ends = append(b.ends, h.end)
	return nil
}

// leave closes the innermost open value, all of which was read.
func (b *ber) leave() error {
	end, err := b.end()
	if err != nil {
		return err
	}
	if !end {
		return errBER
	}
	if b.ends[len(b.ends)-1] < 0 {
		b.r.Discard(2) // end peeked at them
		b.pos += 2
	}
	b.ends = b.ends[:len(b.ends)-1]
	return nil
}

// element reads the next value as a whole, and returns it in definite lengths, octet strings in one piece.
func (b *ber) element() ([]byte, tag, error) {
	h, err := b.next()
	if err != nil {
		return nil, 0, err
	}
	e, err := b.rest(h)
	return e, h.tag, err
}

// rest reads the value of a header that was read.
func (b *ber) rest(h header) ([]byte, error) {
	left := maxElement
	content, err := b.contents(h, 0, &left)
	if err != nil {
		return nil, err
	}
	return tlv(plainTag(h.tag), content), nil
}

// plainTag is the tag in definite length encoding: an octet string is never constructed.
func plainTag(t tag) tag {
	if t == tagOctets|constructed {
		return tagOctets
	}
	return t
}

func (b *ber) contents(h header, depth int, left *int) ([]byte, error) {
	if depth == maxDepth {
		return nil, fail(Malformed, "values are nested too deep")
	}
	if h.tag&constructed == 0 {
		n := h.end - b.pos
		if n > int64(*left) {
			return nil, fail(TooLarge, "more than %d octets of certificates, recipients or signers", maxElement)
		}
		*left -= int(n)
		data, err := io.ReadAll(io.LimitReader(b.r, n)) // grows with what comes, not with what was announced
		b.pos += int64(len(data))
		if err == nil && int64(len(data)) < n {
			err = fail(Malformed, "the data is cut off")
		}
		return data, err
	}
	if err := b.open(h); err != nil {
		return nil, err
	}
	var out []byte
	for {
		end, err := b.end()
		if err != nil {
			return nil, err
		}
		if end {
			return out, b.leave()
		}
		if *left -= 2; *left < 0 {
			return nil, fail(TooLarge, "more than %d octets of certificates, recipients or signers", maxElement)
		}
		in, err := b.next()
		if err != nil {
			return nil, err
		}
		content, err := b.contents(in, depth+1, left)
		if err != nil {
			return nil, err
		}
		if h.tag == tagOctets|constructed {
			if plainTag(in.tag) != tagOctets {
				return nil, errBER
			}
			out = append(out, content...)
		} else {
			out = append(out, tlv(plainTag(in.tag), content)...)
		}
	}
}

// octets returns a reader of an octet string, in one piece or in several, that has the tag of h.
func (b *ber) octets(h header) (io.Reader, error) {
	if h.tag&constructed == 0 {
		return &octetReader{b: b, n: h.end - b.pos}, nil
	}
	if err := b.open(h); err != nil {
		return nil, err
	}
	return &octetReader{b: b, open: 1}, nil
}

type octetReader struct {
	b    *ber
	n    int64 // of the piece
	open int   // strings of strings that are open
}

func (o *octetReader) Read(p []byte) (int, error) {
	for o.n == 0 {
		if o.open == 0 {
			return 0, io.EOF
		}
		end, err := o.b.end()
		if err != nil {
			return 0, err
		}
		if end {
			if err := o.b.leave(); err != nil {
				return 0, err
			}
			o.open--
			continue
		}
		h, err := o.b.next()
		if err != nil {
			return 0, err
		}
		switch h.tag {
		case tagOctets:
			o.n = h.end - o.b.pos
		case tagOctets | constructed:
			if err := o.b.open(h); err != nil {
				return 0, err
			}
			o.open++
		default:
			return 0, errBER
		}
	}
	if int64(len(p)) > o.n {
		p = p[:o.n]
	}
	n, err := o.b.r.Read(p)
	o.n -= int64(n)
	o.b.pos += int64(n)
	if err == io.EOF {
		err = fail(Malformed, "the data is cut off")
	}
	return n, err
}

// A value is a piece of an element that was read.
type value struct {
	tag     tag
	content []byte
	full    []byte
}

var errDER = errors.New("smime: bad element")

// cut takes the first value off definite-length data.
func cut(b []byte) (v value, rest []byte, err error) {
	r := ber{r: bufio.NewReader(bytes.NewReader(b))}
	h, err := r.next()
	if err != nil || h.end < 0 || h.end > int64(len(b)) {
		return v, nil, errDER
	}
	return value{h.tag, b[r.pos:h.end], b[:h.end]}, b[h.end:], nil
}

// values splits the content of a constructed value.
func values(b []byte) ([]value, error) {
	var all []value
	for len(b) > 0 {
		v, rest, err := cut(b)
		if err != nil {
			return nil, &Error{Kind: Malformed, Err: err}
		}
		all, b = append(all, v), rest
	}
	return all, nil
}

// tlv encodes a value.
func tlv(t tag, contents ...[]byte) []byte {
	n := 0
	for _, c := range contents {
		n += len(c)
	}
	out := append(make([]byte, 0, n+6), lead(t, int64(n))...)
	for _, c := range contents {
		out = append(out, c...)
	}
	return out
}

// lead encodes the tag and length of a value of n octets.
func lead(t tag, n int64) []byte {
	if n < 0x80 {
		return []byte{byte(t), byte(n)}
	}
	var l []byte
	for m := n; m > 0; m >>= 8 {
		l = append([]byte{byte(m)}, l...)
	}
	return append([]byte{byte(t), 0x80 | byte(len(l))}, l...)
}
