package imap

import "bytes"

// A framer cuts what a client sends into commands, without I/O. A command is a line, or several that are held together by literals
// (RFC 3501 s2.2.1); it is handed out whole, with its literals in place. Only the literal of APPEND that holds a message
// is left in the stream, for the session to copy from there.
type framer struct {
	maxLine    int   // octets of a line
	maxLiteral int64 // octets of a literal that is not a message
	maxCommand int   // octets of a command with its literals
	maxDrain   int64 // octets of a refused non-synchronizing literal that are skipped; beyond that the connection ends

	buf    []byte
	off    int   // where the current command starts in buf
	seg    int   // where its current line starts, counted from off
	scan   int   // how far that line is known to have no end, counted from off
	litEnd int   // where the literal ends that is being waited for, counted from off; 0: none
	skipN  int64 // octets to throw away
	skip   bool  // throw away until the command ends
	append bool  // between the messages of one APPEND (RFC 3502)

	small [512]byte // buf, while little is in it
}

type eventKind uint8

const (
	evMore     eventKind = iota // more input is needed
	evCommand                   // a whole command
	evContinue                  // a command waits for "+"
	evMessage                   // an APPEND up to its message
	evTooLong                   // a line or command over the limit; what is left of it is skipped
	evTooBig                    // a literal over the limit; likewise
	evHopeless                  // a literal that cannot even be skipped
)

// An event is what next found. data is valid until space is called.
type event struct {
	kind eventKind
	data []byte // the command so far, without the last line end
	size int64  // of the message
	sync bool   // the client waits for "+" before it sends the literal
}

// space gives at least n octets to read into; commit says how many were filled.
func (f *framer) space(n int) []byte {
	if f.off > 0 {
		f.buf = f.buf[:copy(f.buf, f.buf[f.off:])]
		f.off = 0
	}
	if cap(f.buf)-len(f.buf) < n {
		grown := make([]byte, len(f.buf), max(4096, 2*cap(f.buf), len(f.buf)+n))
		copy(grown, f.buf)
		f.buf = grown
	}
	return f.buf[len(f.buf):cap(f.buf)]
}

func (f *framer) commit(n int) { f.buf = f.buf[:len(f.buf)+n] }

// buffered is what was fed and not yet handed out.
func (f *framer) buffered() int { return len(f.buf) - f.off }

// start gives what has come of a command, before its first literal.
func (f *framer) start() []byte {
	if f.seg > 0 || f.litEnd > 0 || f.skip || f.skipN > 0 {
		return nil
	}
	return f.buf[f.off:]
}

// endCommand goes on with the command that begins n octets further.
func (f *framer) endCommand(n int) {
	f.off += n
	f.seg, f.scan, f.litEnd = 0, 0, 0
}

// refuse throws away the literal of n octets that follows, and what comes after it up to the end of the command.
func (f *framer) refuse(n int64) { f.skipN, f.skip, f.append = n, true, false }

// skipFrom throws away the rest of a command from its line at n on. What the literals before it held is no line.
func (f *framer) skipFrom(n int) {
	f.endCommand(n)
	f.skip = true
}

// take copies octets of a message.
func (f *framer) take(p []byte) int {
	n := copy(p, f.buf[f.off:])
	f.off += n
	return n
}

// line gives a single line, without looking for literals: what follows IDLE and AUTHENTICATE.
func (f *framer) line() (line []byte, ok, tooLong bool) {
	b := f.buf[f.off:]
	i := bytes.IndexByte(b[f.scan:], '\n')
	if i < 0 {
		f.scan = len(b)
		return nil, false, len(b) > f.maxLine
	}
	i += f.scan
	f.endCommand(i + 1)
	return trimCR(b[:i]), true, i > f.maxLine
}

