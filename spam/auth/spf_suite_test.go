package auth

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/spam"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// suiteZone answers from the zone data of the OpenSPF suite: name, type, values.
type suiteZone map[string]map[string][]any

func (z suiteZone) lookup(name, kind string) ([]any, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for range 10 {
		records, ok := z[name]
		if values := records[kind]; len(values) > 0 {
			return values, nil
		}
		if ok && len(records["TIMEOUT"]) > 0 {
			return nil, &net.DNSError{Err: "timeout", Name: name, IsTimeout: true, IsTemporary: true}
		}
		alias := records["CNAME"]
		if len(alias) == 0 {
			break
		}
		name = strings.ToLower(alias[0].(string))
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z suiteZone) LookupTXT(_ context.Context, name string) ([]string, error) {
	values, err := z.lookup(name, "TXT")
	var out []string
	for _, v := range values {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case []any:
			var b strings.Builder
			for _, s := range v {
				b.WriteString(s.(string))
			}
			out = append(out, b.String())
		}
	}
	return out, err
}

func (z suiteZone) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	values, err := z.lookup(name, "MX")
	var out []*net.MX
	for _, v := range values {
		pair := v.([]any)
		out = append(out, &net.MX{Pref: uint16(pair[0].(int)), Host: pair[1].(string)})
	}
	return out, err
}

func (z suiteZone) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	kind := "A"
	if network == "ip6" {
		kind = "AAAA"
	}
	values, err := z.lookup(host, kind)
	var out []netip.Addr
	for _, v := range values {
		out = append(out, netip.MustParseAddr(v.(string)))
	}
	return out, err
}

func (z suiteZone) LookupAddr(_ context.Context, addr string) ([]string, error) {
	ip := netip.MustParseAddr(addr)
	e := &evaluation{ip: ip}
	parts := strings.Split(e.value('i', ""), ".")
	slices.Reverse(parts)
	values, err := z.lookup(strings.Join(parts, ".")+"."+e.value('v', "")+".arpa", "PTR")
	var out []string
	for _, v := range values {
		out = append(out, v.(string))
	}
	return out, err
}

type suiteScenario struct {
	Description string
	Tests       map[string]struct {
		Helo, Host, Mailfrom string
		Result               any
		Explanation          string
	}
	Zonedata map[string][]any
}

func (s *suiteScenario) zone() suiteZone {
	z := suiteZone{}
	for name, records := range s.Zonedata {
		byType := map[string][]any{}
		for _, r := range records {
			switch r := r.(type) {
			case string:
				byType[r] = append(byType[r], true)
			case map[string]any:
				for kind, v := range r {
					byType[kind] = append(byType[kind], v)
				}
			}
		}
		if _, ok := byType["TXT"]; !ok { // the suite's convention: SPF records stand for TXT as well
			byType["TXT"] = byType["SPF"]
		} else if byType["TXT"][0] == "NONE" {
			delete(byType, "TXT")
		}
		z[strings.ToLower(name)] = byType
	}
	return z
}

// TestSuite runs the OpenSPF suite for RFC 7208.
func TestSuite(t *testing.T) {
	t.Parallel()
	root := os.Getenv("MAILROOM_SUITES")
	if root == "" {
		t.Skip("MAILROOM_SUITES is not set: the OpenSPF suite is not there")
	}
	f, err := os.Open(filepath.Join(root, "spf", "rfc7208-tests.yml"))
	require.NoError(t, err)
	defer f.Close()
	cases := 0
	for d := yaml.NewDecoder(f); ; {
		var s suiteScenario
		if err := d.Decode(&s); err != nil {
			break
		}
		zone := s.zone()
		for name, c := range s.Tests {
			cases++
			t.Run(s.Description+"/"+name, func(t *testing.T) {
				got := SPF(t.Context(), zone, SPFQuery{Remote: netip.MustParseAddr(c.Host), Hello: c.Helo, From: c.Mailfrom, Hostname: "receiver.test"})
				want := strings.Fields(strings.Trim(fmt.Sprint(c.Result), "[]"))
				require.Contains(t, want, string(got.Result), "%v", got.Err)
				if c.Explanation != "" && c.Explanation != "DEFAULT" {
					require.Equal(t, c.Explanation, got.Explanation)
				}
				if c.Explanation == "DEFAULT" {
					require.Empty(t, got.Explanation)
				}
				if got.Result == spam.AuthTempError || got.Result == spam.AuthPermError {
					require.Error(t, got.Err)
				}
			})
		}
	}
	require.Equal(t, 203, cases)
}
