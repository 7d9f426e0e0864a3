package bench

import (
	"bytes"
	"io"
	"net"
	netsmtp "net/smtp"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp"
)

var sizes = []struct {
	name   string
	octets int
}{{"1KiB", 1 << 10}, {"4KiB", 4 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}}

// serve runs a sink on loopback.
func serve(b *testing.B, name string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	go Sinks[name](l)
	b.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// BenchmarkSMTPServer sends messages by DATA and without pipelining, over one session or one connection for each. The client is the same few lines for all servers;
// its time is in the figures, so servers differ by more than these say: cmd/smtpload measures them alone.
func BenchmarkSMTPServer(b *testing.B) {
	for _, size := range sizes {
		for _, mode := range []string{"session", "connect"} {
			for _, server := range []string{"mailroom", "go-smtp"} {
				b.Run(size.name+"/"+mode+"/"+server, func(b *testing.B) {
					addr, text := serve(b, server), append(ASCII(size.octets), ".\r\n"...)
					var c *client
					b.SetBytes(int64(size.octets))
					b.ReportAllocs()
					for b.Loop() {
						if c == nil {
							c = hello(b, addr)
						}
						c.say("MAIL FROM:<a@example.org>\r\n", "250")
						c.say("RCPT TO:<b@example.org>\r\n", "250")
						c.say("DATA\r\n", "354")
						c.send(text, "250")
						if mode == "connect" {
							c.say("QUIT\r\n", "221")
							c.Close()
							c = nil
						}
					}
				})
			}
		}
	}
}

// client is a dumb and cheap client of SMTP: each reply has to come in one piece, as it does on loopback.
type client struct {
	net.Conn
	b   *testing.B
	buf [4096]byte
}

func hello(b *testing.B, addr string) *client {
	conn, err := net.Dial("tcp", addr)
	require.NoError(b, err)
	b.Cleanup(func() { conn.Close() })
	c := &client{Conn: conn, b: b}
	c.expect("220")
	c.say("EHLO client.example\r\n", "250")
	return c
}

func (c *client) say(line, code string) { c.send([]byte(line), code) }

func (c *client) send(octets []byte, code string) {
	if _, err := c.Write(octets); err != nil {
		c.b.Fatal(err)
	}
	c.expect(code)
}

func (c *client) expect(code string) {
	for n := 0; ; {
		k, err := c.Read(c.buf[n:])
		n += k
		if err != nil || !bytes.HasPrefix(c.buf[:n], []byte(code)[:min(n, 3)]) {
			c.b.Fatalf("%v: %q instead of %s", err, c.buf[:n], code)
		}
		last := bytes.LastIndexByte(c.buf[:n-1], '\n') + 1
		if c.buf[n-1] == '\n' && c.buf[last+3] == ' ' {
			return
		}
	}
}

// BenchmarkSMTPClient sends messages over one session to the same server.
func BenchmarkSMTPClient(b *testing.B) {
	for _, size := range sizes {
		text := ASCII(size.octets)
		run := func(name string, connect func(addr string) (send func() error, err error)) {
			b.Run(size.name+"/"+name, func(b *testing.B) {
				send, err := connect(serve(b, "mailroom"))
				require.NoError(b, err)
				b.SetBytes(int64(size.octets))
				b.ReportAllocs()
				for b.Loop() {
					if err := send(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("mailroom", func(addr string) (func() error, error) {
			d := smtp.Dialer{Hostname: "client.example"}
			c, err := d.Dial(b.Context(), addr)
			if err != nil {
				return nil, err
			}
			e, err := smtp.NewEnvelope("a@example.org", "b@example.org")
			return func() error { _, err := c.Send(b.Context(), e, smtp.BytesContent(text)); return err }, err
		})
		run("go-smtp", func(addr string) (func() error, error) {
			c, err := gosmtp.Dial(addr)
			return func() error { return c.SendMail("a@example.org", []string{"b@example.org"}, bytes.NewReader(text)) }, err
		})
		run("net-smtp", func(addr string) (func() error, error) {
			c, err := netsmtp.Dial(addr)
			return func() error {
				if err := c.Mail("a@example.org"); err != nil {
					return err
				}
				if err := c.Rcpt("b@example.org"); err != nil {
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
			}, err
		})
	}
}
