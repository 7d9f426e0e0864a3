package dnstest

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// world is all zones: immutable once made.
type world struct {
	nodes map[string]map[uint16][]dns.RR // by lower-case name; empty maps for names between others
	soas  map[string]*dns.SOA
}

const (
	defaultTTL  = 300
	negativeTTL = 60
	maxChain    = 32
)

// SetZones replaces all zones, also while the server runs. The text is in zone-file syntax and may have any number of
// zones: $ORIGIN begins one, an SOA record gives it its negative TTL. Without SOA records everything is in the root
// zone, with a negative TTL of 60 s, so that names which are not in the text do not exist. The TTL is 300 s where
// neither the record nor $TTL says so. CNAME, DNAME and wildcards work; delegations do not.
func (s *Server) SetZones(zones string) error {
	w := &world{nodes: map[string]map[uint16][]dns.RR{}, soas: map[string]*dns.SOA{}}
	zp := dns.NewZoneParser(strings.NewReader(zones), ".", "")
	zp.SetDefaultTTL(defaultTTL)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		w.add(rr)
	}
	if err := zp.Err(); err != nil {
		return fmt.Errorf("dnstest: zones: %w", err)
	}
	if w.soas["."] == nil {
		w.soas["."] = &dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: negativeTTL},
			Ns: "ns.invalid.", Mbox: "hostmaster.invalid.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: negativeTTL}
		w.node(".")
	}
	s.mu.Lock()
	s.world = w
	s.mu.Unlock()
	return nil
}

// node returns the records of a name, and makes it and all above it exist.
func (w *world) node(name string) map[uint16][]dns.RR {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if w.nodes[name[off:]] == nil {
			w.nodes[name[off:]] = map[uint16][]dns.RR{}
		}
	}
	return w.nodes[name]
}

func (w *world) add(rr dns.RR) {
	h := rr.Header()
	name := dns.CanonicalName(h.Name)
	n := w.node(name)
	n[h.Rrtype] = append(n[h.Rrtype], rr)
	if soa, ok := rr.(*dns.SOA); ok {
		w.soas[name] = soa
	}
}

// lookup fills an answer in, as RFC 1034 s4.3.2 says, and returns all names that it went through.
func (w *world) lookup(m *dns.Msg, q dns.Question, noChase bool) (names []string) {
	name := dns.CanonicalName(q.Name)
	seen := map[string]bool{}
	for len(names) < maxChain && !seen[name] {
		seen[name] = true
		names = append(names, name)
		node, exists := w.nodes[name]
		if !exists {
			if d := w.dname(name); d != nil && d.Hdr.Name != name {
				target := dns.CanonicalName(strings.TrimSuffix(name, dns.CanonicalName(d.Hdr.Name)) + d.Target)
				m.Answer = append(m.Answer, d, &dns.CNAME{Target: target, // RFC 6672 s3.1
					Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: d.Hdr.Ttl}})
				if name = target; noChase {
					return names
				}
				continue
			}
			if node, exists = w.wildcard(name); !exists {
				m.Rcode = dns.RcodeNameError
				m.Ns = []dns.RR{w.soa(name)}
				return names
			}
		}
		if cname := node[dns.TypeCNAME]; len(cname) > 0 && q.Qtype != dns.TypeCNAME {
			m.Answer = append(m.Answer, owned(cname[0], name))
			if name = dns.CanonicalName(cname[0].(*dns.CNAME).Target); noChase {
				return names
			}
			continue
		}
		for _, rr := range node[q.Qtype] {
			m.Answer = append(m.Answer, owned(rr, name))
		}
		if len(node[q.Qtype]) == 0 {
			m.Ns = []dns.RR{w.soa(name)}
		}
		return names
	}
	return names
}

// owned gives a record another owner, for wildcards.
func owned(rr dns.RR, name string) dns.RR {
	if dns.CanonicalName(rr.Header().Name) == name {
		return rr
	}
	rr = dns.Copy(rr)
	rr.Header().Name = name
	return rr
}

// above calls f for all names above name, from the closest on, until it returns true.
func above(name string, f func(string) bool) {
	for off, end := dns.NextLabel(name, 0); !end; off, end = dns.NextLabel(name, off) {
		if f(name[off:]) {
			return
		}
	}
	if name != "." {
		f(".")
	}
}

func (w *world) dname(name string) (d *dns.DNAME) {
	above(name, func(n string) bool {
		if rrs := w.nodes[n][dns.TypeDNAME]; len(rrs) > 0 {
			d = rrs[0].(*dns.DNAME)
		}
		return d != nil
	})
	return d
}

// wildcard finds the records that stand for a name which does not exist: those at * below its closest encloser (RFC 4592).
func (w *world) wildcard(name string) (node map[uint16][]dns.RR, ok bool) {
	above(name, func(n string) bool {
		if _, exists := w.nodes[n]; !exists {
			return false
		}
		node, ok = w.nodes["*."+strings.TrimPrefix(n, ".")]
		return true
	})
	return node, ok
}

// soa is the SOA record of the zone that a name is in.
func (w *world) soa(name string) *dns.SOA {
	if s := w.soas[name]; s != nil {
		return s
	}
	soa := w.soas["."]
	above(name, func(n string) bool {
		if s := w.soas[n]; s != nil {
			soa = s
			return true
		}
		return false
	})
	return soa
}
