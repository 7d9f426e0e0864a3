package mxresolve

import (
	"net/netip"
	"slices"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// A Plan says where mail for a domain is to be delivered. It is the caller's own, but what Policy points to and the
// slices inside Hosts, Skipped and Failures are shared with the cache: read them only.
type Plan struct {
	Domain    string // as asked
	ASCII     string // the domain in lower-case A-labels; empty for an address literal
	Canonical string // the name whose MX or address records count, after CNAMEs (RFC 5321 s5.1); the envelope keeps Domain

	// Hosts is in the order to try: by preference, shuffled anew on each call among equals (RFC 5321 s5.1). It is never empty.
	Hosts   []Host
	Skipped []SkippedHost // the other MX records, and why

	Literal  bool       // the domain is an address literal: no DNS was asked
	Implicit bool       // no MX records exist: the domain itself is its host
	Secure   bool       // the MX answer, or the proof that there is none, was validated by DNSSEC
	Insecure Insecure   // why not Secure
	Policy   *STSPolicy // the MTA-STS policy of the domain, in any mode; nil where there is none or Resolver.STS is nil
	Expires  time.Time  // when the first of the answers that this rests on ends; zero for an address literal

	// Failures are what TLS reports should tell before any host was connected to: a policy that cannot be fetched, hosts
	// that are not in it, TLSA records that cannot be looked up or used. Count them once for each attempt at delivery.
	Failures []tlsrpt.Outcome
}

// Insecure says why an answer does not count as validated by DNSSEC.
type Insecure int

const (
	InsecureNoAD      Insecure = iota + 1 // no AD bit: the zone is not signed, or the name server does not validate; see Diagnose
	InsecureUntrusted                     // an AD bit from an upstream that is neither local nor asked over TLS, nor has TrustAD
	InsecureStale                         // a stale answer (Resolver.ServeStale)
)

func (i Insecure) String() string {
	switch i {
	case InsecureNoAD:
		return "no AD bit: the zone is not signed, or the name server does not validate"
	case InsecureUntrusted:
		return "the AD bit does not count: the name server is neither local nor asked over TLS, nor declared trusted"
	case InsecureStale:
		return "the answer is stale"
	}
	return "secure"
}

// A Host is one mail exchanger.
type Host struct {
	Name       string         // as the MX record names it, lower case, without final dot; the address itself for an address literal
	Canonical  string         // after CNAMEs, which MX targets should not have (RFC 2181 s10.3) but do
	Preference uint16         // of the MX record, lower is better; 0 for an implicit MX and an address literal
	Addrs      []netip.Addr   // in the order to try: as answered, IPv6 and IPv4 in turn
	Secure     bool           // the addresses were validated by DNSSEC
	Partial    error          // why one address family is missing, where its lookup failed; Addrs has the other
	TLS        TLSRequirement // how TLS must be used
}

// AddrsFor returns Addrs in the order for an attempt, counted from 0: every other attempt begins with the other family, so
// that a path which is broken for one does not cost each retry its first try.
func (h *Host) AddrsFor(attempt int) []netip.Addr {
	if attempt%2 == 0 || len(h.Addrs) < 2 {
		return h.Addrs
	}
	first := h.Addrs[0].Is4()
	i := slices.IndexFunc(h.Addrs, func(a netip.Addr) bool { return a.Is4() != first })
	if i < 0 {
		return h.Addrs
	}
	var families [2][]netip.Addr
	for _, a := range h.Addrs {
		n := 0
		if a.Is4() == first {
			n = 1
		}
		families[n] = append(families[n], a)
	}
	return interleave(families[0], families[1])
}

// A SkippedHost is an MX record that is not used.
type SkippedHost struct {
	Name       string       // as in Host; empty for the root, which the target of a null MX is
	Preference uint16       // of the MX record
	Reason     SkipReason   // why
	Addrs      []netip.Addr // the addresses that were refused, for SkipSelf and SkipForbidden
	Err        error        // the failed lookup, for SkipLookupFailed and SkipNoAddress
}

// SkipReason says why an MX record is not used.
type SkipReason int

const (
	SkipNoAddress    SkipReason = iota + 1 // the host does not exist or has no address
	SkipLookupFailed                       // its addresses could not be looked up now
	SkipNullTarget                         // "." beside other records (RFC 7505 s3)
	SkipIPTarget                           // an IP address where a name must stand (RFC 5321 s5.1)
	SkipInvalidName                        // not a host name: one label, or too long
	SkipSelf                               // this host itself
	SkipAfterSelf                          // preference not better than this host's (RFC 5321 s5.1)
	SkipForbidden                          // all its addresses are loopback, multicast and the like
	SkipLimit                              // more hosts than Limits.MaxHosts
	SkipPolicy                             // not in the domain's MTA-STS policy
	SkipNoDANE                             // no usable TLSA records, where Resolver.RequireDANE demands them
)

var skipTexts = [...]string{
	SkipNoAddress:    "has no address",
	SkipLookupFailed: "address lookup failed",
	SkipNullTarget:   "null target beside other MX records",
	SkipIPTarget:     "target is an IP address, not a host name",
	SkipInvalidName:  "target is not a usable host name",
	SkipSelf:         "is this host itself",
	SkipAfterSelf:    "preference is not better than this host's own",
	SkipForbidden:    "addresses must not be connected to",
	SkipLimit:        "beyond the limit of hosts",
	SkipPolicy:       "not allowed by the MTA-STS policy",
	SkipNoDANE:       "has no usable and secure TLSA records, which are required",
}

func (r SkipReason) String() string {
	if r <= 0 || int(r) >= len(skipTexts) {
		return "used"
	}
	return skipTexts[r]
}
