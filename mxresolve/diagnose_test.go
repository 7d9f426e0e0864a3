package mxresolve_test

import (
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/stretchr/testify/require"
)

func TestDiagnose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := new(memnet.Network)
		good := addServer(t, n, "192.0.2.1:53", oneHost)
		good.SetSecure(".", true)
		addServer(t, n, "192.0.2.2:53", oneHost) // does not validate
		r := &mxresolve.Resolver{Dial: n.DialContext, Upstreams: []mxresolve.Upstream{
			{Addr: "192.0.2.1", TrustAD: true}, {Addr: "192.0.2.1:53"}, {Addr: "192.0.2.2", TrustAD: true}, {Addr: "192.0.2.2"}, {Addr: "192.0.2.3"}}}
		defer r.Close()
		for _, name := range []string{"", ".", "example.org"} {
			list, err := r.Diagnose(bg, name)
			require.NoError(t, err)
			for i, want := range []string{"validates DNSSEC", "could be forged on the way", "does not validate DNSSEC:", "removes the AD bit", "does not answer"} {
				ok, text := list[i].DNSSEC()
				require.Equal(t, i == 0, ok)
				require.Contains(t, text, want)
			}
		}
		_, err := r.Diagnose(bg, "a..b")
		require.Error(t, err)
	})
}

func TestInsecureBecause(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, oneHost)
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Equal(t, mxresolve.InsecureNoAD, p.Insecure)

	s.SetSecure(".", true)
	r.Purge()
	p, err = ask(r, "example.org")
	require.Nil(t, err)
	require.Zero(t, p.Insecure)
	require.Equal(t, "secure", p.Insecure.String())

	untrusting := &mxresolve.Resolver{Dial: r.Dial, Upstreams: []mxresolve.Upstream{{Addr: dnsAddr}}}
	defer untrusting.Close()
	p, err = ask(untrusting, "example.org")
	require.Nil(t, err)
	require.Equal(t, mxresolve.InsecureUntrusted, p.Insecure)
	require.Contains(t, p.Insecure.String(), "trusted")
}

func TestCachedHook(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, oneHost)
	var got []mxresolve.CachedInfo
	r.Trace = &mxresolve.Trace{Cached: func(i mxresolve.CachedInfo) { got = append(got, i) }}
	for range 3 {
		_, err := r.LookupMX(bg, "example.org")
		require.NoError(t, err)
	}
	require.Equal(t, []mxresolve.CachedInfo{{Name: "example.org", Type: "MX"}, {Name: "example.org", Type: "MX"}}, got)
	require.Equal(t, 1, s.Count("example.org", "MX"))
}

func TestA1_22_OtherFamilyOnRetry(t *testing.T) {
	t.Parallel()
	_, r := newLab(t, `
example.org. MX 10 mx.example.org.
mx.example.org. A 192.0.2.1
mx.example.org. A 192.0.2.2
mx.example.org. AAAA 2001:db8::1
four.example. A 192.0.2.4
`)
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	h := &p.Hosts[0]
	even, odd := h.AddrsFor(0), h.AddrsFor(1)
	require.Equal(t, h.Addrs, even)
	require.True(t, even[0].Is6())
	require.True(t, odd[0].Is4())
	require.True(t, odd[1].Is6())
	require.ElementsMatch(t, even, odd)
	require.Equal(t, even, h.AddrsFor(2))
	p, err = ask(r, "four.example")
	require.Nil(t, err)
	require.Equal(t, addrs("192.0.2.4"), p.Hosts[0].AddrsFor(1))
}
