package mxresolve_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

// countDials counts connections by network.
func countDials(dial dialFunc, tcp *atomic.Int32) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network == "tcp" {
			tcp.Add(1)
		}
		return dial(ctx, network, addr)
	}
}

func TestTCPIsReused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := new(memnet.Network)
		s := addServer(t, n, dnsAddr, "*.example. TXT x")
		r := s.Resolver()
		defer r.Close()
		var dials atomic.Int32
		r.Dial = countDials(n.DialContext, &dials)
		s.SetFault("", "", dnstest.Fault{Truncate: true})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
				require.NoError(t, err)
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, dials.Load())

		// The server hangs up: one more connection, unseen by the caller.
		s.SetFault("hang.example", "", dnstest.Fault{Truncate: true, Hangup: true, Times: 2}) // one by UDP, one by TCP
		_, err := r.LookupTXT(bg, "hang.example")
		require.NoError(t, err)
		require.EqualValues(t, 2, dials.Load())

		// Idle connections are closed, and opened again.
		time.Sleep(time.Minute)
		_, err = r.LookupTXT(bg, "later.example")
		require.NoError(t, err)
		require.EqualValues(t, 3, dials.Load())

		// A server that always hangs up is an error, soon.
		s.SetFault("never.example", "", dnstest.Fault{Truncate: true, Hangup: true})
		begin := time.Now()
		_, err = r.LookupTXT(bg, "never.example")
		require.Error(t, err)
		require.Less(t, time.Since(begin), time.Second)
	})
}

func TestTCPOnly(t *testing.T) {
	t.Parallel()
	n := new(memnet.Network)
	l, err := n.Listen("tcp", dnsAddr)
	require.NoError(t, err)
	s, err := dnstest.Serve(nil, l, oneHost)
	require.NoError(t, err)
	defer s.Close()
	r := s.Resolver()
	r.Dial = n.DialContext
	defer r.Close()
	_, e := ask(r, "example.org")
	require.Nil(t, e)
	for _, q := range s.Queries() {
		require.Equal(t, "tcp", q.Network)
	}
}

func TestTCPSilentServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		l, err := n.Listen("tcp", dnsAddr)
		require.NoError(t, err)
		defer l.Close()
		r := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: "tcp://" + dnsAddr}}, Dial: n.DialContext}
		defer r.Close()
		begin := time.Now()
		_, e := ask(r, "example.org")
		mustDefer(t, e, mxresolve.KindLookupFailed, "4.4.3")
		require.Equal(t, 10*time.Second, time.Since(begin))
	})
}

func TestDNSOverTLS(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	serve := func(t *testing.T, names ...string) (*memnet.Network, *dnstest.Server) {
		n := new(memnet.Network)
		l, err := n.Listen("tcp", "192.0.2.53:853")
		require.NoError(t, err)
		s, err := dnstest.Serve(nil, tls.NewListener(l, ca.Server(names...)), oneHost)
		require.NoError(t, err)
		s.SetSecure(".", true)
		t.Cleanup(func() { s.Close() })
		return n, s
	}
	for name, c := range map[string]struct {
		addr string
		cert string
		ok   bool
		lax  bool
	}{
		"by address":    {"tls://192.0.2.53", "192.0.2.53", true, false},
		"with port":     {"tls://192.0.2.53:853", "192.0.2.53", true, false},
		"by name":       {"tls://192.0.2.53:853#dns.example", "dns.example", true, false},
		"wrong name":    {"tls://192.0.2.53#dns.example", "other.example", false, false},
		"wrong address": {"tls://192.0.2.53", "192.0.2.54", false, false},
		"unchecked":     {"tls://192.0.2.53", "192.0.2.54", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, s := serve(t, c.cert)
			var dials atomic.Int32
			r := &mxresolve.Resolver{
				Upstreams: []mxresolve.Upstream{{Addr: c.addr, TLSConfig: &tls.Config{RootCAs: ca.Pool(), InsecureSkipVerify: c.lax}}},
				Dial:      countDials(n.DialContext, &dials),
			}
			defer r.Close()
			p, err := ask(r, "example.org")
			if !c.ok {
				mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
				require.Contains(t, err.Error(), "certificate")
				require.Zero(t, s.Count("", ""))
				return
			}
			require.Nil(t, err)
			require.Equal(t, !c.lax, p.Secure, "an authenticated upstream may say AD")
			require.EqualValues(t, 1, dials.Load())
		})
	}
}

func TestTrustInAD(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		addr   string
		trust  bool
		secure bool
	}{
		"far":           {"192.0.2.53", false, false},
		"far, declared": {"192.0.2.53", true, true},
		"loopback":      {"127.0.0.1", false, true},
		"loopback 6":    {"[::1]:53", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := new(memnet.Network)
			addr := c.addr
			if name != "loopback 6" {
				addr += ":53"
			}
			s := addServer(t, n, addr, "example.org. MX 10 mx.example.org.\nexample.org. MX 20 un.example.net.\nmx.example.org. A 192.0.2.1\n"+
				"un.example.net. A 192.0.2.2\nc.example.org. CNAME un.example.net.\nun.example.net. MX 1 mx.example.org.")
			s.SetSecure("example.org", true)
			r := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: c.addr, TrustAD: c.trust}}, Dial: n.DialContext}
			defer r.Close()
			p, err := ask(r, "example.org")
			require.Nil(t, err)
			require.Equal(t, c.secure, p.Secure)
			require.Equal(t, c.secure, p.Hosts[0].Secure)
			require.False(t, p.Hosts[1].Secure)
			p, err = ask(r, "c.example.org")
			require.Nil(t, err)
			require.False(t, p.Secure, "the whole chain must be")
		})
	}
}

// TestDNSOverTLSFails: servers whose certificate is not good, or that do not speak TLS. No question is told to them.
func TestDNSOverTLSFails(t *testing.T) {
	t.Parallel()
	ca, other := certs.NewCA(), certs.NewCA()
	with := func(c tls.Certificate) func(net.Listener) net.Listener {
		return func(l net.Listener) net.Listener {
			return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{c}})
		}
	}
	for name, c := range map[string]struct {
		listen func(net.Listener) net.Listener
		says   string
	}{
		"expired":         {with(ca.IssueExpired("192.0.2.53")), "expired"},
		"other authority": {with(other.Issue("192.0.2.53")), "unknown authority"},
		"not TLS":         {func(l net.Listener) net.Listener { return l }, "192.0.2.53"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := new(memnet.Network)
				l, err := n.Listen("tcp", "192.0.2.53:853")
				require.NoError(t, err)
				s, err := dnstest.Serve(nil, c.listen(l), oneHost)
				require.NoError(t, err)
				defer s.Close()
				r := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: "tls://192.0.2.53", TLSConfig: &tls.Config{RootCAs: ca.Pool()}}}, Dial: n.DialContext}
				defer r.Close()
				begin := time.Now()
				_, e := ask(r, "example.org")
				mustDefer(t, e, mxresolve.KindLookupFailed, "4.4.3")
				require.Contains(t, e.Error(), c.says)
				require.LessOrEqual(t, time.Since(begin), 10*time.Second)
				require.Zero(t, s.Count("", ""))
			})
		})
	}
}
