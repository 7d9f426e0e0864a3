package conns_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/conns"
	"github.com/gomailroom/mailroom/internal/memnet"
)

var errClosed = errors.New("server closed")

func newGroup() *conns.Group {
	return &conns.Group{Closed: errClosed, Logger: slog.New(slog.DiscardHandler), ProxyFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.8/32")}}
}

// pipe gives both ends of a connection that comes from an address.
func pipe(t *testing.T, ip string) (client, server net.Conn) {
	t.Helper()
	var n memnet.Network
	at := "192.0.2.1:25"
	if netip.MustParseAddr(ip).Is6() {
		at = "[2001:db8::1]:25"
	}
	l, err := n.Listen("tcp", at)
	require.NoError(t, err)
	defer l.Close()
	client, err = n.Host(ip).DialContext(context.Background(), "tcp", at)
	require.NoError(t, err)
	server, err = l.Accept()
	require.NoError(t, err)
	return client, server
}

func open(t *testing.T, g *conns.Group, ip, header string) (*conns.Conn, error) {
	t.Helper()
	client, server := pipe(t, ip)
	io.WriteString(client, header)
	c, err := g.Open(context.Background(), server)
	if err != nil {
		server.Close()
	}
	return c, err
}

func TestServe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		g := newGroup()
		served := make(chan error, 2)
		for _, port := range []string{"25", "587"} {
			l, err := n.Listen("tcp", "192.0.2.1:"+port)
			require.NoError(t, err)
			go func() {
				served <- g.Serve(l, func(nc net.Conn) {
					defer nc.Close()
					fmt.Fprintln(nc, "hello")
				})
			}()
		}
		for _, port := range []string{"25", "587"} {
			c, err := n.DialContext(t.Context(), "tcp", "192.0.2.1:"+port)
			require.NoError(t, err)
			text, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, "hello\n", string(text))
			c.Close()
		}
		g.Close()
		require.Equal(t, errClosed, <-served)
		require.Equal(t, errClosed, <-served)
		l, err := n.Listen("tcp", "192.0.2.1:25")
		require.NoError(t, err)
		require.Equal(t, errClosed, g.Serve(l, nil))
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = open(t, g, "198.51.100.7", "")
		require.Equal(t, errClosed, err)
	})
}

// Goroutines serve one connection after the other. However many there are at a time, none is left behind, or the bubble would not end.
func TestServeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		g := newGroup()
		l, err := n.Listen("tcp", "192.0.2.1:25")
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() {
			served <- g.Serve(l, func(nc net.Conn) {
				defer nc.Close()
				stack := make([]byte, 64)
				stack = stack[:runtime.Stack(stack, false)]
				fmt.Fprintln(nc, string(bytes.Fields(stack)[1])) // the number of the goroutine
				nc.Read(stack)
			})
		}()
		dial := func() (c net.Conn, goroutine string) {
			c, err := n.DialContext(t.Context(), "tcp", "192.0.2.1:25")
			require.NoError(t, err)
			_, err = fmt.Fscanln(c, &goroutine)
			require.NoError(t, err)
			return c, goroutine
		}
		end := func(c net.Conn) {
			c.Close()
			synctest.Wait()
		}
		first, one := dial()
		end(first)
		second, again := dial()
		require.Equal(t, one, again)
		third, another := dial()
		require.NotEqual(t, one, another)
		end(second)
		end(third)
		for range 2 {
			var many []net.Conn
			for range 100 {
				c, _ := dial()
				many = append(many, c)
			}
			for _, c := range many {
				end(c)
			}
		}
		last, _ := dial()
		g.Close()
		require.Equal(t, errClosed, <-served)
		last.Close() // of a connection that is not in the group Close knows nothing
	})
}

// sick is a listener whose Accept fails.
type sick struct {
	net.Listener
	err   error
	tried []time.Time
}

func (l *sick) Accept() (net.Conn, error) {
	l.tried = append(l.tried, time.Now())
	return nil, l.err
}

func (l *sick) Close() error { return nil }

func TestAcceptFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		broken := errors.New("broken")
		require.Equal(t, broken, g.Serve(&sick{err: broken}, nil))

		l := &sick{err: &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}}
		start := time.Now()
		served := make(chan error, 1)
		go func() { served <- g.Serve(l, nil) }()
		time.Sleep(10*time.Second + time.Millisecond)
		g.Close()
		require.Equal(t, errClosed, <-served)
		require.Equal(t, 10*time.Second+time.Millisecond, time.Since(start), "the back-off ends at once")
		require.Equal(t, []time.Duration{0, 5, 15, 35, 75, 155, 315, 635, 1275, 2275}, func() (ms []time.Duration) {
			for _, at := range l.tried[:10] {
				ms = append(ms, at.Sub(start)/time.Millisecond)
			}
			return ms
		}())
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	const header = "PROXY TCP4 203.0.113.7 192.0.2.1 4711 25\r\n"
	for name, tt := range map[string]struct {
		connections, perAddress int
		from                    []string // and the header after a space
		want                    error    // of the last
	}{
		"all":                     {connections: 2, from: []string{"198.51.100.1", "198.51.100.2", "198.51.100.3"}, want: conns.ErrTooMany},
		"no limit":                {from: []string{"198.51.100.1", "198.51.100.1", "198.51.100.1"}},
		"negative":                {connections: -1, perAddress: -1, from: []string{"198.51.100.1", "198.51.100.1"}},
		"an address":              {perAddress: 2, from: []string{"198.51.100.1", "198.51.100.1", "198.51.100.1"}, want: conns.ErrTooManyFrom},
		"other addresses":         {perAddress: 2, from: []string{"198.51.100.1", "198.51.100.1", "198.51.100.2"}},
		"a network of IPv6":       {perAddress: 2, from: []string{"2001:db8:1::1", "2001:db8:1::2", "2001:db8:1:0:ffff::1"}, want: conns.ErrTooManyFrom},
		"another network of IPv6": {perAddress: 2, from: []string{"2001:db8:1::1", "2001:db8:1::2", "2001:db8:1:1::1"}},
		"loopback":                {perAddress: 1, from: []string{"127.0.0.1", "127.0.0.1", "::1", "::1"}},
		"trusted":                 {perAddress: 1, from: []string{"192.0.2.9", "192.0.2.9"}},
		"through a proxy":         {perAddress: 1, from: []string{"192.0.2.8 " + header, "203.0.113.7"}, want: conns.ErrTooManyFrom},
		"others through it":       {perAddress: 1, from: []string{"192.0.2.8 " + header, "192.0.2.8 PROXY TCP4 203.0.113.8 192.0.2.1 4711 25\r\n"}},
		"the proxy for itself":    {perAddress: 1, from: []string{"192.0.2.8 PROXY UNKNOWN\r\n", "192.0.2.8 PROXY UNKNOWN\r\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGroup()
			g.Connections, g.PerAddress = tt.connections, tt.perAddress
			g.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}
			var first *conns.Conn
			for i, from := range tt.from {
				var ip, header string
				fmt.Sscanf(from, "%s", &ip)
				if len(from) > len(ip) {
					header = from[len(ip)+1:]
				}
				c, err := open(t, g, ip, header)
				if i < len(tt.from)-1 || tt.want == nil {
					require.NoError(t, err)
					defer c.End()
				} else {
					require.Equal(t, tt.want, err)
				}
				if i == 0 {
					first = c
				}
			}
			if tt.want == nil {
				return
			}
			first.End()
			first.End() // once is enough
			var ip string
			fmt.Sscanf(tt.from[len(tt.from)-1], "%s", &ip)
			c, err := open(t, g, ip, "")
			require.NoError(t, err, "there is room again")
			c.End()
		})
	}
}

func TestCountAs(t *testing.T) {
	t.Parallel()
	g := newGroup()
	g.PerAddress = 1
	one, err := open(t, g, "198.51.100.1", "")
	require.NoError(t, err)
	two, err := open(t, g, "198.51.100.2", "")
	require.NoError(t, err)
	require.NoError(t, two.CountAs(netip.MustParseAddr("198.51.100.2")), "as before")
	require.Equal(t, conns.ErrTooManyFrom, two.CountAs(netip.MustParseAddr("::ffff:198.51.100.1")))
	require.NoError(t, two.CountAs(netip.MustParseAddr("198.51.100.3")))
	require.NoError(t, one.CountAs(netip.MustParseAddr("198.51.100.2")))
	require.NoError(t, two.CountAs(netip.MustParseAddr("198.51.100.1")))
	one.End()
	two.End()
	c, err := open(t, g, "198.51.100.1", "")
	require.NoError(t, err)
	c.End()
}
