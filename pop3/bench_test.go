package pop3_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/pop3"
	"github.com/gomailroom/mailroom/pop3/pop3test"
	"github.com/stretchr/testify/require"
)

// BenchmarkRetr fetches messages of 2 KiB over loopback TCP, so many commands
// at a time.
func BenchmarkRetr(b *testing.B) {
	for _, pipelined := range []int{1, 50} {
		b.Run(fmt.Sprintf("pipelined=%d", pipelined), func(b *testing.B) { benchRetr(b, pipelined) })
	}
}

func benchRetr(b *testing.B, pipelined int) {
	const messages = 1000
	m := new(pop3test.Memory)
	msg := []byte("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 28))
	for range messages {
		m.Deliver("alice", msg)
	}
	srv := &pop3.Server{Backend: m, Auth: pop3test.Users{"alice": "x"}, InsecureAuth: true}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	go srv.Serve(l)
	defer srv.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(b, err)
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 256<<10)
	io.WriteString(conn, "USER alice\r\nPASS x\r\n")
	for range 3 {
		_, err := r.ReadSlice('\n')
		require.NoError(b, err)
	}
	var batch bytes.Buffer
	for i := range pipelined {
		fmt.Fprintf(&batch, "RETR %d\r\n", i+1)
	}
	size := len("+OK 2030 octets\r\n") + len(msg) + 3
	buf := make([]byte, size*pipelined)
	b.SetBytes(int64(len(msg) * pipelined))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		conn.Write(batch.Bytes())
		if _, err := io.ReadFull(r, buf); err != nil {
			b.Fatal(err)
		}
		n += pipelined
	}
	require.True(b, bytes.HasSuffix(buf, []byte("\r\n.\r\n")))
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msgs/s")
}

// BenchmarkIdle reports the memory of a connection that has logged in and
// waits, both ends in this process.
func BenchmarkIdle(b *testing.B) {
	m := new(pop3test.Memory)
	users := pop3test.Users{}
	for i := range 1000 {
		users[fmt.Sprint("user", i)] = "x"
	}
	srv := &pop3.Server{Backend: m, Auth: users, InsecureAuth: true}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	go srv.Serve(l)
	defer srv.Close()
	memory := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapInuse + s.StackInuse
	}
	before := memory()
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	buf := make([]byte, 200)
	for b.Loop() {
		if len(conns) == len(users) {
			continue
		}
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(b, err)
		fmt.Fprintf(c, "USER user%d\r\nPASS x\r\n", len(conns))
		_, err = io.ReadFull(c, buf[:len("+OK POP3 server ready\r\n+OK send PASS\r\n+OK 0 0\r\n")])
		require.NoError(b, err)
		conns = append(conns, c)
	}
	b.ReportMetric(float64(memory()-before)/float64(len(conns)), "B/conn")
}
