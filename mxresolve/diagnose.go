package mxresolve

import (
	"context"
	"strings"
	"sync"
	"time"
)

// An UpstreamStatus is what Diagnose finds out about one upstream.
type UpstreamStatus struct {
	Addr      string        // as configured
	Answers   bool          // it answered at all
	Validates bool          // its answer about a signed name had the AD bit
	Trusted   bool          // its AD bit counts: see Upstream.TrustAD
	Took      time.Duration // until the answer
	Err       error         // why there is no answer
}

// DNSSEC says whether answers of the upstream can be Secure, and if not, why and what to do.
func (s UpstreamStatus) DNSSEC() (ok bool, text string) {
	switch {
	case !s.Answers:
		return false, "does not answer: " + s.Err.Error()
	case !s.Validates && s.Trusted:
		return false, "does not validate DNSSEC: DANE is not possible with it. Use a resolver that validates, such as unbound on this host"
	case !s.Validates:
		return false, "does not validate DNSSEC, or something on the way removes the AD bit: DANE is not possible with it. Use a resolver that validates, such as unbound on this host"
	case !s.Trusted:
		return false, "validates DNSSEC, but its AD bit could be forged on the way. If the way is safe, set Upstream.TrustAD or \"options trust-ad\" in /etc/resolv.conf; otherwise use a resolver on this host, or DNS over TLS"
	}
	return true, "validates DNSSEC"
}

// Diagnose asks every upstream about a name that is known to be signed, past the cache: whether it answers, whether it
// validates DNSSEC, and whether its word counts. An empty name is the root, which is signed. Plans are never Secure, and
// DANE never applies, unless an upstream both validates and is trusted.
func (r *Resolver) Diagnose(ctx context.Context, signed string) ([]UpstreamStatus, error) {
	name, typ := "", typeSOA
	if s := strings.TrimSuffix(signed, "."); s != "" {
		var err error
		if name, err = lookupName(s); err != nil {
			e := newError(signed, KindInvalidDomain)
			e.Err = notFound(signed, "not a domain name")
			return nil, e
		}
	}
	e := r.start()
	if e.err != nil {
		return nil, e.err
	}
	out := make([]UpstreamStatus, len(e.upstreams))
	var wg sync.WaitGroup
	for i, u := range e.upstreams {
		wg.Go(func() {
			begin := time.Now()
			m, _, a := e.exchangeWith(ctx, question{name, typ}, []*upstream{u})
			out[i] = UpstreamStatus{Addr: u.text, Trusted: u.trustAD, Took: time.Since(begin)}
			if a != nil {
				out[i].Err = a.err
				return
			}
			out[i].Answers, out[i].Validates = true, m.ad
		})
	}
	wg.Wait()
	return out, nil
}
