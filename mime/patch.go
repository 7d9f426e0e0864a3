package mime

import (
	"bytes"
	"fmt"
	"io"
)

// A PartError says which part of a message cannot be changed as was asked, and why.
type PartError struct {
	Part   int // as Message.Part counts
	Reason string
	Err    error // ErrNeedsSMTPUTF8, ErrSigned, or nil
}

func (e *PartError) Error() string {
	return fmt.Sprintf("mime: part %d cannot be changed: %s", e.Part, e.Reason)
}

func (e *PartError) Unwrap() error { return e.Err }

// A patch writes a message anew: pieces of it as they are, and others in their place, in the order of the message.
type patch struct {
	m   *Message
	src io.ReaderAt
	out Composed
	pos int64 // of the source, up to which it was copied or left out
}

// copy takes the source up to an offset as it is.
func (r *patch) copy(to int64) {
	if n := to - r.pos; n > 0 {
		r.span(span{r.src, r.pos, n})
	}
	r.pos = max(r.pos, to)
}

// span adds octets of the source.
func (r *patch) span(c Content) { r.out.addRaw("message", c) }

// addRaw adds what goes out as it is.
func (c *Composed) addRaw(name string, content Content) {
	n := content.Size()
	c.size += n
	c.segments = append(c.segments, segment{file: &fileBody{name: name, content: content, size: n, raw: true}})
}

type span struct {
	src    io.ReaderAt
	off, n int64
}

func (s span) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.src, s.off, s.n)), nil
}
func (s span) Size() int64 { return s.n }

// A fieldChange puts fields into a header in the place of those with a name, else before its first field.
type fieldChange struct {
	name   string // "" only adds
	fields []byte // folded, with line ends; nil only removes
}

// header copies the part's header with changes.
func (r *patch) header(p *Part, changes ...fieldChange) error {
	h := p.Header()
	start, length := p.HeaderRange()
	if int64(len(h.Bytes())) != length {
		return &PartError{Part: p.Index(), Reason: "its header is too long"}
	}
	first := start + length // where fields begin: behind an mbox line
	for f := range h.Fields() {
		first = f.Offset
		break
	}
	if h.Len() == 0 {
		first = start
	}
	written := make([]bool, len(changes))
	for i, c := range changes {
		if c.name == "" || !h.Has(c.name) {
			r.copy(first)
			r.out.add(c.fields)
			written[i] = true
		}
	}
	for f := range h.Fields() {
		for i, c := range changes {
			if c.name == "" || !f.Is(c.name) || f.Offset < r.pos {
				continue
			}
			r.copy(f.Offset)
			if !written[i] {
				r.out.add(c.fields)
				written[i] = true
			}
			r.pos = f.Offset + int64(len(f.Raw()))
		}
	}
	r.copy(start + length)
	if b := h.Bytes(); !bytes.HasSuffix(b, []byte("\n\r\n")) && !bytes.HasSuffix(b, []byte("\n\n")) && string(b) != "\r\n" && string(b) != "\n" {
		r.out.add(crlf) // there was no blank line
	}
	return nil
}

// finish copies the rest and finds out what the result needs.
func (r *patch) finish() (*Composed, error) {
	r.copy(r.m.size)
	c := &r.out
	rc, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	p := NewParser(Limits{Parts: 1})
	s, err := scan(io.TeeReader(rc, p))
	if err != nil {
		return nil, err
	}
	c.header = p.Close().Header()
	c.utf8, c.eightBit = !isASCII(c.header.Bytes()), s.eightBit
	return c, nil
}
