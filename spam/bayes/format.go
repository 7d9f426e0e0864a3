package bayes

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"slices"
)

// The format of version 1, integers as unsigned varints where nothing else is said:
//
//	"mailroom-bayes" version(1 byte)
//	number of accounts, for each in the order of their names:
//	  length and bytes of the name
//	  spam and ham examples, spam and ham weights, clock
//	  number of tokens, for each in the order of their hashes: difference to the hash before, spam, ham, used
//	  number of examples, for each in the order of their IDs: ID (16 bytes), class (1 byte), weight, when
//	CRC-32C of all before (4 bytes, big endian)
const (
	magic   = "mailroom-bayes"
	version = 1
)

// A FormatError says why [Memory.Load] cannot take what it was given.
type FormatError struct{ Reason string }

func (e *FormatError) Error() string { return "bayes: cannot load: " + e.Reason }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Save writes all that was learned. Learning may go on meanwhile; each account is saved as it was at one moment. To replace a file safely, save into a new one
// beside it, sync it and rename it.
func (m *Memory) Save(w io.Writer) error {
	m.mu.RLock()
	accounts := maps.Clone(m.accounts)
	m.mu.RUnlock()
	sum := crc32.New(castagnoli)
	out := io.MultiWriter(w, sum)
	b := append([]byte(magic), version)
	b = binary.AppendUvarint(b, uint64(len(accounts)))
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
		b = accounts[name].appendBinary(b)
		if _, err := out.Write(b); err != nil {
			return fmt.Errorf("bayes: cannot save: %w", err)
		}
		b = b[:0]
	}
	if _, err := out.Write(b); err != nil { // the head, where there is no account
		return fmt.Errorf("bayes: cannot save: %w", err)
	}
	if _, err := w.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32())); err != nil {
		return fmt.Errorf("bayes: cannot save: %w", err)
	}
	return nil
}

func (a *model) appendBinary(b []byte) []byte {
	a.mu.RLock()
	defer a.mu.RUnlock()
	l := a.learned
	for _, n := range []uint32{l.Examples.Spam, l.Examples.Ham, l.Weights.Spam, l.Weights.Ham, a.clock} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendUvarint(b, uint64(len(a.tokens)))
	last := uint64(0)
	for _, h := range slices.Sorted(maps.Keys(a.tokens)) {
		e := a.tokens[h]
		b = binary.AppendUvarint(b, h-last)
		b = binary.AppendUvarint(b, uint64(e.Spam))
		b = binary.AppendUvarint(b, uint64(e.Ham))
		b = binary.AppendUvarint(b, uint64(e.used))
		last = h
	}
	b = binary.AppendUvarint(b, uint64(len(a.known)))
	for _, id := range slices.SortedFunc(maps.Keys(a.known), func(x, y [16]byte) int { return bytes.Compare(x[:], y[:]) }) {
		r := a.known[id]
		b = append(append(b, id[:]...), byte(r.class))
		b = binary.AppendUvarint(b, uint64(r.weight))
		b = binary.AppendUvarint(b, uint64(r.when))
	}
	return b
}

// Load replaces all that was learned by what Save wrote. When it fails, nothing is changed; the error is a [*FormatError], or the reader's own.
func (m *Memory) Load(r io.Reader) error {
	d := &decoder{r: bufio.NewReaderSize(r, 64<<10)}
	accounts, err := d.file()
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &FormatError{"it ends too early"}
	case err != nil:
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accounts = accounts
	return nil
}

// decoder reads and sums. It believes no length: what is kept grows with what was read.
type decoder struct {
	r   *bufio.Reader
	sum uint32
	one [1]byte
}

// ReadByte implements io.ByteReader.
func (d *decoder) ReadByte() (byte, error) {
	c, err := d.r.ReadByte()
	if err == nil {
		d.one[0] = c
		d.sum = crc32.Update(d.sum, castagnoli, d.one[:])
	}
	return c, err
}

func (d *decoder) bytes(to []byte) error {
	_, err := io.ReadFull(d.r, to)
	d.sum = crc32.Update(d.sum, castagnoli, to)
	return err
}

func (d *decoder) number(most uint64) (uint64, error) {
	n, err := binary.ReadUvarint(d)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, err
		}
		return 0, &FormatError{"a number is out of range"}
	}
	if n > most {
		return 0, &FormatError{"a number is out of range"}
	}
	return n, nil
}

// numbers reads several of 32 bits.
func (d *decoder) numbers(to ...*uint32) error {
	for _, p := range to {
		n, err := d.number(math.MaxUint32)
		if err != nil {
			return err
		}
		*p = uint32(n)
	}
	return nil
}

func (d *decoder) file() (map[string]*model, error) {
	var head [len(magic) + 1]byte
	if err := d.bytes(head[:]); err != nil {
		return nil, err
	}
	if string(head[:len(magic)]) != magic {
		return nil, &FormatError{"it is no file of this package"}
	}
	if v := head[len(magic)]; v != version {
		return nil, &FormatError{fmt.Sprintf("it is of version %d, and this program knows up to %d", v, version)}
	}
	n, err := d.number(math.MaxInt64)
	if err != nil {
		return nil, err
	}
	accounts := map[string]*model{}
	for range n {
		name, a, err := d.account()
		if err != nil {
			return nil, err
		}
		if accounts[name] != nil {
			return nil, &FormatError{"an account is there twice"}
		}
		accounts[name] = a
	}
	want := d.sum
	var sum [4]byte
	if err := d.bytes(sum[:]); err != nil {
		return nil, err
	}
	if binary.BigEndian.Uint32(sum[:]) != want {
		return nil, &FormatError{"its checksum is wrong: it is damaged"}
	}
	if _, err := d.r.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, cmp.Or[error](err, &FormatError{"something follows its end"})
	}
	return accounts, nil
}

func (d *decoder) account() (string, *model, error) {
	size, err := d.number(4096)
	if err != nil {
		return "", nil, err
	}
	name := make([]byte, size)
	if err := d.bytes(name); err != nil {
		return "", nil, err
	}
	a := newModel()
	l := &a.learned
	if err := d.numbers(&l.Examples.Spam, &l.Examples.Ham, &l.Weights.Spam, &l.Weights.Ham, &a.clock); err != nil {
		return "", nil, err
	}
	n, err := d.number(math.MaxInt64)
	if err != nil {
		return "", nil, err
	}
	hash := uint64(0)
	for range n {
		step, err := d.number(math.MaxUint64 - hash)
		if err != nil {
			return "", nil, err
		}
		hash += step
		var e entry
		if err := d.numbers(&e.Spam, &e.Ham, &e.used); err != nil {
			return "", nil, err
		}
		a.tokens[hash] = e
	}
	if n, err = d.number(math.MaxInt64); err != nil {
		return "", nil, err
	}
	for range n {
		var id [17]byte
		if err := d.bytes(id[:]); err != nil {
			return "", nil, err
		}
		r := record{class: Class(id[16])}
		if err := d.numbers(&r.weight, &r.when); err != nil {
			return "", nil, err
		}
		if r.class != Ham && r.class != Spam {
			return "", nil, &FormatError{"an example is of no class"}
		}
		a.known[[16]byte(id[:])] = r
	}
	return string(name), a, nil
}
