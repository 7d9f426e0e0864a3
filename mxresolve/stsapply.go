package mxresolve

import (
	"time"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// applySTS lets the domain's policy rule over the candidates that are left. Those that it does not name are treated as if
// they could not be reached (RFC 8461 s8.4). Its error is for callers who went away.
func (c *candidates) applySTS(p *Plan, found stsFound) *Error {
	if found.err != nil {
		c.d.expires = time.Time{} // nothing to keep
		return found.err
	}
	if p.Policy = found.policy; !found.expires.IsZero() {
		c.d.expires = earliest(c.d.expires, found.expires)
	}
	rule := TLSRequirement{domain: p.ASCII}
	if found.policy != nil && found.policy.Mode != STSNone {
		rule.sts = &stsRule{policy: found.policy, roots: c.e.sts.roots, report: found.policy.report()}
	}
	if found.failure != nil {
		c.fails(rule, found.failure.Result, found.failure.Error())
	}
	if rule.sts == nil {
		return nil
	}
	for i := range c.list {
		m := &c.list[i]
		if m.skip != 0 {
			continue
		}
		m.tls.sts = rule.sts
		if !found.policy.Matches(m.name) {
			rule.mx = m.name
			c.fails(rule, tlsrpt.ValidationFailure, "the MX host is not in the policy")
			if found.policy.Mode == STSEnforce {
				m.skip = SkipPolicy
			}
		}
	}
	return nil
}

// fails notes a failure for TLS reports.
func (c *candidates) fails(t TLSRequirement, r tlsrpt.Result, reason string) {
	o := tlsrpt.Outcome{Policy: t.policy(), Result: r, MX: t.mx, Reason: reason}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, o)
}
