package protect

import (
	"errors"
	"io"
	"sync"

	"github.com/gomailroom/mailroom/mime"
)

type piece struct {
	mem      []byte
	src      io.ReaderAt // or bytes from here
	off, len int64
}

// Joined is a message put together of pieces. It is safe for concurrent readers. The zero value is empty.
type Joined struct {
	pieces  []piece
	size    int64
	closers []io.Closer
	once    sync.Once
	err     error
}

// Add appends bytes, which nobody may change any more.
func (j *Joined) Add(b ...[]byte) {
	for _, b := range b {
		j.pieces = append(j.pieces, piece{mem: b, len: int64(len(b))})
		j.size += int64(len(b))
	}
}

// AddRange appends a range of src.
func (j *Joined) AddRange(src io.ReaderAt, off, n int64) {
	j.pieces = append(j.pieces, piece{src: src, off: off, len: n})
	j.size += n
}

// Owns says that c is closed with the message.
func (j *Joined) Owns(c io.Closer) { j.closers = append(j.closers, c) }

// Size is the exact length in octets.
func (j *Joined) Size() int64 { return j.size }

// ReadAt reads at an offset.
func (j *Joined) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("protect: negative offset")
	}
	for _, p := range j.pieces {
		if off >= p.len {
			off -= p.len
			continue
		}
		want := b[n:]
		if rest := p.len - off; int64(len(want)) > rest {
			want = want[:rest]
		}
		got := len(want)
		if p.src == nil {
			copy(want, p.mem[off:])
		} else if got, err = p.src.ReadAt(want, p.off+off); got < len(want) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n + got, err
		}
		if n += got; n == len(b) {
			return n, nil
		}
		off = 0
	}
	return n, io.EOF
}

// Open returns a reader from the start.
func (j *Joined) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(j, 0, j.size)), nil
}

// WriteTo writes everything.
func (j *Joined) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, io.NewSectionReader(j, 0, j.size))
}

// Close frees what the pieces are in.
func (j *Joined) Close() error {
	j.once.Do(func() {
		for _, c := range j.closers {
			j.err = errors.Join(j.err, c.Close())
		}
	})
	return j.err
}

// Spool keeps what write writes.
func Spool(limits mime.SpoolLimits, write func(w io.Writer) error) (*mime.Spooled, error) {
	p := Pipe(write)
	defer p.Close()
	return mime.Spool(p, limits)
}

// SpoolContent keeps what a content holds.
func SpoolContent(c mime.Content, limits mime.SpoolLimits) (*mime.Spooled, error) {
	rc, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return mime.Spool(rc, limits)
}
