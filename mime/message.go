package mime

import (
	"errors"
	"io"
	"iter"
)

// Message is a parsed message: a tree of parts with offsets into its bytes. The bytes stay where they are; a Message
// keeps only headers. It is safe for concurrent use as long as its source is, and nobody calls SetSource.
type Message struct {
	parts   []Part // in pre-order; parts[0] is the message itself
	head    []byte // bytes of all headers
	src     io.ReaderAt
	size    int64
	limits  Limits
	defects []Defect
}

// ErrNoSource is returned where a message's bytes are needed, and it came from a [Parser] and has no source yet.
var ErrNoSource = errors.New("mime: the message has no source to read from: call SetSource")

// SetSource gives the message the bytes that it was parsed from. Messages of [Parse], [ParseBytes] and [Spool] have them.
func (m *Message) SetSource(r io.ReaderAt) { m.src = r }

// Root returns the part that is the whole message.
func (m *Message) Root() *Part { return &m.parts[0] }

// Header returns the message's header.
func (m *Message) Header() Header { return m.parts[0].Header() }

// Size returns the length of the message in bytes.
func (m *Message) Size() int64 { return m.size }

// Defects returns what is wrong with the message, in the order found. There are at most Limits.Defects.
func (m *Message) Defects() []Defect { return m.defects }

// Len returns the number of parts.
func (m *Message) Len() int { return len(m.parts) }

// Part returns the part with the index i, counted in the order of the message; 0 is the message itself.
func (m *Message) Part(i int) *Part { return &m.parts[i] }

// Parts yields every part in the order of the message: a container before what it contains. It does not recurse.
func (m *Message) Parts() iter.Seq[*Part] {
	return func(yield func(*Part) bool) {
		for i := range m.parts {
			if !yield(&m.parts[i]) {
				return
			}
		}
	}
}

// Open returns a reader of the message as received. With Size it makes a message a [Content].
func (m *Message) Open() (io.ReadCloser, error) {
	if m.src == nil {
		return nil, ErrNoSource
	}
	return io.NopCloser(io.NewSectionReader(m.src, 0, m.size)), nil
}

// Content is a message or a piece of one that can be read again and again.
type Content interface {
	Open() (io.ReadCloser, error)
	Size() int64
}
