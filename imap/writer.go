package imap

import (
	"io"
	"strconv"
	"strings"
	"sync"
)

// blockSize is how much is gathered before it is written, and how much of a message is copied at a time.
const blockSize = 32 << 10

var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

// A writer builds responses in a block that it holds only while there is something in it. After an error it swallows everything.
type writer struct {
	w     io.Writer
	block *[blockSize]byte
	b     []byte // in block
	sent  int64
	err   error
}

// room makes sure that n more octets fit in the block, if they can at all.
func (w *writer) room(n int) {
	if w.block == nil {
		w.block = blocks.Get().(*[blockSize]byte)
		w.b = w.block[:0]
	}
	if len(w.b)+n > blockSize {
		w.write()
	}
}

func (w *writer) write() {
	if len(w.b) > 0 && w.err == nil {
		_, w.err = w.w.Write(w.b)
		w.sent += int64(len(w.b))
	}
	w.b = w.b[:0]
}

// flush sends what is there and gives the block back.
func (w *writer) flush() error {
	if w.block != nil {
		w.write()
		blocks.Put(w.block)
		w.block, w.b = nil, nil
	}
	return w.err
}

func (w *writer) str(s string) {
	for {
		w.room(min(len(s), 64))
		n := min(len(s), blockSize-len(w.b))
		w.b = append(w.b, s[:n]...)
		if s = s[n:]; s == "" {
			return
		}
	}
}

func (w *writer) bytes(p []byte) {
	for {
		w.room(min(len(p), 64))
		n := min(len(p), blockSize-len(w.b))
		w.b = append(w.b, p[:n]...)
		if p = p[n:]; len(p) == 0 {
			return
		}
	}
}

func (w *writer) byte(c byte) {
	w.room(1)
	w.b = append(w.b, c)
}

func (w *writer) num(n uint64) {
	w.room(20)
	w.b = strconv.AppendUint(w.b, n, 10)
}

func (w *writer) crlf() { w.str("\r\n") }

// line writes strings and ends the line.
func (w *writer) line(parts ...string) {
	for _, s := range parts {
		w.str(s)
	}
	w.crlf()
}

// nstring writes a string, or NIL for an empty one.
func (w *writer) nstring(s string) {
	if s == "" {
		w.str("NIL")
		return
	}
	w.string(s)
}

// string writes s quoted, or as a literal where it cannot be quoted (RFC 3501 s4.3).
func (w *writer) string(s string) {
	escape := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			escape++
		case c < 0x20 || c >= 0x7f:
			if strings.IndexByte(s, 0) >= 0 {
				s = strings.ReplaceAll(s, "\x00", "?") // no string can hold it (RFC 3501 s9, CHAR8)
			}
			w.literal(len(s))
			w.str(s)
			return
		}
	}
	if len(s) > 1000 {
		w.literal(len(s))
		w.str(s)
		return
	}
	w.byte('"')
	if escape == 0 {
		w.str(s)
	} else {
		for i := 0; i < len(s); i++ {
			if s[i] == '"' || s[i] == '\\' {
				w.byte('\\')
			}
			w.byte(s[i])
		}
	}
	w.byte('"')
}

// literal writes the head of a literal of n octets.
func (w *writer) literal(n int) {
	w.byte('{')
	w.num(uint64(n))
	w.str("}\r\n")
}

// mailbox writes a mailbox name as clients know it.
func (w *writer) mailbox(name string) { w.string(encodeUTF7(name)) }

// flags writes a list of flags.
func (w *writer) flags(f Flags, keywords []string) {
	w.byte('(')
	first := true
	space := func() {
		if !first {
			w.byte(' ')
		}
		first = false
	}
	for _, s := range systemFlags {
		if f&s.flag != 0 {
			space()
			w.str(s.name)
		}
	}
	if f > FlagsSystem {
		for i, k := range keywords {
			if f&(FlagKeyword<<i) != 0 {
				space()
				w.str(k)
			}
		}
	}
	w.byte(')')
}

// copyAt copies n octets of r, a block at a time.
func (w *writer) copyAt(r io.ReaderAt, off, n int64) error {
	for n > 0 && w.err == nil {
		w.room(1)
		free := w.block[len(w.b):]
		free = free[:min(int64(len(free)), n)]
		k, err := r.ReadAt(free, off)
		if k < len(free) {
			return noEOF(err)
		}
		w.b = w.b[:len(w.b)+k]
		off, n = off+int64(k), n-int64(k)
	}
	return w.err
}

// A mark is a place to go back to, as long as nothing has been sent since.
type mark struct {
	sent int64
	at   int
}

func (w *writer) mark() mark { return mark{w.sent, len(w.b)} }

func (w *writer) undo(m mark) bool {
	if w.sent != m.sent {
		return false
	}
	w.b = w.b[:m.at]
	return true
}
