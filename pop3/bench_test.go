package pop3_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
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
