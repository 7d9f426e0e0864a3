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

// compactOnce drops the segments that are finished, or empties the oldest; it tells whether there may be more to do.
func (l *Log) compactOnce() bool {
	oldest, head := l.log.Oldest(), l.log.Head()
	l.mu.Lock()
	floor := ^uint32(0)
	for n := range l.adding {
		floor = min(floor, n)
	}
	var move []*entry
	for _, e := range l.entries {
		floor = min(floor, e.pos.Segment)
		if e.pos.Segment == oldest && e.busy == 0 {
			move = append(move, e)
		}
	}
	live, closed := l.live, l.closed
	l.mu.Unlock()
	if closed || oldest == 0 || oldest == head {
		return false
	}
	if floor > oldest {
		if err := l.log.DropBefore(floor); err != nil {
			l.logger.Warn("queue: cannot remove a finished part of the log", "error", err)
			return false
		}
		return true
	}
	if l.log.Size() < 4*live+2*l.segment || len(move) == 0 {
		return false
	}
	for _, e := range move {
		if !l.move(e) {
			return false
		}
	}
	return true
}

// move writes a message again at the head of the log.
func (l *Log) move(e *entry) bool {
	l.mu.Lock()
	if l.closed || l.entries[e.id] != e || e.busy > 0 {
		l.mu.Unlock()
		return true
	}
	l.hold(e)
	r := &messageRecord{ID: e.id, Size: e.size, File: e.file, States: append([]State(nil), e.states...)}
	l.mu.Unlock()
	moved := *e
	err := l.copyFrame(e, r, &moved)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.live += moved.frame - e.frame
		e.pos, e.text, e.frame = moved.pos, moved.text, moved.frame
	} else {
		l.logger.Warn("queue: cannot move a message to the head of the log", "id", e.id.String(), "error", err)
	}
	l.unhold(e)
	return err == nil
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
