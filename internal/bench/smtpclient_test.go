package bench

import (
	"bytes"
	"io"
	"net"
	netsmtp "net/smtp"
	"os"
	"os/exec"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp"
)

// smtpSink starts Postfix's test server, which is the same for all clients and takes little of the time.
func smtpSink(b *testing.B) (addr string) {
	sink, err := exec.LookPath("smtp-sink")
	if err != nil {
		b.Skip("smtp-sink is not installed; it comes with Postfix")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	addr = l.Addr().String()
	require.NoError(b, l.Close())
	args := []string{addr, "100"}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...)
	}
	c := exec.Command(sink, args...)
	require.NoError(b, c.Start())
	b.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	require.Eventually(b, func() bool {
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			nc.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	return addr
}

// What every client sends from and to.
const from, to = "a@example.org", "b@example.org"

// sinkClients are the clients that are compared. connect makes one connection.
var sinkClients = []struct {
	name    string
	connect func(b *testing.B, addr string, text []byte) (send func() error)
}{
	{"mailroom", func(b *testing.B, addr string, text []byte) func() error {
		d := smtp.Dialer{Hostname: "client.example"}
		c, err := d.Dial(b.Context(), addr)
		require.NoError(b, err)
		b.Cleanup(func() { c.Close() })
		e, err := smtp.NewEnvelope(from, to)
		require.NoError(b, err)
		return func() error { _, err := c.Send(b.Context(), e, smtp.BytesContent(text)); return err }
	}},
	{"mailroom-pool", func(b *testing.B, addr string, text []byte) func() error {
		p := &smtp.Pool{Dialer: &smtp.Dialer{Hostname: "client.example"}, MaxConns: 1, MaxMessages: 1 << 30}
		b.Cleanup(func() { p.Close() })
		e, err := smtp.NewEnvelope(from, to)
		require.NoError(b, err)
		return func() error { _, err := p.Send(b.Context(), addr, e, smtp.BytesContent(text)); return err }
	}},
	{"go-smtp", func(b *testing.B, addr string, text []byte) func() error {
		c, err := gosmtp.Dial(addr)
		require.NoError(b, err)
		b.Cleanup(func() { c.Close() })
		return func() error { return c.SendMail(from, []string{to}, bytes.NewReader(text)) }
	}},
	{"net-smtp", func(b *testing.B, addr string, text []byte) func() error {
		c, err := netsmtp.Dial(addr)
		require.NoError(b, err)
		b.Cleanup(func() { c.Close() })
		return func() error {
			if err := c.Mail(from); err != nil {
				return err
			}
			if err := c.Rcpt(to); err != nil {
				return err
			}
			w, err := c.Data()
			if err != nil {
				return err
			}
			if _, err := io.Copy(w, bytes.NewReader(text)); err != nil {
				return err
			}
			return w.Close()
		}
	}},
}

// BenchmarkSMTPClientSink sends messages over one connection to smtp-sink.
func BenchmarkSMTPClientSink(b *testing.B) {
	for _, size := range sizes {
		text := ASCII(size.octets)
		for _, client := range sinkClients {
			b.Run(size.name+"/"+client.name, func(b *testing.B) {
				send := client.connect(b, smtpSink(b), text)
				b.SetBytes(int64(size.octets))
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					if err := send(); err != nil {
						b.Fatal(err)
					}
					n++
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

// BenchmarkSMTPClientRatio has all clients take turns, a few messages each, at the same smtp-sink, each over its one connection. What else the machine does hits them alike, so
// the ratios hold where the figures of BenchmarkSMTPClientSink do not: how many times as many messages in the same time as go-smtp and net/smtp.
func BenchmarkSMTPClientRatio(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			text, addr := ASCII(size.octets), smtpSink(b)
			spent := make([]time.Duration, len(sinkClients))
			var sends []func() error
			for _, client := range sinkClients {
				sends = append(sends, client.connect(b, addr, text))
			}
			for b.Loop() {
				for i, send := range sends {
					start := time.Now()
					for range 20 {
						if err := send(); err != nil {
							b.Fatal(err)
						}
					}
					spent[i] += time.Since(start)
				}
			}
			for i, client := range sinkClients[1:] {
				b.ReportMetric(float64(spent[i+1])/float64(spent[0]), "x-"+client.name)
			}
		})
	}
}
