package smtp

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
)

// witness is a handler that keeps the peers it is told of, and their contexts.
type witness struct {
	connected []*Peer
	contexts  []context.Context
	began     []*Peer
}

func (h *witness) Connect(ctx context.Context, p *Peer) (Session, error) {
	h.connected, h.contexts = append(h.connected, p), append(h.contexts, ctx)
	if p.Remote.Addr() == netip.MustParseAddr("203.0.113.66") {
		return nil, &Error{Code: 554, Enhanced: EnhancedCode{5, 7, 1}, Text: "not you"}
	}
	return h, nil
}

func (h *witness) Begin(_ context.Context, p *Peer, _ ReversePath, _ MailParams) (Transaction, error) {
	h.began = append(h.began, p)
	return nil, &Error{Code: 550, Text: "enough"}
}

// from begins a session that comes from an address.
func from(t *testing.T, srv *Server, ip string, implicitTLS bool) *wire {
	var n memnet.Network
	l, err := n.Listen("tcp", "192.0.2.1:25")
	require.NoError(t, err)
	srv.Hostname = "mx.example.org"
	conn, err := n.Host(ip).DialContext(t.Context(), "tcp", "192.0.2.1:25")
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	l.Close()
	if implicitTLS {
		server = tls.Server(server, srv.TLSConfig)
	}
	w := &wire{t: t, conn: conn, r: bufio.NewReader(conn), done: make(chan error, 1)}
	go func() { w.done <- srv.ServeConn(context.Background(), server) }()
	t.Cleanup(func() { conn.Close() })
	return w
}

var proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.8/32"), netip.MustParsePrefix("2001:db8::/64")}

func TestXClient(t *testing.T) {
	t.Parallel()
	h := &witness{}
	w := from(t, &Server{Handler: h, XClientFrom: proxies, Auth: fileAuth{}, InsecureAuth: true}, "192.0.2.8", false).hello()
	w.ask("AUTH PLAIN AGFsaWNlAHNlY3JldA==", "235")
	w.ask("XCLIENT ADDR=203.0.113.7 PORT=4711 NAME=client.example DESTADDR=192.0.2.99 DESTPORT=587", "220 mx.example.org")
	require.Error(t, h.contexts[0].Err(), "what the proxy was counted as is over")
	require.NoError(t, h.contexts[1].Err())
	w.ask("EHLO first.example", "250")
	w.ask("MAIL FROM:<a@example.org>", "550")
	w.ask("XCLIENT HELO=second.example LOGIN=b+C3+B6b", "220")
	w.ask("XCLIENT PORT=4712", "220")
	w.ask("EHLO proxy.example", "250")
	w.ask("MAIL FROM:<a@example.org>", "550")

	require.Equal(t, netip.MustParseAddrPort("192.0.2.1:25"), h.connected[0].Local)
	first, second := h.began[0], h.began[1]
	require.Equal(t, netip.MustParseAddrPort("203.0.113.7:4711"), first.Remote)
	require.Equal(t, netip.MustParseAddrPort("192.0.2.99:587"), first.Local)
	require.Equal(t, "client.example", first.Name)
	require.Equal(t, "first.example", first.Hello)
	require.Empty(t, first.Identity, "it was the proxy that authenticated")
	require.Equal(t, netip.MustParseAddrPort("203.0.113.7:4712"), second.Remote)
	require.Equal(t, "second.example", second.Hello)
	require.Equal(t, "böb", second.Identity)
	require.Equal(t, "XCLIENT", second.Mechanism)
	require.Len(t, h.connected, 4)

	w.ask("XCLIENT ADDR=203.0.113.66", "554 5.7.1 not you")
	w.ask("EHLO proxy.example", "503")
	w.quit()
	require.Error(t, h.contexts[4].Err())
}

func TestXClientNotTrusted(t *testing.T) {
	t.Parallel()
	for name, srv := range map[string]*Server{
		"other":    {XClientFrom: proxies}, // Postfix's XCLIENT_README: 550, insufficient authorization
		"withheld": {XClientFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Withhold: ExtXClient},
		"proxied":  {XClientFrom: proxies, ProxyFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &witness{}
			srv.Handler = h
			w := from(t, srv, "192.0.2.9", false)
			if name == "proxied" { // who comes through a proxy is not the proxy
				w.send("PROXY TCP4 203.0.113.7 192.0.2.1 4711 25\r\n")
			}
			require.NotContains(t, w.hello().ask("EHLO x", "250"), "XCLIENT")
			w.ask("XCLIENT ADDR=203.0.113.8", cmp.Or(map[string]string{"withheld": "502 5.5.1"}[name], "550 5.7.0"))
			w.quit()
			require.Len(t, h.connected, 1)
		})
	}
}

