package sqlstore

import (
	"sync"

	"github.com/gomailroom/mailroom/imap"
)

// watchers are those who want hints.
type watchers struct {
	mu  sync.Mutex
	all map[int64]map[*func(imap.MailboxID)]struct{} // by account
}

func (w *watchers) add(account int64, changed func(imap.MailboxID)) (stop func()) {
	key := &changed
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[int64]map[*func(imap.MailboxID)]struct{}{}
	}
	if w.all[account] == nil {
		w.all[account] = map[*func(imap.MailboxID)]struct{}{}
	}
	w.all[account][key] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.all[account], key); len(w.all[account]) == 0 {
			delete(w.all, account)
		}
	}
}

func (w *watchers) tell(account int64, id imap.MailboxID) {
	w.mu.Lock()
	calls := make([]*func(imap.MailboxID), 0, len(w.all[account]))
	for key := range w.all[account] {
		calls = append(calls, key)
	}
	w.mu.Unlock()
	for _, call := range calls {
		(*call)(id)
	}
}
