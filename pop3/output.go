package pop3

import (
	"bytes"
	"io"
)

// outputSize is how much is gathered before it is written.
const outputSize = 64 << 10

// output gathers replies and writes them in large blocks. The first error
// stays.
type output struct {
	w     io.Writer
	fresh func() []byte // makes an empty buffer
	buf   []byte
	err   error
}

func (o *output) flush() {
	if len(o.buf) == 0 || o.err != nil {
		o.buf = o.buf[:0]
		return
	}
	_, o.err = o.w.Write(o.buf)
	o.buf = o.buf[:0]
}

func (o *output) room(n int) {
	if cap(o.buf) == 0 {
		o.buf = o.fresh()
	}
	if len(o.buf)+n > cap(o.buf) {
		o.flush()
	}
}

func (o *output) write(p []byte) {
	o.room(len(p))
	o.buf = append(o.buf, p...)
}

func (o *output) str(s string) {
	o.room(len(s))
	o.buf = append(o.buf, s...)
}

// line writes the parts and CRLF.
func (o *output) line(parts ...string) {
	for _, s := range parts {
		o.str(s)
	}
	o.str("\r\n")
}

// stuffer writes the lines of a message as a multi-line reply (RFC 1939 s3):
// it ends every line with CRLF and doubles the dot that begins one.
type stuffer struct {
	out     *output
	top     bool // stop after the header and lines
	lines   int64
	body    bool // past the header
	inLine  bool // something of the current line was written
	content bool // and it is more than a CR
	cr      bool // and it ended with CR
	done    bool
}

func (d *stuffer) write(p []byte) {
	start := 0 // p[:start] is written
	for pos := 0; pos < len(p) && !d.done; {
		if !d.inLine {
			if d.top && d.body && d.lines == 0 {
				d.done = true
				p = p[:pos]
				break
			}
			if p[pos] == '.' {
				d.out.write(p[start:pos])
				d.out.str(".")
				start = pos
			}
		}
		i := bytes.IndexByte(p[pos:], '\n')
		if i < 0 {
			rest := p[pos:]
			d.content = d.content || d.inLine || len(rest) > 1 || rest[0] != '\r'
			d.cr = rest[len(rest)-1] == '\r'
			d.inLine = true
			break
		}
		end := pos + i
		cr := i > 0 && p[end-1] == '\r' || i == 0 && d.cr
		if !cr { // a store that keeps bare LF
			d.out.write(p[start:end])
			d.out.str("\r\n")
			start = end + 1
		}
		empty := !d.content && (i == 0 || i == 1 && cr && !d.inLine)
		if d.body {
			d.lines--
		} else if empty {
			d.body = true
		}
		d.inLine, d.content, d.cr = false, false, false
		pos = end + 1
	}
	d.out.write(p[start:])
}

// end writes what ends the reply.
func (d *stuffer) end() {
	switch {
	case !d.inLine:
	case d.cr:
		d.out.str("\n")
	default:
		d.out.str("\r\n")
	}
	d.out.str(".\r\n")
}
