//go:build unix

package interop

import (
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp/smtptest"
)

// deaf is a relay that takes connections and says nothing.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	return l.Addr().String()
}

// TestKill kills the server by SIGKILL at random moments under load. What was answered with 250 is kept or handed on at least once, what
// IMAP answered with OK holds, and UIDs stay what they were. In the first round the relay does not answer.
func TestKill(t *testing.T) {
	t.Parallel()
	serverCommand(t, memory) // skips, or builds
	relay := smtptest.NewServer(t)
	dir := t.TempDir()
	local, relayed, changed := map[string]string{}, map[string]string{}, map[uint32]string{}
	var number atomic.Int64
	addr := deaf(t)
	last := snapshot{}
	for round := range 4 {
		s, err := startServer(t, dir, "-relay", addr)
		require.NoError(t, err, "round %d", round)
		shot := s.snapshot()
		if round > 0 {
			requireKept(t, last, shot)
		}
		l := newLoad(s, &number, 3)
		time.Sleep(100*time.Millisecond + rand.N(400*time.Millisecond)) // the moment of death is chosen at random
		last = s.snapshot()
		requireKept(t, shot, last)
		time.Sleep(rand.N(200 * time.Millisecond))
		s.kill()
		l.wait()
		maps.Copy(local, l.local)
		maps.Copy(relayed, l.relayed)
		maps.Copy(changed, l.changed)
		t.Logf("round %d: %d tries, %d and %d answered with 250, %d changes with OK", round, l.attempts.Load(), len(l.local), len(l.relayed), len(l.changed))
		addr = relay.Addr
	}
	require.NotEmpty(t, local)
	require.NotEmpty(t, relayed)
	require.NotEmpty(t, changed)

	s := newServer(t, dir, "-relay", relay.Addr)
	shot := s.snapshot()
	requireKept(t, last, shot)
	t.Logf("%d of %d local messages are there twice", requireTaken(t, local, slices.Collect(maps.Values(shot.byUID))), len(local))

	requireChanged(t, changed, s.mailbox("bob", "INBOX"))

	missing := maps.Clone(relayed)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	relay.WaitFor(ctx, func(m *smtptest.Received) bool {
		delete(missing, subject(string(m.Data)))
		return len(missing) == 0
	})
	var there []string
	for _, m := range relay.Messages() {
		require.True(t, m.To("x@elsewhere.test"))
		there = append(there, string(m.Data))
	}
	t.Logf("%d of %d relayed messages were delivered twice", requireTaken(t, relayed, there), len(relayed))
}
