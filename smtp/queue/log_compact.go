package queue

import (
	"io"
)

// The log is a ring in effect: finished messages leave holes, and only the oldest segment can go. When the log has grown to four times what is
// alive, the messages of the oldest segment are written again at the head, with what is known of them, and the segment goes.

func (l *Log) compact() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	select {
	case l.compactKick <- struct{}{}:
	default:
	}
}

func (l *Log) compactor() {
	defer close(l.compactDone)
	for range l.compactKick {
		for l.compactOnce() {
		}
	}
}

// compactOnce drops the segments that are finished, or empties the oldest; it tells whether there may be more to do. It looks at single messages only when there
// is a segment to empty: with a long queue that takes a while.
func (l *Log) compactOnce() bool {
	oldest, head := l.log.Oldest(), l.log.Head()
	l.mu.Lock()
	floor := ^uint32(0)
	for n := range l.adding {
		floor = min(floor, n)
	}
	for n := range l.holds {
		floor = min(floor, n)
	}
	live, closed := l.live, l.closed || l.stuck == oldest
	l.mu.Unlock()
	switch {
	case oldest == 0 || oldest == head:
		return false
	case floor > oldest:
		if err := l.log.DropBefore(floor); err != nil {
			l.logger.Warn("queue: cannot remove a finished part of the log", "error", err)
			return false
		}
		return true
	case closed || l.log.Size() < 4*live+2*l.segment:
		return false
	}
	move := l.idle(oldest)
	for _, e := range move {
		if err := l.move(e); err != nil {
			l.logger.Error("queue: cannot move a message to the head of the log, which grows from now on: remove the message, or open the log again", "id", e.id.String(), "error", err)
			l.mu.Lock()
			l.stuck = oldest
			l.mu.Unlock()
			return false
		}
	}
	return len(move) > 0
}

// idle gives the messages of a segment that are not on their way.
func (l *Log) idle(segment uint32) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*entry
	for _, e := range l.entries {
		if e.pos.Segment == segment && e.busy == 0 {
			list = append(list, e)
		}
	}
	return list
}

// move writes a message again at the head of the log.
func (l *Log) move(e *entry) error {
	l.mu.Lock()
	if l.closed || l.entries[e.id] != e || e.busy > 0 {
		l.mu.Unlock()
		return nil
	}
	l.hold(e)
	r := &messageRecord{ID: e.id, Size: e.size, File: e.file, States: e.all()}
	l.mu.Unlock()
	moved := *e
	err := l.copyFrame(e, r, &moved)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.leave(e)
		e.pos, e.text, e.frame = moved.pos, moved.text, moved.frame
		l.enter(e)
	}
	l.unhold(e)
	return err
}

func (l *Log) copyFrame(e *entry, r *messageRecord, moved *entry) error {
	m, err := l.message(e)
	if err != nil {
		return err
	}
	r.Message = *m
	var text []byte
	if e.file == "" {
		body, err := (&logContent{l, e}).Open()
		if err != nil {
			return err
		}
		defer body.Close()
		text = make([]byte, e.size)
		if _, err := io.ReadFull(body, text); err != nil {
			return err
		}
	}
	return l.appendMessage(moved, r, text)
}
