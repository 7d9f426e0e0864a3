package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/internal/disk"
	"github.com/gomailroom/mailroom/internal/seglog"
	"github.com/gomailroom/mailroom/smtp"
)

// Errors of stores.
var (
	ErrNotFound = errors.New("queue: no such message")
	ErrBusy     = errors.New("queue: the message is being delivered")
)

// inlineSize is how large a text may be to stand in the log. A larger one has a file of its own, so that moving messages
// to the head of the log stays cheap and no large text is ever in memory.
const inlineSize = 1 << 20

// LogOptions of [OpenLog].
type LogOptions struct {
	Logger      *slog.Logger // nil: silent
	SegmentSize int64        // octets of a segment of the log; default 64 MiB
}

// Log is a [Store] on an append-only log with group commit: messages that are accepted at the same time share one flush. Memory
// holds about 300 octets a message with one recipient; texts stay on disk. Only one process may have it open.
type Log struct {
	fs      disk.FS
	log     *seglog.Log
	logger  *slog.Logger
	segment int64
	changed chan struct{}
	unlock  func() error

	compactKick chan struct{}
	compactDone chan struct{}

	mu      sync.Mutex
	closed  bool
	index   index
	entries map[ID]*entry
	adding  map[uint32]int // heads of the log when the additions that are under way began
	lastID  ID
	live    int64          // octets of the frames of live messages
	holds   map[uint32]int // live messages in each segment of the log
	stuck   uint32         // the segment that cannot be emptied: a message in it cannot be read
}

// OpenLog opens the queue in a directory, and creates both if they are missing. What an earlier process left is there again. Broken
// parts of the log are reported to the logger and passed over.
func OpenLog(dir string, opt LogOptions) (*Log, error) {
	fsys, err := disk.MakeDir(dir)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	l, err := openLog(fsys, opt)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	l.unlock = unlock
	return l, nil
}

// NewMemory gives a store that keeps nothing when the process ends.
func NewMemory() *Log {
	l, err := openLog(&disk.Memory{}, LogOptions{SegmentSize: 1 << 20})
	if err != nil {
		panic(err) // an empty disk in memory cannot fail
	}
	return l
}

