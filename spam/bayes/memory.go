package bayes

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// Memory is a [Store] in memory; Save and Load keep it over a restart. The zero value is empty and ready. The tokens of an account take about 50 bytes
// each.
type Memory struct {
	MaxTokens   int // of an account; default 1,000,000. The rarest of the oldest make room.
	MaxExamples int // of an account, that are known again; default 100,000. The oldest make room: their tokens stay learned.

	mu       sync.RWMutex
	accounts map[string]*model
}

// model is what one account has learned.
type model struct {
	mu      sync.RWMutex
	learned Learned
	clock   uint32 // changes so far
	tokens  map[uint64]entry
	known   map[[16]byte]record
}

type entry struct {
	Count
	used uint32 // clock when it was learned last
}

type record struct {
	class  Class
	weight uint32
	when   uint32
}

func newModel() *model {
	return &model{tokens: map[uint64]entry{}, known: map[[16]byte]record{}}
}

func (m *Memory) model(account string, make bool) *model {
	m.mu.RLock()
	a := m.accounts[account]
	m.mu.RUnlock()
	if a != nil || !make {
		return a
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accounts == nil {
		m.accounts = map[string]*model{}
	}
	if m.accounts[account] == nil {
		m.accounts[account] = newModel()
	}
	return m.accounts[account]
}

// Counts implements [Store].
func (m *Memory) Counts(_ context.Context, account string, tokens []uint64, counts []Count) (Learned, error) {
	clear(counts)
	a := m.model(account, false)
	if a == nil {
		return Learned{}, nil
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	for i, t := range tokens {
		counts[i] = a.tokens[t].Count
	}
	return a.learned, nil
}

// Set implements [Store].
func (m *Memory) Set(_ context.Context, account string, e Example, c Class) (bool, error) {
	a := m.model(account, c != Unknown)
	if a == nil {
		return false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.known[e.ID]
	if was.class == c {
		return false, nil
	}
	a.clock++
	is := record{c, max(1, e.Weight), a.clock}
	a.learned.Examples.change(record{class: was.class, weight: 1}, record{class: c, weight: 1})
	a.learned.Weights.change(was, is)
	for _, t := range e.Tokens {
		n := a.tokens[t]
		n.change(was, is)
		n.used = a.clock
		if n.Count == (Count{}) {
			delete(a.tokens, t)
		} else {
			a.tokens[t] = n
		}
	}
	if c == Unknown {
		delete(a.known, e.ID)
	} else {
		a.known[e.ID] = is
	}
	a.expire(or(m.MaxTokens, 1_000_000), or(m.MaxExamples, 100_000))
	return true, nil
}

// Size tells how many tokens and examples are kept for an account.
func (m *Memory) Size(account string) (tokens, examples int) {
	a := m.model(account, false)
	if a == nil {
		return 0, 0
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.tokens), len(a.known)
}

// Remove forgets an account.
func (m *Memory) Remove(account string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.accounts, account)
}

func (c *Count) change(was, is record) {
	switch was.class {
	case Spam:
		c.Spam -= min(c.Spam, was.weight) // may have expired in between
	case Ham:
		c.Ham -= min(c.Ham, was.weight)
	}
	switch is.class {
	case Spam:
		c.Spam += is.weight
	case Ham:
		c.Ham += is.weight
	}
}

// expire brings the model back under its limits, an eighth below so that it is seldom done.
func (a *model) expire(maxTokens, maxExamples int) {
	if len(a.tokens) > maxTokens {
		type candidate struct {
			hash uint64
			idle float64
		}
		all := make([]candidate, 0, len(a.tokens))
		for h, e := range a.tokens {
			all = append(all, candidate{h, float64(a.clock-e.used+1) / (float64(e.Spam) + float64(e.Ham))})
		}
		slices.SortFunc(all, func(x, y candidate) int { return cmp.Or(-cmp.Compare(x.idle, y.idle), cmp.Compare(x.hash, y.hash)) })
		for _, c := range all[:len(all)-maxTokens*7/8] {
			delete(a.tokens, c.hash)
		}
	}
	if len(a.known) > maxExamples {
		when := make([]uint32, 0, len(a.known))
		for _, r := range a.known {
			when = append(when, r.when)
		}
		slices.Sort(when)
		oldest := when[len(when)-maxExamples*7/8]
		for id, r := range a.known {
			if r.when < oldest {
				delete(a.known, id)
			}
		}
	}
}

func or(v, otherwise int) int {
	if v == 0 {
		return otherwise
	}
	return v
}
