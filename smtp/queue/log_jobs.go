package queue

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/gomailroom/mailroom/internal/seglog"
)

// Claim implements [Store].
func (l *Log) Claim(_ context.Context, now time.Time, free func(domain string) bool) (*Job, time.Time, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, time.Time{}, seglog.ErrClosed
	}
	w, next := l.index.next(now, free)
	if w == nil {
		l.mu.Unlock()
		return nil, next, nil
	}
	w.claimed = true
	w.entry.busy++
	l.mu.Unlock()
	m, err := l.message(w.entry)
	if err != nil {
		// A log that cannot be read now: the work goes back, for a later time.
		l.mu.Lock()
		w.due = now.Add(time.Minute)
		l.giveBack(w)
		l.mu.Unlock()
		return nil, time.Time{}, fmt.Errorf("queue: message %s: %w", w.entry.id, err)
	}
	j := &Job{ID: w.entry.id, Domain: w.domain.name, Message: *m, Asked: w.asked, Content: &logContent{l, w.entry}}
	l.mu.Lock()
	w.asked = false
	for _, i := range w.indexes {
		j.Indexes = append(j.Indexes, i)
		j.States = append(j.States, w.entry.states[i].get())
	}
	l.mu.Unlock()
	return j, time.Time{}, nil
}

// giveBack ends a claim.
func (l *Log) giveBack(w *work) {
	w.claimed = false
	w.entry.busy--
	if len(w.indexes) > 0 {
		l.index.push(w)
	}
}

// message reads a message's record.
func (l *Log) message(e *entry) (*Message, error) {
	r, text, err := l.openFrame(e)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	head := make([]byte, text)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	record, _, err := decodeMessage(head)
	if err != nil {
		return nil, err
	}
	return &record.Message, nil
}

// openFrame opens a message's frame and tells where its text begins. The message may be moved at the same time, so a
// place that is gone is looked up once more.
func (l *Log) openFrame(e *entry) (*seglog.Reader, int64, error) {
	var old seglog.Pos
	for {
		l.mu.Lock()
		pos, text := e.pos, e.text
		l.mu.Unlock()
		r, err := l.log.Read(pos)
		if err == nil || pos == old {
			return r, text, err
		}
		old = pos
	}
}

// logContent is a queued text. It can be opened as long as its message is in the queue.
type logContent struct {
	log   *Log
	entry *entry
}

func (c *logContent) Size() int64 { return c.entry.size }

type frameText struct {
	*io.SectionReader
	io.Closer
}

func (c *logContent) Open() (io.ReadCloser, error) {
	if c.entry.file != "" {
		f, err := c.log.fs.Open(c.entry.file)
		if err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
		return frameText{io.NewSectionReader(f, 0, c.entry.size), f}, nil
	}
	r, text, err := c.log.openFrame(c.entry)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return frameText{io.NewSectionReader(r, text, c.entry.size), r}, nil
}

// Settle implements [Store]. States that only say when to try next are flushed with the next message: losing one costs
// an early retry. A final state is flushed before Settle returns: losing it would deliver twice.
func (l *Log) Settle(_ context.Context, j *Job, states []State) error {
	if len(states) != len(j.Indexes) {
		return fmt.Errorf("queue: %d states for %d recipients", len(states), len(j.Indexes))
	}
	record := &statesRecord{ID: j.ID, States: map[int]State{}}
	final := false
	for n, i := range j.Indexes {
		record.States[i] = states[n]
		final = final || states[n].Phase != Waiting
	}
	payload, err := encodeStates(record)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	if final {
		_, err = l.log.Append(frameStates, payload)
	} else {
		err = l.log.AppendLazy(frameStates, payload)
	}
	// The states count in memory even if the disk failed: what was delivered is not delivered again while this process lives.
	finished := ""
	l.mu.Lock()
	if e := l.entries[j.ID]; e != nil {
		for _, w := range e.works {
			if w.claimed && w.domain.name == j.Domain {
				l.settle(w, record.States)
			}
		}
		if e.waiting == 0 && e.busy == 0 {
			finished = l.forget(e)
		}
	}
	l.mu.Unlock()
	l.compact()
	l.wake()
	if err != nil { // the text stays: on disk the message is not finished, and the next start delivers it again
		return fmt.Errorf("queue: %w", err)
	}
	l.discard(finished)
	return nil
}