func openLog(fsys disk.FS, opt LogOptions) (*Log, error) {
	l := &Log{fs: fsys, logger: opt.Logger, segment: opt.SegmentSize, changed: make(chan struct{}, 1), unlock: func() error { return nil },
		compactKick: make(chan struct{}, 1), compactDone: make(chan struct{}), entries: map[ID]*entry{}, adding: map[uint32]int{}, holds: map[uint32]int{}}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if l.segment <= 0 {
		l.segment = seglog.DefaultSegment
	}
	messages := map[ID]replayed{}
	log, damage, err := seglog.Open(fsys, seglog.Options{SegmentSize: l.segment}, func(pos seglog.Pos, kind byte, payload []byte) error {
		return l.replay(pos, kind, payload, messages)
	})
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	l.log = log
	for _, d := range damage {
		if !d.Tail {
			l.logger.Error("queue log is damaged; messages may be missing", "segment", d.Segment, "offset", d.Offset, "octets", d.Length)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.entries)) {
		l.entries[id].setBack(messages[id].ahead, time.Now())
		l.index.add(l.entries[id], messages[id].to)
		if l.entries[id].waiting == 0 {
			l.forget(l.entries[id])
		}
	}
	l.lastID = max(l.lastID, ID(time.Now().UnixMicro()))
	if err := l.sweep(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go l.compactor()
	l.compact()
	return l, nil
}

// replay takes one frame of the log into memory.
func (l *Log) replay(pos seglog.Pos, kind byte, payload []byte, messages map[ID]replayed) error {
	switch kind {
	case frameMessage:
		r, text, err := decodeMessage(payload)
		if err != nil {
			return fmt.Errorf("segment %d, offset %d: %w", pos.Segment, pos.Offset, err)
		}
		if old := l.entries[r.ID]; old != nil { // it was moved
			l.leave(old)
		}
		e := &entry{id: r.ID, pos: pos, file: r.File, text: int64(text), size: r.Size, frame: int64(len(payload)), states: newStates(r.States)}
		l.enter(e)
		messages[r.ID] = replayed{r.Message.Envelope.To, r.Message.ahead(time.Now())}
		l.lastID = max(l.lastID, r.ID)
	case frameStates, frameRemoved:
		r, err := decodeStates(payload)
		if err != nil {
			return fmt.Errorf("segment %d, offset %d: %w", pos.Segment, pos.Offset, err)
		}
		l.lastID = max(l.lastID, r.ID)
		e := l.entries[r.ID]
		if e == nil {
			return nil // a message that is finished
		}
		if kind == frameRemoved {
			l.leave(e)
			return nil
		}
		for i, s := range r.States {
			if i >= 0 && i < len(e.states) {
				e.states[i] = newState(s)
			}
		}
	default:
		return fmt.Errorf("segment %d, offset %d: %w: kind %d", pos.Segment, pos.Offset, errRecord, kind)
	}
	return nil
}

// enter makes a message known, and leave forgets it. They keep the sums that compaction goes by.
func (l *Log) enter(e *entry) {
	l.entries[e.id] = e
	l.live += e.frame
	l.holds[e.pos.Segment]++
}

func (l *Log) leave(e *entry) {
	delete(l.entries, e.id)
	l.live -= e.frame
	if l.holds[e.pos.Segment]--; l.holds[e.pos.Segment] == 0 {
		delete(l.holds, e.pos.Segment)
	}
}

// sweep removes texts whose messages never came to be, or are gone.
func (l *Log) sweep() error {
	names, err := l.fs.Names()
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	used := map[string]bool{}
	for _, e := range l.entries {
		used[e.file] = true
	}
	for _, name := range names {
		if strings.HasSuffix(name, textSuffix) && !used[name] {
			if err := l.fs.Remove(name); err != nil {
				return fmt.Errorf("queue: %w", err)
			}
		}
	}
	return nil
}

// Add implements [Store].
func (l *Log) Add(ctx context.Context, m Message, prefix []byte, c smtp.Content) (ID, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if len(m.Envelope.To) == 0 {
		return 0, errors.New("queue: a message without recipients")
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return 0, seglog.ErrClosed
	}
	l.lastID = max(l.lastID+1, ID(time.Now().UnixMicro()))
	id := l.lastID
	floor := l.log.Head() // nothing from here on is dropped before the message is known
	l.adding[floor]++
	l.mu.Unlock()
	e, err := l.write(id, m, prefix, c)
	l.mu.Lock()
	if l.adding[floor]--; l.adding[floor] == 0 {
		delete(l.adding, floor)
	}
	if err == nil {
		l.enter(e)
		l.index.add(e, m.Envelope.To)
	}
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	l.wake()
	return id, nil
}

// write makes a message durable.
func (l *Log) write(id ID, m Message, prefix []byte, c smtp.Content) (*entry, error) {
	r := &messageRecord{ID: id, Message: m, States: make([]State, len(m.Envelope.To))}
	for i := range r.States {
		r.States[i].Due = m.release()
	}
	body, err := c.Open()
	if err != nil {
		return nil, fmt.Errorf("queue: open message: %w", err)
	}
	defer body.Close()
	text := bytes.NewBuffer(make([]byte, 0, min(max(c.Size(), 4096), inlineSize)+int64(len(prefix))+bytes.MinRead))
	text.Write(prefix)
	if _, err = text.ReadFrom(io.LimitReader(body, inlineSize)); err != nil {
		return nil, fmt.Errorf("queue: read message: %w", err)
	}
	r.Size = int64(text.Len())
	if text.Len() >= inlineSize {
		r.File = id.String() + textSuffix
		if r.Size, err = l.writeText(r.File, io.MultiReader(text, body)); err != nil {
			return nil, err
		}
		text = &bytes.Buffer{}
	}
	e := &entry{id: id, file: r.File, size: r.Size, states: newStates(r.States)}
	if err := l.appendMessage(e, r, text.Bytes()); err != nil {
		if r.File != "" && !errors.Is(err, seglog.ErrFailed) { // or the frame may be on the disk all the same; else the next start sweeps it
			err = errors.Join(err, l.fs.Remove(r.File))
		}
		return nil, err
	}
	return e, nil
}

// appendMessage writes a message frame and notes in e where it is.
func (l *Log) appendMessage(e *entry, r *messageRecord, text []byte) error {
	head, err := encodeMessage(r)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	pos, err := l.log.Append(frameMessage, head, text)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	e.pos, e.text, e.frame = pos, int64(len(head)), int64(len(head)+len(text))
	return nil
}

const textSuffix = ".eml"

// writeText puts a large text into a file of its own, and makes it durable before any frame speaks of it.
func (l *Log) writeText(name string, text io.Reader) (int64, error) {
	f, err := l.fs.Create(name)
	if err != nil {
		return 0, fmt.Errorf("queue: %w", err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, text, make([]byte, 256<<10))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = l.fs.SyncDir()
	}
	if err != nil {
		return 0, fmt.Errorf("queue: write %s: %w", name, errors.Join(err, l.fs.Remove(name)))
	}
	return n, nil
}

// Changed implements [Store].
func (l *Log) Changed() <-chan struct{} { return l.changed }

func (l *Log) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Close writes what is pending. Jobs that are out cannot be settled any more, and are due again when the log is opened.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.compactKick)
	<-l.compactDone
	return errors.Join(l.log.Close(), l.unlock())
}
