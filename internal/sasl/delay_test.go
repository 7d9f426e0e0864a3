package sasl

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFailDelay: an unknown name, a wrong password and a slow lookup take the same time.
func TestFailDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := &Config{FailDelay: time.Second, AllowPlaintext: true}
		cfg.VerifyPassword = func(_ context.Context, _ netip.Addr, _, username, password string) (string, error) {
			switch {
			case username == "slow":
				time.Sleep(300 * time.Millisecond)
			case password == "right":
				return username, nil
			}
			return "", errors.New("no")
		}
		cfg.Bearer = func(context.Context, netip.Addr, string, string) (string, error) { return "", errors.New("no") }
		cfg.Secret = func(context.Context, netip.Addr, string) (string, string, error) { return "", "", errors.New("no") }
		for name, want := range map[string]time.Duration{"slow": time.Second, "alice": time.Second, "\x00": 0} {
			start := time.Now()
			_, err := cfg.Login(t.Context(), netip.Addr{}, name, "wrong")
			require.ErrorIs(t, err, ErrFailed)
			require.Equal(t, want, time.Since(start), name)
		}
		start := time.Now()
		_, err := cfg.Login(t.Context(), netip.Addr{}, "alice", "right")
		require.NoError(t, err)
		require.Zero(t, time.Since(start))

		_, err = cfg.Digest(t.Context(), netip.Addr{}, "alice", func(string) bool { return false })
		require.ErrorIs(t, err, ErrFailed)
		require.Equal(t, time.Second, time.Since(start))

		s, err := cfg.Start(t.Context(), "XOAUTH2", Channel{})
		require.NoError(t, err)
		_, done, err := s.Next([]byte("user=a\x01auth=Bearer t\x01\x01"))
		require.NoError(t, err)
		require.False(t, done)
		require.Equal(t, 2*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = cfg.Login(ctx, netip.Addr{}, "alice", "wrong")
		require.Error(t, err)
		require.Equal(t, 2*time.Second+time.Millisecond, time.Since(start))
	})
}

func TestLimiterWithoutLimits(t *testing.T) {
	t.Parallel()
	l := &Limiter{PerAddress: -1, PerAccount: -1}
	for range 1000 {
		require.True(t, l.Allow(netip.Addr{}, "alice"))
		l.Failed(netip.Addr{}, "alice")
	}
}
