package mime

import (
	"bytes"
	"io"
)

// asMessage makes f a message that goes out as it is but for its line ends, and returns its transfer encoding.
func (f *fileBody) asMessage(caps Capabilities) (encoding string, err error) {
	f.base64 = false
	rc, err := f.open()
	if err != nil {
		return "", err
	}
	defer rc.Close()
	s, err := scan(rc)
	if err != nil {
		return "", err
	}
	if s.long || s.nul {
		return "", &FileError{Name: f.name, Composed: f.size, Err: errNotCarried}
	}
	f.asIs = s.size
	if s.eightBit {
		return "8bit", nil
	}
	return "7bit", nil
}

// largestText is the length of a text file that is held in memory to find its best encoding.
const largestText = 64 << 10

// asText reads a text and encodes it so that its octets arrive as they are. Line ends that are not CRLF do so only when they are encoded.
func (f *fileBody) asText(caps Capabilities) (encoding string, encoded []byte, err error) {
	f.base64, f.raw = false, true
	rc, err := f.open()
	if err != nil {
		return "", nil, err
	}
	defer rc.Close()
	text, err := io.ReadAll(rc)
	if err != nil {
		return "", nil, err
	}
	encoding, encoded = encodeExact(text, caps)
	return encoding, encoded, nil
}

// scanned is what a link must be able to do to carry some octets.
type scanned struct {
	size                int64
	eightBit, long, nul bool
}

// fits reports whether a link with these capabilities can carry them.
func (s scanned) fits(caps Capabilities) bool {
	if caps.Binary {
		return true
	}
	return !s.long && !s.nul && (caps.EightBit || !s.eightBit)
}

func scan(r io.Reader) (s scanned, err error) {
	buf := copyBuffers.Get().(*[copyChunk]byte)
	defer copyBuffers.Put(buf)
	line := 0
	for {
		n, err := r.Read(buf[:])
		block := buf[:n]
		s.size += int64(n)
		s.eightBit = s.eightBit || !isASCII(block)
		s.nul = s.nul || bytes.IndexByte(block, 0) >= 0
		for len(block) > 0 {
			i := bytes.IndexByte(block, '\n')
			if i < 0 {
				line += len(block)
				break
			}
			s.long = s.long || line+i-1 > hardColumn
			line, block = 0, block[i+1:]
		}
		s.long = s.long || line > hardColumn+1
		if err == io.EOF {
			s.long = s.long || line > hardColumn
			return s, nil
		}
		if err != nil {
			return s, err
		}
	}
}
