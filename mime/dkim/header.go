package dkim

import (
	"bytes"
	"io"
	"sync"
)

const (
	block     = 64 << 10 // octets of a message read at a time
	maxFields = 5000
)

var blocks = sync.Pool{New: func() any { return new([block]byte) }}

// A field is a header field as it is in the message.
type field struct {
	raw  []byte // with its line end, if it has one
	name []byte
}

// A message is a header that was read, and a body that was not yet.
type message struct {
	fields []field
	rest   []byte // start of the body
	r      io.ReadCloser
	buf    *[block]byte
}

// open reads the header of a message.
func open(c Content) (*message, error) {
	r, err := c.Open()
	if err != nil {
		return nil, err
	}
	m := &message{r: r, buf: blocks.Get().(*[block]byte)}
	if err := m.readHeader(); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *message) close() {
	m.r.Close()
	blocks.Put(m.buf)
}

// readHeader reads to the blank line, or to the end of a message that is all header.
func (m *message) readHeader() error {
	data, seen := m.buf[:0], 0
	for {
		if len(data) == cap(data) {
			if len(data) >= maxHeader {
				return ErrHeaderTooLong
			}
			data = append(make([]byte, 0, 2*len(data)), data...)
		}
		n, err := m.r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if end, body, ok := headerEnd(data, seen); ok {
			m.rest = data[body:]
			return m.split(data[:end])
		}
		if err == io.EOF {
			return m.split(data)
		}
		if err != nil {
			return err
		}
		seen = max(0, len(data)-3)
	}
}

// headerEnd finds the blank line: where the header ends and where the body begins. It looks from seen on.
func headerEnd(data []byte, seen int) (end, body int, ok bool) {
	if bytes.HasPrefix(data, crlfs[:2]) {
		return 0, 2, true
	}
	if bytes.HasPrefix(data, lf) {
		return 0, 1, true
	}
	for pos := seen; ; {
		i := bytes.IndexByte(data[pos:], '\n')
		if i < 0 {
			return 0, 0, false
		}
		pos += i + 1
		if bytes.HasPrefix(data[pos:], crlfs[:2]) {
			return pos, pos + 2, true
		}
		if bytes.HasPrefix(data[pos:], lf) {
			return pos, pos + 1, true
		}
	}
}

// split cuts the header into fields. Lines that are no fields are kept without a name: nothing can sign them.
func (m *message) split(header []byte) error {
	if len(header) > maxHeader {
		return ErrHeaderTooLong
	}
	m.fields = make([]field, 0, 32)
	for len(header) > 0 {
		end := 0
		for {
			i := bytes.IndexByte(header[end:], '\n')
			if i < 0 {
				end = len(header)
				break
			}
			end += i + 1
			if end == len(header) || header[end] != ' ' && header[end] != '\t' {
				break
			}
		}
		f := field{raw: header[:end]}
		if colon := bytes.IndexByte(f.raw, ':'); colon > 0 {
			f.name = bytes.TrimRight(f.raw[:colon], " \t")
		}
		if len(m.fields) == maxFields {
			return ErrHeaderTooLong
		}
		m.fields = append(m.fields, f)
		header = header[end:]
	}
	return nil
}

// malformed reports whether a line of the header is no field (RFC 5322 s3.6.8). With mbox, "From " lines may stand above it.
func (m *message) malformed(mbox bool) bool {
	for _, f := range m.fields {
		if mbox = mbox && isMboxLine(f.raw); mbox {
			continue
		}
		if len(f.name) == 0 || bytes.ContainsFunc(f.name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return true
		}
	}
	return false
}

func isMboxLine(b []byte) bool {
	line, more, _ := bytes.Cut(b, lf)
	return len(more) == 0 && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From ")))
}

// hashBody reads the body once and gives it to every hash.
func (m *message) hashBody(hashes []*bodyHash) error {
	for _, h := range hashes {
		h.Write(m.rest)
	}
	// The header stays in use, so the body needs another buffer.
	buf := blocks.Get().(*[block]byte)
	defer blocks.Put(buf)
	for {
		n, err := m.r.Read(buf[:])
		for _, h := range hashes {
			h.Write(buf[:n])
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// nth returns the index of the nth field with that name, counted from the bottom (RFC 6376 s5.4.2), the field at self left out; -1 if there is none.
func (m *message) nth(name string, n, self int) int {
	for i := len(m.fields) - 1; i >= 0; i-- {
		if i != self && equalFold(m.fields[i].name, name) {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return -1
}

func (m *message) count(name string) (n int) {
	for i := range m.fields {
		if equalFold(m.fields[i].name, name) {
			n++
		}
	}
	return n
}

// equalFold compares without regard to the case of ASCII letters.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if lower(c) != lower(s[i]) {
			return false
		}
	}
	return true
}

// appendSigned appends what a signature signs of the header (RFC 6376 s3.7): the fields in names, from the bottom for names that come again.
func (m *message) appendSigned(dst []byte, names []string, relaxed bool, self int) []byte {
	for i, name := range names {
		before := 0
		for _, earlier := range names[:i] {
			if earlier == name {
				before++
			}
		}
		if at := m.nth(name, before, self); at >= 0 {
			dst = appendHeader(dst, m.fields[at].raw, relaxed)
		}
	}
	return dst
}
