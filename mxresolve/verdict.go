package mxresolve

import (
	"cmp"
	"errors"
	"strings"
)

// finish fills the plan, or says why there is none.
func (c *candidates) finish(domain string, p *Plan) *Error {
	for i := range c.list {
		m := &c.list[i]
		if m.skip == 0 {
			good := c.e.self.allowed(m.addrs, c.e.limits.MaxAddrs)
			if len(good) == 0 {
				m.skip, m.refused = SkipForbidden, m.addrs
			}
			m.addrs = good
		}
		if m.skip != 0 {
			h := SkippedHost{Name: m.name, Preference: m.pref, Reason: m.skip, Addrs: m.refused}
			if m.skip == SkipNoAddress || m.skip == SkipLookupFailed {
				h.Err = m.err
			}
			p.Skipped = append(p.Skipped, h)
			continue
		}
		h := Host{Name: m.name, Canonical: m.canon, Preference: m.pref, Addrs: m.addrs, Secure: m.secure, TLS: m.tls}
		h.TLS.domain, h.TLS.mx = domain, m.name
		if m.temp {
			h.Partial = m.err
		}
		p.Hosts = append(p.Hosts, h)
	}
	p.Failures = c.failures
	if len(p.Hosts) > 0 {
		return nil
	}
	err := c.nothingLeft(domain)
	err.Skipped, err.Failures = p.Skipped, p.Failures
	return err
}

// nothingLeft chooses the error when no candidate is usable. The domain's own address is never one (RFC 5321 s5.1).
func (c *candidates) nothingLeft(domain string) *Error {
	best, self, temp, refused := -1, -1, -1, Kind(0)
	for i := range c.list {
		m := &c.list[i]
		switch m.skip {
		case SkipNullTarget, SkipIPTarget, SkipInvalidName:
			continue
		case SkipSelf:
			if self < 0 {
				self = i
			}
		case SkipLookupFailed:
			if temp < 0 {
				temp = i
			}
		case SkipPolicy:
			refused = cmp.Or(refused, KindPolicy)
		case SkipNoDANE:
			refused = cmp.Or(refused, KindNoDANE)
		}
		if best < 0 {
			best = i
		}
	}
	var err *Error
	switch {
	case self >= 0 && c.list[self].pref == c.list[best].pref:
		err = newError(domain, KindLoop)
		err.Detail = c.list[self].name + " is this host, and it is the best mail host"
	case self >= 0:
		err = newError(domain, KindPrimaryMissing)
		err.Detail = c.list[self].name + " is this host; better ones: " + c.reasons()
	case temp >= 0:
		var cause *Error
		if errors.As(c.list[temp].err, &cause) {
			err = newError(domain, cause.Kind)
			err.Extended, err.Err = cause.Extended, cause.Err
			err.Detail = cause.Domain + ": " + cause.Detail
		}
	case refused != 0:
		err = newError(domain, refused)
		err.Detail = c.reasons()
	default:
		err = newError(domain, KindNoAddress)
		err.Detail = c.reasons()
		if best >= 0 {
			err.Err = c.list[best].err
		}
	}
	return err
}

// reasons tells about the first few candidates.
func (c *candidates) reasons() string {
	var parts []string
	for i := range c.list {
		m := &c.list[i]
		if m.skip == SkipSelf || m.skip == SkipAfterSelf {
			continue
		}
		if len(parts) == 4 {
			parts = append(parts, "...")
			break
		}
		name := m.name
		if name == "" {
			name = "."
		}
		parts = append(parts, name+" "+m.skip.String())
	}
	return strings.Join(parts, ", ")
}
