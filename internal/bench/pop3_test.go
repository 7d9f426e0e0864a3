package bench

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap/mailstore/imapdrop"
	"github.com/gomailroom/mailroom/pop3"
)

// There is no peer for a POP3 server among the Go modules that are kept up. ceiling answers from memory without parsing or asking anything: what the kernel and
// the client alone take.
var pop3Servers = []struct {
	name  string
	start func(b *testing.B, l net.Listener)
}{
	{"mailroom-memory", func(b *testing.B, l net.Listener) { servePOP3(b, "memory", l) }},
	{"mailroom-sqlite", func(b *testing.B, l net.Listener) { servePOP3(b, "sqlite", l) }},
	{"ceiling", func(_ *testing.B, l net.Listener) { go ceiling(l) }},
}

func servePOP3(b *testing.B, store string, l net.Listener) {
	s := &pop3.Server{Backend: imapdrop.New(full(b, store)), Auth: anybody{}, InsecureAuth: true}
	go s.Serve(l)
	b.Cleanup(func() { s.Close() })
}

func ceiling(l net.Listener) {
	var retr, list strings.Builder
	fmt.Fprintf(&retr, "+OK\r\n%s.\r\n", Letter(1))
	list.WriteString("+OK\r\n")
	for i := range mailboxSize {
		fmt.Fprintf(&list, "%d %d\r\n", i+1, len(Letter(1)))
	}
	list.WriteString(".\r\n")
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "+OK\r\n")
	var out []byte
	for buf := make([]byte, 64<<10); ; {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		out = out[:0]
		for line := range bytes.Lines(buf[:n]) {
			switch line[0] {
			case 'R':
				out = append(out, retr.String()...)
			case 'L', 'U':
				if line[1] == 'S' { // USER
					out = append(out, "+OK\r\n"...)
				} else {
					out = append(out, list.String()...)
				}
			default:
				out = append(out, "+OK\r\n"...)
			}
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// BenchmarkPOP3 reads a maildrop of 10,000 messages of 2 KiB: RETR one at a time and 50 at once, and the lists.
func BenchmarkPOP3(b *testing.B) {
	clients := make([]func() *popClient, len(pop3Servers))
	for i, s := range pop3Servers {
		clients[i] = sync.OnceValue(func() *popClient {
			l := listen(b)
			s.start(b, l)
			return dialPOP3(b, l.Addr().String())
		})
	}
	for _, c := range []struct {
		name, command string
		times         int
	}{{"RETR", "RETR", 1}, {"RETR,50", "RETR", 50}, {"LIST", "LIST", 0}, {"UIDL", "UIDL", 0}} {
		for i, s := range pop3Servers {
			b.Run(c.name+"/"+s.name, func(b *testing.B) {
				p := clients[i]()
				b.ReportAllocs()
				message, octets := 0, 0
				var batch []byte
				b.ResetTimer()
				for b.Loop() {
					batch = batch[:0]
					for range c.times {
						batch = fmt.Appendf(batch, "%s %d\r\n", c.command, message%mailboxSize+1)
						message++
					}
					if c.times == 0 {
						batch = append(batch, c.command+"\r\n"...)
					}
					p.send(b, batch)
					octets = p.read(b, max(1, c.times), "\r\n.\r\n")
				}
				b.SetBytes(int64(octets))
			})
		}
	}
}

func dialPOP3(b *testing.B, addr string) *popClient {
	conn, err := net.Dial("tcp", addr)
	require.NoError(b, err)
	b.Cleanup(func() { conn.Close() })
	p := &popClient{Conn: conn, buf: make([]byte, 256<<10)}
	p.read(b, 1, "\r\n")
	for _, line := range []string{"USER alice\r\n", "PASS secret\r\n"} {
		p.send(b, []byte(line))
		p.read(b, 1, "\r\n")
	}
	return p
}

type popClient struct {
	net.Conn
	buf []byte
}

func (p *popClient) send(b *testing.B, lines []byte) {
	if _, err := p.Write(lines); err != nil {
		b.Fatal(err)
	}
}

// read takes so many answers, each ended as said.
func (p *popClient) read(b *testing.B, answers int, end string) (octets int) {
	var tail []byte
	for answers > 0 {
		n, err := p.Read(p.buf)
		if err != nil {
			b.Fatal(err)
		}
		octets += n
		seen := append(tail, p.buf[:n]...)
		answers -= bytes.Count(seen, []byte(end))
		last := bytes.LastIndex(seen, []byte(end)) // what follows may be the start of an end
		keep := len(seen) - (len(end) - 1)
		if last >= 0 {
			keep = max(keep, last+len(end))
		}
		tail = append([]byte(nil), seen[max(0, keep):]...)
	}
	return octets
}
