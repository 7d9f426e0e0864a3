package imap

import (
	"context"
	"sync"
	"sync/atomic"
)

// Live keeps the newest picture of a mailbox for those who look, and tells those who watch. A store embeds it in its mailbox, which then has the View method that
// [Mailbox] asks for. The zero value has no picture until the first Publish.
type Live struct {
	view     atomic.Pointer[View]
	mu       sync.Mutex // guards watchers, and makes Publish one at a time; never held while calling out
	watchers map[*func(*View)]struct{}
}

// View gives the newest picture; ErrGone if there is none.
func (l *Live) View(context.Context) (*View, error) {
	if v := l.view.Load(); v != nil {
		return v, nil
	}
	return nil, ErrGone
}

// Current gives the newest picture, or nil.
func (l *Live) Current() *View { return l.view.Load() }

// Publish makes v the newest picture and tells the watchers. It goes forward only: it reports false, and does nothing, unless v has a higher modification sequence than
// the newest picture, or a higher UIDVALIDITY.
func (l *Live) Publish(v *View) bool {
	l.mu.Lock()
	if old := l.view.Load(); old != nil {
		if v.uidValidity < old.uidValidity || v.uidValidity == old.uidValidity && v.modseq <= old.modseq {
			l.mu.Unlock()
			return false
		}
	}
	l.view.Store(v)
	calls := make([]*func(*View), 0, len(l.watchers))
	for w := range l.watchers {
		calls = append(calls, w)
	}
	l.mu.Unlock()
	for _, call := range calls {
		(*call)(v)
	}
	return true
}

// Watch calls changed after each Publish, from the goroutine that publishes, which it must not block. Two calls may overlap or come in either order: it is a hint to look at
// Current. After stop one last call may still be on its way.
func (l *Live) Watch(changed func(*View)) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers == nil {
		l.watchers = map[*func(*View)]struct{}{}
	}
	key := &changed
	l.watchers[key] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, key)
	}
}
