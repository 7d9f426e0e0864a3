package mxresolve

import (
	"slices"
	"time"
)

const (
	firstRTO  = 300 * time.Millisecond
	minRTO    = 100 * time.Millisecond
	maxRTO    = 3 * time.Second
	noEDNSFor = time.Hour
	deadAfter = 3 // timeouts in a row, without any answer since
	minDead   = 5 * time.Second
	maxDead   = time.Minute
)

// rto is how long to wait for an answer before asking again.
func (u *upstream) rto() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	rto := firstRTO
	if u.srtt > 0 {
		rto = min(max(u.srtt+4*u.rttvar, minRTO), maxRTO)
	}
	return max(rto, u.minWait)
}

// answered notes that the upstream lives, and how long it took since its packet was first and last sent.
func (u *upstream) answered(now time.Time, first, last time.Duration, stream bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lastReply, u.timeouts, u.deadUntil = now, 0, time.Time{}
	rtt := last
	if last < u.srtt/2 || u.srtt == 0 {
		rtt = first // too quick for the repetition: the first packet was not lost but slow
	}
	switch {
	case stream: // dialing may be in it
	case u.srtt == 0:
		u.srtt, u.rttvar = max(rtt, 1), rtt/2
	default: // RFC 6298 s2.3
		u.rttvar += ((u.srtt - rtt).Abs() - u.rttvar) / 4
		u.srtt += (rtt - u.srtt) / 8
	}
}

// silent notes that nothing came for a packet of the given time.
func (u *upstream) silent(sent, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.lastReply.After(sent) {
		return // it lives, one packet was lost
	}
	if u.timeouts++; u.timeouts >= deadAfter {
		u.deadUntil = now.Add(min(minDead<<min(u.timeouts-deadAfter, 8), maxDead))
	}
}

// broken notes that the upstream cannot be reached at all.
func (u *upstream) broken(now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.timeouts = max(u.timeouts+1, deadAfter)
	u.deadUntil = now.Add(minDead)
}

// rank orders upstreams: as configured, but the dead last, and the slow behind those that are clearly faster. One
// question at a time finds out whether a dead one lives again.
func rank(ups []*upstream, now time.Time) []*upstream {
	if len(ups) == 1 {
		return ups
	}
	type ranked struct {
		up   *upstream
		dead bool
		srtt time.Duration
	}
	list := make([]ranked, len(ups))
	for i, u := range ups {
		u.mu.Lock()
		list[i] = ranked{u, now.Before(u.deadUntil), u.srtt}
		if !u.deadUntil.IsZero() && !list[i].dead {
			u.deadUntil = now.Add(time.Second) // this question is the probe
		}
		u.mu.Unlock()
	}
	slices.SortStableFunc(list, func(a, b ranked) int {
		switch {
		case a.dead == b.dead:
			return 0
		case a.dead:
			return 1
		}
		return -1
	})
	// The first gives way to the fastest only if that pays: a steady order keeps one cache warm.
	first, best := list[0], 0
	for i, r := range list {
		if !r.dead && r.srtt > 0 && 2*r.srtt+20*time.Millisecond < list[best].srtt {
			best = i
		}
	}
	if best > 0 {
		first.up.mu.Lock()
		first.up.srtt -= first.up.srtt / 50 // forgiven in time, so that it is tried again
		first.up.mu.Unlock()
		fastest := list[best]
		list = slices.Insert(slices.Delete(list, best, best+1), 0, fastest)
	}
	out := make([]*upstream, len(list))
	for i := range list {
		out[i] = list[i].up
	}
	return out
}

// learned remembers what proved necessary, so that the next question is asked like that at once.
func (u *upstream) learned(noEDNS, foldsCase bool, now time.Time) {
	if !noEDNS && !foldsCase {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if noEDNS && now.After(u.noEDNS) {
		u.noEDNS = now.Add(noEDNSFor)
	}
	u.foldsCase = u.foldsCase || foldsCase
}

// abilities says how to ask: with EDNS, with mixed case.
func (u *upstream) abilities(now time.Time) (edns, mixed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return now.After(u.noEDNS), !u.foldsCase
}
