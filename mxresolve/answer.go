package mxresolve

import (
	"net"
	"net/netip"
	"time"
)

// How a question was settled.
type outcome int

const (
	found    outcome = iota
	noData           // the name exists, without such records (RFC 2308 s2.2)
	nxDomain         // the name does not exist, with any type (RFC 8020)
	failed           // nothing is known
)

// An answer is what a question came to. It is immutable, and shared by the cache and all who asked.
type answer struct {
	outcome outcome
	name    string       // the last name of the CNAME chain
	addrs   []netip.Addr // of that name, for A and AAAA
	data    []rdata      // of that name, for other types
	secure  bool         // AD, from an upstream that may say so
	stale   bool         // served beyond its life
	expires time.Time
	until   time.Time // serve-stale ends

	insecure Insecure // why not secure
	ede      string
	err      *net.DNSError // for failed
	failures int           // consecutive, for the life of a failure
	ctxErr   error         // the asker's context ended: says nothing about the name
}

const (
	maxTTL         = 24 * time.Hour
	maxNegativeTTL = 3 * time.Hour // RFC 2308 s5
	staleTTL       = 30 * time.Second
	minFailureTTL  = 5 * time.Second // RFC 9520 s3.2: at least 1 second, at most 5 minutes
	maxFailureTTL  = 5 * time.Minute
)

func seconds(ttl uint32, bound time.Duration) time.Duration {
	return min(time.Duration(ttl)*time.Second, bound)
}

// rdata is what a record says, as in record.
type rdata struct {
	text string
	pref uint16
}

// texts returns targets or texts of an answer.
func (a *answer) texts() []string {
	out := make([]string, len(a.data))
	for i := range a.data {
		out[i] = a.data[i].text
	}
	return out
}

// size is about what an answer occupies.
func (a *answer) size() int {
	n := 384 + len(a.name) + len(a.ede) + 24*(cap(a.addrs)+cap(a.data))
	for i := range a.data {
		n += len(a.data[i].text)
	}
	return n
}

// take keeps the records of one type and name, and says how long the shortest of them lives.
func (a *answer) take(records []record, typ uint16, name string) (n int, ttl time.Duration) {
	ttl = maxTTL
	for i := range records {
		r := &records[i]
		if r.typ != typ || r.name != name {
			continue
		}
		if n++; r.addr.IsValid() {
			if a.addrs == nil {
				a.addrs = make([]netip.Addr, 0, len(records)-i)
			}
			a.addrs = append(a.addrs, r.addr.Unmap())
		} else {
			if a.data == nil {
				a.data = make([]rdata, 0, len(records)-i)
			}
			a.data = append(a.data, rdata{r.text, r.pref})
		}
		ttl = min(ttl, seconds(r.ttl, maxTTL))
	}
	return n, ttl
}

// dnsError makes the cause of our errors, in the standard library's type.
func dnsError(q question, text string) *net.DNSError {
	return &net.DNSError{Name: q.name, Err: typeText(q.typ) + ": " + text}
}

// failure is an answer that says nothing about the name: the caller has to come again (RFC 5321 s5.1).
func failure(q question, text, server string) *answer {
	e := dnsError(q, text)
	e.Server, e.IsTemporary = server, true
	return &answer{outcome: failed, name: q.name, err: e}
}

// A chain is the state of following CNAMEs, over several messages when the upstream does not follow them itself.
type chain struct {
	q     question // as asked
	name  string   // where we are
	links int
	max   int
	ttl   time.Duration

	insecure Insecure // 0: all links so far are secure
}

// follow interprets m, a NOERROR or NXDOMAIN answer to the chain's current name. A nil answer means: ask for c.name next.
func (c *chain) follow(m *message, server string, trusted bool, now time.Time) *answer {
	start := c.name
	switch {
	case c.insecure != 0 || m.ad && trusted:
	case m.ad:
		c.insecure = InsecureUntrusted
	default:
		c.insecure = InsecureNoAD
	}
	for next, ok := c.step(m); ok; next, ok = c.step(m) {
		if c.links++; c.links > c.max {
			// Loops end here as well. Somebody may mend it, so it is not permanent.
			return failure(c.q, "CNAME chain is endless or too long", server)
		}
		c.name = next
	}
	a := &answer{name: c.name, secure: c.insecure == 0, insecure: c.insecure, ede: m.ede}
	if m.rcode == rcodeNXDomain { // of the last name in the chain (RFC 6604 s3)
		a.outcome = nxDomain
		return c.negative(a, m, now)
	}
	n, ttl := a.take(m.records, c.q.typ, c.name)
	switch {
	case n > 0:
		a.outcome = found
		a.expires = now.Add(min(c.ttl, ttl))
		return a
	case m.hasSOA:
		a.outcome = noData
		return c.negative(a, m, now)
	case c.name != start: // the chain leaves the upstream's knowledge
		return nil
	case len(m.records) > 0:
		return failure(c.q, "the answer is about other names", server)
	case !m.aa && !m.ra:
		return failure(c.q, "server is lame: neither authoritative nor recursive", server)
	default: // RFC 2308 s2.2, NODATA type 3
		a.outcome = noData
		return c.negative(a, m, now)
	}
}

// step finds the next link of the chain, and counts its TTL.
func (c *chain) step(m *message) (string, bool) {
	if c.q.typ == typeCNAME {
		return "", false
	}
	for i := range m.records {
		if r := &m.records[i]; r.typ == typeCNAME && r.name == c.name {
			c.ttl = min(c.ttl, seconds(r.ttl, maxTTL))
			return r.text, true
		}
	}
	return "", false
}

// negative gives an answer its time to live: none without an SOA record (RFC 2308 s5).
func (c *chain) negative(a *answer, m *message, now time.Time) *answer {
	if !m.hasSOA {
		c.ttl = 0
	}
	a.expires = now.Add(min(c.ttl, seconds(m.negativeTTL, maxNegativeTTL)))
	return a
}
