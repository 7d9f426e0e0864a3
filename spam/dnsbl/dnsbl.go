// Package dnsbl asks lists in the DNS about the host that sends (RFC 5782): block lists, and lists of good hosts.
//
//	check := dnsbl.Check{Resolver: resolver, Zones: []dnsbl.Zone{
//		{Domain: "zen.spamhaus.org", Replies: []dnsbl.Reply{
//			{Prefix: netip.MustParsePrefix("127.0.0.2/31"), Score: 5}, // 127.0.0.2 and .3
//			{Prefix: netip.MustParsePrefix("127.0.0.4/30"), Score: 4},
//		}},
//		{Domain: "list.dnswl.org", Score: -1},
//	}}
//
// There is no list by default: each has terms of use, and most want to be asked from a resolver of one's own.
//
// What a list says is the symbol DNSBL, or DNSWL for points below zero, with the points as its score. A list that does not answer, that answers outside
// 127.0.0.0/8, or that refuses the question (127.255.255.0/24) is DNSBL_UNKNOWN: it neither condemns nor costs mail. Lists are asked at the same
// time, each within 5 seconds.
package dnsbl

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/spam"
)

// A Zone is one list.
type Zone struct {
	Domain  string
	Replies []Reply // the first that fits counts; answers that none fits have Score
	Score   float64 // points of answers that Replies does not name
}

// A Reply says what an answer is worth.
type Reply struct {
	Prefix netip.Prefix
	Score  float64
}

// Check is a [spam.Check] of [spam.StageConnection]. Hosts of private networks and authenticated users are not asked about.
type Check struct {
	Resolver spam.Resolver
	Zones    []Zone
	Timeout  time.Duration // for each list; default 5 seconds
}

var _ spam.Check = Check{}

// Name implements [spam.Check].
func (Check) Name() string { return "dnsbl" }

// Stage implements [spam.Check].
func (Check) Stage() spam.Stage { return spam.StageConnection }

// Check implements [spam.Check]. It gives no error.
func (c Check) Check(ctx context.Context, m *spam.Mail) ([]spam.Symbol, error) {
	remote := m.Remote.Unmap()
	if c.Resolver == nil || m.Identity != "" || !remote.IsGlobalUnicast() || remote.IsPrivate() {
		return nil, nil
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	type answer struct {
		i      int
		symbol *spam.Symbol
	}
	answers := make(chan answer, len(c.Zones))
	for i, z := range c.Zones {
		go func() { answers <- answer{i, c.ask(ctx, z, remote)} }()
	}
	found := make([]*spam.Symbol, len(c.Zones))
	for range c.Zones {
		a := <-answers
		found[a.i] = a.symbol
	}
	var symbols []spam.Symbol
	for _, s := range found {
		if s != nil {
			symbols = append(symbols, *s)
		}
	}
	return symbols, nil
}

func (c Check) ask(ctx context.Context, z Zone, remote netip.Addr) *spam.Symbol {
	domain := strings.Trim(z.Domain, ".")
	addresses, err := c.Resolver.LookupNetIP(ctx, "ip4", Name(remote, domain))
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return nil
	}
	if err != nil {
		return &spam.Symbol{Name: "DNSBL_UNKNOWN", Detail: domain + ": " + err.Error()}
	}
	var worst *spam.Symbol
	for _, a := range addresses {
		s := z.judge(domain, a.Unmap())
		if worst == nil || abs(s.Score) > abs(worst.Score) {
			worst = s
		}
	}
	return worst
}

var (
	listed  = netip.MustParsePrefix("127.0.0.0/8")      // RFC 5782 s2.1
	refused = netip.MustParsePrefix("127.255.255.0/24") // the lists' custom: wrong question, open resolver, too many questions
)

func (z Zone) judge(domain string, a netip.Addr) *spam.Symbol {
	detail := domain + " says " + a.String()
	if !listed.Contains(a) || refused.Contains(a) || a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) { // 127.0.0.1 is never listed (RFC 5782 s5)
		return &spam.Symbol{Name: "DNSBL_UNKNOWN", Detail: detail}
	}
	score := z.Score
	for _, r := range z.Replies {
		if r.Prefix.Contains(a) {
			score = r.Score
			break
		}
	}
	switch {
	case score == 0: // a score of 0 would count as 1
		return &spam.Symbol{Name: "DNSBL_UNKNOWN", Detail: detail}
	case score < 0:
		return &spam.Symbol{Name: "DNSWL", Score: score, Detail: detail}
	}
	return &spam.Symbol{Name: "DNSBL", Score: score, Detail: detail}
}

// Name gives the name to ask for: the octets of an IPv4 address, or the nibbles of an IPv6 address, in reverse order before the domain (RFC 5782
// s2.1, s2.4).
func Name(a netip.Addr, domain string) string {
	const hex = "0123456789abcdef"
	a = a.Unmap()
	if a.Is4() {
		o := a.As4()
		return netip.AddrFrom4([4]byte{o[3], o[2], o[1], o[0]}).String() + "." + domain
	}
	o := a.As16()
	b := make([]byte, 0, 64+len(domain))
	for i := 15; i >= 0; i-- {
		b = append(b, hex[o[i]&15], '.', hex[o[i]>>4], '.')
	}
	return string(b) + domain
}

func abs(v float64) float64 { return max(v, -v) }
