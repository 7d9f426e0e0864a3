package mime

import (
	"bytes"
	"io"
)

// asMessage makes f a message that goes out as it is but for its line ends, and returns its transfer encoding.
func (f *fileBody) asMessage(caps Capabilities) (encoding string, err error) {
	f.base64 = false
	s, err := f.scan()
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

type scanned struct {
	size                int64 // with CRLF line ends
	eightBit, long, nul bool
}

// scan reads the content once to learn what a link must be able to do to carry it.
func (f *fileBody) scan() (s scanned, err error) {
	rc, err := f.open()
	if err != nil {
		return s, err
	}
	defer rc.Close()
	buf := make([]byte, 32<<10)
	line := 0
	for {
		n, err := rc.Read(buf)
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
			return s, nil
		}
		if err != nil {
			return s, err
		}
	}
}
