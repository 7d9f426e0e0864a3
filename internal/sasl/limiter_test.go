package sasl_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/sasl"
	"github.com/stretchr/testify/require"
)

func TestLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &sasl.Limiter{PerAddress: 3, PerAccount: 5, Window: 10 * time.Minute, MaxEntries: 1000}
		a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
		home := netip.MustParseAddr("198.51.100.1")
		l.Succeeded(home, "alice")
		for range 3 {
			require.True(t, l.Allow(a, "alice"))
			l.Failed(a, "alice")
		}
		require.False(t, l.Allow(a, "alice"))
		require.False(t, l.Allow(b, "bob"), "the same /64")
		for i := range 3 {
			l.Failed(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), "alice")
		}
		require.False(t, l.Allow(remote, "alice"), "the account")
		require.True(t, l.Allow(home, "alice"), "its owner is not locked out")
		require.True(t, l.Allow(remote, "bob"))
		time.Sleep(4 * time.Minute)
		require.True(t, l.Allow(a, "bob"), "decays")
		require.True(t, l.Allow(remote, "alice"))
		time.Sleep(24 * time.Hour)
		for i := range 100_000 {
			l.Failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "x")
		}
		require.False(t, l.Allow(remote, "x"))
	})
	var none *sasl.Limiter
	require.True(t, none.Allow(remote, "x"))
	none.Failed(remote, "x")
}

func TestLoginIsLimited(t *testing.T) {
	t.Parallel()
	cfg := directory(t)
	cfg.Limiter = &sasl.Limiter{PerAddress: 2}
	id, err := cfg.Login(t.Context(), remote, "jörg", password)
	require.NoError(t, err)
	require.Equal(t, "J", id)
	for range 2 {
		_, err = cfg.Login(t.Context(), remote, "jörg", "x")
		require.Equal(t, sasl.ErrFailed, err)
	}
	_, err = cfg.Login(t.Context(), remote, "jörg", password)
	require.ErrorIs(t, err, sasl.ErrLimited)
	require.True(t, sasl.IsTemporary(err))
	_, err = cfg.Login(t.Context(), remote, "", password)
	require.ErrorIs(t, err, sasl.ErrFailed)
	s, err := cfg.Start(t.Context(), "SCRAM-SHA-256", sasl.Channel{Remote: remote})
	require.NoError(t, err)
	_, _, err = s.Next([]byte("n,,n=jörg,r=abc"))
	require.ErrorIs(t, err, sasl.ErrLimited)
}
