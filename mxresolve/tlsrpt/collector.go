package tlsrpt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxDayCost = 32 << 20 // about, of one day
	maxKinds   = 100      // policies of a domain, different failures of a policy
	maxReason  = 200

	day        = 24 * time.Hour
	keepFor    = 2 * day // after its end, a day is forgotten that could not be reported
	dateFormat = "2006-01-02"
)

// A Collector adds outcomes up, by day (UTC), domain and policy. The zero value is ready and keeps them in memory only; Open
// makes one that keeps them in a Store. It is safe for concurrent use.
type Collector struct {
	store Store // nil: memory only

	saving sync.Mutex // one Save at a time, so that an older text never replaces a newer one
	mu     sync.Mutex
	days   map[string]*tallies // by date
}

// tallies is one day.
type tallies struct {
	secret  string // what makes the ids of its reports differ from those of others
	domains map[string][]*tally
	cost    int
	changed bool // since it was saved
}

// A tally is what happened under one policy of one domain on one day.
type tally struct {
	policy    Policy
	good, bad int64
	failures  map[failure]int64
}

// A failure is what outcomes must share to be one line of a report.
type failure struct {
	result                 Result
	mx, helo, info, reason string
	sending, receiving     netip.Addr
}

// Open makes a Collector that keeps what it counts in a store, and takes what is there already. Only one Collector may use a
// store at a time. Save must be called now and then; a Reporter does that.
func Open(ctx context.Context, s Store) (*Collector, error) {
	dates, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	c := &Collector{store: s, days: map[string]*tallies{}}
	for _, date := range dates {
		text, err := s.Load(ctx, date)
		if err != nil {
			return nil, err
		}
		if text == nil {
			continue
		}
		if c.days[date], err = decodeDay(text); err != nil {
			return nil, fmt.Errorf("tlsrpt: what was kept of %s: %w", date, err)
		}
	}
	return c, nil
}

// Add counts an outcome. One without a policy domain is left out, and so is one of a new domain when the day has got too big.
func (c *Collector) Add(o Outcome) {
	if o.Policy.Domain == "" {
		return
	}
	if o.At.IsZero() {
		o.At = time.Now()
	}
	date := o.At.UTC().Format(dateFormat)
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.days[date]
	if d == nil {
		if c.days == nil {
			c.days = map[string]*tallies{}
		}
		d = &tallies{secret: rand.Text(), domains: map[string][]*tally{}}
		c.days[date] = d
	}
	d.add(o)
}

func (d *tallies) add(o Outcome) {
	list := d.domains[o.Policy.Domain]
	i := slices.IndexFunc(list, func(t *tally) bool {
		return t.policy.Type == o.Policy.Type && slices.Equal(t.policy.Strings, o.Policy.Strings)
	})
	if i < 0 {
		cost := 256 + len(o.Policy.Domain)
		for _, s := range slices.Concat(o.Policy.Strings, o.Policy.MX) {
			cost += 16 + len(s)
		}
		if len(list) >= maxKinds || d.cost+cost > maxDayCost {
			return
		}
		d.cost += cost
		i, list = len(list), append(list, &tally{policy: o.Policy, failures: map[failure]int64{}})
		d.domains[o.Policy.Domain] = list
	}
	d.changed = true
	t := list[i]
	if o.Result == "" {
		t.good++
		return
	}
	t.bad++
	f := failure{o.Result, shorten(o.MX), shorten(o.Helo), shorten(o.Info), shorten(o.Reason), o.SendingIP.Unmap(), o.ReceivingIP.Unmap()}
	if _, known := t.failures[f]; !known {
		cost := 256 + len(f.mx) + len(f.helo) + len(f.info) + len(f.reason)
		if len(t.failures) >= maxKinds || d.cost+cost > maxDayCost {
			return
		}
		d.cost += cost
	}
	t.failures[f]++
}

// shorten makes text from strangers fit for a report.
func shorten(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
}

// A key names a report that is due.
type key struct{ date, domain string }

// due lists the reports about days that have ended, by domain and date, and forgets days that are too old to be reported.
func (c *Collector) due(now time.Time) (list []key) {
	c.mu.Lock()
	for date, d := range c.days {
		start, err := time.Parse(dateFormat, date)
		switch ended := now.Sub(start.Add(day)); {
		case err != nil || ended >= keepFor:
			clear(d.domains)
			d.changed = true
		case ended >= 0:
			for domain := range d.domains {
				list = append(list, key{date, domain})
			}
		}
	}
	c.mu.Unlock()
	slices.SortFunc(list, func(a, b key) int { return strings.Compare(a.domain+" "+a.date, b.domain+" "+b.date) })
	return list
}

// Reports makes a report about each domain and each day, UTC, that ended before now and is not Done, but not about days that
// ended two days ago or earlier: those are forgotten. Those of a domain follow each other by day.
func (c *Collector) Reports(now time.Time, s Sender) []*Report {
	var out []*Report
	for _, k := range c.due(now) {
		if r := c.report(k, s); r != nil {
			out = append(out, r)
		}
	}
	return out
}

// Done forgets what a report tells, since it was sent, or nobody wants it.
func (c *Collector) Done(r *Report) { c.forget(key{r.Start.Format(dateFormat), r.Domain}) }

func (c *Collector) forget(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.days[k.date]; d != nil {
		delete(d.domains, k.domain)
		d.changed = true
	}
}

// Save brings what has changed since the last Save to the store. What fails is tried again by the next. Without a store it
// does nothing but forget days that are done.
func (c *Collector) Save(ctx context.Context) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	texts := map[string][]byte{} // nil: the day is done
	c.mu.Lock()
	for date, d := range c.days {
		switch {
		case len(d.domains) == 0:
			texts[date] = nil
			delete(c.days, date)
		case d.changed && c.store != nil:
			texts[date] = d.encode()
			d.changed = false
		}
	}
	c.mu.Unlock()
	if c.store == nil {
		return nil
	}
	var failed error
	for date, text := range texts {
		var err error
		if text == nil {
			err = c.store.Delete(ctx, date)
		} else {
			err = c.store.Save(ctx, date, text)
		}
		if err != nil {
			c.again(date)
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// again makes the next Save try a day once more.
func (c *Collector) again(date string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.days[date]
	if d == nil { // done; its secret does not matter any more
		d = &tallies{secret: rand.Text(), domains: map[string][]*tally{}}
		c.days[date] = d
	}
	d.changed = true
}
