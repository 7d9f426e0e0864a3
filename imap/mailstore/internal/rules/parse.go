package rules

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/mime"
)

// Parse gives the structure of a message: s itself where there is one.
func Parse(s *mime.Structure, body imap.Body) (*mime.Structure, error) {
	if s != nil && s.Size == body.Size() {
		return s, nil
	}
	if b, ok := body.(Bytes); ok {
		return mime.ParseBytes(b).Structure(), nil
	}
	m, err := mime.Parse(body, body.Size())
	if err != nil {
		return nil, err
	}
	return m.Structure(), nil
}

// WithPrefix gives the structure that a message has with a prefix before it.
func WithPrefix(s *mime.Structure, prefix []byte, body imap.Body) (*mime.Structure, error) {
	if len(prefix) == 0 {
		return s, nil
	}
	if err := CheckPrefix(prefix); err != nil {
		return nil, err
	}
	if !CanShift(body) {
		return Parse(nil, &Prefixed{prefix, body})
	}
	return s.Shift(int64(len(prefix))), nil
}

// CanShift says whether a message begins with the name of a field. Then its structure only shifts when a prefix is put before it; else (no header, an mbox line, a
// folded line) it may become another.
func CanShift(body io.ReaderAt) bool {
	var start [998]byte // RFC 5322 s2.1.1
	n, _ := body.ReadAt(start[:], 0)
	for i, c := range start[:n] {
		if c == ':' {
			return i > 0
		}
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return false
}

// ReadBody reads a message of exactly size octets.
func ReadBody(r io.Reader, size int64) ([]byte, error) {
	b := make([]byte, 0, min(size, 1<<20))
	for int64(len(b)) < size {
		if len(b) == cap(b) {
			b = slices.Grow(b, int(min(size-int64(len(b)), int64(len(b)))))
		}
		n, err := r.Read(b[len(b):min(int64(cap(b)), size)])
		if b = b[:len(b)+n]; err != nil && int64(len(b)) < size {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("mailstore: read octet %d of %d: %w", len(b), size, err)
		}
	}
	return b, nil
}

// SortMailboxes sorts by name.
func SortMailboxes(all []imap.MailboxInfo) {
	slices.SortFunc(all, func(a, b imap.MailboxInfo) int { return cmp.Compare(a.Name, b.Name) })
}
