package mime

import (
	"bufio"
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

// A patch writes a message anew: pieces of it as they are, and others in their place, in the order of the message. What is new has the line ends of the
// message's header, which are LF in many stores.
type patch struct {
	m   *Message
	src io.ReaderAt
	out Composed
	pos int64 // of the source, up to which it was copied or left out
	lf  bool  // lines end in LF
}

func newPatch(m *Message, src io.ReaderAt) patch {
	line, _, ended := bytes.Cut(m.Header().Bytes(), newline)
	return patch{m: m, src: src, lf: ended && !bytes.HasSuffix(line, crlf[:1])}
}

// add adds what is new, whose lines end in CRLF.
func (r *patch) add(b []byte) {
	if r.lf {
		b = bytes.ReplaceAll(b, crlf, newline)
	}
	r.out.add(b)
}

// addAll adds what is new, files and all.
func (r *patch) addAll(c *Composed) error {
	if r.lf {
		whole := &composedReader{segments: c.segments}
		defer whole.Close()
		size, err := io.Copy(io.Discard, newLFReader(whole))
		if err != nil {
			return err
		}
		r.out.addRaw("new part", lfContent{c, size})
		return nil
	}
	for _, s := range c.segments {
		if s.file == nil {
			r.out.add(s.data)
		} else {
			r.out.addFile(s.file)
		}
	}
	return nil
}

// lfContent is content whose CRLF become LF.
type lfContent struct {
	Content
	size int64
}

func (c lfContent) Size() int64 { return c.size }

func (c lfContent) Open() (io.ReadCloser, error) {
	rc, err := c.Content.Open()
	if err != nil {
		return nil, err
	}
	return readCloser{newLFReader(rc), rc}, nil
}

// lfReader makes every CRLF an LF.
type lfReader struct {
	r   *bufio.Reader
	out []byte // in the buffer of r
	err error
}

func newLFReader(r io.Reader) *lfReader { return &lfReader{r: bufio.NewReader(r)} }

func (l *lfReader) Read(p []byte) (int, error) {
	for len(l.out) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		l.out, l.err = l.r.ReadSlice('\n')
		n := len(l.out)
		if l.err == bufio.ErrBufferFull {
			if l.err = nil; l.out[n-1] == '\r' { // its LF may follow
				l.err = l.r.UnreadByte()
				l.out = l.out[:n-1]
			}
		} else if bytes.HasSuffix(l.out, crlf) {
			l.out[n-2] = '\n'
			l.out = l.out[:n-1]
		}
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n, nil
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
			r.add(c.fields)
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
				r.add(c.fields)
				written[i] = true
			}
			r.pos = f.Offset + int64(len(f.Raw()))
		}
	}
	r.copy(start + length)
	if b := h.Bytes(); !bytes.HasSuffix(b, []byte("\n\r\n")) && !bytes.HasSuffix(b, []byte("\n\n")) && string(b) != "\r\n" && string(b) != "\n" {
		r.add(crlf) // there was no blank line
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
