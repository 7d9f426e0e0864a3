package mxresolve

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// packed makes an answer to a question from zone lines, with miekg/dns alone.
func packed(t testing.TB, q question, compress bool, lines ...string) []byte {
	m := new(dns.Msg)
	m.SetQuestion(q.name+".", q.typ)
	m.Response, m.Compress = true, compress
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		require.NoError(t, err)
		m.Answer = append(m.Answer, rr)
	}
	b, err := m.Pack()
	require.NoError(t, err)
	return b
}

func TestParse(t *testing.T) {
	t.Parallel()
	q := question{"example.org", typeMX}
	for _, compress := range []bool{false, true} {
		m, err := parse(packed(t, q, compress,
			"example.org. 60 MX 10 MX.Example.ORG.", "example.org. 60 MX 20 .", `EXAMPLE.org. 70 TXT "a" "b" "\255"`,
			"example.org. CH TXT chaos", "a.example.org. 1 A 192.0.2.1", "a.example.org. 1 AAAA ::ffff:192.0.2.1",
			"x.example.org. CNAME example.org.", `odd\.dot.example.org. 4294967295 PTR a\.b.c.`, "example.org. 1 SRV 1 2 3 x.", "example.org. CAA 0 issue x"), q)
		require.NoError(t, err)
		mapped := netip.MustParseAddr("::ffff:192.0.2.1")
		require.Equal(t, []record{
			{name: "example.org", typ: typeMX, pref: 10, ttl: 60, text: "mx.example.org"},
			{name: "example.org", typ: typeMX, pref: 20, ttl: 60},
			{name: "example.org", typ: typeTXT, ttl: 70, text: "ab\xff"},
			{name: "a.example.org", typ: typeA, ttl: 1, addr: netip.MustParseAddr("192.0.2.1")},
			{name: "a.example.org", typ: typeAAAA, ttl: 1, addr: mapped},
			{name: "x.example.org", typ: typeCNAME, ttl: 3600, text: "example.org"},
			{name: `odd\.dot.example.org`, typ: typePTR, text: `a\.b.c`},
		}, m.records)
	}
}

