package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/queue"
	"github.com/gomailroom/mailroom/spam"
)

// event is what a hook of the servers told.
type event struct {
	kind string

	err      error
	hosts    []queue.Host // route
	host     queue.Host   // attempt
	addr     string
	to       smtp.ForwardPath // recipient, refused
	state    queue.State
	account  string // judged, filed
	mailbox  string
	size     int64
	verdict  *spam.Verdict
	mail     *spam.Mail
	question string // dns
}

// events keeps what happened until a step takes it.
type events struct {
	mu   sync.Mutex
	list []event
	more chan struct{}
}

func (e *events) add(ev event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// take gives all events of a kind up to now and forgets them.
func (e *events) take(kind string) []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	var got, rest []event
	for _, ev := range e.list {
		if ev.kind == kind {
			got = append(got, ev)
		} else {
			rest = append(rest, ev)
		}
	}
	e.list = rest
	return got
}

// await waits until an event of a kind is there, and takes all of that kind.
func (e *events) await(ctx context.Context, kind string) ([]event, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		if got := e.take(kind); len(got) > 0 {
			return got, nil
		}
		select {
		case <-e.more:
		case <-ctx.Done():
			return nil, fmt.Errorf("waited for %q in vain: %w", kind, ctx.Err())
		}
	}
}

// clear forgets everything, before a new letter.
func (e *events) clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = nil
}
