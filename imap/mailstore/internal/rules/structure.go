package rules

import (
	"bytes"
	"fmt"
	"io"

	"github.com/gomailroom/mailroom/imap"
)

// CheckPrefix refuses what cannot stand before a message: anything but whole header fields.
func CheckPrefix(prefix []byte) error {
	if len(prefix) == 0 {
		return nil
	}
	if !bytes.HasSuffix(prefix, []byte("\r\n")) || prefix[0] == ' ' || prefix[0] == '\t' {
		return fmt.Errorf("%w: a prefix must be whole header fields that end with CRLF", imap.ErrCannot)
	}
	for line := range bytes.SplitSeq(prefix[:len(prefix)-2], []byte("\r\n")) {
		folded := len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
		if bytes.ContainsAny(line, "\r\n\x00") || !folded && !CanShift(Bytes(line)) {
			return fmt.Errorf("%w: a line of the prefix is no header field", imap.ErrCannot)
		}
	}
	return nil
}

// Prefixed is a body with a prefix before it.
type Prefixed struct {
	Prefix []byte
	imap.Body
}

// Size counts the prefix.
func (b *Prefixed) Size() int64 { return int64(len(b.Prefix)) + b.Body.Size() }

// ReadAt reads across both.
func (b *Prefixed) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("mailstore: negative offset %d", off)
	}
	if off < int64(len(b.Prefix)) {
		if n = copy(p, b.Prefix[off:]); n == len(p) {
			return n, nil
		}
	}
	m, err := b.Body.ReadAt(p[n:], off+int64(n)-int64(len(b.Prefix)))
	return n + m, err
}

// Bytes is a body in memory.
type Bytes []byte

// Size is the length.
func (b Bytes) Size() int64 { return int64(len(b)) }

// ReadAt reads from an offset.
func (b Bytes) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("mailstore: negative offset %d", off)
	}
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