func TestPackQuery(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "org", "example.org", `a\.b.example.org`, `\000\255.x`, strings.Repeat("a", 63) + ".x"} {
		for _, edns := range []bool{false, true} {
			p := pending{q: question{name, typeMX}}
			require.NoError(t, p.pack(edns))
			b, qlen := p.query, p.qlen
			var m dns.Msg
			require.NoError(t, m.Unpack(b))
			require.Equal(t, name+".", strings.TrimSuffix(m.Question[0].Name, ".")+".")
			require.True(t, m.RecursionDesired && m.AuthenticatedData && !m.CheckingDisabled && !m.Response)
			require.Equal(t, edns, m.IsEdns0() != nil)
			want, err := (&dns.Msg{Question: m.Question}).Pack()
			require.NoError(t, err)
			require.Equal(t, want[headerLen:], b[headerLen:headerLen+qlen])
			if edns {
				require.EqualValues(t, 1232, m.IsEdns0().UDPSize())
				require.Len(t, b, headerLen+qlen+11)
			}
		}
	}
	for _, name := range []string{".", "a..b", ".a", "a.", strings.Repeat("a", 64), strings.Repeat("abc.", 64) + "x", `\`, `a\`} {
		require.Error(t, (&pending{q: question{name, typeMX}}).pack(true), name)
	}
}

func TestMixCase(t *testing.T) {
	t.Parallel()
	p := pending{q: question{strings.Repeat("a", 63) + "." + strings.Repeat("z", 50) + ".0-9_@[`{.x", typeMX}}
	require.NoError(t, p.pack(false))
	b, qlen := p.query, p.qlen
	name := b[headerLen : headerLen+qlen-4]
	before := string(name)
	bits := make([]byte, 32)
	mixCase(name, bits)
	require.Equal(t, before, string(name))
	for i := range bits {
		bits[i] = 0xff
	}
	mixCase(name, bits)
	require.Equal(t, strings.ToUpper(before), string(name))
	require.True(t, equalFold(name, []byte(before)))
	require.False(t, equalFold([]byte("@"), []byte("`")))
	require.False(t, equalFold([]byte("["), []byte("{")))
}

func FuzzParse(f *testing.F) {
	q := question{"example.org", typeMX}
	f.Add(packed(f, q, true, "example.org. MX 10 mx.example.org.", "mx.example.org. A 192.0.2.1"))
	f.Add(packed(f, q, false, `example.org. TXT "a" "b"`, "example.org. CNAME b.example.org."))
	f.Add([]byte("\x00\x00\x81\x80\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x08\x00\x0f\x00\x04\x00\x06bo"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b, q)
		if err != nil {
			return
		}
		var size int
		for _, r := range m.records {
			size += len(r.name) + len(r.text)
			require.Equal(t, lower(r.name), r.name)
		}
		require.LessOrEqual(t, size, 2100*(len(b)/11+1)) // names have at most 255 octets, 4 characters each
		var theirs dns.Msg                               // where both understand a message, they understand the same
		if m.tc || theirs.Unpack(b) != nil || len(theirs.Question) != 1 || canonicalName(theirs.Question[0].Name) != q.name {
			return
		}
		var want []string
		for _, rr := range theirs.Answer {
			if rr.Header().Class != dns.ClassINET {
				continue
			}
			switch rr := rr.(type) {
			case *dns.MX:
				want = append(want, canonicalName(rr.Mx))
			case *dns.CNAME:
				want = append(want, canonicalName(rr.Target))
			case *dns.PTR:
				want = append(want, canonicalName(rr.Ptr))
			}
		}
		var got []string
		for _, r := range m.records {
			if r.typ == typeMX || r.typ == typeCNAME || r.typ == typePTR {
				got = append(got, r.text)
			}
		}
		require.Equal(t, want, got)
	})
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{"example.org", "BÜCHER.example.", "[192.0.2.1]", "[IPv6:2001:db8::1]", "a_b.c", "192.0.2.1", "xn--bcher-kva.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ascii, ip, err := parseDomain(s)
		if err != nil {
			require.True(t, err.Enhanced == "5.1.2" || err.Enhanced == "5.1.3")
			return
		}
		require.True(t, ip.IsValid() != (ascii != ""))
		if ascii != "" {
			e := (&pending{q: question{ascii, typeMX}}).pack(true)
			require.NoError(t, e, "what is accepted can be asked")
			again, _, e2 := parseDomain(ascii)
			require.Nil(t, e2)
			require.Equal(t, ascii, again)
		}
	})
}

func TestResolvConf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]Upstream{
		"":        {{Addr: "127.0.0.1:53"}},
		"# x\n;y": {{Addr: "127.0.0.1:53"}},
		"nameserver 192.0.2.1\nsearch example.org\nnameserver 2001:db8::1\nnameserver nonsense\nnameserver\n": {{Addr: "192.0.2.1:53"}, {Addr: "[2001:db8::1]:53"}},
		"nameserver fe80::1%eth0\noptions edns0 trust-ad":                                                     {{Addr: "[fe80::1%eth0]:53", TrustAD: true}},
	} {
		got := parseResolvConf(strings.NewReader(text))
		require.Equal(t, want, got, text)
		for _, u := range got {
			_, err := newUpstream(u, 1)
			require.NoError(t, err)
		}
	}
}

// TestIDsAreNotShared: a query whose random id is taken on its connection gets another one.
func TestIDsAreNotShared(t *testing.T) {
	t.Parallel()
	c := newConn()
	seen := map[uint16]bool{}
	for range 100 {
		p := &pending{q: question{"example.org", typeMX}, id: 7}
		require.NoError(t, p.pack(true))
		require.True(t, c.register(p))
		require.False(t, seen[p.id])
		seen[p.id] = true
		require.Equal(t, p, c.calls[p.id])
		require.Equal(t, p.id, uint16(p.query[0])<<8|uint16(p.query[1]))
	}
}
