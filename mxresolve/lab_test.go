package mxresolve_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

const dnsAddr = "192.0.2.53:53"

// newLab starts a name server on a network in memory, and a resolver that asks it.
func newLab(t *testing.T, zones string) (*dnstest.Server, *mxresolve.Resolver) {
	t.Helper()
	n := new(memnet.Network)
	s := addServer(t, n, dnsAddr, zones)
	r := s.Resolver()
	r.AllowLoopback = false
	if r.Limits.MinWait = 0; time.Now().Year() > 2000 { // not in a bubble of synctest: a slow machine must not make it ask twice
		r.Limits.MinWait = 9 * time.Second
	}
	r.Dial = n.DialContext
	t.Cleanup(func() { r.Close() })
	return s, r
}

func addServer(t *testing.T, n *memnet.Network, addr, zones string) *dnstest.Server {
	t.Helper()
	pc, err := n.ListenPacket("udp", addr)
	require.NoError(t, err)
	l, err := n.Listen("tcp", addr)
	require.NoError(t, err)
	s, err := dnstest.Serve(pc, l, zones)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// ask resolves and returns the error with its type.
func ask(r *mxresolve.Resolver, domain string) (*mxresolve.Plan, *mxresolve.Error) {
	p, err := r.Resolve(context.Background(), domain)
	if err != nil {
		return p, err.(*mxresolve.Error)
	}
	return p, nil
}

// mustBounce and mustDefer check an error's every field that a queue acts on.
func mustBounce(t *testing.T, err *mxresolve.Error, k mxresolve.Kind, enhanced string) {
	t.Helper()
	require.NotNil(t, err)
	require.Equal(t, k, err.Kind, err.Error())
	require.Equal(t, enhanced, err.Enhanced, err.Error())
	require.False(t, err.Temporary, err.Error())
	require.Equal(t, 5, err.Code/100)
}

func mustDefer(t *testing.T, err *mxresolve.Error, k mxresolve.Kind, enhanced string) {
	t.Helper()
	require.NotNil(t, err)
	require.Equal(t, k, err.Kind, err.Error())
	require.Equal(t, enhanced, err.Enhanced, err.Error())
	require.True(t, err.Temporary, err.Error())
	require.Equal(t, 451, err.Code)
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// names are the hosts of a plan in its order.
func names(p *mxresolve.Plan) (out []string) {
	for _, h := range p.Hosts {
		out = append(out, h.Name)
	}
	return out
}

// skipped maps the names of skipped hosts to reasons.
func skipped(list []mxresolve.SkippedHost) map[string]mxresolve.SkipReason {
	out := map[string]mxresolve.SkipReason{}
	for _, h := range list {
		out[h.Name] = h.Reason
	}
	return out
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

var contextDeadline = context.DeadlineExceeded

func contextWithTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(bg, d)
}
