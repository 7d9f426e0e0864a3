package mime

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// structureVersion is the first byte of a stored [Structure].
const structureVersion = 1

// maxStructureDepth bounds what DecodeStructure takes. The parser's limit is far below.
const maxStructureDepth = 2000

// errStructure says that stored bytes are no structure.
var errStructure = errors.New("mime: stored structure is damaged: compute it again from the message")

// AppendBinary appends the structure in its stored form, whose first byte is the version of the format.
func (s *Structure) AppendBinary(b []byte) ([]byte, error) {
	w := structureWriter{append(b, structureVersion)}
	w.int(s.Size)
	w.envelope(&s.Envelope)
	w.part(&s.Root)
	return w.b, nil
}

// DecodeStructure reads what AppendBinary wrote. Damaged bytes, and those of a format that this version does not know, are
// an error: the structure is to be computed again.
func DecodeStructure(b []byte) (*Structure, error) {
	if len(b) == 0 {
		return nil, errStructure
	}
	if b[0] != structureVersion {
		return nil, fmt.Errorf("mime: stored structure has format %d, not %d: compute it again from the message", b[0], structureVersion)
	}
	r := structureReader{s: string(b[1:])} // once: all strings share it
	s := &Structure{Size: r.int()}
	s.Envelope = r.envelope()
	r.part(&s.Root, 0)
	if r.bad || len(r.s) > 0 {
		return nil, errStructure
	}
	return s, nil
}

type structureWriter struct{ b []byte }

func (w *structureWriter) int(n int64) { w.b = binary.AppendUvarint(w.b, uint64(n)) }

func (w *structureWriter) string(s string) {
	w.int(int64(len(s)))
	w.b = append(w.b, s...)
}

func (w *structureWriter) params(p []Param) {
	w.int(int64(len(p)))
	for i := range p {
		w.string(p[i].Name)
		w.string(p[i].Value)
	}
}

func (w *structureWriter) list(l AddressList) {
	w.int(int64(len(l)))
	for i := range l {
		g := &l[i]
		n := int64(len(g.Members)) << 1
		if g.IsGroup {
			w.int(n | 1)
			w.string(g.Name)
		} else {
			w.int(n)
		}
		for _, a := range g.Members {
			w.string(a.Name)
			w.string(a.Addr)
		}
	}
}

// Bits of an envelope: which lists are that of From.
const (
	senderIsFrom = 1 << iota
	replyToIsFrom
)

func (w *structureWriter) envelope(e *Envelope) {
	var same int64
	if sameList(e.Sender, e.From) {
		same |= senderIsFrom
	}
	if sameList(e.ReplyTo, e.From) {
		same |= replyToIsFrom
	}
	w.int(same)
	w.string(e.Date)
	w.string(e.Subject)
	w.list(e.From)
	if same&senderIsFrom == 0 {
		w.list(e.Sender)
	}
	if same&replyToIsFrom == 0 {
		w.list(e.ReplyTo)
	}
	w.list(e.To)
	w.list(e.Cc)
	w.list(e.Bcc)
	w.string(e.InReplyTo)
	w.string(e.MessageID)
}

func sameList(a, b AddressList) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func (w *structureWriter) part(p *BodyPart) {
	for _, s := range [...]string{p.Type, p.Subtype, p.ID, p.Description, p.Encoding, p.MD5, p.Disposition, p.Location} {
		w.string(s)
	}
	w.params(p.Params)
	w.params(p.DispositionParams)
	w.int(int64(len(p.Language)))
	for _, tag := range p.Language {
		w.string(tag)
	}
	for _, n := range [...]int64{p.HeaderOffset, p.HeaderSize, p.Offset, p.Size, p.Lines} {
		w.int(n)
	}
	n := int64(len(p.Children)) << 1
	if p.Envelope != nil {
		w.int(n | 1)
		w.envelope(p.Envelope)
	} else {
		w.int(n)
	}
	for _, c := range p.Children {
		w.part(c)
	}
}

// structureReader reads a stored structure. After the first mistake everything is empty.
type structureReader struct {
	s   string
	bad bool
}

func (r *structureReader) fail() {
	r.bad = true
	r.s = ""
}

func (r *structureReader) int() int64 {
	var v uint64
	for i := 0; i < len(r.s) && i < 9; i++ {
		c := r.s[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 && v <= 1<<62 {
			r.s = r.s[i+1:]
			return int64(v)
		}
	}
	r.fail()
	return 0
}

// count reads a number of things of which each takes at least one byte, so that damage never makes it allocate much.
func (r *structureReader) count(n int64) int {
	if n > int64(len(r.s)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *structureReader) string() string {
	n := r.count(r.int())
	s := r.s[:n]
	r.s = r.s[n:]
	return s
}

func (r *structureReader) params() []Param {
	n := r.count(r.int())
	if n == 0 {
		return nil
	}
	p := make([]Param, 0, min(n, 16))
	for range n {
		if r.bad {
			return nil
		}
		p = append(p, Param{Name: r.string(), Value: r.string()})
	}
	return p
}

func (r *structureReader) list() AddressList {
	n := r.count(r.int())
	if n == 0 {
		return nil
	}
	l := make(AddressList, 0, min(n, 16))
	for range n {
		bits := r.int()
		var g AddressGroup
		if g.IsGroup = bits&1 != 0; g.IsGroup {
			g.Name = r.string()
		}
		members := r.count(bits >> 1)
		if members > 0 {
			g.Members = make([]Address, 0, min(members, 64))
		}
		for range members {
			if r.bad {
				return nil
			}
			g.Members = append(g.Members, Address{Name: r.string(), Addr: r.string()})
		}
		l = append(l, g)
	}
	return l
}

func (r *structureReader) envelope() Envelope {
	same := r.int()
	e := Envelope{Date: r.string(), Subject: r.string(), From: r.list()}
	e.Sender, e.ReplyTo = e.From, e.From
	if same&senderIsFrom == 0 {
		e.Sender = r.list()
	}
	if same&replyToIsFrom == 0 {
		e.ReplyTo = r.list()
	}
	e.To, e.Cc, e.Bcc = r.list(), r.list(), r.list()
	e.InReplyTo, e.MessageID = r.string(), r.string()
	return e
}

func (r *structureReader) part(p *BodyPart, depth int) {
	if depth > maxStructureDepth {
		r.fail()
	}
	for _, s := range [...]*string{&p.Type, &p.Subtype, &p.ID, &p.Description, &p.Encoding, &p.MD5, &p.Disposition, &p.Location} {
		*s = r.string()
	}
	p.Params = r.params()
	p.DispositionParams = r.params()
	for range r.count(r.int()) {
		if r.bad {
			return
		}
		p.Language = append(p.Language, r.string())
	}
	for _, n := range [...]*int64{&p.HeaderOffset, &p.HeaderSize, &p.Offset, &p.Size, &p.Lines} {
		*n = r.int()
	}
	bits := r.int()
	if bits&1 != 0 {
		e := r.envelope()
		p.Envelope = &e
	}
	n := r.count(bits >> 1)
	if p.Envelope != nil && n != 1 {
		r.fail() // IsMessage promises one child
		return
	}
	if n > 0 {
		p.Children = make([]*BodyPart, 0, min(n, 64))
	}
	for range n {
		if r.bad {
			return
		}
		c := &BodyPart{}
		p.Children = append(p.Children, c)
		r.part(c, depth+1)
	}
}
