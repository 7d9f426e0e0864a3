package imap_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
)

const benchMessages = 10_000

// benchMessage gives a message of about 2 KiB; one in five is a multipart.
func benchMessage(i int) string {
	head := fmt.Sprintf("Received: from a.example.org by b.example.org; Mon, 7 Feb 2022 21:52:25 -0800\r\nFrom: Sender %d <sender%d@example.org>\r\n"+
		"To: Receiver <receiver@example.net>\r\nSubject: message number %d of many\r\nDate: Mon, 7 Feb 2022 21:52:25 -0800\r\n"+
		"Message-ID: <%d@example.org>\r\nMIME-Version: 1.0\r\n", i, i%100, i, i)
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, again and again.\r\n", 26)
	if i%5 != 0 {
		return head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text
	}
	return head + "Content-Type: multipart/alternative; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + text[:800] +
		"\r\n--b\r\nContent-Type: text/html\r\n\r\n" + text[:800] + "\r\n--b--\r\n"
}

// full gives a server with 10,000 messages, and a client on loopback.
func full(b *testing.B) (*imap.Server, *client) {
	b.Helper()
	srv := newServer(b)
	srv.Limits.MessageSize = -1
	c := login(b, srv)
	for i := 0; i < benchMessages; i += 100 {
		var cmd strings.Builder
		cmd.WriteString("APPEND INBOX")
		for j := i; j < i+100; j++ {
			m := benchMessage(j)
			fmt.Fprintf(&cmd, " {%d+}\r\n%s", len(m), m)
		}
		_, end := c.cmd("%s", cmd.String())
		require.Contains(b, end, "OK")
	}
	return srv, overTCP(b, srv)
}

func overTCP(b *testing.B, srv *imap.Server) *client {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	go srv.Serve(l)
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(b, err)
	b.Cleanup(func() { l.Close(); conn.Close() })
	c := newClient(b, conn)
	c.line()
	c.ok("LOGIN alice secret")
	c.ok("SELECT INBOX")
	return c
}

// drain sends a command and reads until its tagged response, as fast as can be.
func (c *client) drain(buf []byte, cmd string) (octets int64) {
	if _, err := io.WriteString(c.c, "z "+cmd+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	for tail := "\r\n"; ; {
		n, err := c.c.Read(buf)
		if err != nil {
			c.t.Fatal(err)
		}
		octets += int64(n)
		tail += string(buf[max(0, n-200):n])
		tail = tail[max(0, len(tail)-200):]
		if strings.HasSuffix(tail, "\r\n") {
			if at := strings.LastIndex(tail[:len(tail)-2], "\r\n"); strings.HasPrefix(tail[at+2:], "z ") {
				if !strings.HasPrefix(tail[at+2:], "z OK") {
					c.t.Fatal(tail[at+2:])
				}
				return octets
			}
		}
	}
}

func BenchmarkCommands(b *testing.B) {
	_, c := full(b)
	buf := make([]byte, 256<<10)
	for _, cmd := range []string{
		"FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)",
		"UID FETCH 1:* (FLAGS)",
		"FETCH 1:* BODY.PEEK[]",
		"FETCH 1:* BODY.PEEK[HEADER.FIELDS (From Subject)]",
		"SEARCH SUBJECT \"number 777 of\"",
		"SEARCH FROM sender42",
		"SEARCH HEADER Message-ID <4242@",
		"SEARCH TEXT \"zulu yankee\"",
		"SEARCH SINCE 1-Feb-1994 UNSEEN",
		"STORE 1:* +FLAGS.SILENT (\\Flagged)",
		"STORE 1:* FLAGS (\\Seen)",
		"SELECT INBOX",
		"NOOP",
	} {
		b.Run(strings.ReplaceAll(cmd, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.SetBytes(c.drain(buf, cmd))
				if strings.HasPrefix(cmd, "STORE") {
					b.StopTimer()
					c.drain(buf, "STORE 1:* -FLAGS.SILENT (\\Flagged \\Seen)")
					b.StartTimer()
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	c := overTCP(b, newServer(b))
	m := benchMessage(1)
	buf := make([]byte, 4096)
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	for b.Loop() {
		c.drain(buf, fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(m), m))
	}
}

// BenchmarkIdle tells what memory a connection in IDLE takes, both ends of the socket apart from the kernel.
func BenchmarkIdle(b *testing.B) {
	srv := newServer(b)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer srv.Close()
	go srv.Serve(l)
	const n = 1000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var conns []net.Conn
		buf := make([]byte, 4096)
		for range n {
			conn, err := net.Dial("tcp", l.Addr().String())
			require.NoError(b, err)
			_, err = io.WriteString(conn, "a LOGIN alice secret\r\nb SELECT INBOX\r\nc IDLE\r\n")
			require.NoError(b, err)
			for got := ""; !strings.Contains(got, "+ idling"); {
				k, err := conn.Read(buf)
				require.NoError(b, err)
				got += string(buf[:k])
			}
			conns = append(conns, conn)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse)/n, "B/conn")
		for _, conn := range conns {
			conn.Close()
		}
	}
}
