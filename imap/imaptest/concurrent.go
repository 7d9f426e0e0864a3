package imaptest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/gomailroom/mailroom/imap"
)

// follower rebuilds a mailbox from one picture to the next, as a session does.
type follower struct {
	box  imap.Mailbox
	last *imap.View
	all  map[imap.UID]imap.Message
}

// step moves to the newest picture and reports what does not fit.
func (f *follower) step(e *env) error {
	v, err := f.box.View(e.Context())
	if err != nil {
		return err
	}
	if f.last == nil {
		f.all = map[imap.UID]imap.Message{}
		for _, m := range v.All() {
			f.all[m.UID] = m
		}
		f.last = v
		return nil
	}
	if v.ModSeq() < f.last.ModSeq() || v.UIDNext() < f.last.UIDNext() || v.UIDValidity() != f.last.UIDValidity() {
		return fmt.Errorf("picture %d, UIDNEXT %d after %d, %d", v.ModSeq(), v.UIDNext(), f.last.ModSeq(), f.last.UIDNext())
	}
	for _, uid := range v.Vanished(f.last) {
		if _, ok := f.all[uid]; !ok {
			return fmt.Errorf("UID %d vanished but was not there", uid)
		}
		delete(f.all, uid)
	}
	for _, m := range v.Changed(f.last.ModSeq()) {
		if _, ok := f.all[m.UID]; !ok && m.UID < f.last.UIDNext() {
			return fmt.Errorf("UID %d came below UIDNEXT %d", m.UID, f.last.UIDNext())
		}
		f.all[m.UID] = m
	}
	f.last = v
	if len(f.all) != v.Len() {
		return fmt.Errorf("%d messages by changes, %d in the picture", len(f.all), v.Len())
	}
	for _, m := range v.All() {
		if got := f.all[m.UID]; got.Flags != m.Flags || got.ModSeq != m.ModSeq {
			return fmt.Errorf("by changes %+v, in the picture %+v", got, m)
		}
	}
	return nil
}

// Writers change a mailbox while sessions follow it: nothing is lost, given twice or out of order.
func testConcurrent(e *env) {
	const writers, rounds = 6, 30
	box := e.open("INBOX")
	var mu sync.Mutex // guards model
	model := map[imap.UID]string{}
	var done atomic.Int32
	finished := make(chan struct{}) // closed when the last writer is done
	var wg sync.WaitGroup
	fail := func(err error) bool {
		if err != nil {
			e.Error(err)
		}
		return err != nil
	}
	for w := range writers {
		wg.Go(func() {
			defer func() {
				if done.Add(1) == writers {
					close(finished)
				}
			}()
			rnd := rand.New(rand.NewPCG(uint64(w), 3))
			var mine []imap.UID
			for i := range rounds {
				body := fmt.Appendf(nil, "Subject: %d/%d\r\n\r\n%d\r\n", w, i, rnd.Uint64())
				r, err := appendAll(e.Context(), box, imap.Meta{}, body)
				if fail(err) {
					return
				}
				mu.Lock()
				if model[r.UIDs.Min()] != "" {
					e.Errorf("UID %d was given twice", r.UIDs.Min())
				}
				model[r.UIDs.Min()] = string(body)
				mu.Unlock()
				mine = append(mine, r.UIDs.Min())
				k := rnd.IntN(len(mine))
				switch rnd.IntN(3) {
				case 0:
					_, err = box.SetFlags(e.Context(), imap.UIDSetOf(mine[k]), imap.FlagChange{Op: imap.FlagOp(rnd.IntN(3)), Flags: imap.Flags(rnd.IntN(32)), Keywords: []string{fmt.Sprint("k", rnd.IntN(10))}})
				case 1:
					if err = box.Expunge(e.Context(), imap.UIDSetOf(mine[k])); err == nil {
						mu.Lock()
						delete(model, mine[k])
						mu.Unlock()
						mine = append(mine[:k], mine[k+1:]...)
					}
				}
				if fail(err) {
					return
				}
			}
		})
	}
	for range 3 {
		hint := make(chan struct{}, 1)
		stop := e.account.Watch(func(id imap.MailboxID) {
			if id == box.ID() {
				select {
				case hint <- struct{}{}:
				default:
				}
			}
		})
		wg.Go(func() {
			defer stop()
			f := follower{box: box}
			for last := false; !fail(f.step(e)) && !last; last = done.Load() == writers {
				select {
				case <-hint:
				case <-finished:
				}
			}
		})
	}
	wg.Wait()
	if e.Failed() {
		return
	}
	v := e.view(box)
	equal(e, len(model), v.Len())
	equal(e, model, e.bodies(box, v.UIDs(1, uint32(v.Len()))))
	equal(e, v.ModSeq(), e.view(e.open("INBOX")).ModSeq())
}

// Messages that are moved to and fro are always in exactly one place once all is quiet.
func testConcurrentTransfers(e *env) {
	const movers, messages = 4, 24
	boxes := []imap.Mailbox{e.open("INBOX"), e.create("b"), e.create("c")}
	e.addN(boxes[0], messages)
	var wg sync.WaitGroup
	for w := range movers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 4))
			for range 30 {
				from, to := boxes[rnd.IntN(3)], boxes[rnd.IntN(3)]
				v, err := from.View(e.Context())
				if err != nil {
					e.Error(err)
					return
				}
				if v.Len() == 0 {
					continue
				}
				first := uint32(1 + rnd.IntN(v.Len()))
				r, err := from.Transfer(e.Context(), v.UIDs(first, first+3), to.ID(), true)
				if err != nil || r.Source.Len() != r.Dest.Len() {
					e.Errorf("%v moved to %v: %v", r.Source, r.Dest, err)
					return
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	total := 0
	for _, box := range boxes {
		v := e.view(box)
		total += v.Len()
		for _, body := range e.bodies(box, v.UIDs(1, uint32(v.Len()))) {
			seen[body]++
		}
	}
	equal(e, messages, total)
	for i := range messages {
		equal(e, 1, seen[string(message(i))], "message ", i)
	}
	if e.Backend.Capabilities().Quota {
		q, err := e.account.Quota(e.Context())
		e.ok(err)
		equal(e, int64(messages), q.Messages)
	}
}
