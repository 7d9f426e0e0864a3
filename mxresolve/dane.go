package mxresolve

import (
	"context"
	"slices"
	"sync"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// dane finds the TLSA records of all candidates at once. It is for secure MX answers only (RFC 7672 s2.2.1).
func (c *candidates) dane(ctx context.Context, domain, canonical string) {
	var wg sync.WaitGroup
	for i := range c.list {
		if m := &c.list[i]; m.skip == 0 && !m.ip.IsValid() {
			wg.Go(func() { c.findTLSA(ctx, m, domain, canonical) })
		}
	}
	wg.Wait()
	for i := range c.list {
		for _, end := range c.list[i].ends {
			c.d.expires = earliest(c.d.expires, end)
		}
	}
}

// findTLSA decides about one host (RFC 7672 s2.2.2, s2.2.3).
func (c *candidates) findTLSA(ctx context.Context, m *candidate, domain, canonical string) {
	var bases []string
	switch {
	case len(m.secureAddrs) > 0:
		bases = []string{m.canon}
		if m.canon != m.name {
			bases = append(bases, m.name)
		}
	case m.canon != m.name:
		// Not secure, perhaps only because the alias leads into an unsigned zone.
		alias := c.e.ask(ctx, question{m.name, typeCNAME})
		m.ends = append(m.ends, alias.expires)
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
		a := c.e.ask(ctx, question{"_25._tcp." + base, typeTLSA})
		m.ends = append(m.ends, a.expires)
		switch {
		case a.outcome == failed:
			c.fails(TLSRequirement{domain: domain, mx: m.name, dane: &dane{}}, tlsrpt.DNSSECInvalid, a.err.Err)
			m.fail(a) // never opportunistic: that is what an attacker would want (RFC 7672 s2.1.1)
			return
		case a.outcome == found && a.secure:
			d := &dane{base: base}
			for _, name := range []string{base, domain, canonical} {
				if !slices.Contains(d.names, name) {
					d.names = append(d.names, name)
				}
			}
			for _, text := range a.texts() {
				if r, ok := parseTLSA(text); ok {
					d.tlsa = append(d.tlsa, r)
				}
				d.all = append(d.all, tlsaText(text))
			}
			m.tls = TLSRequirement{dane: d}
			if len(d.tlsa) == 0 {
				c.fails(TLSRequirement{domain: domain, mx: m.name, dane: d}, tlsrpt.TLSAInvalid, "no usable TLSA record")
			}
			if len(m.secureAddrs) > 0 {
				m.addrs = m.secureAddrs // the other family may be forged
			}
			return
		}
	}
}

// requireDANE drops hosts that cannot be authenticated by DANE (RFC 7672 s6).
func (c *candidates) requireDANE(domain string, insecure Insecure) {
	for i := range c.list {
		m := &c.list[i]
		if m.skip != 0 || m.tls.matching() {
			continue
		}
		m.skip = SkipNoDANE
		if m.tls.dane != nil {
			continue // records that cannot be used: noted when they were found
		}
		reason := "there are no TLSA records"
		switch {
		case insecure != 0:
			reason = "the MX answer is not secure: " + insecure.String()
		case !m.secure:
			reason = "the addresses are not secure"
		}
		c.fails(TLSRequirement{domain: domain, mx: m.name, dane: &dane{}}, tlsrpt.DANERequired, reason)
	}
}

// fail makes a candidate unusable for now.
func (m *candidate) fail(a *answer) {
	m.skip, m.temp, m.err = SkipLookupFailed, true, lookupError(a.err.Name, a)
}
