package mxresolve

import (
	"maps"
	"slices"
	"sync"
)

// lru is a cache bounded by cost, which forgets what was not used for longest. It is safe for concurrent use.
type lru[K comparable, V any] struct {
	max int

	mu      sync.Mutex
	cost    int
	entries map[K]*lruEntry[K, V]
	root    lruEntry[K, V] // ring: root.next is the newest
}

type lruEntry[K comparable, V any] struct {
	key        K
	value      V
	cost       int
	prev, next *lruEntry[K, V]
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	c := &lru[K, V]{max: max, entries: map[K]*lruEntry[K, V]{}}
	c.root.prev, c.root.next = &c.root, &c.root
	return c
}

func (e *lruEntry[K, V]) unlink() { e.prev.next, e.next.prev = e.next, e.prev }

func (c *lru[K, V]) pushFront(e *lruEntry[K, V]) {
	e.prev, e.next = &c.root, c.root.next
	e.prev.next, e.next.prev = e, e
}

func (c *lru[K, V]) get(k K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[k]
	if !ok {
		return v, false
	}
	if c.root.next != e {
		e.unlink()
		c.pushFront(e)
	}
	return e.value, true
}

// put keeps v, at the price of others. What costs more than everything is not kept.
func (c *lru[K, V]) put(k K, v V, cost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[k]; ok {
		c.drop(e)
	}
	if cost > c.max {
		return
	}
	e := &lruEntry[K, V]{key: k, value: v, cost: cost}
	c.entries[k] = e
	c.pushFront(e)
	for c.cost += cost; c.cost > c.max; {
		c.drop(c.root.prev)
	}
}

func (c *lru[K, V]) remove(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[k]; ok {
		c.drop(e)
	}
}

func (c *lru[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	c.cost, c.root.prev, c.root.next = 0, &c.root, &c.root
}

func (c *lru[K, V]) drop(e *lruEntry[K, V]) {
	e.unlink()
	delete(c.entries, e.key)
	c.cost -= e.cost
}

func (c *lru[K, V]) keys() []K {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.entries))
}
