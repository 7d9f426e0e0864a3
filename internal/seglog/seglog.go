// Package seglog is an append-only log in segment files. Frames carry a checksum, appends that wait at the same time share one flush (group
// commit), and a frame for which Append returned nil is there after a crash.
//
// # On disk
//
// A segment is a file named by its number ("00000001.log"). It begins with the 11 octets "mailroomlog", a version octet (1), the number as 4 octets and the segment's key,
// 8 random octets. Frames follow: the key again, 1 octet of kind, 3 zero, the payload's length and a CRC-32C in 4 octets each, then the payload. All numbers
// are little-endian. The checksum covers the whole frame but itself.
//
// Opening scans every segment. Octets that are no frame are skipped up to the next one whose checksum is right: a torn tail ends so, and
// damage in the middle loses no more than what it hit. New frames go to a new segment, so nothing is ever written behind a torn tail.
package seglog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gomailroom/mailroom/internal/disk"
)

// Limits of the format.
const (
	MaxFrame       = 64 << 20 // octets of payload
	DefaultSegment = 64 << 20
	maxBatch       = 4 << 20 // octets that wait for one flush before appenders have to wait as well
)

// Errors. ErrFailed wraps the first failure of a flush: from then on nothing is known about the file, and the log takes nothing any more until it
// is opened again.
var (
	ErrClosed   = errors.New("seglog: closed")
	ErrFailed   = errors.New("seglog: an earlier write to disk failed; open the log again")
	ErrTooLarge = errors.New("seglog: frame too large")
	ErrVersion  = errors.New("seglog: segment of an unknown version")
)

// Pos is where a frame begins. Segments are numbered from 1 upwards.
type Pos struct {
	Segment uint32
	Offset  int64
}

// Options of a log.
type Options struct {
	SegmentSize int64 // octets after which a new segment begins; default 64 MiB
}

// Log is an open log. It is safe for concurrent use.
type Log struct {
	fs   disk.FS
	opt  Options
	kick chan struct{} // one slot: there is something in pending
	stop chan struct{}
	done chan struct{}

	mu       sync.Mutex
	pending  *batch
	failed   error
	closed   bool
	segments map[uint32]*segment
	head     uint32 // the segment that is written, 0 before the first
	next     uint32 // the number of the next segment
	tail     int64  // octets of head that are good
	roll     bool   // the next batch begins a new segment
}

type segment struct {
	file disk.File
	key  key
	size int64
	refs int // readers, and one for the log itself
}

type batch struct {
	buf  []byte
	sync bool
	base Pos
	err  error
	done chan struct{}
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// Append writes a frame whose payload is the parts in sequence, and returns when it is durable.
func (l *Log) Append(kind byte, parts ...[]byte) (Pos, error) {
	b, rel, err := l.add(true, kind, parts)
	if err != nil {
		return Pos{}, err
	}
	<-b.done
	if b.err != nil {
		return Pos{}, b.err
	}
	return Pos{Segment: b.base.Segment, Offset: b.base.Offset + rel}, nil
}

// AppendLazy hands a frame to the operating system soon: killing the process does not lose it once it is written, but it
// is durable only with the next flush. Errors show in the next Append.
func (l *Log) AppendLazy(kind byte, parts ...[]byte) error {
	_, _, err := l.add(false, kind, parts)
	return err
}

func (l *Log) add(sync bool, kind byte, parts [][]byte) (*batch, int64, error) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > MaxFrame {
		return nil, 0, fmt.Errorf("%w: %d octets, at most %d", ErrTooLarge, size, MaxFrame)
	}
	l.mu.Lock()
	for {
		if l.closed {
			l.mu.Unlock()
			return nil, 0, ErrClosed
		}
		if l.failed != nil {
			l.mu.Unlock()
			return nil, 0, l.failed
		}
		if len(l.pending.buf) == 0 || len(l.pending.buf)+size <= maxBatch {
			break
		}
		full := l.pending
		l.mu.Unlock()
		<-full.done
		l.mu.Lock()
	}
	b := l.pending
	rel := int64(len(b.buf))
	b.buf = appendFrame(b.buf, kind, size, parts)
	b.sync = b.sync || sync
	l.mu.Unlock()
	select {
	case l.kick <- struct{}{}:
	default:
	}
	return b, rel, nil
}

// run is the one writer: it takes what has gathered while the last flush was under way, and writes and flushes it at once.
func (l *Log) run() {
	defer close(l.done)
	spare := []byte(nil)
	for {
		select {
		case <-l.kick:
		case <-l.stop:
			l.commit(&spare)
			return
		}
		l.commit(&spare)
	}
}

func (l *Log) commit(spare *[]byte) {
	l.mu.Lock()
	b := l.pending
	if len(b.buf) == 0 {
		l.mu.Unlock()
		return
	}
	l.pending = newBatch()
	l.pending.buf = (*spare)[:0]
	failed := l.failed
	l.mu.Unlock()
	if failed != nil {
		b.err = failed
	} else {
		b.base, b.err = l.write(b)
	}
	*spare = nil
	if cap(b.buf) <= maxBatch {
		*spare = b.buf
	}
	b.buf = nil
	close(b.done)
}

