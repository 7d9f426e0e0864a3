package heuristics_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/heuristics"
	"github.com/stretchr/testify/require"
)

// zone is a resolver of what it holds; an empty answer is a failure.
type zone map[string]string

func (z zone) find(name string) ([]string, error) {
	v, ok := z[name]
	switch {
	case !ok:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case v == "":
		return nil, errors.New("SERVFAIL")
	}
	return strings.Fields(v), nil
}

func (z zone) LookupTXT(context.Context, string) ([]string, error)      { return nil, nil }
func (z zone) LookupMX(context.Context, string) ([]*net.MX, error)      { return nil, nil }
func (z zone) LookupAddr(_ context.Context, a string) ([]string, error) { return z.find(a) }
func (z zone) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	list, err := z.find(host)
	var addresses []netip.Addr
	for _, s := range list {
		addresses = append(addresses, netip.MustParseAddr(s))
	}
	return addresses, err
}

func TestHost(t *testing.T) {
	t.Parallel()
	z := zone{
		"192.0.2.1": "mail.example.org.", "mail.example.org.": "192.0.2.7 192.0.2.1",
		"192.0.2.2": "fake.example.org.", "fake.example.org.": "198.51.100.1",
		"192.0.2.3": "broken.example.org.", "broken.example.org.": "",
		"192.0.2.4": "", "192.0.2.5": "nowhere.example.org.",
		"203.0.113.77": "77-113-000-203.dyn.example.org.", "77-113-000-203.dyn.example.org.": "203.0.113.77",
		"2001:db8::1": "six.example.org.", "six.example.org.": "2001:db8::1",
	}
	for remote, symbol := range map[string]string{
		"192.0.2.1": "", "192.0.2.2": "RDNS_MISMATCH", "192.0.2.3": "RDNS_TEMPERROR", "192.0.2.4": "RDNS_TEMPERROR", "192.0.2.5": "RDNS_MISMATCH",
		"192.0.2.9": "RDNS_NONE", "203.0.113.77": "RDNS_GENERIC", "2001:db8::1": "", "10.0.0.1": "", "::1": "",
	} {
		t.Run(remote, func(t *testing.T) {
			t.Parallel()
			v := check(t, heuristics.Options{Resolver: z}, &spam.Mail{Remote: netip.MustParseAddr(remote)})
			require.Equal(t, symbol, strings.Join(names(v), " "))
			require.Less(t, v.Score, 3.0)
		})
	}
}
