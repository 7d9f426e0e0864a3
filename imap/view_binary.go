package imap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// viewVersion is the first byte of a saved view.
const viewVersion = 1

// ErrBadView says that bytes are no saved view of a version that is known here. A saved view is only a cache: load the mailbox anew.
var ErrBadView = errors.New("imap: not a saved view")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendBinary appends the view in about 12 bytes a message: a version byte, the mailbox's own numbers, chunks of messages column by column, and a CRC-32C of it all.
// The error is always nil.
func (v *View) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, viewVersion)
	b = binary.AppendUvarint(b, uint64(v.uidValidity))
	b = binary.AppendUvarint(b, uint64(v.uidNext))
	b = binary.AppendUvarint(b, uint64(v.modseq))
	b = binary.AppendUvarint(b, uint64(len(v.keywords)))
	for _, name := range v.keywords {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	b = binary.AppendUvarint(b, uint64(v.sum.n))
	for gi := range v.groups {
		for ci := range v.groups[gi].chunks {
			b = v.groups[gi].chunks[ci].appendBinary(b)
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli)), nil
}

// appendBinary writes the columns of a chunk, each as differences where neighbours are alike.
func (c *chunk) appendBinary(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(c.uids)))
	last := UID(0)
	for _, uid := range c.uids {
		b, last = binary.AppendUvarint(b, uint64(uid-last)), uid
	}
	for i := range c.hot {
		b = binary.AppendUvarint(b, uint64(c.hot[i].flags))
	}
	modseq := ModSeq(0)
	for i := range c.hot {
		b, modseq = binary.AppendVarint(b, int64(c.hot[i].modseq-modseq)), c.hot[i].modseq
	}
	for i := range c.cold {
		b = binary.AppendUvarint(b, uint64(c.cold[i].size))
	}
	seconds, zone := int64(0), int16(0)
	for i := range c.cold { // the lowest bit says that another zone follows
		s, z := int64(c.cold[i].date>>16), int16(c.cold[i].date)
		if z == zone {
			b = binary.AppendVarint(b, (s-seconds)<<1)
		} else {
			b = binary.AppendVarint(b, (s-seconds)<<1|1)
			b = binary.AppendVarint(b, int64(z))
		}
		seconds, zone = s, z
	}
	return b
}

// DecodeView reads what AppendBinary wrote. Bytes that are damaged, of another version, or make no sense give [ErrBadView].
func DecodeView(b []byte) (*View, error) {
	if len(b) < 5 || b[0] != viewVersion {
		return nil, fmt.Errorf("%w: no version %d", ErrBadView, viewVersion)
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return nil, fmt.Errorf("%w: checksum does not match", ErrBadView)
	}
	d := viewDecoder{b: body[1:]}
	v := d.view()
	if d.bad || len(d.b) > 0 {
		return nil, fmt.Errorf("%w: contents make no sense", ErrBadView)
	}
	return v, nil
}

// viewDecoder reads numbers until one is missing or out of bounds; after that all are 0 and bad is set.
type viewDecoder struct {
	b   []byte
	bad bool
}

func (d *viewDecoder) uint(limit uint64) uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 && uint64(d.b[0]) <= limit {
		n := uint64(d.b[0])
		d.b = d.b[1:]
		return n
	}
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > limit {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *viewDecoder) int() int64 {
	n := d.uint(math.MaxUint64)
	return int64(n>>1) ^ -int64(n&1)
}

func (d *viewDecoder) view() *View {
	v := &View{uidValidity: uint32(d.uint(math.MaxUint32)), uidNext: UID(d.uint(math.MaxUint32)), modseq: ModSeq(d.uint(math.MaxInt64))}
	var names []string
	for range d.uint(MaxKeywords) {
		n := d.uint(uint64(len(d.b)))
		if n > uint64(len(d.b)) {
			d.bad = true
			return nil
		}
		names = append(names, string(d.b[:n]))
		d.b = d.b[n:]
	}
	if v.uidNext == 0 || checkKeywords(nil, names) != nil {
		d.bad = true
		return nil
	}
	v.keywords = names
	total, last := d.uint(uint64(len(d.b))), UID(0)
	var groups []groupEntry
	var chunks []chunkEntry
	for total > 0 && !d.bad {
		c := d.chunk(v, last)
		if d.bad || uint64(len(c.uids)) > total {
			d.bad = true
			return nil
		}
		total, last = total-uint64(len(c.uids)), c.uids[len(c.uids)-1]
		if chunks = append(chunks, c.entry()); len(chunks) == groupMax {
			groups, chunks = append(groups, newGroup(chunks)), nil
		}
	}
	if len(chunks) > 0 {
		groups = append(groups, newGroup(chunks))
	}
	v.setGroups(groups)
	return v
}

func (d *viewDecoder) chunk(v *View, last UID) *chunk {
	n := int(d.uint(chunkMax))
	if n == 0 || n > len(d.b)/5 { // five numbers each
		d.bad = true
		return nil
	}
	c := &chunk{make([]UID, n), make([]cold, n), make([]hot, n)}
	uid := UID(0)
	for i := range c.uids {
		step := UID(d.uint(uint64(v.uidNext - 1 - uid)))
		if uid += step; step == 0 || uid <= last {
			d.bad = true
			return nil
		}
		c.uids[i] = uid
	}
	flags := FlagsSystem | (1<<len(v.keywords)-1)*FlagKeyword
	for i := range c.hot {
		c.hot[i].flags = Flags(d.uint(math.MaxUint64))
		d.bad = d.bad || c.hot[i].flags&^flags != 0
	}
	modseq := ModSeq(0)
	for i := range c.hot {
		modseq += ModSeq(d.int())
		c.hot[i].modseq = modseq
		d.bad = d.bad || modseq == 0 || modseq > v.modseq
	}
	for i := range c.cold {
		c.cold[i].size = int64(d.uint(math.MaxInt64))
	}
	seconds, zone := int64(0), int64(0)
	for i := range c.cold {
		step := d.int()
		seconds += step >> 1
		if step&1 != 0 {
			zone = d.int()
		}
		c.cold[i].date = packedDate(seconds<<16 | int64(uint16(zone)))
	}
	return c
}
