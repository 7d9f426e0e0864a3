package sqlstore

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore/internal/rules"
	"github.com/gomailroom/mailroom/mime"
)

// body is the text of a message on its way in: whole in memory when it is small, else already in chunks in the database under a blob that nothing refers to yet.
type body struct {
	data      []byte
	blob      int64 // of the chunks; 0: data
	size      int64
	structure []byte
}

// takeBody reads a body of exactly size octets, and parses it on the way unless its structure is known. A large one goes into the database chunk by chunk: it delays others
// by little, and takes little memory.
func (s *Store) takeBody(ctx context.Context, r io.Reader, size int64, known *mime.Structure) (taken *body, err error) {
	b := &body{size: size}
	if size <= inlineBlob {
		if b.data, err = rules.ReadBody(r, size); err != nil {
			return nil, err
		}
		if known, err = rules.Parse(known, rules.Bytes(b.data)); err != nil {
			return nil, err
		}
		b.structure, err = known.AppendBinary(nil)
		return b, err
	}
	var parser *mime.Parser
	if known == nil {
		parser = mime.NewParser(mime.Limits{})
	}
	defer func() {
		if err != nil {
			s.abandon(b)
		}
	}()
	buf := make([]byte, chunkSize)
	for n, left := int64(0), size; left > 0; n++ {
		part := buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(r, part); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("mailstore: read octet %d of %d: %w", size-left, size, err)
		}
		if parser != nil {
			parser.Write(part) // never fails
		}
		if err := s.stage(ctx, b, n, part); err != nil {
			return nil, err
		}
		left -= int64(len(part))
	}
	if parser != nil {
		known = parser.Close().Structure()
	}
	b.structure, err = known.AppendBinary(nil)
	return b, err
}

// stage writes a chunk.
func (s *Store) stage(ctx context.Context, b *body, n int64, part []byte) error {
	blob := b.blob
	err := s.write(ctx, func(w *writeTx) error {
		if n == 0 {
			blob = w.next(&w.counters.blob)
			if err := w.exec("INSERT INTO blob (id, refs, size, created) VALUES (?, 0, ?, ?)", blob, b.size, time.Now().Unix()); err != nil {
				return err
			}
		}
		return w.exec("INSERT INTO chunk (blob, n, data) VALUES (?, ?, ?)", blob, n, part)
	})
	if err == nil { // before that the number may yet be another's
		b.blob = blob
	}
	return err
}

// stageSmall writes a body that is in memory.
func (s *Store) stageSmall(ctx context.Context, b *body) error {
	var blob int64
	err := s.write(ctx, func(w *writeTx) error {
		blob = w.next(&w.counters.blob)
		return w.exec("INSERT INTO blob (id, refs, size, created, data) VALUES (?, 0, ?, ?, ?)", blob, b.size, time.Now().Unix(), b.data)
	})
	if err == nil {
		b.blob, b.data = blob, nil
	}
	return err
}

// link makes the body a blob with some references.
func (w *writeTx) link(b *body, refs int) (blob int64, err error) {
	if b.blob != 0 {
		n, err := w.execN("UPDATE blob SET refs = ?, structure = ? WHERE id = ?", refs, b.structure, b.blob)
		if err == nil && n == 0 {
			err = temporary(fmt.Errorf("body %d was swept away", b.blob))
		}
		return b.blob, err
	}
	blob = w.next(&w.counters.blob)
	return blob, w.exec("INSERT INTO blob (id, refs, size, created, structure, data) VALUES (?, ?, ?, ?, ?, ?)", blob, refs, b.size, time.Now().Unix(), b.structure, b.data)
}

// abandon drops a body that will not be linked. If that fails, a later Open does it.
func (s *Store) abandon(b *body) {
	if b == nil || b.blob == 0 {
		return
	}
	if err := s.write(context.Background(), func(w *writeTx) error { return w.dropBlob(b.blob) }); err != nil {
		s.log.Warn("mailstore: body of an unfinished message stays for now", "blob", b.blob, "error", err)
	}
	b.blob = 0
}

func (w *writeTx) dropBlob(id int64) error {
	if n, err := w.execN("DELETE FROM blob WHERE id = ? AND refs = 0", id); err != nil || n == 0 {
		return err
	}
	return w.exec("DELETE FROM chunk WHERE blob = ?", id)
}

// chunked is a body in chunks. The chunk read last stays in memory.
type chunked struct {
	s    *Store
	blob int64
	size int64
	last atomic.Pointer[chunk]
}

type chunk struct {
	n    int64
	data []byte
}

func (c *chunked) Size() int64 { return c.size }

func (c *chunked) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("mailstore: negative offset %d", off)
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= c.size {
			return n, io.EOF
		}
		chunk, err := c.chunk(at / chunkSize)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], chunk.data[at%chunkSize:])
	}
	return n, nil
}

func (c *chunked) chunk(n int64) (*chunk, error) {
	if last := c.last.Load(); last != nil && last.n == n {
		return last, nil
	}
	ctx := context.Background() // io.ReaderAt has none
	x := &chunk{n: n}
	err := c.s.read(ctx, func(r reader) error {
		found, err := one(ctx, r, "SELECT data FROM chunk WHERE blob = ? AND n = ?", []any{c.blob, n}, &x.data)
		if err == nil && (!found || int64(len(x.data)) != min(chunkSize, c.size-n*chunkSize)) {
			err = fmt.Errorf("mailstore: the message is no more: %w", imap.ErrNotFound)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c.last.Store(x)
	return x, nil
}
