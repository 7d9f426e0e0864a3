package tlsrpt

import (
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	maxDomains = 100_000
	maxKinds   = 100 // policies of a domain, different failures of a policy
	maxReason  = 200
)

// A Collector adds outcomes up, by day, domain and policy. The zero value is ready; it is safe for concurrent use.
type Collector struct {
	mu   sync.Mutex
	days map[int64]map[string]map[string]*tally // by day since 1970, domain, text of the policy
}

// A tally is what happened under one policy of one domain on one day.
type tally struct {
	policy    Policy
	good, bad int64
	failures  map[failure]int64
}

// A failure is what outcomes must share to be one line of a report.
type failure struct {
	result                 Result
	mx, helo, info, reason string
	sending, receiving     netip.Addr
}

const secondsOfDay = 24 * 60 * 60

// Add counts an outcome. One without a policy domain is left out.
func (c *Collector) Add(o Outcome) {
	if o.Policy.Domain == "" {
		return
	}
	if o.At.IsZero() {
		o.At = time.Now()
	}
	day := o.At.Unix() / secondsOfDay
	kind := string(o.Policy.Type) + "\n" + strings.Join(o.Policy.Strings, "\n")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.days == nil {
		c.days = map[int64]map[string]map[string]*tally{}
	}
	domains := c.days[day]
	if domains == nil {
		domains = map[string]map[string]*tally{}
		c.days[day] = domains
	}
	policies := domains[o.Policy.Domain]
	if policies == nil {
		if len(domains) >= maxDomains {
			return
		}
		policies = map[string]*tally{}
		domains[o.Policy.Domain] = policies
	}
	t := policies[kind]
	if t == nil {
		if len(policies) >= maxKinds {
			return
		}
		t = &tally{policy: o.Policy, failures: map[failure]int64{}}
		policies[kind] = t
	}
	if o.Result == "" {
		t.good++
		return
	}
	t.bad++
	f := failure{o.Result, o.MX, shorten(o.Helo), shorten(o.Info), shorten(o.Reason), o.SendingIP.Unmap(), o.ReceivingIP.Unmap()}
	if _, known := t.failures[f]; known || len(t.failures) < maxKinds {
		t.failures[f]++
	}
}

// shorten makes text from strangers fit for a report.
func shorten(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
}
