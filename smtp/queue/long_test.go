package queue

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/disk"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// long gives how many messages a test has: usually a few, and many with MAILROOM_LONG.
func long(few, many int) int {
	if os.Getenv("MAILROOM_LONG") != "" {
		return many
	}
	return few
}

// TestLongQueue settles deliveries of a long queue: what a delivery costs must not grow with what waits. Both times are of one run: a delivery that
// looks at every message takes many times as long as this allows.
func TestLongQueue(t *testing.T) {
	t.Parallel()
	const batches, batch = 10, 200
	waiting := long(10_000, 100_000)
	fs := &disk.Memory{}
	l, err := openLog(fs, LogOptions{})
	require.NoError(t, err)
	m, text := message(t, "b@x.test"), smtp.StringContent("hi\r\n")
	began := time.Now()
	for i := range waiting {
		m.Envelope.To[0].Path.Domain = fmt.Sprintf("%d.test", i%1000)
		_, err := l.Add(t.Context(), m, nil, text)
		require.NoError(t, err)
	}
	adding := time.Since(began)
	best := adding // of a batch: on a busy machine others may be slow for other reasons
	for range batches {
		began = time.Now()
		for i := range batch {
			j, _, err := l.Claim(t.Context(), time.Now(), everything)
			require.NoError(t, err)
			state := State{Phase: Phase(i % 2), Due: time.Now().Add(time.Hour)}
			require.NoError(t, l.Settle(t.Context(), j, []State{state}))
			l.compactOnce() // as its goroutine does after each, when nothing else keeps it
		}
		best = min(best, time.Since(began))
	}
	require.Less(t, batches*best, adding)
	require.NoError(t, l.Close())
	l, err = openLog(fs, LogOptions{})
	require.NoError(t, err)
	defer l.Close()
	require.Len(t, l.entries, waiting-batches*batch/2)
}
