package dnsbl_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/dnsbl"
	"github.com/stretchr/testify/require"
)

// lists is a resolver: a name's addresses, "fail" for an error, "hang" for no answer.
type lists map[string]string

func (lists) LookupTXT(context.Context, string) ([]string, error)  { return nil, nil }
func (lists) LookupMX(context.Context, string) ([]*net.MX, error)  { return nil, nil }
func (lists) LookupAddr(context.Context, string) ([]string, error) { return nil, nil }
func (l lists) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	var found []netip.Addr
	switch v := l[host]; v {
	case "":
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	case "fail":
		return nil, errors.New("SERVFAIL")
	case "hang":
		<-ctx.Done()
		return nil, ctx.Err()
	default:
		for s := range strings.FieldsSeq(v) {
			found = append(found, netip.MustParseAddr(s))
		}
	}
	return found, nil
}

func zones() []dnsbl.Zone {
	return []dnsbl.Zone{
		{Domain: "bad.example.", Score: 2, Replies: []dnsbl.Reply{
			{Prefix: netip.MustParsePrefix("127.0.0.2/32"), Score: 5}, {Prefix: netip.MustParsePrefix("127.0.0.8/29"), Score: 1.5}, {Prefix: netip.MustParsePrefix("127.0.0.99/32"), Score: 0}}},
		{Domain: "good.example", Score: -2},
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, remote, identity string
		answers                lists
		symbol                 string
		score                  float64
	}{
		{"not listed", "198.51.100.7", "", lists{}, "", 0},
		{"listed", "198.51.100.7", "", lists{"7.100.51.198.bad.example": "127.0.0.2"}, "DNSBL", 5},
		{"listed, IPv4 in IPv6", "::ffff:198.51.100.7", "", lists{"7.100.51.198.bad.example": "127.0.0.2"}, "DNSBL", 5},
		{"another code", "198.51.100.7", "", lists{"7.100.51.198.bad.example": "127.0.0.10"}, "DNSBL", 1.5},
		{"a code without points of its own", "198.51.100.7", "", lists{"7.100.51.198.bad.example": "127.0.1.4"}, "DNSBL", 2},
		{"a code without weight", "198.51.100.7", "", lists{"7.100.51.198.bad.example": "127.0.0.99"}, "DNSBL_UNKNOWN", 0},
		{"several codes: the worst", "198.51.100.7", "", lists{"7.100.51.198.bad.example": "127.0.0.10 127.0.0.2 127.0.1.4"}, "DNSBL", 5},
		{"a refusal beside a code", "198.51.100.7", "", lists{"7.100.51.198.bad.example": "127.255.255.254 127.0.0.2"}, "DNSBL", 5},
		{"open resolver", "198.51.100.7", "", lists{"7.100.51.198.bad.example": "127.255.255.254"}, "DNSBL_UNKNOWN", 0},
		{"wildcard of a parked domain", "198.51.100.7", "", lists{"7.100.51.198.bad.example": "203.0.113.1"}, "DNSBL_UNKNOWN", 0},
		{"127.0.0.1 means the list is broken", "198.51.100.7", "", lists{"7.100.51.198.bad.example": "127.0.0.1"}, "DNSBL_UNKNOWN", 0},
		{"no answer", "198.51.100.7", "", lists{"7.100.51.198.bad.example": "fail"}, "DNSBL_UNKNOWN", 0},
		{"good host", "198.51.100.7", "", lists{"7.100.51.198.good.example": "127.0.5.1"}, "DNSWL", -2},
		{"IPv6", "2001:db8::567:89ab", "", lists{"b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bad.example": "127.0.0.2"}, "DNSBL", 5},
		{"private network", "10.0.0.7", "", lists{"7.0.0.10.bad.example": "127.0.0.2"}, "", 0},
		{"loopback", "127.0.0.2", "", lists{"2.0.0.127.bad.example": "127.0.0.2"}, "", 0},
		{"a user", "198.51.100.7", "ann", lists{"7.100.51.198.bad.example": "127.0.0.2"}, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := &spam.Engine{Checks: []spam.Check{dnsbl.Check{Resolver: c.answers, Zones: zones()}}}
			v, err := e.Score(t.Context(), &spam.Mail{Remote: netip.MustParseAddr(c.remote), Identity: c.identity}, spam.StageConnection)
			require.NoError(t, err)
			require.InDelta(t, c.score, v.Score, 1e-9)
			if c.symbol == "" {
				require.Empty(t, v.Symbols)
				return
			}
			require.Len(t, v.Symbols, 1)
			require.Equal(t, c.symbol, v.Symbols[0].Name)
			require.Contains(t, v.Symbols[0].Detail, ".example")
		})
	}
	found, err := dnsbl.Check{}.Check(t.Context(), &spam.Mail{})
	require.NoError(t, err)
	require.Empty(t, found)
}

// TestSlow: a list that does not answer holds mail for the timeout and no longer, and not once for each list.
func TestSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := dnsbl.Check{Resolver: lists{"7.100.51.198.bad.example": "hang", "7.100.51.198.good.example": "hang"}, Zones: zones()}
		start := time.Now()
		found, err := c.Check(t.Context(), &spam.Mail{Remote: netip.MustParseAddr("198.51.100.7")})
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, time.Since(start))
		require.Len(t, found, 2)
		require.Equal(t, "DNSBL_UNKNOWN", found[0].Name)
	})
}

func ExampleName() {
	fmt.Println(dnsbl.Name(netip.MustParseAddr("192.0.2.99"), "list.example"))
	// Output: 99.2.0.192.list.example
}
