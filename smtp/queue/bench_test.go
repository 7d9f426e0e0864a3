package queue

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gomailroom/mailroom/internal/disk"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// counted is a directory that counts flushes.
type counted struct {
	disk.Dir
	syncs atomic.Int64
}

func (c *counted) Create(name string) (disk.File, error) {
	f, err := c.Dir.Create(name)
	return countedFile{f, c}, err
}

type countedFile struct {
	disk.File
	c *counted
}

func (f countedFile) Sync() error {
	f.c.syncs.Add(1)
	return f.File.Sync()
}

func benchLog(b *testing.B) (*counted, *Log) {
	fs := &counted{Dir: disk.Dir(b.TempDir())}
	l, err := openLog(fs, LogOptions{})
	require.NoError(b, err)
	b.Cleanup(func() { l.Close() })
	return fs, l
}

// spread does something n times in several goroutines.
func spread(n, goroutines int, do func()) {
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	for range goroutines {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				do()
			}
		})
	}
	wg.Wait()
}

// BenchmarkAdd accepts messages of 2 KiB onto a disk, from several goroutines.
func BenchmarkAdd(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			fs, l := benchLog(b)
			m := message(b, "bob@recipient.test")
			c := smtp.StringContent("Subject: hi\r\n\r\n" + strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 44))
			b.ReportAllocs()
			b.ResetTimer()
			spread(b.N, writers, func() {
				if _, err := l.Add(b.Context(), m, nil, c); err != nil {
					b.Error(err)
				}
			})
			b.ReportMetric(float64(fs.syncs.Load())/float64(b.N), "flushes/op")
		})
	}
}

// BenchmarkQueue accepts messages of 2 KiB onto a disk and delivers them to a server in the same process, until the last one is noted as delivered.
func BenchmarkQueue(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			fs, l := benchLog(b)
			var done sync.WaitGroup
			var w world
			q := &Queue{Store: settled{l, &done}, Router: &RelayRouter{Addr: "192.0.2.1:25", TLS: smtp.TLSNever}, Hostname: "mx.sender.test", MaxPerDomain: 20,
				Dialer: smtp.Dialer{NetDial: w.net.DialContext}}
			listener, err := w.net.Listen("tcp", "192.0.2.1:25")
			require.NoError(b, err)
			sink := &smtp.Server{Hostname: "sink.test", Handler: smtp.HandlerFunc(discard)}
			go sink.Serve(listener)
			defer sink.Close()
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error)
			go func() { ended <- q.Run(ctx) }()
			e := message(b, "bob@recipient.test").Envelope
			c := smtp.StringContent("Subject: hi\r\n\r\n" + strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 44))
			done.Add(b.N)
			b.ReportAllocs()
			b.ResetTimer()
			spread(b.N, writers, func() {
				if _, err := q.Enqueue(ctx, &e, nil, c); err != nil {
					b.Error(err)
				}
			})
			done.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(fs.syncs.Load())/float64(b.N), "flushes/op")
			b.StopTimer()
			cancel()
			require.NoError(b, <-ended)
		})
	}
}

func discard(_ context.Context, _ *smtp.Peer, _ *smtp.Envelope, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// settled counts what is noted as delivered.
type settled struct {
	*Log
	done *sync.WaitGroup
}

func (s settled) Settle(ctx context.Context, j *Job, states []State) error {
	err := s.Log.Settle(ctx, j, states)
	for _, state := range states {
		if state.Phase == Delivered {
			s.done.Done()
		}
	}
	return err
}

// BenchmarkOpen opens a log of 10,000 messages of 1 KiB.
func BenchmarkOpen(b *testing.B) {
	const messages = 10_000
	fs := &disk.Memory{}
	l, err := openLog(fs, LogOptions{})
	require.NoError(b, err)
	m := message(b, "bob@recipient.test")
	for i := range messages {
		m.Envelope.To[0].Path.Domain = fmt.Sprintf("%d.test", i%1000)
		_, err := l.Add(b.Context(), m, nil, smtp.BytesContent(make([]byte, 1024)))
		require.NoError(b, err)
	}
	require.NoError(b, l.Close())
	b.ReportAllocs()
	for b.Loop() {
		l, err := openLog(fs, LogOptions{})
		require.NoError(b, err)
		require.NoError(b, l.Close())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/messages, "ns/message")
}
