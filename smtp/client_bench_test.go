package smtp_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// discard takes every message and drops it.
var discard = smtp.HandlerFunc(func(_ context.Context, _ *smtp.Peer, _ *smtp.Envelope, message io.Reader) error {
	_, err := io.Copy(io.Discard, message)
	return err
})

// benchServer serves on loopback.
func benchServer(b *testing.B, s *smtp.Server) string {
	s.Handler, s.Hostname = discard, "mx.test"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	go s.Serve(l)
	b.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func message(size int) smtp.StringContent {
	line := strings.Repeat("x", 76) + "\r\n"
	return smtp.StringContent("Subject: benchmark\r\n\r\n" + strings.Repeat(line, size/len(line)))
}

// BenchmarkClientSend sends over one connection, client and server together.
func BenchmarkClientSend(b *testing.B) {
	ca := certs.NewCA()
	for _, size := range []struct {
		name   string
		octets int
	}{{"1KiB", 1 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}, {"16MiB", 16 << 20}} {
		for _, how := range []struct {
			name     string
			withhold smtp.Extensions
			tls      smtp.TLSPolicy
		}{{"BDAT", 0, smtp.TLSNever}, {"DATA", smtp.ExtChunking, smtp.TLSNever}, {"BDAT,TLS", 0, smtp.TLSRequired}} {
			b.Run(size.name+"/"+how.name, func(b *testing.B) {
				addr := benchServer(b, &smtp.Server{Withhold: how.withhold, TLSConfig: ca.Server("127.0.0.1")})
				d := client()
				d.TLS, d.TLSConfig = how.tls, ca.Client()
				c, err := d.Dial(b.Context(), addr)
				require.NoError(b, err)
				defer c.Close()
				e, m := envelope(b, "alice@a.test", "bob@b.test"), message(size.octets)
				b.SetBytes(int64(len(m)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Send(b.Context(), e, m); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkClientConnect is one short message over a connection of its own.
func BenchmarkClientConnect(b *testing.B) {
	addr := benchServer(b, &smtp.Server{})
	e, m := envelope(b, "alice@a.test", "bob@b.test"), message(1<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := smtp.SendMail(b.Context(), client(), addr, e, m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClientRecipients is a message for a thousand.
func BenchmarkClientRecipients(b *testing.B) {
	addr := benchServer(b, &smtp.Server{})
	c, err := client().Dial(b.Context(), addr)
	require.NoError(b, err)
	defer c.Close()
	var to []string
	for range 1000 {
		to = append(to, "somebody@b.test")
	}
	e, m := envelope(b, "alice@a.test", to...), message(1<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Send(b.Context(), e, m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPool is many senders to one destination.
func BenchmarkPool(b *testing.B) {
	addr := benchServer(b, &smtp.Server{})
	p := smtp.Pool{Dialer: client()}
	defer p.Close()
	e, m := envelope(b, "alice@a.test", "bob@b.test"), message(1<<10)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Send(b.Context(), addr, e, m); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
