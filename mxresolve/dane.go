package mxresolve

import (
	"context"
	"slices"
	"sync"
)

// dane finds the TLSA records of all candidates at once. It is for secure MX answers only (RFC 7672 s2.2.1).
func (c *candidates) dane(ctx context.Context, domain, canonical string) {
	var wg sync.WaitGroup
	for i := range c.list {
		if m := &c.list[i]; m.skip == 0 && !m.ip.IsValid() {
			wg.Go(func() { c.e.findTLSA(ctx, m, domain, canonical) })
		}
	}
	wg.Wait()
	for i := range c.list {
		if m := &c.list[i]; !m.until.IsZero() {
			c.d.expires = earliest(c.d.expires, m.until)
		}
	}
}

// findTLSA decides about one host (RFC 7672 s2.2.2, s2.2.3).
func (e *engine) findTLSA(ctx context.Context, m *candidate, domain, canonical string) {
	var bases []string
	switch {
	case len(m.secureAddrs) > 0:
		bases = []string{m.canon}
		if m.canon != m.name {
			bases = append(bases, m.name)
		}
	case m.canon != m.name:
		// Not secure, perhaps only because the alias leads into an unsigned zone.
		alias := e.ask(ctx, question{m.name, typeCNAME})
		m.expire(alias)
		switch {
		case alias.outcome == failed:
			m.fail(alias)
			return
		case alias.outcome == found && alias.secure:
			bases = []string{m.name}
		}
	}
	// Hosts without secure addresses are not asked about: name servers of unsigned zones fail on TLSA so often that mail
	// to them would stand still (RFC 7672 s2.2.2).
	for _, base := range bases {
		a := e.ask(ctx, question{"_25._tcp." + base, typeTLSA})
		m.expire(a)
		switch {
		case a.outcome == failed:
			m.fail(a) // never opportunistic: that is what an attacker would want (RFC 7672 s2.1.1)
			return
		case a.outcome == found && a.secure:
			m.tls = TLSRequirement{host: base, dane: true}
			for _, name := range []string{base, domain, canonical} {
				if !slices.Contains(m.tls.names, name) {
					m.tls.names = append(m.tls.names, name)
				}
			}
			for i := range a.records {
				if r, ok := parseTLSA(a.records[i].text); ok {
					m.tls.tlsa = append(m.tls.tlsa, r)
				}
			}
			if len(m.secureAddrs) > 0 {
				m.addrs = m.secureAddrs // the other family may be forged
			}
			return
		}
	}
}

// expire notes how long the decision about a candidate holds.
func (m *candidate) expire(a *answer) {
	if m.until.IsZero() || a.expires.Before(m.until) {
		m.until = a.expires
	}
}

// fail makes a candidate unusable for now.
func (m *candidate) fail(a *answer) {
	m.skip, m.temp, m.err = SkipLookupFailed, true, lookupError(a.err.Name, a)
}