func (f *framer) next() event {
	for {
		if f.skipN > 0 {
			n := min(f.skipN, int64(f.buffered()))
			f.off += int(n)
			if f.skipN -= n; f.skipN > 0 {
				return event{}
			}
		}
		b := f.buf[f.off:]
		if f.skip {
			if !f.skipLine(b) {
				return event{}
			}
			continue
		}
		if f.litEnd > 0 {
			if len(b) < f.litEnd {
				return event{}
			}
			f.seg, f.scan, f.litEnd = f.litEnd, f.litEnd, 0
		}
		i := bytes.IndexByte(b[f.scan:], '\n')
		if i < 0 {
			f.scan = len(b)
			if len(b)-f.seg > f.maxLine || len(b) > f.maxCommand {
				f.skipFrom(f.seg)
				return event{kind: evTooLong, data: b[:min(len(b), f.maxLine)]}
			}
			return event{}
		}
		end := f.scan + i
		line := trimCR(b[f.seg:end])
		data := b[:f.seg+len(line)]
		if end-f.seg > f.maxLine || end > f.maxCommand {
			f.skipFrom(f.seg)
			return event{kind: evTooLong, data: data[:min(len(data), f.maxLine)]}
		}
		size, sync, ok := literalAtEnd(line)
		switch {
		case !ok:
			f.endCommand(end + 1)
			return event{kind: evCommand, data: data}
		case f.append || endsBeforeMessage(data):
			f.endCommand(end + 1)
			return event{kind: evMessage, data: data, size: size, sync: sync}
		case size > f.maxLiteral || int64(end)+size > int64(f.maxCommand):
			f.endCommand(end + 1)
			if !sync {
				if size > f.maxDrain {
					return event{kind: evHopeless, data: data}
				}
				f.refuse(size)
			}
			return event{kind: evTooBig, data: data, size: size, sync: sync}
		}
		f.scan = end + 1
		f.litEnd = end + 1 + int(size)
		if f.litEnd == f.scan { // an empty literal
			f.seg, f.litEnd = f.scan, 0
		}
		if sync {
			return event{kind: evContinue}
		}
	}
}

// skipLine throws away a line of a refused command, and the non-synchronizing literal that it may end with: its octets must
// never be taken for commands.
func (f *framer) skipLine(b []byte) bool {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		const tail = 32 // holds any literal's length
		if len(b) > tail {
			f.off += len(b) - tail
		}
		f.seg, f.scan, f.litEnd = 0, 0, 0
		return false
	}
	size, sync, ok := literalAtEnd(trimCR(b[:i]))
	f.endCommand(i + 1)
	if ok && !sync {
		f.skipN = size
	} else {
		f.skip = false
	}
	return true
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

// literalAtEnd looks for "{123}" or "{123+}" at the end of a line (RFC 3501 s4.3, RFC 7888).
func literalAtEnd(line []byte) (size int64, sync, ok bool) {
	n := len(line)
	if n < 3 || line[n-1] != '}' {
		return 0, false, false
	}
	open := bytes.LastIndexByte(line[max(0, n-24):], '{')
	if open < 0 {
		return 0, false, false
	}
	open += max(0, n-24)
	digits := line[open+1 : n-1]
	sync = true
	if k := len(digits); k > 0 && digits[k-1] == '+' {
		sync, digits = false, digits[:k-1]
	}
	if open > 0 && bytes.IndexByte([]byte(" (~"), line[open-1]) < 0 {
		return 0, false, false
	}
	size, ok = parseNumber(digits)
	return size, sync, ok
}

// parseNumber reads a number of up to 63 bits (RFC 9051 s9, number64).
func parseNumber(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int64(c-'0'); n < 0 {
			return 0, false
		}
	}
	return n, true
}

// endsBeforeMessage tells whether a command is an APPEND that has come to its message: its mailbox is complete, and what follows can be no literal but
// that (RFC 3501 s6.3.11).
func endsBeforeMessage(cmd []byte) bool {
	i := bytes.IndexByte(cmd, ' ')
	if i < 0 || len(cmd) < i+8 || !bytes.EqualFold(cmd[i+1:i+8], []byte("APPEND ")) {
		return false
	}
	p := parser{b: cmd, i: i + 8}
	p.astring()
	p.sp()
	return p.err == nil
}

// release gives memory back while nothing is buffered.
func (f *framer) release() {
	if f.buffered() == 0 && f.litEnd == 0 {
		f.buf, f.off = f.small[:0], 0
	}
}
