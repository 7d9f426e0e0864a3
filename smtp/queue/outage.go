package queue

import (
	"fmt"
	"sync"
	"time"
)

// outages remembers servers to which no connection could be made, and domains without a route. What waits for such a server fails at once with the same error instead of waiting for another timeout, so that a long queue for a dead
// server neither fills the places for deliveries nor knocks all the time. Now and then one message is the probe.
type outages struct {
	mu   sync.Mutex
	down map[string]*outage
}

type outage struct {
	err    error
	since  time.Time // the first failure
	probed time.Time // the last one
}

const (
	minRest    = time.Minute      // between probes of a server that has just gone
	maxRest    = 15 * time.Minute // and of one that has long been gone
	maxOutages = 10_000           // servers that are remembered
)

// check gives the remembered error, or nil where a connection should be tried: to a server that is up, or whose time for a probe has come, which is the caller's then.
func (o *outages) check(key string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.down[key]
	if d == nil {
		return nil
	}
	now := time.Now()
	rest := min(max(d.probed.Sub(d.since), minRest), maxRest)
	if now.Sub(d.probed) < rest {
		return fmt.Errorf("not tried again yet: %w", d.err)
	}
	d.probed = now
	return nil
}

// note takes the result of an attempt to connect. What is refused for good is refused at once, and for one message: the next may fare better, and is not
// returned without having been tried.
func (o *outages) note(key string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	d := o.down[key]
	switch {
	case err == nil || permanent(err):
		delete(o.down, key)
	case d != nil:
		d.err, d.probed = err, now
	default:
		if o.down == nil || len(o.down) >= maxOutages { // what is forgotten costs another timeout
			o.down = map[string]*outage{}
		}
		o.down[key] = &outage{err: err, since: now, probed: now}
	}
}