// settle takes new states of one work into memory.
func (l *Log) settle(w *work, states map[int]State) {
	e := w.entry
	var rest []int
	for _, i := range w.indexes {
		s := states[i]
		if s.Phase == Waiting {
			if len(rest) == 0 || s.Due.Before(w.due) {
				w.due = s.Due
			}
			rest = append(rest, i)
		} else {
			s.Text = "" // nobody needs it any more
			e.waiting--
		}
		e.states[i] = newState(s)
	}
	w.indexes = rest
	l.giveBack(w)
}

// forget drops a finished message from memory. It gives the file that the text is in, if it has one.
func (l *Log) forget(e *entry) (file string) {
	for _, w := range e.works {
		if !w.claimed && len(w.indexes) > 0 {
			l.index.remove(w)
		}
	}
	l.leave(e)
	return e.file
}

// discard removes the file of a finished text.
func (l *Log) discard(file string) {
	if file == "" {
		return
	}
	if err := l.fs.Remove(file); err != nil { // the next start sweeps it
		l.logger.Warn("queue: cannot remove a finished text", "file", file, "error", err)
	}
}

// All implements [Store].
func (l *Log) All(ctx context.Context) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		l.mu.Lock()
		ids := slices.Sorted(maps.Keys(l.entries))
		l.mu.Unlock()
		for _, id := range ids {
			if err := ctx.Err(); err != nil {
				yield(Status{}, err)
				return
			}
			if s, ok, err := l.status(id); ok && !yield(s, err) {
				return
			}
		}
	}
}

// status gives what is known of a message. ok is false when it is finished.
func (l *Log) status(id ID) (s Status, ok bool, err error) {
	l.mu.Lock()
	e := l.entries[id]
	l.mu.Unlock()
	if e == nil {
		return s, false, nil
	}
	m, err := l.message(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries[id] != e {
		return s, false, nil
	}
	s = Status{ID: id, Size: e.size, States: e.all()}
	if err != nil {
		return s, true, fmt.Errorf("queue: message %s: %w", id, err)
	}
	s.Message = *m
	return s, true, nil
}

// Reschedule implements [Store].
func (l *Log) Reschedule(_ context.Context, id ID, due time.Time) error {
	l.mu.Lock()
	e := l.entries[id]
	if e == nil {
		l.mu.Unlock()
		return ErrNotFound
	}
	record := &statesRecord{ID: id, States: map[int]State{}}
	var works []*work
	for _, w := range e.works {
		if w.claimed || len(w.indexes) == 0 {
			continue
		}
		l.index.remove(w)
		w.claimed = true // nobody else has it while it is written
		e.busy++
		works = append(works, w)
		for _, i := range w.indexes {
			s := e.states[i].get()
			s.Due = due
			record.States[i] = s
		}
	}
	l.mu.Unlock()
	if len(works) == 0 {
		return ErrBusy
	}
	payload, err := encodeStates(record)
	if err == nil {
		_, err = l.log.Append(frameStates, payload)
	}
	l.mu.Lock()
	for _, w := range works {
		if err == nil {
			w.due, w.asked = due, true
			for _, i := range w.indexes {
				e.states[i] = newState(record.States[i])
			}
		}
		l.giveBack(w)
	}
	l.mu.Unlock()
	l.wake()
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// Remove implements [Store].
func (l *Log) Remove(_ context.Context, id ID) error {
	l.mu.Lock()
	e := l.entries[id]
	if e == nil || e.busy > 0 {
		l.mu.Unlock()
		if e == nil {
			return ErrNotFound
		}
		return ErrBusy
	}
	l.hold(e)
	l.mu.Unlock()
	payload, err := encodeStates(&statesRecord{ID: id})
	if err == nil {
		_, err = l.log.Append(frameRemoved, payload)
	}
	l.mu.Lock()
	l.unhold(e)
	if err != nil {
		l.mu.Unlock()
		return fmt.Errorf("queue: %w", err)
	}
	file := l.forget(e)
	l.mu.Unlock()
	l.discard(file)
	l.compact()
	return nil
}

// hold takes all works of an idle entry out of the index, so that nobody else can touch it.
func (l *Log) hold(e *entry) {
	e.busy++
	for _, w := range e.works {
		if len(w.indexes) > 0 {
			l.index.remove(w)
		}
	}
}

func (l *Log) unhold(e *entry) {
	e.busy--
	for _, w := range e.works {
		if len(w.indexes) > 0 {
			l.index.push(w)
		}
	}
}
