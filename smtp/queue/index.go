package queue

import (
	"container/heap"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/internal/seglog"
	"github.com/gomailroom/mailroom/smtp"
)

// entry is what the log store has in memory of a message.
type entry struct {
	id      ID
	pos     seglog.Pos
	file    string // the text's own file, or empty
	text    int64  // offset of the text in the frame's payload
	size    int64  // octets of the text
	frame   int64  // octets of the frame
	states  []state
	works   []*work
	waiting int // states that are not final
	busy    int // works that are claimed; a message that is being moved counts as well
}

// state is a State in little room: a recipient that waits for the first attempt has nothing but the time of it.
type state struct {
	due  int64  // Unix time in nanoseconds; unless there is more
	more *State // all of it
}

func newState(s State) state {
	due := s.Due.UnixNano() // means nothing for years that it cannot tell
	if s != (State{Due: s.Due}) || !time.Unix(0, due).Equal(s.Due) {
		return state{more: &s}
	}
	return state{due: due}
}

func newStates(list []State) []state {
	states := make([]state, len(list))
	for i, s := range list {
		states[i] = newState(s)
	}
	return states
}

func (s state) get() State {
	if s.more != nil {
		return *s.more
	}
	return State{Due: time.Unix(0, s.due).UTC()}
}

// all gives the states of all recipients.
func (e *entry) all() []State {
	list := make([]State, len(e.states))
	for i, s := range e.states {
		list[i] = s.get()
	}
	return list
}

// replayed is what opening a log needs to know of a message besides its entry.
type replayed struct {
	to    []smtp.Recipient
	ahead time.Duration
}

// ahead is by how much the clock must have been set back since the message was queued. A time that the sender named stays what it is.
func (m *Message) ahead(now time.Time) time.Duration {
	if !m.Envelope.Params.HoldUntil.IsZero() {
		return 0
	}
	return max(0, m.Queued.Sub(now))
}

// setBack makes what is due by a clock that was ahead due by this one.
func (e *entry) setBack(ahead time.Duration, now time.Time) {
	if ahead == 0 {
		return
	}
	for i := range e.states {
		if s := e.states[i].get(); s.Phase == Waiting && s.Due.After(now) {
			s.Due = s.Due.Add(-ahead)
			e.states[i] = newState(s)
		}
	}
}

// work is the recipients of one message in one domain.
type work struct {
	entry   *entry
	domain  *domainQueue
	indexes []int
	due     time.Time
	claimed bool
	asked   bool // by Reschedule
	at      int  // place in the domain's heap
}

// domainQueue orders the works of one domain, so that a domain that is slow holds up no other.
type domainQueue struct {
	name  string
	works workHeap
	at    int // place in the index's heap, -1 outside
}

// index orders the domains by the first of their works. It is guarded by the store's mutex.
type index struct {
	domains map[string]*domainQueue
	heap    domainHeap
}

// add makes works from the waiting states of an entry.
func (x *index) add(e *entry, to []smtp.Recipient) {
	if x.domains == nil {
		x.domains = map[string]*domainQueue{}
	}
	byDomain := map[string]*work{}
	for i, s := range e.all() {
		if s.Phase != Waiting {
			continue
		}
		e.waiting++
		name := strings.ToLower(to[i].Path.Domain)
		w := byDomain[name]
		if w == nil {
			d := x.domains[name]
			if d == nil {
				d = &domainQueue{name: name, at: -1}
				x.domains[name] = d
			}
			w = &work{entry: e, domain: d, due: s.Due}
			byDomain[name] = w
			e.works = append(e.works, w)
		}
		w.indexes = append(w.indexes, i)
		if s.Due.Before(w.due) {
			w.due = s.Due
		}
	}
	for _, w := range e.works {
		x.push(w)
	}
}

func (x *index) push(w *work) {
	heap.Push(&w.domain.works, w)
	x.fix(w.domain)
}

func (x *index) remove(w *work) {
	heap.Remove(&w.domain.works, w.at)
	x.fix(w.domain)
}

// fix puts a domain where it belongs after its works have changed.
func (x *index) fix(d *domainQueue) {
	switch {
	case len(d.works) == 0 && d.at >= 0:
		heap.Remove(&x.heap, d.at)
		delete(x.domains, d.name)
	case len(d.works) == 0:
		delete(x.domains, d.name)
	case d.at < 0:
		x.domains[d.name] = d // it may have been forgotten while its last work was out
		heap.Push(&x.heap, d)
	default:
		heap.Fix(&x.heap, d.at)
	}
}

// next takes the first work that is due in a domain that is free; otherwise it says when there will be one.
func (x *index) next(now time.Time, free func(string) bool) (*work, time.Time) {
	var aside []*domainQueue
	defer func() {
		for _, d := range aside {
			heap.Push(&x.heap, d)
		}
	}()
	for len(x.heap) > 0 {
		d := x.heap[0]
		w := d.works[0]
		if w.due.After(now) { // as are all that follow
			return nil, w.due
		}
		if !free(d.name) {
			aside = append(aside, heap.Pop(&x.heap).(*domainQueue))
			continue
		}
		x.remove(w)
		return w, time.Time{}
	}
	return nil, time.Time{}
}

type workHeap []*work

func (h workHeap) Len() int { return len(h) }
func (h workHeap) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return h[i].entry.id < h[j].entry.id // first come, first served
}
func (h workHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *workHeap) Push(v any)   { w := v.(*work); w.at = len(*h); *h = append(*h, w) }
func (h *workHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return w
}

type domainHeap []*domainQueue

func (h domainHeap) Len() int           { return len(h) }
func (h domainHeap) Less(i, j int) bool { return workHeap{h[i].works[0], h[j].works[0]}.Less(0, 1) }
func (h domainHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *domainHeap) Push(v any)        { d := v.(*domainQueue); d.at = len(*h); *h = append(*h, d) }
func (h *domainHeap) Pop() any {
	old := *h
	d := old[len(old)-1]
	d.at = -1
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return d
}
