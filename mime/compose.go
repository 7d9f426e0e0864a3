package mime

import (
	"io"
	"slices"
)

// Composed is a message that is ready to be sent. It holds the header, the text and the names of its files, not the files' content: these are
// opened each time that the message is read. It may be read by several goroutines at once, if its files can.
type Composed struct {
	segments   []segment
	size       int64
	header     Header
	from       string
	recipients []string
	utf8       bool
	eightBit   bool
	binary     bool
}

// A segment is a run of octets that is in memory, or a file.
type segment struct {
	data []byte
	file *fileBody
}

// Open returns a reader of the message. The caller closes it. A file that is not of the size that it had when the letter was composed makes Read fail
// with a [*FileError].
func (c *Composed) Open() (io.ReadCloser, error) { return &composedReader{segments: c.segments}, nil }

// Size is the exact length of the message in octets.
func (c *Composed) Size() int64 { return c.size }

// WriteTo writes the message.
func (c *Composed) WriteTo(w io.Writer) (int64, error) {
	r := &composedReader{segments: c.segments}
	defer r.Close()
	return r.WriteTo(w)
}

// Header is the header of the message as it will be sent.
func (c *Composed) Header() Header { return c.header }

// From is the address for the envelope: Sender if there is one, else From. It is "" for a report, which has the null reverse path.
func (c *Composed) From() string { return c.from }

// Recipients are the addresses for the envelope: those of To, Cc and Bcc, each once.
func (c *Composed) Recipients() []string { return slices.Clone(c.recipients) }

// NeedsSMTPUTF8 reports whether the header is not ASCII, so that only a server with SMTPUTF8 may have it.
func (c *Composed) NeedsSMTPUTF8() bool { return c.utf8 }

// Needs8BitMIME reports whether a body is not ASCII, so that only a server with 8BITMIME may have it.
func (c *Composed) Needs8BitMIME() bool { return c.eightBit }

// NeedsBinaryMIME reports whether a body is binary, so that only a server with BINARYMIME and CHUNKING may have it (RFC 3030).
func (c *Composed) NeedsBinaryMIME() bool { return c.binary }

// add appends octets, joined to the last segment where that is in memory.
func (c *Composed) add(data []byte) {
	c.size += int64(len(data))
	if n := len(c.segments); n > 0 && c.segments[n-1].file == nil {
		c.segments[n-1].data = append(c.segments[n-1].data, data...)
		return
	}
	c.segments = append(c.segments, segment{data: data})
}

func (c *Composed) addFile(f *fileBody) {
	c.size += f.encodedSize()
	c.segments = append(c.segments, segment{file: f})
}

// composedReader reads segments one after the other. One file is open at a time.
type composedReader struct {
	segments []segment
	pos      int // in the first segment's data
	body     io.ReadCloser
	closed   bool
	err      error
}

func (r *composedReader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	n := 0
	for n < len(p) && r.err == nil {
		if len(r.segments) == 0 {
			r.err = io.EOF
			break
		}
		s := &r.segments[0]
		if s.file == nil {
			k := copy(p[n:], s.data[r.pos:])
			n += k
			r.pos += k
			if r.pos == len(s.data) {
				r.next()
			}
			continue
		}
		if r.body == nil {
			if r.body, r.err = s.file.open(); r.err != nil {
				break
			}
		}
		k, err := r.body.Read(p[n:])
		n += k
		if err == io.EOF {
			r.next()
		} else if err != nil {
			r.err = err
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

func (r *composedReader) next() {
	r.segments, r.pos = r.segments[1:], 0
	r.closeBody()
}

func (r *composedReader) closeBody() {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
}

// WriteTo spares what is in memory a copy.
func (r *composedReader) WriteTo(w io.Writer) (total int64, err error) {
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	var buf *base64Output
	for len(r.segments) > 0 && r.err == nil {
		var n int
		if s := &r.segments[0]; s.file == nil {
			n, err = w.Write(s.data[r.pos:])
			r.pos += n
			if err == nil {
				r.next()
			}
		} else {
			if buf == nil {
				buf = base64Outputs.Get().(*base64Output)
				defer base64Outputs.Put(buf)
			}
			n, err = r.Read(buf[:])
			if n > 0 {
				n, err = w.Write(buf[:n])
			} else if err == io.EOF {
				err = nil
			}
		}
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	if r.err != nil && r.err != io.EOF {
		return total, r.err
	}
	return total, nil
}

func (r *composedReader) Close() error {
	r.closed = true
	r.closeBody()
	return nil
}
