package mxresolve

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// Resolve says where mail for domain goes. domain is what stands after the @: a domain name, also an internationalized
// one, or an address literal. The error is always an *Error, which says bounce or defer, and with which codes.
func (r *Resolver) Resolve(ctx context.Context, domain string) (*Plan, error) {
	begin := time.Now()
	p, cached, err := r.start().resolve(ctx, domain, begin)
	if r.Trace != nil && r.Trace.Resolved != nil {
		info := ResolvedInfo{Domain: domain, Plan: p, Cached: cached, Took: time.Since(begin)}
		if err != nil {
			info.Err = err
		}
		r.Trace.Resolved(info)
	}
	if err != nil {
		if r.Logger != nil {
			r.Logger.LogAttrs(ctx, slog.LevelInfo, "no route for mail", slog.String("domain", domain),
				slog.String("code", err.Enhanced), slog.String("error", err.Error()))
		}
		return nil, err
	}
	return p, nil
}

// A decision is a Plan or an Error as it is cached: hosts sorted by preference, not shuffled. It is immutable.
type decision struct {
	plan    *Plan
	err     *Error
	expires time.Time
	groups  bool // some hosts have equal preferences
}

func (e *engine) resolve(ctx context.Context, domain string, now time.Time) (p *Plan, cached bool, err *Error) {
	ascii, literal, err := parseDomain(domain)
	if err != nil {
		return nil, false, err
	}
	if literal.IsValid() {
		p, err = e.literal(domain, literal)
		return p, false, err
	}
	d, cached := e.plans.get(ascii)
	if cached = cached && now.Before(d.expires); !cached {
		d = e.decide(ctx, ascii)
		if d.expires.After(now) {
			e.plans.put(ascii, d, d.size())
		}
	}
	if d.err != nil {
		err := *d.err
		err.Domain = domain
		return nil, cached, &err
	}
	return d.issue(domain), cached, nil
}

// issue makes a plan for one message: equal preferences are shuffled each time (RFC 5321 s5.1).
func (d *decision) issue(domain string) *Plan {
	p := new(Plan)
	*p = *d.plan
	p.Hosts = make([]Host, len(d.plan.Hosts))
	copy(p.Hosts, d.plan.Hosts)
	p.Domain = domain
	if d.groups {
		shuffleEqual(p.Hosts, func(h *Host) uint16 { return h.Preference })
	}
	return p
}

// shuffleEqual shuffles each run of equal preferences in a sorted list.
func shuffleEqual[T any](list []T, pref func(*T) uint16) {
	for start := 0; start < len(list); {
		end := start + 1
		for end < len(list) && pref(&list[end]) == pref(&list[start]) {
			end++
		}
		group := list[start:end]
		for i := len(group) - 1; i > 0; i-- {
			j := rand.IntN(i + 1)
			group[i], group[j] = group[j], group[i]
		}
		start = end
	}
}

// size is about what a decision occupies.
func (d *decision) size() int {
	n := 512
	var skipped []SkippedHost
	var failures []tlsrpt.Outcome
	if p := d.plan; p != nil {
		skipped, failures = p.Skipped, p.Failures
		for i := range p.Hosts {
			h := &p.Hosts[i]
			n += 160 + len(h.Name) + len(h.Canonical) + 24*cap(h.Addrs)
			for _, r := range h.TLS.tlsaTexts() {
				n += 128 + 2*len(r)
			}
		}
		if p.Policy != nil {
			n += 2 * len(p.Policy.Text)
		}
	}
	if e := d.err; e != nil {
		skipped, failures = e.Skipped, e.Failures
		n += len(e.Detail)
	}
	for i := range skipped {
		n += 128 + len(skipped[i].Name) + 24*cap(skipped[i].Addrs)
		if skipped[i].Err != nil {
			n += 384
		}
	}
	return n + 384*len(failures)
}

// literal plans for an address literal: that address, without any DNS (RFC 5321 s4.1.3).
func (e *engine) literal(domain string, ip netip.Addr) (*Plan, *Error) {
	addrs := []netip.Addr{ip}
	switch {
	case e.self.owns(addrs):
		err := newError(domain, KindLoop)
		err.Detail = "the address is this host's own"
		return nil, err
	case e.self.forbids(ip):
		err := newError(domain, KindNoAddress)
		err.Detail = ip.String() + " must not be connected to"
		return nil, err
	}
	return &Plan{Domain: domain, Canonical: ip.String(), Literal: true,
		Hosts: []Host{{Name: ip.String(), Canonical: ip.String(), Addrs: addrs}}}, nil
}

// decide works the whole table: from the MX answer to hosts with addresses.
func (e *engine) decide(ctx context.Context, ascii string) *decision {
	mx := e.ask(ctx, question{ascii, typeMX})
	d := &decision{expires: mx.expires}
	c := candidates{e: e, d: d}
	p := &Plan{Domain: ascii, ASCII: ascii, Canonical: mx.name, Secure: mx.secure, Insecure: mx.insecure}
	switch mx.outcome {
	case failed:
		// Never the domain's own address: there may well be MX records (RFC 5321 s5.1).
		d.err = lookupError(ascii, mx)
		return d
	case nxDomain:
		// No name, no address either (RFC 8020): nothing else needs to be asked.
		d.err = newError(ascii, KindNoSuchDomain)
		d.err.Detail, d.err.Extended, d.err.Err = "NXDOMAIN"+via(ascii, mx.name), mx.ede, notFound(ascii, "no such host")
		return d
	case noData:
		p.Implicit = true // RFC 5321 s5.1: an implicit MX with preference 0, pointing to that host
		c.list = []candidate{{name: mx.name}}
	case found:
		if d.err = c.sort(ascii, mx.data); d.err != nil {
			return d
		}
	}
	var policy stsFound
	var wg sync.WaitGroup
	if e.sts != nil { // RFC 8461 s3: of the recipient's domain, whatever it is an alias of
		wg.Go(func() { policy = e.sts.policy(ctx, ascii) })
	}
	c.lookup(ctx)
	c.dropSelf()
	if p.Secure {
		c.dane(ctx, ascii, mx.name)
	}
	if e.r.RequireDANE != nil && e.r.RequireDANE(ascii) {
		c.requireDANE(ascii, p.Insecure)
	}
	wg.Wait()
	if d.err = c.applySTS(p, policy); d.err != nil {
		return d
	}
	if d.err = c.finish(ascii, p); d.err != nil {
		return d
	}
	p.Expires = d.expires
	d.plan = p
	for i := 1; i < len(p.Hosts); i++ {
		d.groups = d.groups || p.Hosts[i].Preference == p.Hosts[i-1].Preference
	}
	return d
}

// via names the end of a CNAME chain.
func via(asked, name string) string {
	if asked == name {
		return ""
	}
	return " for " + name + ", which it is an alias of"
}