func TestProxyHeader(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	const v1 = "PROXY TCP6 2001:db8:1::7 2001:db8:1::1 4711 25\r\n"
	const overTLS = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x1e\xcb\x00\x71\x07\xc0\x00\x02\x63\x12\x67\x00\x19\x20\x00\x0f\x01\x00\x00\x00\x00\x21\x00\x07TLSv1.3"
	for name, c := range map[string]struct {
		ip, in   string
		implicit bool
		remote   string
		tls      uint16
	}{
		"v1":           {"192.0.2.8", v1, false, "[2001:db8:1::7]:4711", 0},
		"v2 with TLS":  {"2001:db8::8", overTLS, false, "203.0.113.7:4711", tls.VersionTLS13},
		"before TLS":   {"192.0.2.8", v1, true, "[2001:db8:1::7]:4711", tls.VersionTLS13},
		"for itself":   {"192.0.2.8", "PROXY UNKNOWN\r\n", false, "192.0.2.8:49152", 0},
		"from nobody":  {"192.0.2.9", "", false, "192.0.2.9:49152", 0},
		"before TLS 2": {"192.0.2.9", "", true, "192.0.2.9:49152", tls.VersionTLS13},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &witness{}
			w := from(t, &Server{Handler: h, ProxyFrom: proxies, TLSConfig: ca.Server("mx.example.org"), Auth: fileAuth{}}, c.ip, c.implicit)
			w.send(c.in)
			if c.implicit {
				config := ca.Client()
				config.ServerName = "mx.example.org"
				w.startTLS(config)
			}
			offers := w.hello().ask("EHLO client.example", "250")
			w.ask("MAIL FROM:<a@example.org>", "550")
			p := h.began[0]
			require.Equal(t, c.remote, p.Remote.String())
			require.Equal(t, c.remote, h.connected[0].Remote.String())
			if c.tls == 0 {
				require.Nil(t, p.TLS)
				require.Contains(t, offers, "STARTTLS")
				require.NotContains(t, offers, "AUTH")
			} else {
				require.Equal(t, c.tls, p.TLS.Version)
				require.NotContains(t, offers, "STARTTLS")
				require.Contains(t, offers, "AUTH PLAIN LOGIN")
			}
			w.quit()
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		h := &witness{}
		w := from(t, &Server{Handler: h, ProxyFrom: proxies}, "192.0.2.8", false)
		w.send("EHLO client.example\r\n")
		_, err := io.ReadAll(w.r)
		require.Error(t, err)
		require.ErrorContains(t, <-w.done, "malformed PROXY header")
		require.Empty(t, h.connected)
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			w := from(t, &Server{Handler: &witness{}, ProxyFrom: proxies}, "192.0.2.8", false)
			w.send("PROXY ")
			require.ErrorIs(t, <-w.done, os.ErrDeadlineExceeded)
			require.Equal(t, 10*time.Second, time.Since(start))
		})
	})
}

func TestGreetingDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &witness{}
		srv := &Server{Handler: h, GreetingDelay: 5 * time.Second}
		start := time.Now()
		w := from(t, srv, "192.0.2.7", false)
		w.reply("220 ")
		require.Equal(t, 5*time.Second, time.Since(start))
		require.False(t, h.connected[0].Early)
		w.quit()

		start = time.Now() // what it says before is heard all the same
		w = from(t, srv, "192.0.2.7", false)
		w.send("EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nQUIT\r\n")
		w.reply("220 ")
		w.reply("250 ")
		w.reply("550 ")
		w.reply("221 ")
		require.Zero(t, time.Since(start))
		require.True(t, h.connected[1].Early)
		require.NoError(t, w.closed())

		w = from(t, srv, "192.0.2.7", false) // one that leaves before is not greeted
		w.conn.Close()
		require.NoError(t, <-w.done)
		require.Len(t, h.connected, 2)

		w = from(t, srv, "192.0.2.7", false) // Shutdown does not wait for the delay
		time.Sleep(time.Second)
		require.NoError(t, srv.Shutdown(t.Context()))
		w.reply("421 4.3.2")
		require.True(t, errors.Is(w.closed(), ErrServerClosed))
		require.Len(t, h.connected, 2)
	})
}
