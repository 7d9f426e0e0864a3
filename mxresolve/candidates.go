package mxresolve

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// A candidate is an MX record on its way to become a Host or a SkippedHost.
type candidate struct {
	name    string
	pref    uint16
	ip      netip.Addr // of a target in text form, where that is allowed
	skip    SkipReason
	err     error // why it has no addresses, or not all
	temp    bool  // err is temporary
	canon   string
	secure  bool
	addrs   []netip.Addr
	refused []netip.Addr

	secureAddrs []netip.Addr   // of the families whose answer is secure
	tls         TLSRequirement // after DANE and MTA-STS
	ends        []time.Time    // of the answers that were asked for that
}

// candidates are the MX records of one domain while it is decided about them.
type candidates struct {
	e    *engine
	d    *decision
	list []candidate // by preference

	mu       sync.Mutex
	failures []tlsrpt.Outcome
}

// sort turns MX records into candidates and skips what no lookup is needed for. Its error is for null MX.
func (c *candidates) sort(domain string, records []rdata) *Error {
	c.list = make([]candidate, 0, len(records))
	null := 0
	for i := range records {
		r := &records[i]
		m := candidate{name: r.text, pref: r.pref}
		ip, isIP := parseIP(r.text)
		switch {
		case r.text == "":
			m.skip = SkipNullTarget
			null++
		case isIP && c.e.r.AllowIPTargets:
			if m.ip = ip; ip == netip.IPv4Unspecified() && len(records) == 1 {
				null++
			}
		case isIP:
			m.skip = SkipIPTarget
		case !strings.Contains(r.text, ".") || len(r.text) > 253:
			m.skip = SkipInvalidName
		}
		c.list = append(c.list, m)
	}
	if null == len(records) { // RFC 7505 s3; its preference is not looked at
		e := newError(domain, KindNullMX)
		return e
	}
	// Shuffled first, so that a limit does not always cut the same ones of equal preference.
	slices.SortFunc(c.list, func(a, b candidate) int { return cmp.Compare(a.pref, b.pref) })
	shuffleEqual(c.list, func(m *candidate) uint16 { return m.pref })
	c.unique()
	c.dropSelfByName()
	n := 0
	for i := range c.list {
		if m := &c.list[i]; m.skip == 0 {
			if n++; n > c.e.limits.MaxHosts {
				m.skip = SkipLimit
			}
		}
	}
	return nil
}

// unique keeps the best preference of each target.
func (c *candidates) unique() {
	seen := make(map[string]bool, len(c.list))
	c.list = slices.DeleteFunc(c.list, func(m candidate) bool {
		if seen[m.name] {
			return true
		}
		seen[m.name] = true
		return false
	})
}

func (c *candidates) dropSelfByName() {
	if len(c.e.self.names) == 0 {
		return
	}
	for i := range c.list {
		if m := &c.list[i]; m.skip == 0 && c.e.self.names[m.name] {
			m.skip = SkipSelf
		}
	}
	c.cut()
}

// dropSelf finds this host by its addresses.
func (c *candidates) dropSelf() {
	for i := range c.list {
		m := &c.list[i]
		if m.skip == 0 && (c.e.self.owns(m.addrs) || c.e.self.names[m.name] || c.e.self.names[m.canon]) {
			m.skip, m.refused = SkipSelf, m.addrs
		}
	}
	c.cut()
}

// cut drops everything that is not better than this host (RFC 5321 s5.1).
func (c *candidates) cut() {
	i := slices.IndexFunc(c.list, func(m candidate) bool { return m.skip == SkipSelf })
	if i < 0 {
		return
	}
	pref := c.list[i].pref
	for i := range c.list {
		if m := &c.list[i]; m.skip == 0 && m.pref >= pref {
			m.skip = SkipAfterSelf
		}
	}
}

// lookup finds the addresses of all candidates at once.
func (c *candidates) lookup(ctx context.Context) {
	var qs []question
	for i := range c.list {
		if m := &c.list[i]; m.skip == 0 && !m.ip.IsValid() {
			if c.e.r.Network != "ip4" {
				qs = append(qs, question{m.name, typeAAAA})
			}
			if c.e.r.Network != "ip6" {
				qs = append(qs, question{m.name, typeA})
			}
		}
	}
	answers := c.e.askAll(ctx, qs)
	for i := range c.list {
		m := &c.list[i]
		switch {
		case m.skip != 0:
			continue
		case m.ip.IsValid():
			m.canon, m.addrs = m.name, []netip.Addr{m.ip}
		default:
			n := 1
			if c.e.r.Network != "ip4" && c.e.r.Network != "ip6" {
				n = 2
			}
			m.take(answers[:n])
			for _, a := range answers[:n] {
				c.d.expires = earliest(c.d.expires, a.expires)
			}
			answers = answers[n:]
		}
		if len(m.addrs) == 0 {
			if m.skip = SkipNoAddress; m.temp {
				m.skip = SkipLookupFailed
			}
		}
	}
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// take merges the answers of both families. One that fails does not spoil the other.
func (m *candidate) take(answers []*answer) {
	var families, secure [2][]netip.Addr
	m.canon, m.secure = m.name, true
	for i, a := range answers {
		switch a.outcome {
		case found:
			families[i] = a.addrs
			m.canon = a.name
			if m.secure = m.secure && a.secure; a.secure {
				secure[i] = families[i]
			}
		case failed:
			if !m.temp {
				m.err, m.temp = lookupError(m.name, a), true
			}
		case nxDomain:
			if m.err == nil {
				m.err = notFound(m.name, "no such host")
			}
		case noData:
			if m.err == nil {
				m.err = notFound(m.name, "no address")
			}
		}
	}
	m.addrs = interleave(families[0], families[1])
	m.secure = m.secure && len(m.addrs) > 0
	m.secureAddrs = interleave(secure[0], secure[1])
}

// interleave takes from both in turn, so that no limit can hide a family.
func interleave(a, b []netip.Addr) []netip.Addr {
	if len(a) == 0 {
		return b
	}
	out := make([]netip.Addr, 0, len(a)+len(b))
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			out = append(out, a[i])
		}
		if i < len(b) {
			out = append(out, b[i])
		}
	}
	return out
}
