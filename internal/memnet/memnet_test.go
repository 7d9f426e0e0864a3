package memnet_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"
)

func TestConn(t *testing.T) {
	t.Parallel()
	t.Run("pipe", func(t *testing.T) {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			c1, c2 = memnet.Pipe()
			return c1, c2, func() { c1.Close(); c2.Close() }, nil
		})
	})
	t.Run("latency", func(t *testing.T) {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			n := &memnet.Network{Link: func(string, netip.AddrPort, netip.AddrPort) memnet.Link {
				return memnet.Link{Latency: time.Microsecond}
			}}
			c1, c2 = dial(t, n)
			return c1, c2, func() { c1.Close(); c2.Close() }, nil
		})
	})
}

func dial(t *testing.T, n *memnet.Network) (c1, c2 net.Conn) {
	t.Helper()
	l, err := n.Listen("tcp", "192.0.2.1:25")
	require.NoError(t, err)
	defer l.Close()
	c1, err = n.DialContext(t.Context(), "tcp", "192.0.2.1:25")
	require.NoError(t, err)
	c2, err = l.Accept()
	require.NoError(t, err)
	return c1, c2
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		start := time.Now()
		a.SetReadDeadline(start.Add(5 * time.Minute))
		_, err := a.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 5*time.Minute, time.Since(start))
		var ne net.Error
		require.ErrorAs(t, err, &ne)
		require.True(t, ne.Timeout())

		a.SetWriteDeadline(time.Now().Add(time.Hour))
		n, err := a.Write(make([]byte, 100<<10))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 64<<10, n, "the peer's buffer")
		require.Equal(t, time.Hour+5*time.Minute, time.Since(start))

		// A deadline that moves while a Read waits.
		b2 := make(chan error)
		a.SetReadDeadline(time.Time{})
		go func() {
			_, err := a.Read(make([]byte, 1))
			b2 <- err
		}()
		synctest.Wait()
		moved := time.Now()
		a.SetReadDeadline(moved.Add(time.Minute))
		time.Sleep(30 * time.Second)
		a.SetReadDeadline(moved.Add(2 * time.Minute))
		require.ErrorIs(t, <-b2, os.ErrDeadlineExceeded)
		require.Equal(t, 2*time.Minute, time.Since(moved))
		a.Close()
		b.Close()
	})
}

func TestCloseAsTCP(t *testing.T) {
	t.Parallel()
	t.Run("half", func(t *testing.T) {
		t.Parallel()
		a, b := memnet.Pipe()
		a.Write([]byte("bye"))
		require.NoError(t, a.(*memnet.Conn).CloseWrite())
		got, err := io.ReadAll(b)
		require.NoError(t, err)
		require.Equal(t, "bye", string(got))
		_, err = a.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
		b.Write([]byte("answer"))
		b.Close()
		got, err = io.ReadAll(a)
		require.NoError(t, err)
		require.Equal(t, "answer", string(got))
	})
	t.Run("unread input resets", func(t *testing.T) {
		t.Parallel()
		a, b := memnet.Pipe()
		a.Write([]byte("never read"))
		b.Write([]byte("last words"))
		b.Close()
		got, err := io.ReadAll(a)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Equal(t, "last words", string(got))
		_, err = a.Write([]byte("x"))
		require.Error(t, err)
	})
	t.Run("own end", func(t *testing.T) {
		t.Parallel()
		a, b := memnet.Pipe()
		b.Write([]byte("x"))
		require.NoError(t, a.Close())
		_, err := a.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = a.Write([]byte("x"))
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, a.Close(), net.ErrClosed)
	})
}

func TestListen(t *testing.T) {
	t.Parallel()
	var n memnet.Network
	own, err := n.Listen("tcp", "192.0.2.1:25")
	require.NoError(t, err)
	_, err = n.Listen("tcp", "192.0.2.1:25")
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	for _, any := range []string{"0.0.0.0:587", ":993", "[::]:995"} {
		l, err := n.Listen("tcp", any)
		require.NoError(t, err)
		_, port, _ := net.SplitHostPort(any)
		for _, ip := range []string{"192.0.2.9", "2001:db8::9", "127.0.0.1"} {
			c, err := n.DialContext(t.Context(), "tcp", net.JoinHostPort(ip, port))
			require.NoError(t, err)
			s, err := l.Accept()
			require.NoError(t, err)
			require.Equal(t, net.JoinHostPort(ip, port), s.LocalAddr().String())
			require.Equal(t, c.LocalAddr().String(), s.RemoteAddr().String())
			require.IsType(t, &net.TCPAddr{}, s.RemoteAddr())
		}
	}
	c, err := n.Host("198.51.100.7").DialContext(t.Context(), "tcp", "192.0.2.1:25")
	require.NoError(t, err)
	s, err := own.Accept()
	require.NoError(t, err)
	require.Equal(t, "198.51.100.7", s.RemoteAddr().(*net.TCPAddr).IP.String())
	require.Equal(t, s.RemoteAddr(), c.LocalAddr())

	waiting, err := n.DialContext(t.Context(), "tcp", "192.0.2.1:25")
	require.NoError(t, err)
	require.NoError(t, own.Close())
	_, err = waiting.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = own.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = n.DialContext(t.Context(), "tcp", "192.0.2.1:25")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	var op *net.OpError
	require.ErrorAs(t, err, &op)

	h := n.Host("192.0.2.2")
	l, err := h.Listen("tcp", ":25")
	require.NoError(t, err)
	require.Equal(t, "192.0.2.2:25", l.Addr().String())
	l, err = n.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NotZero(t, l.Addr().(*net.TCPAddr).Port)

	_, err = n.DialContext(t.Context(), "tcp", "mx.example.org:25")
	var dns *net.DNSError
	require.ErrorAs(t, err, &dns)
	_, err = n.DialContext(t.Context(), "unix", "x")
	require.Error(t, err)
}

