package sasl

import (
	"net/netip"
	"sync"
	"time"
)

// Limiter counts failed attempts per address (IPv6: per /64) and per account,
// and refuses further ones until the counts have decayed. An address from
// which an account was entered lately is not refused on account of others'
// failures. Memory is bounded. The zero value is ready for use, a nil Limiter
// never refuses, and one may serve several servers.
type Limiter struct {
	PerAddress int           // failures in Window; default 30; negative: any number
	PerAccount int           // failures in Window; default 60; negative: any number
	Window     time.Duration // default 15 minutes
	MaxEntries int           // addresses and accounts remembered; default 100,000

	mu       sync.Mutex
	now, old map[limitKey]limitEntry // two generations: the older is dropped when the newer is full
}

type limitKey struct {
	addr    netip.Addr
	account string // both: the account was entered from there
}

type limitEntry struct {
	count float64
	at    time.Time
}

const maxAccountKey = 256 // octets of a name that count

func key(remote netip.Addr, account string) limitKey {
	remote = remote.Unmap().WithZone("")
	if remote.Is6() {
		p, _ := remote.Prefix(64)
		remote = p.Addr()
	}
	return limitKey{remote, account[:min(len(account), maxAccountKey)]}
}

// Allow reports whether an attempt may be made.
func (l *Limiter) Allow(remote netip.Addr, account string) bool {
	if l == nil {
		return true
	}
	k := key(remote, account)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.PerAddress >= 0 && l.count(limitKey{addr: k.addr}) > float64(or(l.PerAddress, 30)-1) {
		return false
	}
	if account == "" || l.PerAccount < 0 || l.count(limitKey{account: k.account}) <= float64(or(l.PerAccount, 60)-1) {
		return true
	}
	return l.count(k) > 0
}

// Failed counts a failure. account may be empty.
func (l *Limiter) Failed(remote netip.Addr, account string) {
	if l == nil {
		return
	}
	k := key(remote, account)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(limitKey{addr: k.addr})
	if account != "" {
		l.add(limitKey{account: k.account})
	}
}

// Succeeded notes that the account was entered from remote.
func (l *Limiter) Succeeded(remote netip.Addr, account string) {
	if l == nil || account == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	k := key(remote, account)
	if l.count(k) < 1 {
		l.add(k)
	}
}

// count returns the failures that have not decayed. Called with mu held.
func (l *Limiter) count(k limitKey) float64 {
	e, ok := l.now[k]
	if !ok {
		if e, ok = l.old[k]; !ok {
			return 0
		}
	}
	window := l.Window
	if window <= 0 {
		window = 15 * time.Minute
	}
	limit := or(l.PerAddress, 30)
	switch {
	case k.addr.IsValid() && k.account != "":
		limit, window = 1, 24*time.Hour
	case k.account != "":
		limit = or(l.PerAccount, 60)
	}
	return max(0, e.count-float64(limit)*float64(time.Since(e.at))/float64(window))
}

func (l *Limiter) add(k limitKey) {
	e := limitEntry{l.count(k) + 1, time.Now()}
	if _, ok := l.now[k]; !ok && len(l.now) >= or(l.MaxEntries, 100_000)/2 {
		l.old, l.now = l.now, nil
	}
	if l.now == nil {
		l.now = make(map[limitKey]limitEntry)
	}
	l.now[k] = e
}

func or(n, byDefault int) int {
	if n > 0 {
		return n
	}
	return byDefault
}
