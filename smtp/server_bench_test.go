package smtp

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/memnet"
)

var benchLine = []byte("RCPT TO:<somebody.with.a.name@mail.example.org> NOTIFY=SUCCESS,FAILURE")

func BenchmarkParseCommand(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(benchLine)))
	for b.Loop() {
		if !parseBenchLine() {
			b.Fatal("not parsed")
		}
	}
}

func parseBenchLine() bool {
	v, arg := parseCommand(benchLine)
	path, ok := cutKeyword(arg, "TO:")
	if v != verbRCPT || !ok {
		return false
	}
	inner, rest, err := cutPath(path)
	if err != nil || len(inner) == 0 {
		return false
	}
	_, _, _, _, err = nextParam(rest)
	return err == nil
}

// mailText is a message of n octets of short lines.
func mailText(n int) []byte {
	line := []byte("This is a line of a message that is about as long as such lines are usually.\r\n")
	return bytes.Repeat(line, max(1, n/len(line)))
}

func BenchmarkContent(b *testing.B) {
	text := append(mailText(1<<20), ".\r\n"...)
	for name, policy := range map[string]LinePolicy{"reject": LinesReject, "normalize": LinesNormalize, "keep": LinesKeep} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			buf := make([]byte, largeBuffer)
			for b.Loop() {
				var c content
				c.begin(policy, -1, true)
				in, rest := input{buf: buf}, text
				for e := eventInput; e != eventEnd; _, e = c.next(&in) {
					if e == eventInput {
						n := copy(in.space(), rest)
						in.added(n)
						rest = rest[n:]
					}
				}
			}
		})
	}
}

// discardAll takes every message.
var discardAll = HandlerFunc(func(_ context.Context, _ *Peer, _ *Envelope, m io.Reader) error {
	_, err := io.Copy(io.Discard, m)
	return err
})

// BenchmarkMessage sends messages over one session, as a client without PIPELINING does.
func BenchmarkMessage(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		for _, network := range []string{"memnet", "loopback"} {
			b.Run(network+"/"+sizeName(size), func(b *testing.B) { benchMessage(b, network, mailText(size)) })
		}
	}
}

func sizeName(n int) string {
	if n >= 1<<20 {
		return "1MiB"
	}
	return map[bool]string{true: "1KiB", false: "64KiB"}[n == 1<<10]
}

func benchMessage(b *testing.B, network string, text []byte) {
	srv := &Server{Handler: discardAll}
	client, server := memnet.Pipe()
	if network == "loopback" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(b, err)
		defer l.Close()
		client, err = net.Dial("tcp", l.Addr().String())
		require.NoError(b, err)
		server, err = l.Accept()
		require.NoError(b, err)
	}
	go srv.ServeConn(context.Background(), server)
	defer client.Close()
	replies := make([]byte, 4096)
	expect := func(code string) {
		n, err := client.Read(replies)
		if err != nil || !strings.HasPrefix(string(replies[:n]), code) {
			b.Fatalf("%v %q", err, replies[:n])
		}
	}
	say := func(line []byte, code string) {
		if _, err := client.Write(line); err != nil {
			b.Fatal(err)
		}
		expect(code)
	}
	expect("220")
	say([]byte("EHLO client.example\r\n"), "250")
	mail, rcpt, data, text := []byte("MAIL FROM:<a@example.org>\r\n"), []byte("RCPT TO:<b@example.org>\r\n"), []byte("DATA\r\n"), append(text, ".\r\n"...)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		say(mail, "250")
		say(rcpt, "250")
		say(data, "354")
		say(text, "250")
	}
}

// BenchmarkIdle reports what an idle connection costs: octets of memory for each, both ends of it taken together.
func BenchmarkIdle(b *testing.B) {
	const conns = 2000
	srv := &Server{Handler: discardAll}
	for b.Loop() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(b, err)
		go srv.Serve(l)
		var before, after runtime.MemStats
		clients := make([]net.Conn, conns)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range clients {
			c, err := net.Dial("tcp", l.Addr().String())
			require.NoError(b, err)
			buf := make([]byte, 512)
			c.Read(buf)
			io.WriteString(c, "EHLO client.example\r\n")
			c.Read(buf)
			clients[i] = c
		}
		<-time.After(2 * idleAfter) // a benchmark over real sockets has no fake clock
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&after)
		inUse := func(m *runtime.MemStats) int64 { return int64(m.HeapInuse + m.StackInuse) }
		b.ReportMetric(float64(int64(after.StackInuse)-int64(before.StackInuse))/conns, "stackB/conn")
		b.ReportMetric(float64(inUse(&after)-inUse(&before))/conns, "B/conn")
		for _, c := range clients {
			c.Close()
		}
		l.Close()
	}
}