// write makes a batch durable.
func (l *Log) write(b *batch) (Pos, error) {
	seg, err := l.writable(int64(len(b.buf)))
	if err != nil {
		return Pos{}, err
	}
	l.mu.Lock()
	base := Pos{Segment: l.head, Offset: l.tail}
	l.mu.Unlock()
	sealFrames(b.buf, seg.key)
	if _, err := seg.file.Write(b.buf); err != nil {
		// A full disk: take back what was written of it, and go on when that succeeds.
		if undo := seg.file.Truncate(base.Offset); undo != nil {
			return Pos{}, l.fail(errors.Join(err, undo))
		}
		return Pos{}, fmt.Errorf("seglog: write: %w", err)
	}
	if b.sync {
		if err := seg.file.Sync(); err != nil {
			return Pos{}, l.fail(err)
		}
	}
	l.mu.Lock()
	l.tail += int64(len(b.buf))
	seg.size = l.tail
	l.mu.Unlock()
	return base, nil
}

func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = fmt.Errorf("%w: %w", ErrFailed, err)
	return l.failed
}

// writable gives the segment to write to, a new one where the last is full.
func (l *Log) writable(more int64) (*segment, error) {
	l.mu.Lock()
	seg := l.segments[l.head]
	if seg != nil && !l.roll && (l.tail <= int64(headerSize) || l.tail+more <= l.opt.SegmentSize) {
		l.mu.Unlock()
		return seg, nil
	}
	number := l.next
	l.next++ // a number whose creation failed is not tried again
	l.mu.Unlock()
	if seg != nil { // what was written lazily must not stay behind unflushed
		if err := seg.file.Sync(); err != nil {
			return nil, l.fail(err)
		}
	}
	file, err := l.fs.Create(segmentName(number))
	if err != nil {
		return nil, fmt.Errorf("seglog: new segment: %w", err)
	}
	seg = &segment{file: file, size: int64(headerSize), refs: 1}
	rand.Read(seg.key[:])
	_, err = file.Write(segmentHeader(number, seg.key))
	if err == nil {
		err = l.fs.SyncDir()
	}
	if err != nil {
		return nil, fmt.Errorf("seglog: new segment: %w", errors.Join(err, file.Close(), l.fs.Remove(segmentName(number))))
	}
	l.mu.Lock()
	l.segments[number], l.head, l.tail = seg, number, int64(headerSize)
	l.roll = false
	l.mu.Unlock()
	return seg, nil
}

// A Reader reads one frame's payload. Close releases the segment.
type Reader struct {
	*io.SectionReader
	log *Log
	seg *segment
}

// Read opens the payload of a frame that Append or the replay gave. The checksum was verified then, not again.
func (l *Log) Read(pos Pos) (*Reader, error) {
	l.mu.Lock()
	seg := l.segments[pos.Segment]
	if seg == nil || l.closed {
		l.mu.Unlock()
		return nil, fmt.Errorf("seglog: segment %d is gone", pos.Segment)
	}
	seg.refs++
	l.mu.Unlock()
	var head [frameHeader]byte
	_, err := seg.file.ReadAt(head[:], pos.Offset)
	if err == nil {
		if _, length, ok := parseFrameHeader(head[:], seg.key); ok {
			return &Reader{io.NewSectionReader(seg.file, pos.Offset+frameHeader, int64(length)), l, seg}, nil
		}
		err = fmt.Errorf("seglog: no frame at %d in segment %d", pos.Offset, pos.Segment)
	}
	return nil, errors.Join(err, l.release(seg))
}

// Close lets go of the segment. It must be called once.
func (r *Reader) Close() error { return r.log.release(r.seg) }

func (l *Log) release(seg *segment) error {
	l.mu.Lock()
	seg.refs--
	last := seg.refs == 0
	l.mu.Unlock()
	if last {
		return seg.file.Close()
	}
	return nil
}

// DropBefore removes all segments with lower numbers, but never the one that is written. The oldest goes first, and for good before the next one goes: after a crash
// no frame is back whose successors are gone.
func (l *Log) DropBefore(number uint32) error {
	for {
		oldest := l.Oldest()
		l.mu.Lock()
		seg := l.segments[oldest]
		if seg == nil || oldest >= number || oldest == l.head {
			l.mu.Unlock()
			return nil
		}
		delete(l.segments, oldest)
		l.mu.Unlock()
		if err := errors.Join(l.fs.Remove(segmentName(oldest)), l.fs.SyncDir(), l.release(seg)); err != nil {
			return fmt.Errorf("seglog: drop a segment: %w", err)
		}
	}
}

// Roll makes the next frame begin a new segment.
func (l *Log) Roll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll = true
}

// Oldest and Head give the numbers of the first and of the written segment; 0 when there is none.
func (l *Log) Oldest() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := uint32(0)
	for n := range l.segments {
		if oldest == 0 || n < oldest {
			oldest = n
		}
	}
	return oldest
}

// Head gives the number of the segment that is written; 0 when nothing was written since Open.
func (l *Log) Head() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Size is how many octets all segments have.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := int64(0)
	for _, seg := range l.segments {
		total += seg.size
	}
	return total
}

// Close writes and flushes what is pending.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.pending.sync = true
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	l.mu.Lock()
	segments, head, failed := l.segments, l.segments[l.head], l.failed
	l.segments = nil
	l.mu.Unlock()
	err := failed
	if head != nil && err == nil {
		err = head.file.Sync()
	}
	for _, seg := range segments {
		err = errors.Join(err, l.release(seg))
	}
	return err
}
