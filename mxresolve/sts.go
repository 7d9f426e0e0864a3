package mxresolve

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// STS makes a Resolver find, keep and obey MTA-STS policies (RFC 8461). The zero value is ready, and forgets all policies
// when the program ends; give it a Store, since a policy that was once seen protects until it expires.
type STS struct {
	// Store keeps policies. Nil: in memory, about 32 MiB of them. See STSDir.
	Store STSStore

	// RootCAs are trusted for the certificates of policy hosts, and for those of mail hosts under a policy where the
	// caller's own tls.Config has none. Nil: the system's.
	RootCAs *x509.CertPool

	// Dial opens connections to policy hosts; addr is "192.0.2.1:443", looked up by the Resolver and never an address
	// that plans must not have. Nil: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Timeout bounds one fetch. Default: 1 minute (RFC 8461 s3.3).
	Timeout time.Duration
}

const (
	stsRefresh   = 24 * time.Hour  // RFC 8461 s3.3: a suggested refresh frequency is once per day
	stsBackoff   = 5 * time.Minute // RFC 8461 s3.3: no other try of the same id within
	stsStoreSize = 32 << 20
	stsFetches   = 100 // at the same time
)

// sts is the working part of an STS.
type sts struct {
	e       *engine
	store   STSStore
	roots   *x509.CertPool
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	timeout time.Duration
	stop    context.CancelFunc
	ctx     context.Context         // ends with the Resolver
	failed  *lru[string, *stsFetch] // the last failures by domain
	slots   chan struct{}           // of fetches

	mu      sync.Mutex
	fetches map[string]*stsFetch
}

// An stsFetch is one fetch of a policy, which all who want it share.
type stsFetch struct {
	id     string
	done   chan struct{}
	policy *STSPolicy
	err    *stsError
	until  time.Time // not again before that
}

func newSTS(e *engine, conf *STS) *sts {
	s := &sts{e: e, store: conf.Store, roots: conf.RootCAs, timeout: conf.Timeout, failed: newLRU[string, *stsFetch](10_000), fetches: map[string]*stsFetch{}, slots: make(chan struct{}, stsFetches)}
	if s.store == nil {
		s.store = newSTSMemory(stsStoreSize)
	}
	if s.timeout <= 0 {
		s.timeout = time.Minute
	}
	if s.dial = conf.Dial; s.dial == nil {
		s.dial = new(net.Dialer).DialContext
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// stsFound is what is known about the policy of a domain.
type stsFound struct {
	policy  *STSPolicy
	failure *stsError // to be reported
	expires time.Time // when to look again
	err     *Error    // the caller went away
}

// policy finds the policy that rules mail for a domain (RFC 8461 s5.1).
func (s *sts) policy(ctx context.Context, domain string) (f stsFound) {
	now := time.Now()
	f.policy = s.load(ctx, domain, now)
	txt := s.e.ask(ctx, question{"_mta-sts." + domain, typeTXT})
	if txt.ctxErr != nil {
		f.err = lookupError(domain, txt)
		return f
	}
	f.expires = txt.expires
	id, err := stsID(txt)
	switch {
	case err != nil: // no policy can be found; what is in the cache rules (RFC 8461 s3.3)
		if err.Result == tlsrpt.STSPolicyInvalid || f.policy != nil && f.policy.Mode != STSNone {
			f.failure = err // RFC 8461 s6
		}
	case f.policy != nil && f.policy.ID == id:
		if f.policy.due(now) {
			refresh := s.begin(domain, id, now) // in the background: this message need not wait
			select {
			case <-refresh.done: // not long ago, and it failed
				f.expires = earliest(f.expires, refresh.until)
			default:
				f.expires = now // what is decided by the old policy is not kept
			}
		}
	default:
		fetch := s.begin(domain, id, now)
		select {
		case <-fetch.done:
		case <-ctx.Done():
			f.err = newError(domain, KindCanceled)
			f.err.Detail, f.err.Err = "while its MTA-STS policy was fetched", context.Cause(ctx)
			return f
		}
		switch {
		case fetch.err == nil:
			f.policy = fetch.policy
		case s.ctx.Err() != nil:
			f.err = newError(domain, KindCanceled)
			f.err.Detail, f.err.Err = "the Resolver is closed", s.ctx.Err()
			return f
		default: // what is in the cache rules, or else nothing does (RFC 8461 s3.3)
			f.failure, f.expires = fetch.err, earliest(f.expires, fetch.until)
		}
	}
	if f.policy != nil {
		f.expires = earliest(f.expires, f.policy.Expires)
		if !f.policy.Expires.After(now) { // max_age: 0
			f.policy = nil
		}
	}
	return f
}

// load returns the policy in the store, if it is still valid.
func (s *sts) load(ctx context.Context, domain string, now time.Time) *STSPolicy {
	p, err := s.store.Load(ctx, domain)
	if err != nil {
		s.log(slog.LevelError, "MTA-STS policy cannot be read from the store", domain, err)
		return nil
	}
	if p == nil || !now.Before(p.Expires) {
		return nil
	}
	return p
}

// begin fetches a policy, or joins who does. After a failure the same id is left alone for a while.
func (s *sts) begin(domain, id string, now time.Time) *stsFetch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.fetches[domain]; f != nil {
		return f
	}
	if f, ok := s.failed.get(domain); ok && f.id == id && now.Before(f.until) {
		return f
	}
	f := &stsFetch{id: id, done: make(chan struct{})}
	s.fetches[domain] = f
	go s.run(f, domain)
	return f
}

// run fetches. It belongs to nobody: who wants the policy may leave.
func (s *sts) run(f *stsFetch, domain string) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
	defer cancel()
	p, err := s.fetch(ctx, domain)
	now := time.Now()
	if err == nil {
		p.Domain, p.ID, p.Fetched, p.Expires = domain, f.id, now, now.Add(p.MaxAge)
		f.policy = p
		s.failed.remove(domain)
		s.e.plans.remove(domain)
		if err := s.store.Save(ctx, p); err != nil {
			s.log(slog.LevelError, "MTA-STS policy cannot be kept", domain, err)
		}
	} else {
		f.err, f.until = err, now.Add(stsBackoff)
		if s.ctx.Err() == nil {
			s.failed.put(domain, f, 1)
			s.log(slog.LevelWarn, "MTA-STS policy cannot be fetched", domain, err) // RFC 8461 s3.3: alert administrators
		}
	}
	if t := s.e.r.Trace; t != nil && t.Fetched != nil {
		info := FetchedInfo{Domain: domain, Policy: f.policy, Took: now.Sub(begin)}
		if err != nil {
			info.Err = err
		}
		t.Fetched(info)
	}
	s.mu.Lock()
	delete(s.fetches, domain)
	s.mu.Unlock()
	close(f.done)
}

