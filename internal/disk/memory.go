package disk

import (
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// Memory is an [FS] in memory that knows what is durable. [Memory.Cut] gives what a disk may hold after the power failed: all that was
// synced, and of the rest any part, down to single sectors. The zero value is an empty disk. It is safe for concurrent use.
type Memory struct {
	mu      sync.Mutex
	files   map[string]*memoryFile // as the running program sees them
	durable map[string]*memoryFile // directory entries as of the last SyncDir
	syncs   int
	fail    func(op, name string) error
}

type memoryFile struct {
	data   []byte
	synced []byte // as of the last Sync; it shares its array with data, where octets are never written twice
}

const sector = 512

// Fail makes operations ("create", "write", "sync", "syncdir", "remove", "truncate") fail where f gives an error.
func (c *Memory) Fail(f func(op, name string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = f
}

// Syncs is how many flushes, of files and of the directory, there have been.
func (c *Memory) Syncs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.syncs
}

// Cut gives a new disk with what this one may hold if the power fails now. It may be called while the program runs on.
func (c *Memory) Cut(r *rand.Rand) *Memory {
	c.mu.Lock()
	defer c.mu.Unlock()
	after := &Memory{files: map[string]*memoryFile{}, durable: map[string]*memoryFile{}}
	keep := maps.Clone(c.durable)
	if keep == nil {
		keep = map[string]*memoryFile{}
	}
	for name, f := range c.files { // a creation that was not synced may be there or not
		if keep[name] != f && r.IntN(2) == 0 {
			keep[name] = f
		}
	}
	for name := range c.durable { // and so may a removal
		if c.files[name] == nil && r.IntN(2) == 0 {
			delete(keep, name)
		}
	}
	for name, f := range keep {
		data := f.tear(r)
		g := &memoryFile{data: data, synced: slices.Clone(data)}
		after.files[name], after.durable[name] = g, g
	}
	return after
}

// tear gives the durable bytes of a file and any part of the others: a length between the two, and for each sector that
// changed the new content, the old one, or noise.
func (f *memoryFile) tear(r *rand.Rand) []byte {
	size := len(f.synced)
	if grown := len(f.data) - size; grown > 0 {
		size += r.IntN(grown + 1)
	} else if r.IntN(2) == 0 {
		size = len(f.data)
	}
	out := make([]byte, size)
	copy(out, f.synced)
	mode := r.IntN(3) // 0: all of it, 1: none of it, 2: some
	for at := 0; at < size; at += sector {
		end := min(at+sector, size)
		from := max(at, len(f.synced))
		if from >= end {
			continue
		}
		switch {
		case mode == 0 || mode == 2 && r.IntN(2) == 0:
			copy(out[from:end], f.data[from:end])
		case r.IntN(4) == 0:
			for i := from; i < end; i++ {
				out[i] = byte(r.Uint32())
			}
		}
	}
	return out
}

func (c *Memory) check(op, name string) error {
	if c.fail == nil {
		return nil
	}
	if err := c.fail(op, name); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// Create implements [FS].
func (c *Memory) Create(name string) (File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check("create", name); err != nil {
		return nil, err
	}
	if c.files[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	if c.files == nil {
		c.files = map[string]*memoryFile{}
	}
	f := &memoryFile{}
	c.files[name] = f
	return &memoryHandle{disk: c, name: name, file: f}, nil
}

// Open implements [FS].
func (c *Memory) Open(name string) (File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[name]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memoryHandle{disk: c, name: name, file: f}, nil
}

// Remove implements [FS].
func (c *Memory) Remove(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check("remove", name); err != nil {
		return err
	}
	if c.files[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(c.files, name)
	return nil
}

// Names implements [FS].
func (c *Memory) Names() ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.files)), nil
}

// SyncDir implements [FS].
func (c *Memory) SyncDir() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check("syncdir", "."); err != nil {
		return err
	}
	c.syncs++
	c.durable = maps.Clone(c.files)
	return nil
}

type memoryHandle struct {
	disk *Memory
	name string
	file *memoryFile
}

func (h *memoryHandle) ReadAt(p []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if off >= int64(len(h.file.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.file.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Write appends; one that fails leaves half of its bytes behind, as a full disk does.
func (h *memoryHandle) Write(p []byte) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.check("write", h.name); err != nil {
		h.file.data = append(h.file.data, p[:len(p)/2]...)
		return len(p) / 2, err
	}
	h.file.data = append(h.file.data, p...)
	return len(p), nil
}

func (h *memoryHandle) Size() (int64, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	return int64(len(h.file.data)), nil
}

func (h *memoryHandle) Truncate(size int64) error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.check("truncate", h.name); err != nil {
		return err
	}
	size = min(size, int64(len(h.file.data)))
	h.file.data = h.file.data[:size:size] // what is appended next goes to a new array
	return nil
}

func (h *memoryHandle) Sync() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.check("sync", h.name); err != nil {
		return err
	}
	h.disk.syncs++
	h.file.synced = h.file.data[:len(h.file.data):len(h.file.data)]
	return nil
}

func (h *memoryHandle) Close() error { return nil }
