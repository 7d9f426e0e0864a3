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

// scanned is what a link must be able to do to carry some octets.
type scanned struct {
	size                int64
	eightBit, long, nul bool
}

// fits reports whether a link with these capabilities can carry them.
func (s scanned) fits(caps Capabilities) bool {
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