func (s *sts) log(level slog.Level, text, domain string, err error) {
	if l := s.e.r.Logger; l != nil {
		l.LogAttrs(context.Background(), level, text, slog.String("domain", domain), slog.String("error", err.Error()))
	}
}

// RefreshPolicies fetches all MTA-STS policies anew that were fetched more than a day ago, or whose life is half over, and
// deletes those that have expired. Policies of domains that mail is sent to are refreshed by themselves; call this about
// once an hour so that those of other domains do not expire, which would give an attacker a chance (RFC 8461 s10.2).
// It takes as long as the slowest policy hosts. Failures of single domains are logged, not returned.
func (r *Resolver) RefreshPolicies(ctx context.Context) error {
	s := r.start().sts
	if s == nil {
		return nil
	}
	domains, err := s.store.List(ctx)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, domain := range domains {
		if ctx.Err() != nil {
			break
		}
		p, e := s.store.Load(ctx, domain)
		now := time.Now()
		switch {
		case e != nil:
			err = errors.Join(err, e)
		case p == nil || p.due(now) && now.Before(p.Expires):
			if p == nil {
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				s.refresh(ctx, domain)
				<-slots
			})
		case !now.Before(p.Expires):
			err = errors.Join(err, s.store.Delete(ctx, domain))
		}
	}
	wg.Wait()
	return errors.Join(err, ctx.Err())
}

// refresh fetches a policy that is due, and waits.
func (s *sts) refresh(ctx context.Context, domain string) {
	id, err := stsID(s.e.ask(ctx, question{"_mta-sts." + domain, typeTXT}))
	if err != nil {
		if ctx.Err() == nil {
			s.log(slog.LevelWarn, "MTA-STS policy cannot be refreshed", domain, err)
		}
		return
	}
	select {
	case <-s.begin(domain, id, time.Now()).done:
	case <-ctx.Done():
	}
}
