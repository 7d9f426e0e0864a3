package dnstest

import (
	"cmp"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// A signer has the key of a signed zone.
type signer struct {
	key  *dns.DNSKEY
	priv crypto.Signer
}

// Sign signs the zone of that name, which must have an SOA record: with one key of ECDSA P-256 (RFC 6605), and NSEC
// records. Clients that set DO get signatures, as from an authoritative server, and can validate them; ds is the DS record
// that they need as a trust anchor. All clients get the AD bit, as with SetSecure. The key stays when zones are set anew.
// Zones below a signed zone must be signed too: there are no insecure delegations.
func (s *Server) Sign(zone string) (ds string, err error) {
	zone = dns.CanonicalName(zone)
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: defaultTTL},
		Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	priv, err := k.Generate(256)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world.soas[zone] == nil {
		return "", fmt.Errorf("dnstest: %s is not a zone: it has no SOA record", zone)
	}
	if s.signers[zone] != nil {
		return "", fmt.Errorf("dnstest: %s is signed already", zone)
	}
	s.signers[zone] = &signer{k, priv.(crypto.Signer)}
	s.secure[zone] = true
	return k.ToDS(dns.SHA256).String(), nil
}

// A signing adds signatures to one answer.
type signing struct {
	w       *world
	signers map[string]*signer
	m       *dns.Msg
	bad     bool
	denied  map[string]bool // owners of NSEC records in the answer
}

// keys answers questions for the keys of signed zones, which are not in the world.
func (g *signing) keys(q dns.Question) bool {
	k := g.signers[dns.CanonicalName(q.Name)]
	switch {
	case k == nil:
		return false
	case q.Qtype == dns.TypeDNSKEY:
		g.m.Answer = []dns.RR{k.key}
	case q.Qtype == dns.TypeDS && k.key.Hdr.Name != ".":
		g.m.Answer = []dns.RR{k.key.ToDS(dns.SHA256)}
	default:
		return false
	}
	return true
}

// sign signs everything in the answer, and proves what is missing in it. names are those that the answer went through.
func (g *signing) sign(names []string) {
	g.denied = map[string]bool{}
	for _, name := range names {
		if _, exists := g.w.nodes[name]; !exists && g.w.dname(name) == nil {
			g.deny(name) // RFC 4035 s3.1.3.2, s3.1.3.3: it does not exist itself,
			if len(g.m.Ns) > 0 && name == names[len(names)-1] {
				g.deny("*." + strings.TrimPrefix(g.w.encloser(name), ".")) // and what the wildcard has
			}
		}
	}
	if len(g.m.Ns) > 0 && len(names) > 0 {
		g.deny(names[len(names)-1])
	}
	g.m.Answer = g.signed(g.m.Answer)
	g.m.Ns = g.signed(g.m.Ns)
}

// signed puts a signature behind each set of records.
func (g *signing) signed(rrs []dns.RR) (out []dns.RR) {
	for len(rrs) > 0 {
		h, n := rrs[0].Header(), 1
		for n < len(rrs) && rrs[n].Header().Rrtype == h.Rrtype && rrs[n].Header().Name == h.Name {
			n++
		}
		out = append(out, rrs[:n]...)
		if sig := g.signature(rrs[:n]); sig != nil {
			out = append(out, sig)
		}
		rrs = rrs[n:]
	}
	return out
}

// signature signs one set of records; nil when its zone is not signed.
func (g *signing) signature(set []dns.RR) dns.RR {
	name, typ := dns.CanonicalName(set[0].Header().Name), set[0].Header().Rrtype
	zone := dns.CanonicalName(g.w.soa(name).Hdr.Name)
	if typ == dns.TypeDS {
		zone = dns.CanonicalName(g.w.soa(parent(name)).Hdr.Name)
	}
	k := g.signers[zone]
	_, exists := g.w.nodes[name]
	if k == nil || typ == dns.TypeCNAME && !exists && g.w.dname(name) != nil { // RFC 6672 s5.3.1
		return nil
	}
	origin := name
	if !exists {
		origin = "*." + strings.TrimPrefix(g.w.encloser(name), ".")
	}
	signed := make([]dns.RR, len(set))
	for i, rr := range set {
		signed[i] = dns.Copy(rr)
		signed[i].Header().Name = origin
	}
	now := time.Now()
	sig := &dns.RRSIG{Algorithm: k.key.Algorithm, KeyTag: k.key.KeyTag(), SignerName: zone,
		Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(24 * time.Hour).Unix())}
	if sig.Sign(k.priv, signed) != nil {
		return nil
	}
	sig.Hdr = dns.RR_Header{Name: set[0].Header().Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: set[0].Header().Ttl}
	if g.bad {
		sig.KeyTag, sig.Signature = k.key.KeyTag(), strings.Repeat("A", 86)+"=="
	}
	return sig
}

// deny adds the NSEC record that a name is at or behind.
func (g *signing) deny(name string) {
	soa := g.w.soa(name)
	zone := dns.CanonicalName(soa.Hdr.Name)
	if g.signers[zone] == nil {
		return
	}
	chain := g.w.chain(zone)
	i, at := slices.BinarySearchFunc(chain, name, func(a, b string) int { return cmp.Compare(orderKey(a), orderKey(b)) })
	if !at {
		i--
	}
	owner, next := chain[max(i, 0)], chain[(max(i, 0)+1)%len(chain)]
	if g.denied[owner] {
		return
	}
	g.denied[owner] = true
	types := []uint16{dns.TypeRRSIG, dns.TypeNSEC}
	for t := range g.w.nodes[owner] {
		types = append(types, t)
	}
	if owner == zone {
		types = append(types, dns.TypeDNSKEY)
	}
	slices.Sort(types)
	g.m.Ns = append(g.m.Ns, &dns.NSEC{NextDomain: next, TypeBitMap: slices.Compact(types),
		Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: soa.Minttl}})
}

// chain is all names of a zone that have records, in canonical order (RFC 4034 s6.1).
func (w *world) chain(zone string) (names []string) {
	for n, types := range w.nodes {
		if len(types) > 0 && dns.IsSubDomain(zone, n) && dns.CanonicalName(w.soa(n).Hdr.Name) == zone {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(orderKey(a), orderKey(b)) })
	return names
}

func orderKey(name string) string {
	labels := dns.SplitDomainName(name)
	slices.Reverse(labels)
	return strings.Join(labels, "\x00")
}

// encloser is the closest name above that exists.
func (w *world) encloser(name string) (out string) {
	above(name, func(n string) bool {
		_, ok := w.nodes[n]
		out = n
		return ok
	})
	return out
}

func parent(name string) string {
	off, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[off:]
}
