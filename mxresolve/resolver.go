package mxresolve

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A Resolver answers where mail for a domain goes. The zero value is ready to use: it asks the name servers of
// /etc/resolv.conf. The fields must not be changed after the first call; a Resolver must not be copied and is safe for
// use by any number of goroutines.
type Resolver struct {
	// Upstreams are the recursive name servers to ask, in order of preference. Empty: the name servers of
	// /etc/resolv.conf, which is read once, and where there are none 127.0.0.1:53.
	Upstreams []Upstream

	// Dial opens connections to upstreams; network is "udp" or "tcp". Nil: a net.Dialer. TLS is laid on top.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Names and Addrs are what this host is called in MX records, and its own addresses. An MX host that is found in
	// either is this host: it and all hosts of the same or a worse preference are dropped (RFC 5321 s5.1). Empty:
	// nothing is dropped, which is right for a program that only sends.
	Names []string
	Addrs []netip.Addr

	// Network is "ip" (default, both families), "ip4" or "ip6": which addresses of hosts are looked up.
	Network string

	// AllowLoopback lets plans contain loopback addresses, for tests and demonstrations. By default loopback,
	// unspecified, multicast, link-local and broadcast addresses are never handed out, so that a stranger's zone
	// cannot aim mail at services of this host.
	AllowLoopback bool

	// Refuse lists further networks whose addresses are never handed out, such as 10.0.0.0/8. Default: none.
	Refuse []netip.Prefix

	// AllowIPTargets accepts an MX record whose target is an IP address in text form. Such records are invalid
	// (RFC 5321 s5.1) and skipped by default; some large senders follow them. The target 0.0.0.0 then counts as null MX.
	AllowIPTargets bool

	// RequireDANE says for which recipients' domains DANE is mandatory (RFC 7672 s6), by agreement with them: there, hosts
	// without usable TLSA records that are secure, along with the MX answer, are skipped, and where none is left mail is
	// deferred with KindNoDANE. domain is in lower-case A-labels; address literals are not asked about. What it says is kept
	// with the plan. Nil: DANE is opportunistic everywhere, used where a domain offers it.
	RequireDANE func(domain string) bool

	// STS makes the Resolver obey MTA-STS policies (RFC 8461). Nil: they are not looked up, since that means HTTPS
	// connections to hosts that strangers name, and a place to keep policies. A mail server should have it:
	// &STS{Store: store}.
	STS *STS

	// ServeStale is how long after its end of life an answer may be used again when its refresh failed (RFC 8767).
	// Default: 0, never.
	ServeStale time.Duration

	Limits Limits       // zero fields take documented defaults
	Logger *slog.Logger // nil: silent
	Trace  *Trace       // nil: none

	once   sync.Once
	engine *engine
}

// An Upstream is one recursive name server.
type Upstream struct {
	// Addr is "192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:53", "tcp://192.0.2.1" for TCP alone, or
	// "tls://192.0.2.1:853#dns.example" for DNS over TLS (RFC 7858). The name after # is what the certificate must
	// be for; without it, it must be for the address. Ports default to 53 and 853. Names of hosts are not taken: somebody
	// would have to look them up. A mistake here is the error of each call; see ParseUpstream.
	Addr string

	// TLSConfig is the base of the configuration for tls:// upstreams: roots, client certificates. Nil: the system's roots.
	TLSConfig *tls.Config

	// TrustAD says that this upstream validates DNSSEC and that the way to it cannot be tampered with, so that its AD
	// bit counts (RFC 7672 s2.1.1). It is always so for loopback addresses and for tls:// upstreams whose certificate
	// is verified.
	TrustAD bool
}

// Limits bound what one resolution may cost. A zero field takes its default.
type Limits struct {
	MaxHosts   int           // MX hosts whose addresses are looked up, best preference first; default 16
	MaxAddrs   int           // addresses of one host in a plan, both families in turn; default 8
	MaxCNAME   int           // links of one CNAME chain; default 16
	InFlight   int           // questions outstanding at one upstream; default 100
	CacheBytes int           // bound of each of the two caches (answers, plans), about; default 32 MiB. Negative: nothing is cached
	MinWait    time.Duration // least wait before a question is repeated; default 100 ms, and 300 ms while the round trip is unknown
	Timeout    time.Duration // one question, with all its retransmissions and upstreams; default 10 s
}

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.MaxHosts, 16)
	def(&l.MaxAddrs, 8)
	def(&l.MaxCNAME, 16)
	def(&l.InFlight, 100)
	if l.CacheBytes == 0 {
		l.CacheBytes = 32 << 20
	}
	if l.Timeout <= 0 {
		l.Timeout = 10 * time.Second
	}
	return l
}

// Trace observes a Resolver, in the manner of net/http/httptrace. Each function may be nil; they are called on the
// goroutine that works, from many at once, and must not block.
type Trace struct {
	Sent     func(SentInfo)     // a packet went out
	Answered func(AnsweredInfo) // a question was settled by an upstream, or failed
	Cached   func(CachedInfo)   // a question was settled from the cache
	Fetched  func(FetchedInfo)  // an MTA-STS policy was fetched, or could not be
	Resolved func(ResolvedInfo) // a call of Resolve returns
}

// SentInfo describes one packet on its way to an upstream.
type SentInfo struct {
	Name, Type string // lower case, without final dot: "example.org", "MX"
	Upstream   string // as configured
	Network    string // "udp", "tcp" or "tls"
	Try        int    // 1 for the first transmission of the question
}

// AnsweredInfo describes the end of one question that was not answered from the cache.
type AnsweredInfo struct {
	Name, Type string        // as asked first, before any CNAME
	Upstream   string        // who answered; empty when nobody did
	Rcode      string        // "NOERROR", "NXDOMAIN", "SERVFAIL", ...; empty when nobody answered
	Took       time.Duration // with all repetitions, and links of a CNAME chain that had to be asked for
	Err        error         // a *net.DNSError; nil for answers, also negative ones
}

// CachedInfo describes a question that was not asked.
type CachedInfo struct {
	Name, Type string // as in AnsweredInfo
	Stale      bool   // its life is over, and no new answer could be had (ServeStale)
}

// FetchedInfo describes the fetch of an MTA-STS policy.
type FetchedInfo struct {
	Domain string        // of the recipients, in lower-case A-labels
	Policy *STSPolicy    // nil when Err is not
	Err    error         // why there is none: connection, certificate, status, syntax
	Took   time.Duration // with waiting for a place among the fetches
}

// ResolvedInfo describes the end of one call of Resolve.
type ResolvedInfo struct {
	Domain string        // as given
	Plan   *Plan         // nil when Err is not
	Err    error         // an *Error
	Cached bool          // no question had to be asked
	Took   time.Duration // the whole call
}
