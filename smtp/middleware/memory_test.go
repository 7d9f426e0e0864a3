package middleware

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// stranger is a peer with an address of its own.
func stranger(n uint64) *smtp.Peer {
	b := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	binary.BigEndian.PutUint32(b[4:], uint32(n))
	return &smtp.Peer{Remote: netip.AddrPortFrom(netip.AddrFrom16(b), 25)}
}

type open struct{}

func (open) Connect(context.Context, *smtp.Peer) (smtp.Session, error) { return nil, nil }

// A hundred thousand networks take no more memory than MaxEntries, and who was there lately is still known.
func TestRateMemory(t *testing.T) {
	t.Parallel()
	b := &bucket{rate: Rate{Events: 1, Per: time.Hour}, size: 1000}
	l := &rateLimiter{bits4: 32, bits6: 64}
	for n := range uint64(100_000) {
		if !b.take(l.sender(stranger(n))) || n >= 400 && b.take(l.sender(stranger(n-400))) || len(b.now)+len(b.old) > 1000 {
			t.Fatal(n, len(b.now), len(b.old)) // require takes longer than the test
		}
	}
}

// Connections are remembered as long as they are open.
func TestConnectionsMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &connections{perAddress: 1, perNetwork: 2, bits4: 24, bits6: 64, open: make(map[netip.Prefix]int)}
		ctx, cancel := context.WithCancel(t.Context())
		for n := range uint64(2_000) {
			require.NoError(t, c.check(ctx, stranger(n)))
			require.Error(t, c.check(ctx, stranger(n)))
		}
		require.Len(t, c.open, 4_000, "by address and by network")
		cancel()
		synctest.Wait()
		require.Empty(t, c.open)
	})
}

// Over a Unix socket there is no address to count by.
func TestNoAddress(t *testing.T) {
	t.Parallel()
	h := Chain(open{}, LimitRate(Rates{Connections: Rate{Events: 1, Per: time.Hour}}), LimitConnections(ConnectionLimits{PerAddress: 1, PerNetwork: 1}))
	for range 10 {
		_, err := h.Connect(t.Context(), &smtp.Peer{})
		require.NoError(t, err)
	}
}
