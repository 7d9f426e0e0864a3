package mxresolve

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"
)

// engine is the working part of a Resolver: upstreams, cache, questions in flight.
type engine struct {
	r         *Resolver
	limits    Limits
	upstreams []*upstream
	err       error // of the configuration
	self      self
	answers   *lru[question, *answer]
	plans     *lru[string, *decision]
	sts       *sts // nil: off

	idle sync.Pool // of *exchange

	mu      sync.Mutex
	flights map[question]*flight
}

// A flight is a question being asked; all who ask it meanwhile share the answer.
type flight struct {
	done chan struct{} // made by the first who joins
	a    *answer
}

func (r *Resolver) start() *engine {
	r.once.Do(func() {
		e := &engine{r: r, limits: r.Limits.withDefaults(), self: newSelf(r), flights: map[question]*flight{}}
		e.answers = newLRU[question, *answer](e.limits.CacheBytes)
		e.plans = newLRU[string, *decision](e.limits.CacheBytes)
		dial := r.Dial
		if dial == nil {
			dial = new(net.Dialer).DialContext
		}
		conf := r.Upstreams
		if len(conf) == 0 {
			conf = systemUpstreams()
		}
		for _, c := range conf {
			u, err := newUpstream(c, e.limits.InFlight)
			if err != nil {
				e.err = err
				break
			}
			u.dial, u.minWait = dial, e.limits.MinWait
			e.upstreams = append(e.upstreams, u)
		}
		if r.STS != nil {
			e.sts = newSTS(e, r.STS)
		}
		r.engine = e
	})
	return r.engine
}

// Close gives up all sockets; questions and policy fetches in flight fail. A Resolver that is not closed gives up idle sockets by itself
// after a minute at most.
func (r *Resolver) Close() error {
	e := r.start()
	if e.sts != nil {
		e.sts.stop()
	}
	for _, u := range e.upstreams {
		u.close()
	}
	return nil
}

// Purge forgets the DNS answers about the given names and about the mail hosts of their plans, or all when no name is
// given. MTA-STS policies are kept, as whoever can make them be forgotten can go around them, but failed fetches are
// tried again; to drop a policy use the STSStore.
func (r *Resolver) Purge(names ...string) {
	e := r.start()
	if len(names) == 0 {
		e.plans.clear()
		e.answers.clear()
		if e.sts != nil {
			e.sts.failed.clear()
		}
	}
	for _, n := range names {
		ascii, _, err := parseDomain(n)
		if err != nil {
			continue
		}
		e.forget(ascii)
		e.answers.remove(question{"_mta-sts." + ascii, typeTXT})
		e.answers.remove(question{"_smtp._tls." + ascii, typeTXT})
		if e.sts != nil {
			e.sts.failed.remove(ascii)
		}
		if d, ok := e.plans.get(ascii); ok && d.plan != nil {
			for _, h := range d.plan.Hosts {
				e.forget(h.Name)
			}
			for _, h := range d.plan.Skipped {
				e.forget(h.Name)
			}
		}
		e.plans.remove(ascii)
	}
}

func (e *engine) forget(name string) {
	for _, t := range [...]uint16{typeMX, typeA, typeAAAA, typeTXT, typePTR, typeCNAME} {
		e.answers.remove(question{name, t})
	}
	e.answers.remove(question{"_25._tcp." + name, typeTLSA})
}

// cached returns an answer that is still alive.
func (e *engine) cached(q question, now time.Time) *answer {
	a, ok := e.answers.get(q)
	if !ok || !now.Before(a.expires) {
		return nil
	}
	return a
}

func (e *engine) traceCached(q question, a *answer) {
	if t := e.r.Trace; t != nil && t.Cached != nil {
		t.Cached(CachedInfo{Name: q.name, Type: typeText(q.typ), Stale: a.stale})
	}
}

// join gives the answer from the cache, or the flight that will bring it: one that is under way, or a new one, whose leader
// the caller is. Both are looked for at one moment, so that what was just settled is not asked again.
func (e *engine) join(q question) (a *answer, f *flight, leader bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f = e.flights[q]; f != nil {
		if f.done == nil {
			f.done = make(chan struct{})
		}
		return nil, f, false
	}
	if a = e.cached(q, time.Now()); a != nil {
		return a, nil, false
	}
	f = &flight{}
	e.flights[q] = f
	return nil, f, true
}

