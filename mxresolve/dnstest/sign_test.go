package dnstest_test

import (
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// verify checks every set of records of a section, and returns how many signatures there are.
func verify(t *testing.T, rrs []dns.RR, keys ...*dns.DNSKEY) (n int) {
	t.Helper()
	for _, rr := range rrs {
		sig, ok := rr.(*dns.RRSIG)
		if !ok {
			continue
		}
		var set []dns.RR
		for _, other := range rrs {
			if other.Header().Name == sig.Hdr.Name && other.Header().Rrtype == sig.TypeCovered {
				set = append(set, other)
			}
		}
		for _, k := range keys {
			if k.Hdr.Name == sig.SignerName {
				require.NoError(t, sig.Verify(k, set))
				require.True(t, sig.ValidityPeriod(time.Now()))
				n++
			}
		}
	}
	return n
}

func TestSign(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, err := s.Sign("nowhere.example")
	require.Error(t, err)
	ds, err := s.Sign("example.org")
	require.NoError(t, err)
	_, err = s.Sign("Example.ORG.")
	require.Error(t, err)

	m, err := query(t, s, "tcp", "example.org", "DNSKEY")
	require.NoError(t, err)
	key := m.Answer[0].(*dns.DNSKEY)
	require.Equal(t, ds, key.ToDS(dns.SHA256).String())
	require.Equal(t, 1, verify(t, m.Answer, key))

	for _, c := range []struct {
		name, typ   string
		answers, ns int // signatures
	}{
		{"example.org", "MX", 1, 0},
		{"alias.example.org", "A", 2, 0},
		{"away.example.org", "A", 1, 0}, // into a zone that is not signed
		{"x.wild.example.org", "TXT", 1, 1},
		{"x.wild.example.org", "A", 0, 2}, // the wildcard's NSEC covers the name, too
		{"mx.example.org", "AAAA", 0, 2},
		{"between.example.org", "A", 0, 2}, // exists without records
		{"none.example.org", "A", 0, 3},
		{"a.tree.example.org", "A", 1, 0}, // DNAME; its CNAME is not signed
		{"mx.example.net", "A", 0, 0},
	} {
		t.Run(c.name+" "+c.typ, func(t *testing.T) {
			t.Parallel()
			m, err := query(t, s, "tcp", c.name, c.typ)
			require.NoError(t, err)
			require.Equal(t, c.answers, verify(t, m.Answer, key), m)
			require.Equal(t, c.ns, verify(t, m.Ns, key), m)
			plain, err := query(t, s, "tcp", c.name, c.typ, func(m *dns.Msg) { m.IsEdns0().SetDo(false) })
			require.NoError(t, err)
			require.Zero(t, verify(t, plain.Answer, key)+verify(t, plain.Ns, key), "only for clients that ask")
			require.Equal(t, m.Rcode, plain.Rcode)
		})
	}
	t.Run("bad signature", func(t *testing.T) {
		s.SetFault("mx.example.org", "A", dnstest.Fault{BadSignature: true, Times: 1})
		m, err := query(t, s, "tcp", "mx.example.org", "A")
		require.NoError(t, err)
		require.Error(t, m.Answer[1].(*dns.RRSIG).Verify(key, m.Answer[:1]))
	})
}