func TestLinks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{Link: func(network string, from, to netip.AddrPort) memnet.Link {
			switch to.Addr().String() {
			case "192.0.2.66":
				return memnet.Link{BlackHole: true}
			case "192.0.2.67":
				return memnet.Link{Err: syscall.EHOSTUNREACH}
			case "192.0.2.68":
				return memnet.Link{Latency: 50 * time.Millisecond}
			case "192.0.2.69":
				return memnet.Link{CutSent: 5}
			case "192.0.2.70":
				return memnet.Link{CutReceived: -1}
			}
			return memnet.Link{}
		}}
		l, err := n.Listen("tcp", ":25")
		require.NoError(t, err)
		defer l.Close()
		to := func(ip string) (net.Conn, net.Conn, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			c, err := n.DialContext(ctx, "tcp", ip+":25")
			if err != nil {
				return nil, nil, err
			}
			s, err := l.Accept()
			require.NoError(t, err)
			return c, s, nil
		}
		start := time.Now()
		_, _, err = to("192.0.2.66")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var ne net.Error
		require.ErrorAs(t, err, &ne)
		require.True(t, ne.Timeout())
		require.Equal(t, 30*time.Second, time.Since(start))

		_, _, err = to("192.0.2.67")
		require.ErrorIs(t, err, syscall.EHOSTUNREACH)

		start = time.Now()
		c, s, err := to("192.0.2.68")
		require.NoError(t, err)
		require.Equal(t, 100*time.Millisecond, time.Since(start))
		start = time.Now()
		c.Write([]byte("hi"))
		c.Close()
		got, err := io.ReadAll(s)
		require.NoError(t, err)
		require.Equal(t, "hi", string(got))
		require.Equal(t, 50*time.Millisecond, time.Since(start))

		c, s, err = to("192.0.2.69")
		require.NoError(t, err)
		_, err = c.Write([]byte("abc"))
		require.NoError(t, err)
		w, err := c.Write([]byte("defgh"))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Equal(t, 2, w)
		got, err = io.ReadAll(s)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Equal(t, "abcde", string(got))
		_, err = s.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)

		c, s, err = to("192.0.2.70")
		require.NoError(t, err)
		_, err = s.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestPackets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		srv, err := n.ListenPacket("udp", ":53")
		require.NoError(t, err)
		c, err := n.Host("198.51.100.7").DialContext(t.Context(), "udp", "192.0.2.53:53")
		require.NoError(t, err)
		_, isPacket := c.(net.PacketConn)
		require.True(t, isPacket, "as *net.UDPConn, by which DNS libraries tell framing")
		c.Write([]byte("question"))
		buf := make([]byte, 512)
		k, from, err := srv.ReadFrom(buf)
		require.NoError(t, err)
		require.Equal(t, "question", string(buf[:k]))
		require.Equal(t, "198.51.100.7", from.(*net.UDPAddr).IP.String())
		_, err = srv.WriteTo([]byte("answer"), from)
		require.NoError(t, err)
		k, err = c.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "answer", string(buf[:k]))

		start := time.Now()
		c.SetReadDeadline(start.Add(2 * time.Second))
		_, err = c.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 2*time.Second, time.Since(start))
		c.SetReadDeadline(time.Time{})

		// A stranger's datagram does not reach a connected socket.
		stranger, err := n.ListenPacket("udp", "203.0.113.1:53")
		require.NoError(t, err)
		stranger.WriteTo([]byte("forged"), c.LocalAddr())
		srv.WriteTo([]byte("true"), c.LocalAddr())
		k, err = c.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "true", string(buf[:k]))

		// Nobody listens: a connected socket hears of it.
		require.NoError(t, srv.Close())
		c.Write([]byte("anyone?"))
		_, err = c.Read(buf)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.NoError(t, c.Close())
		_, err = c.Read(buf)
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func BenchmarkPipe(b *testing.B) {
	c1, c2 := memnet.Pipe()
	p := bytes.Repeat([]byte("x"), 4096)
	go io.Copy(io.Discard, c2)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		c1.Write(p)
	}
	c1.Close()
}