// await brings the answer of a flight: its leader asks, the others wait.
func (e *engine) await(ctx context.Context, q question, f *flight, leader bool) *answer {
	if leader {
		f.a = e.settle(ctx, q)
		e.mu.Lock()
		delete(e.flights, q)
		if f.done != nil {
			close(f.done)
		}
		e.mu.Unlock()
		return f.a
	}
	select {
	case <-f.done:
		if f.a.ctxErr != nil { // the leader went away, so it is our turn
			return e.ask(ctx, q)
		}
		return f.a
	case <-ctx.Done():
		return canceled(q, ctx)
	}
}

// ask settles a question: from the cache, by joining who asks already, or by asking.
func (e *engine) ask(ctx context.Context, q question) *answer {
	a, f, leader := e.join(q)
	if a == nil {
		return e.await(ctx, q, f, leader)
	}
	e.traceCached(q, a)
	return a
}

// askAll settles several questions at once.
func (e *engine) askAll(ctx context.Context, qs []question) []*answer {
	out := make([]*answer, len(qs))
	var wg sync.WaitGroup
	for i, q := range qs {
		a, f, leader := e.join(q)
		switch {
		case a != nil:
			e.traceCached(q, a)
			out[i] = a
		case i == len(qs)-1:
			out[i] = e.await(ctx, q, f, leader)
		default:
			wg.Go(func() { out[i] = e.await(ctx, q, f, leader) })
		}
	}
	wg.Wait()
	return out
}

// settle asks upstreams, follows CNAMEs where they did not, and keeps the result.
func (e *engine) settle(ctx context.Context, q question) *answer {
	if e.err != nil {
		a := failure(q, e.err.Error(), "")
		a.ctxErr = e.err // nothing to keep
		return a
	}
	if tooLong(q.name) { // with _25._tcp. before it, for instance: no such name can exist
		return &answer{outcome: nxDomain, name: q.name, insecure: InsecureNoAD}
	}
	begin := time.Now()
	c := chain{q: q, name: q.name, max: e.limits.MaxCNAME, ttl: maxTTL}
	var a *answer
	var up *upstream
	rcode := ""
	for a == nil {
		var m *message
		if m, up, a = e.exchange(ctx, question{c.name, q.typ}); a == nil {
			rcode = rcodeText(m.rcode)
			a = c.follow(m, up.text, up.trustAD, time.Now())
		}
	}
	if t := e.r.Trace; t != nil && t.Answered != nil {
		info := AnsweredInfo{Name: q.name, Type: typeText(q.typ), Rcode: rcode, Took: time.Since(begin)}
		if up != nil {
			info.Upstream = up.text
		}
		if a.err != nil {
			info.Err = a.err
		}
		t.Answered(info)
	}
	if a.outcome == failed && e.r.Logger != nil && a.ctxErr == nil {
		e.r.Logger.LogAttrs(ctx, slog.LevelWarn, "dns lookup failed", slog.String("name", q.name),
			slog.String("type", typeText(q.typ)), slog.String("error", a.err.Err), slog.String("extended", a.ede))
	}
	return e.keep(q, a)
}

// keep puts a fresh answer into the cache, unless an old one serves better.
func (e *engine) keep(q question, a *answer) *answer {
	if a.ctxErr != nil {
		return a
	}
	now := time.Now()
	if a.outcome == failed {
		old, _ := e.answers.get(q)
		if old != nil && old.outcome != failed && now.Before(old.until) { // RFC 8767 s5
			stale := *old
			stale.expires, stale.secure, stale.stale = now.Add(staleTTL), false, true
			stale.insecure = InsecureStale
			a = &stale
		} else {
			ttl := minFailureTTL
			if a.err.IsTimeout {
				// Nobody was reached: that is about us, not about the name.
			} else if old != nil && old.outcome == failed && now.Sub(old.expires) < maxFailureTTL {
				a.failures = old.failures + 1
				ttl = min(minFailureTTL<<min(a.failures, 8), maxFailureTTL)
			}
			a.expires = now.Add(ttl)
		}
	} else {
		a.until = a.expires.Add(e.r.ServeStale)
	}
	if a.until.After(now) || a.expires.After(now) {
		e.answers.put(q, a, a.size())
	}
	return a
}

// network is the default network of lookups.
func (e *engine) network() string {
	if e.r.Network == "" {
		return "ip"
	}
	return e.r.Network
}
