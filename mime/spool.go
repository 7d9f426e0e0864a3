package mime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// SpoolLimits bound what [Spool] takes. A zero field takes its default.
type SpoolLimits struct {
	Memory int64  // bytes kept in memory before a temporary file is used; default 256 KiB
	Size   int64  // bytes in all; default 64 MiB, negative means no limit
	Dir    string // directory of the temporary file; default os.TempDir
	Parse  Limits // limits of the message that is parsed on the way
}

const (
	defaultSpoolMemory = 256 << 10
	defaultSpoolSize   = 64 << 20
	copyChunk          = 64 << 10
	maxIdleReads       = 100 // reads in a row that give neither bytes nor an error
)

// TooLargeError says that a message is longer than [SpoolLimits] allow.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("mime: message is longer than %d bytes", e.Limit)
}

// Spooled holds a message that arrived once, so that it can be read again and again: in memory if it is short, else in a
// temporary file that has no name any more. It is safe for concurrent readers. Close it when nobody reads it any more.
type Spooled struct {
	mem  []byte
	file *os.File
	size int64
	msg  *Message
	once sync.Once
	err  error
}

// copyBuffers holds the chunks through which readers are copied.
var copyBuffers = sync.Pool{New: func() any { return new([copyChunk]byte) }}

// Spool reads r to its end and keeps what it read, and parses it while it is written. The error of r comes back as it is.
// A message beyond the limit is a *[TooLargeError]; it is reported as soon as it is known, without reading r to its end.
func Spool(r io.Reader, limits SpoolLimits) (*Spooled, error) {
	orDefault(&limits.Memory, defaultSpoolMemory)
	if limits.Size == 0 {
		limits.Size = defaultSpoolSize
	}
	s := &Spooled{}
	p := NewParser(limits.Parse)
	buf := copyBuffers.Get().(*[copyChunk]byte)
	defer copyBuffers.Put(buf)
	for idle := 0; ; {
		n, err := r.Read(buf[:])
		if n > 0 {
			if limits.Size >= 0 && s.size+int64(n) > limits.Size {
				s.Close()
				return nil, &TooLargeError{Limit: limits.Size}
			}
			if werr := s.write(buf[:n], limits); werr != nil {
				s.Close()
				return nil, werr
			}
			p.Write(buf[:n]) // never fails
		}
		if err == io.EOF {
			break
		}
		if n > 0 {
			idle = 0
		} else if idle++; err == nil && idle == maxIdleReads {
			err = io.ErrNoProgress
		}
		if err != nil {
			s.Close()
			return nil, err
		}
	}
	s.msg = p.Close()
	s.msg.SetSource(s)
	return s, nil
}

// write appends b, and moves what is in memory to a file once it is too long for memory.
func (s *Spooled) write(b []byte, limits SpoolLimits) error {
	if s.file == nil && s.size+int64(len(b)) <= limits.Memory {
		s.mem = append(s.mem, b...)
		s.size += int64(len(b))
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(limits.Dir, "mailroom-*")
		if err != nil {
			return fmt.Errorf("mime: spool: %w", err)
		}
		s.file = f
		// Without a name the file goes with the process, whatever happens to it. Systems that cannot remove an open
		// file lose it in Close.
		_ = os.Remove(f.Name())
		if _, err := f.Write(s.mem); err != nil {
			return fmt.Errorf("mime: spool: %w", err)
		}
		s.mem = nil
	}
	if _, err := s.file.Write(b); err != nil {
		return fmt.Errorf("mime: spool: %w", err)
	}
	s.size += int64(len(b))
	return nil
}

// ReadAt reads from the message at an offset.
func (s *Spooled) ReadAt(b []byte, off int64) (int, error) {
	if s.file != nil {
		return s.file.ReadAt(b, off)
	}
	if off < 0 {
		return 0, errors.New("mime: spool: negative offset")
	}
	if off >= int64(len(s.mem)) {
		return 0, io.EOF
	}
	n := copy(b, s.mem[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Size returns the length of the message in bytes.
func (s *Spooled) Size() int64 { return s.size }

// Open returns a reader of the message from its start.
func (s *Spooled) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s, 0, s.size)), nil
}

// Message returns the parsed message. It reads from the spool.
func (s *Spooled) Message() *Message { return s.msg }

// Close frees what the spool holds. The message that was parsed from it can no longer be read.
func (s *Spooled) Close() error {
	s.once.Do(func() {
		if s.file != nil {
			s.err = s.file.Close()
			_ = os.Remove(s.file.Name()) // fails where the name went right after opening
		}
	})
	return s.err
}
