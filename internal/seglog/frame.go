package seglog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/gomailroom/mailroom/internal/disk"
)

const (
	version     = 1
	headMagic   = "mailroomlog"
	headerSize  = len(headMagic) + 1 + 4 + keySize
	frameHeader = keySize + 12
	keySize     = 8
)

// A key is a segment's random mark at the head of each of its frames. Payloads come from strangers: a payload cannot contain what would pass for a frame when
// the frame around it is damaged.
type key [keySize]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func segmentName(number uint32) string { return fmt.Sprintf("%08d.log", number) }

func segmentNumber(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, ".log")
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && n > 0 && segmentName(uint32(n)) == name
}

func segmentHeader(number uint32, k key) []byte {
	b := binary.LittleEndian.AppendUint32(append([]byte(headMagic), version), number)
	return append(b, k[:]...)
}

// appendFrame adds a frame that sealFrames has to finish: key and checksum belong to the segment.
func appendFrame(b []byte, kind byte, size int, parts [][]byte) []byte {
	b = append(b, make([]byte, keySize)...)
	b = append(b, kind, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = append(b, 0, 0, 0, 0)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// sealFrames fills in the keys and checksums of the frames in b.
func sealFrames(b []byte, k key) {
	for len(b) > 0 {
		end := frameHeader + int(binary.LittleEndian.Uint32(b[keySize+4:]))
		copy(b, k[:])
		binary.LittleEndian.PutUint32(b[keySize+8:], checksum(b[:end]))
		b = b[end:]
	}
}

// checksum covers a whole frame but for the checksum itself.
func checksum(frame []byte) uint32 {
	sum := crc32.Update(0, castagnoli, frame[:keySize+8])
	return crc32.Update(sum, castagnoli, frame[frameHeader:])
}

// parseFrameHeader gives the kind and the length of the payload that a header announces.
func parseFrameHeader(h []byte, k key) (kind byte, length int, ok bool) {
	if !bytes.Equal(h[:keySize], k[:]) || h[keySize+1] != 0 || h[keySize+2] != 0 || h[keySize+3] != 0 {
		return 0, 0, false
	}
	n := binary.LittleEndian.Uint32(h[keySize+4:])
	return h[keySize], int(n), n <= MaxFrame
}

// Damage is a stretch of a segment that held no frame. At the end of a segment it is usually a write that a crash cut short, which was not
// acknowledged; elsewhere it is the disk's fault.
type Damage struct {
	Segment uint32
	Offset  int64
	Length  int64
	Tail    bool
}

// Open opens the log in a directory and gives every frame, oldest first, to replay; its payload is valid during the call. An error of replay ends Open.
func Open(fsys disk.FS, opt Options, replay func(pos Pos, kind byte, payload []byte) error) (*Log, []Damage, error) {
	if opt.SegmentSize <= 0 {
		opt.SegmentSize = DefaultSegment
	}
	l := &Log{fs: fsys, opt: opt, kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		pending: newBatch(), segments: map[uint32]*segment{}, next: 1}
	damage, err := l.load(replay)
	if err != nil {
		for _, seg := range l.segments {
			err = errors.Join(err, seg.file.Close())
		}
		return nil, damage, err
	}
	go l.run()
	return l, damage, nil
}

func (l *Log) load(replay func(Pos, byte, []byte) error) ([]Damage, error) {
	names, err := l.fs.Names()
	if err != nil {
		return nil, fmt.Errorf("seglog: %w", err)
	}
	var damage []Damage
	for _, name := range names { // sorted, and numbers have a fixed width up to 99,999,999
		number, ok := segmentNumber(name)
		if !ok {
			continue
		}
		file, err := l.fs.Open(name)
		if err != nil {
			return damage, fmt.Errorf("seglog: %w", err)
		}
		seg := &segment{file: file, refs: 1}
		l.segments[number] = seg
		l.next = max(l.next, number+1)
		if seg.size, err = file.Size(); err != nil {
			return damage, fmt.Errorf("seglog: %w", err)
		}
		d, err := seg.load(number, replay)
		if err != nil {
			return damage, fmt.Errorf("seglog: segment %d: %w", number, err)
		}
		damage = append(damage, d...)
	}
	return damage, nil
}

// load reads one segment. Where the header is damaged, the first frame still tells the key.
func (seg *segment) load(number uint32, replay func(Pos, byte, []byte) error) ([]Damage, error) {
	head := make([]byte, headerSize+keySize)
	n, err := seg.file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if v, ok := bytes.CutPrefix(head[:n], []byte(headMagic)); ok && len(v) > 0 && v[0] > version {
		return nil, fmt.Errorf("%w: %d; this program knows %d", ErrVersion, v[0], version)
	}
	if n < len(head) {
		return nil, nil // cut short before anything was acknowledged
	}
	copy(seg.key[:], head[headerSize-keySize:])
	damage, frames, err := seg.scan(number, replay)
	if n := copy(head, head[headerSize:]); err == nil && frames == 0 && n == keySize && !bytes.Equal(head[:n], seg.key[:]) {
		copy(seg.key[:], head)
		damage, _, err = seg.scan(number, replay)
	}
	return damage, err
}

// scan gives every frame to replay. Its memory is one frame.
func (seg *segment) scan(number uint32, replay func(Pos, byte, []byte) error) (damage []Damage, frames int, err error) {
	w := window{file: seg.file, size: seg.size}
	bad := int64(-1)
	for at := int64(headerSize); at < seg.size; {
		kind, payload, ok, err := w.frame(at, seg.key)
		if err != nil {
			return damage, frames, err
		}
		if !ok {
			if bad < 0 {
				bad = at
			}
			if at, err = w.find(at+1, seg.key); err != nil {
				return damage, frames, err
			}
			continue
		}
		if bad >= 0 {
			damage = append(damage, Damage{Segment: number, Offset: bad, Length: at - bad})
			bad = -1
		}
		if err := replay(Pos{number, at}, kind, payload); err != nil {
			return damage, frames, err
		}
		frames++
		at += frameHeader + int64(len(payload))
	}
	if bad >= 0 {
		damage = append(damage, Damage{Segment: number, Offset: bad, Length: seg.size - bad, Tail: true})
	}
	return damage, frames, nil
}

// window reads a file through a buffer that slides forward.
type window struct {
	file io.ReaderAt
	size int64
	buf  []byte
	at   int64
}

const windowSize = 256 << 10

// bytes gives n octets from an offset, fewer at the end of the file.
func (w *window) bytes(at int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-at))
	if at < w.at || at+int64(n) > w.at+int64(len(w.buf)) {
		want := int(min(int64(max(n, windowSize)), w.size-at))
		if cap(w.buf) < want {
			w.buf = make([]byte, want)
		}
		w.buf, w.at = w.buf[:want], at
		if got, err := w.file.ReadAt(w.buf, at); got < want {
			return nil, fmt.Errorf("read at %d: %w", at, err)
		}
	}
	return w.buf[at-w.at:][:n], nil
}

// frame gives the frame at an offset if its checksum is right.
func (w *window) frame(at int64, k key) (kind byte, payload []byte, ok bool, err error) {
	head, err := w.bytes(at, frameHeader)
	if err != nil || len(head) < frameHeader {
		return 0, nil, false, err
	}
	kind, length, ok := parseFrameHeader(head, k)
	if !ok || at+frameHeader+int64(length) > w.size {
		return 0, nil, false, nil
	}
	b, err := w.bytes(at, frameHeader+length)
	if err != nil {
		return 0, nil, false, err
	}
	return kind, b[frameHeader:], binary.LittleEndian.Uint32(b[keySize+8:]) == checksum(b), nil
}

// find gives the offset of the next key, or the size of the file.
func (w *window) find(at int64, k key) (int64, error) {
	for at < w.size {
		b, err := w.bytes(at, windowSize)
		if err != nil {
			return 0, err
		}
		if i := bytes.Index(b, k[:]); i >= 0 {
			return at + int64(i), nil
		}
		if at+int64(len(b)) >= w.size {
			break
		}
		at += int64(len(b) - keySize + 1)
	}
	return w.size, nil
}
