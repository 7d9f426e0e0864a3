package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/queue"
)

// BenchmarkQueueAdd takes responsibility for messages of 2 KiB, from several goroutines: they are on disk when it returns. files writes the envelope and the
// text to a file of their own, as queues of classic servers do.
func BenchmarkQueueAdd(b *testing.B) {
	letter := Letter(1)
	for _, writers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("writers%d/mailroom", writers), func(b *testing.B) {
			log, err := queue.OpenLog(b.TempDir(), queue.LogOptions{})
			require.NoError(b, err)
			defer log.Close()
			e, err := smtp.NewEnvelope("a@example.org", "b@example.net")
			require.NoError(b, err)
			m := queue.Message{Envelope: *e, Queued: time.Now()}
			b.SetBytes(int64(len(letter)))
			b.ReportAllocs()
			b.ResetTimer()
			spread(b, writers, b.N, func(int) error {
				_, err := log.Add(b.Context(), m, nil, smtp.BytesContent(letter))
				return err
			})
		})
		b.Run(fmt.Sprintf("writers%d/files", writers), func(b *testing.B) {
			dir := newMaildir(b)
			envelope := []byte("from a@example.org\nto b@example.net\n")
			b.SetBytes(int64(len(letter)))
			b.ReportAllocs()
			b.ResetTimer()
			spread(b, writers, b.N, func(i int) error { return writeDurably(dir, i, envelope, letter) })
		})
	}
}

// BenchmarkQueueRelay takes messages durably and delivers them by SMTP over loopback: the time from the first Enqueue to the last delivery, by message.
func BenchmarkQueueRelay(b *testing.B) {
	for _, size := range sizes[:3] {
		b.Run(size.name+"/mailroom", func(b *testing.B) {
			log, err := queue.OpenLog(b.TempDir(), queue.LogOptions{})
			require.NoError(b, err)
			defer log.Close()
			done := make(chan error, b.N)
			q := &queue.Queue{Store: log, Router: &queue.RelayRouter{Addr: serve(b, "mailroom"), TLS: smtp.TLSNever}, Hostname: "mx.example", MaxPerDomain: 20,
				Trace: &queue.Trace{Recipient: func(_ queue.ID, _ smtp.ForwardPath, s queue.State, err error) {
					if s.Phase != queue.Delivered && err == nil {
						err = errors.New("not delivered")
					}
					done <- err
				}}}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error)
			go func() { ended <- q.Run(ctx) }()
			e, err := smtp.NewEnvelope("a@example.org", "b@example.net")
			require.NoError(b, err)
			text := smtp.BytesContent(ASCII(size.octets))
			b.SetBytes(int64(size.octets))
			b.ReportAllocs()
			b.ResetTimer()
			spread(b, 20, b.N, func(int) error {
				_, err := q.Enqueue(ctx, e, nil, text)
				return err
			})
			for range b.N {
				require.NoError(b, <-done)
			}
			b.StopTimer()
			cancel()
			require.NoError(b, <-ended)
		})
	}
}
