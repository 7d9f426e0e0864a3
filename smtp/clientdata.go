package smtp

import (
	"bytes"
	"io"
	"sync"
)

// A wireForm turns blocks of a message into what goes over the wire. Lines end in CRLF: a lone CR or LF must not be sent (RFC 5321 s2.3.8), and
// one before a dot would end the message for some servers, so each becomes CRLF. Blocks may be split anywhere.
type wireForm struct {
	dots   bool // DATA: a dot at the beginning of a line is doubled, RFC 5321 s4.5.2
	binary bool // BODY=BINARYMIME: nothing is changed
	inLine bool // the last octet did not end a line
	cr     bool // a CR is held back until the octet behind it is seen
	size   int64
}

// append adds the wire form of src to dst. It looks at whole lines, not at octets.
func (w *wireForm) append(dst, src []byte) []byte {
	before := len(dst)
	if w.binary {
		w.size += int64(len(src))
		return append(dst, src...)
	}
	for len(src) > 0 {
		if w.cr {
			if src[0] == '\n' {
				src = src[1:]
			}
			dst = append(dst, '\r', '\n')
			w.cr, w.inLine = false, false
			continue
		}
		if !w.inLine && w.dots && src[0] == '.' {
			dst = append(dst, '.')
			w.size--
		}
		end := bytes.IndexByte(src, '\n')
		line := src
		if end >= 0 {
			line = src[:end]
		}
		w.inLine = true
		switch cr := bytes.IndexByte(line, '\r'); {
		case cr >= 0 && cr != end-1: // a lone CR, or one whose next octet is not there yet
			dst = append(dst, line[:cr]...)
			src = src[cr+1:]
			w.cr = true
		case end < 0:
			dst = append(dst, src...)
			src = nil
		default:
			if cr >= 0 {
				line = line[:cr]
			}
			dst = append(dst, line...)
			dst = append(dst, '\r', '\n')
			src = src[end+1:]
			w.inLine = false
		}
	}
	w.size += int64(len(dst) - before)
	return dst
}

// end adds what ends the message. With DATA the last line is completed, and a lone dot follows; BDAT keeps a message as it is.
func (w *wireForm) end(dst []byte) []byte {
	before := len(dst)
	if w.cr || w.dots && w.inLine {
		dst = append(dst, '\r', '\n')
		w.cr, w.inLine = false, false
	}
	w.size += int64(len(dst) - before)
	if w.dots {
		dst = append(dst, ".\r\n"...)
	}
	return dst
}

// blockSize is how much of a message is read at once, and the size of a BDAT chunk before line ends are put right.
const blockSize = 32 << 10

// A sendBuffer is what one message needs while it is sent, whatever its size.
type sendBuffer struct{ in, out []byte }

var sendBuffers = sync.Pool{New: func() any {
	return &sendBuffer{in: make([]byte, blockSize), out: make([]byte, 0, blockSize+blockSize/8)}
}}

// A source reads a message block by block. Its first block is read before anything is sent, which for most messages is all of it.
type source struct {
	r    io.ReadCloser
	buf  *sendBuffer
	head []byte // the first block, until next has given it
	eof  bool   // nothing is left behind what was read

	content io.Closer // closed with it; nil where the content is the caller's
}

// openSource opens a message and reads its first block.
func openSource(content Content) (*source, error) {
	r, err := content.Open()
	if err != nil {
		return nil, err
	}
	return readSource(r)
}

func readSource(r io.ReadCloser) (*source, error) {
	s := &source{r: r, buf: sendBuffers.Get().(*sendBuffer)}
	var err error
	if s.head, err = s.fill(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// next gives a block, which is good until the next call. After the last one eof is set.
func (s *source) next() ([]byte, error) {
	if s.head != nil {
		head := s.head
		s.head = nil
		return head, nil
	}
	return s.fill()
}

func (s *source) fill() ([]byte, error) {
	in, n := s.buf.in, 0
	for idle := 0; n < len(in) && !s.eof; {
		k, err := s.r.Read(in[n:])
		n += k
		switch {
		case err == io.EOF:
			s.eof = true
		case err != nil:
			return nil, err
		case k > 0:
			idle = 0
		default:
			if idle++; idle > 100 {
				return nil, io.ErrNoProgress
			}
		}
	}
	return in[:n], nil
}

func (s *source) close() {
	_ = s.r.Close() // it was read to its end, or its error was told already
	if s.content != nil {
		_ = s.content.Close()
	}
	if cap(s.buf.out) <= 4*blockSize {
		sendBuffers.Put(s.buf)
	}
}

// ascii tells whether the whole message, or only its header, has nothing but 7-bit octets. It reads the message for that where the first block does not tell.
func (s *source) ascii(content Content, headerOnly bool) (bool, error) {
	known := s.head
	if headerOnly {
		if end := headerEnd(known); end >= 0 {
			return isASCII(known[:end]), nil
		}
	}
	if !isASCII(known) {
		return false, nil
	}
	if s.eof {
		return true, nil
	}
	whole, err := openSource(content)
	if err != nil {
		return false, err
	}
	defer whole.close()
	var tail [3]byte // the end of the block before, where an empty line may be cut in two
	for {
		block, err := whole.next()
		if err != nil {
			return false, err
		}
		if headerOnly {
			if end := headerEnd(append(tail[:], block...)); end >= 0 {
				return isASCII(block[:max(0, end-len(tail))]), nil
			}
			copy(tail[:], block[max(0, len(block)-len(tail)):])
		}
		if !isASCII(block) {
			return false, nil
		}
		if whole.eof {
			return true, nil
		}
	}
}

// headerEnd finds the empty line behind the header, whatever its line ends; -1 if it is not there.
func headerEnd(b []byte) int {
	i := bytes.Index(b, []byte("\n\n"))
	if j := bytes.Index(b, []byte("\n\r\n")); j >= 0 && (i < 0 || j < i) {
		return j
	}
	return i
}
