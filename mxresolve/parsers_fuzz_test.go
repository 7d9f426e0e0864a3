package mxresolve

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzSTSRecord(f *testing.F) {
	for _, s := range []string{"v=STSv1; id=20160831085700Z;", "v=STSv1;id=1;x=y", "v=STSv1 ; id=", "v=STSv1", "v=spf1 -all"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := stsID(&answer{outcome: found, data: []rdata{{text: "v=spf1"}, {text: text}}})
		require.Equal(t, err == nil, id != "")
		if err != nil {
			return
		}
		require.Contains(t, text, id)
		require.LessOrEqual(t, len(id), 32)
		_, err = stsID(&answer{outcome: found, data: []rdata{{text: text}, {text: text}}})
		require.NotNil(t, err, "more than one")
	})
}

func FuzzUpstream(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "[2001:db8::1]:53", "tcp://192.0.2.1", "tls://192.0.2.1:853#dns.example", "2001:db8::1", "fe80::1%eth0", "udp://x:y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		u, err := newUpstream(Upstream{Addr: addr}, 1)
		if err != nil {
			require.Contains(t, err.Error(), "upstream")
			return
		}
		ap, err := netip.ParseAddrPort(u.addr)
		require.NoError(t, err, "what is accepted can be dialed")
		require.NotZero(t, ap.Port())
		require.Equal(t, u.network == "tls", u.tls != nil)
	})
}

func FuzzResolvConf(f *testing.F) {
	f.Add("nameserver 192.0.2.1\noptions trust-ad\n")
	f.Add("nameserver ::1%x # \nnameserver\t2001:db8::1")
	f.Add("nameserver ::1%\x8e(u\xdfx\x12#")
	f.Fuzz(func(t *testing.T, text string) {
		ups := parseResolvConf(strings.NewReader(text))
		require.NotEmpty(t, ups)
		require.LessOrEqual(t, len(ups), 8)
		for _, u := range ups {
			_, err := newUpstream(u, 1)
			require.NoError(t, err, u.Addr)
		}
	})
}
