package dnstest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

const zones = `
$ORIGIN example.org.
$TTL 120
@        SOA ns hostmaster 7 3600 600 86400 30
@        MX 10 mx
mx       A 192.0.2.1
*.wild   TXT "from a wildcard"
deep.between A 192.0.2.2
alias    CNAME mx
chain    CNAME alias
away     CNAME mx.example.net.
lost     CNAME nowhere
loop     CNAME loop2
loop2    CNAME loop
tree     DNAME example.net.
$ORIGIN example.net.
mx       A 192.0.2.3
`

func start(t *testing.T) *dnstest.Server {
	t.Helper()
	s, err := dnstest.Start(zones)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// query asks with a client that is not ours.
func query(t *testing.T, s *dnstest.Server, network, name, typ string, change ...func(*dns.Msg)) (*dns.Msg, error) {
	t.Helper()
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.StringToType[typ])
	m.SetEdns0(1232, true)
	for _, c := range change {
		c(m)
	}
	c := &dns.Client{Net: network, Timeout: 10 * time.Second, UDPSize: 4096}
	if m.Question[0].Name == "SILENT.example.org." {
		c.Timeout = 200 * time.Millisecond
	}
	in, _, err := c.Exchange(m, s.Addr())
	return in, err
}

// text renders the sections that count.
func text(m *dns.Msg) string {
	var b strings.Builder
	b.WriteString(dns.RcodeToString[m.Rcode])
	for _, rr := range m.Answer {
		f := strings.Fields(rr.String())
		fmt.Fprintf(&b, " %s/%s/%s", strings.TrimSuffix(f[0], ".example.org."), f[3], strings.Join(f[4:], "-"))
	}
	for _, rr := range m.Ns {
		fmt.Fprintf(&b, " SOA of %s", rr.Header().Name)
	}
	return b.String()
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range [][3]string{
		{"mx.example.org", "A", "NOERROR mx/A/192.0.2.1"},
		{"MX.Example.ORG", "A", "NOERROR mx/A/192.0.2.1"},
		{"mx.example.org", "AAAA", "NOERROR SOA of example.org."},
		{"nowhere.example.org", "A", "NXDOMAIN SOA of example.org."},
		{"between.example.org", "A", "NOERROR SOA of example.org."},
		{"a.wild.example.org", "TXT", "NOERROR a.wild/TXT/\"from-a-wildcard\""},
		{"a.b.wild.example.org", "TXT", "NOERROR a.b.wild/TXT/\"from-a-wildcard\""},
		{"a.wild.example.org", "A", "NOERROR SOA of example.org."},
		{"wild.example.org", "TXT", "NOERROR SOA of example.org."},
		{"chain.example.org", "A", "NOERROR chain/CNAME/alias.example.org. alias/CNAME/mx.example.org. mx/A/192.0.2.1"},
		{"chain.example.org", "CNAME", "NOERROR chain/CNAME/alias.example.org."},
		{"away.example.org", "A", "NOERROR away/CNAME/mx.example.net. mx.example.net./A/192.0.2.3"},
		{"lost.example.org", "A", "NXDOMAIN lost/CNAME/nowhere.example.org. SOA of example.org."},
		{"loop.example.org", "A", "NOERROR loop/CNAME/loop2.example.org. loop2/CNAME/loop.example.org."},
		{"mx.tree.example.org", "A", "NOERROR tree/DNAME/example.net. mx.tree/CNAME/mx.example.net. mx.example.net./A/192.0.2.3"},
		{"elsewhere", "A", "NXDOMAIN SOA of ."},
	} {
		t.Run(c[0]+" "+c[1], func(t *testing.T) {
			t.Parallel()
			for _, network := range []string{"udp", "tcp"} {
				m, err := query(t, s, network, c[0], c[1])
				require.NoError(t, err)
				require.Equal(t, c[2], strings.Replace(text(m), "MX.Example.ORG.", "mx", 1))
				require.True(t, m.Authoritative && m.RecursionAvailable && !m.AuthenticatedData && !m.Truncated)
			}
		})
	}
	m, err := query(t, s, "udp", "mx.example.org", "A")
	require.NoError(t, err)
	require.EqualValues(t, 120, m.Answer[0].Header().Ttl)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	timeout := func(err error) bool {
		var ne net.Error
		return errors.As(err, &ne) && ne.Timeout()
	}
	for name, c := range map[string]struct {
		f     dnstest.Fault
		check func(*dns.Msg, error) bool
	}{
		"SERVFAIL": {dnstest.Fault{Rcode: dnstest.ServFail}, func(m *dns.Msg, err error) bool { return m.Rcode == 2 }},
		"REFUSED":  {dnstest.Fault{Rcode: dnstest.Refused}, func(m *dns.Msg, err error) bool { return m.Rcode == 5 }},
		"drop":     {dnstest.Fault{Drop: true}, func(m *dns.Msg, err error) bool { return timeout(err) }},
		"delay":    {dnstest.Fault{Delay: time.Minute}, func(m *dns.Msg, err error) bool { return timeout(err) }},
		"truncate": {dnstest.Fault{Truncate: true}, func(m *dns.Msg, err error) bool { return m.Truncated && len(m.Answer) == 0 }},
		"id":       {dnstest.Fault{WrongID: true}, func(m *dns.Msg, err error) bool { return err != nil }},
		"question": {dnstest.Fault{WrongQuestion: true}, func(m *dns.Msg, err error) bool { return m.Question[0].Name == "wrong.invalid." }},
		"no EDNS":  {dnstest.Fault{FormErrEDNS: true}, func(m *dns.Msg, err error) bool { return m.Rcode == 1 && m.IsEdns0() == nil }},
		"alone":    {dnstest.Fault{NoChase: true}, func(m *dns.Msg, err error) bool { return len(m.Answer) == 1 && len(m.Ns) == 0 }},
		"mangle":   {dnstest.Fault{Mangle: func(b []byte) [][]byte { b[3] = 3; return [][]byte{b} }}, func(m *dns.Msg, err error) bool { return m.Rcode == 3 }},
		"EDE": {dnstest.Fault{Extended: 9, ExtendedText: "why"}, func(m *dns.Msg, err error) bool {
			ede := m.IsEdns0().Option[0].(*dns.EDNS0_EDE)
			return ede.InfoCode == 9 && ede.ExtraText == "why" && len(m.Answer) == 2
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.SetFault("alias.example.org", "A", c.f)
			if c.f.Drop || c.f.Delay > 0 || c.f.WrongID {
				s.SetFault("silent.example.org", "A", c.f)
				require.True(t, c.check(query(t, s, "udp", "SILENT.example.org", "A")))
			} else {
				require.True(t, c.check(query(t, s, "udp", "ALIAS.example.org", "A")))
			}
			m, err := query(t, s, "udp", "alias.example.org", "MX")
			require.NoError(t, err)
			require.Equal(t, dns.RcodeSuccess, m.Rcode, "other types are well")
			s.SetFault("alias.example.org", "A", dnstest.Fault{})
			m, err = query(t, s, "udp", "alias.example.org", "A")
			require.NoError(t, err)
			require.Len(t, m.Answer, 2, "healed")
		})
	}
	t.Run("precedence and times", func(t *testing.T) {
		s := start(t)
		s.SetFault("", "", dnstest.Fault{Rcode: 6})
		s.SetFault("", "A", dnstest.Fault{Rcode: 7})
		s.SetFault("mx.example.org", "", dnstest.Fault{Rcode: 8})
		s.SetFault("mx.example.org", "A", dnstest.Fault{Rcode: 9, Times: 2})
		var got []int
		for _, q := range [][2]string{{"mx.example.org", "A"}, {"mx.example.org", "A"}, {"mx.example.org", "A"}, {"x.example.org", "A"}, {"x.example.org", "MX"}} {
			m, err := query(t, s, "udp", q[0], q[1])
			require.NoError(t, err)
			got = append(got, m.Rcode)
		}
		require.Equal(t, []int{9, 9, 8, 7, 6}, got)
		require.Equal(t, 3, s.Count("mx.example.org", "A"))
		require.Equal(t, 4, s.Count("", "a"))
		require.Len(t, s.Queries(), 5)
		s.ClearFaults()
		m, err := query(t, s, "udp", "mx.example.org", "A")
		require.NoError(t, err)
		require.Equal(t, 0, m.Rcode)
	})
}

func TestSecure(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.SetSecure("example.org", true)
	s.SetSecure("wild.example.org", false)
	for name, want := range map[string]bool{"mx.example.org": true, "alias.example.org": true, "away.example.org": false,
		"a.wild.example.org": false, "mx.example.net": false, "nowhere.example.org": true} {
		m, err := query(t, s, "udp", name, "A")
		require.NoError(t, err)
		require.Equal(t, want, m.AuthenticatedData, name)
		m, err = query(t, s, "udp", name, "A", func(m *dns.Msg) { m.Extra = nil })
		require.NoError(t, err)
		require.False(t, m.AuthenticatedData, "only for clients that understand it")
	}
}

func TestZonesChange(t *testing.T) {
	t.Parallel()
	s := start(t)
	require.NoError(t, s.SetZones("new.example. A 192.0.2.9"))
	m, err := query(t, s, "udp", "new.example", "A")
	require.NoError(t, err)
	require.Len(t, m.Answer, 1)
	m, err = query(t, s, "udp", "mx.example.org", "A")
	require.NoError(t, err)
	require.Equal(t, dns.RcodeNameError, m.Rcode)
	require.ErrorContains(t, s.SetZones("x A not-an-address"), "not-an-address")
	_, err = dnstest.Start("x MX")
	require.Error(t, err)
	_, err = dnstest.Serve(nil, nil, "")
	require.Error(t, err)
}

func TestBigAnswers(t *testing.T) {
	t.Parallel()
	s := start(t)
	var big strings.Builder
	for i := range 100 {
		fmt.Fprintf(&big, "big.example. A 192.0.2.%d\n", i)
	}
	require.NoError(t, s.SetZones(big.String()))
	m, err := query(t, s, "udp", "big.example", "A")
	require.NoError(t, err)
	require.True(t, m.Truncated)
	m, err = query(t, s, "tcp", "big.example", "A")
	require.NoError(t, err)
	require.Len(t, m.Answer, 100)
}

func TestNetResolver(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Addr())
	}}
	mx, err := r.LookupMX(context.Background(), "example.org.")
	require.NoError(t, err)
	require.Equal(t, "mx.example.org.", mx[0].Host)
}

func TestJunkIsIgnored(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, network := range []string{"udp", "tcp"} {
		c, err := net.Dial(network, s.Addr())
		require.NoError(t, err)
		_, err = c.Write([]byte("\x00\x05hello"))
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	_, err := query(t, s, "udp", "mx.example.org", "A")
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
}
