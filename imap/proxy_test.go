package imap_test

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
	"github.com/gomailroom/mailroom/internal/memnet"
)

// addresses is an Authenticator that keeps the addresses it is told.
type addresses struct{ seen chan netip.Addr }

func (a addresses) VerifyPassword(_ context.Context, remote netip.Addr, _, username, _ string) (string, error) {
	a.seen <- remote
	return username, nil
}

func TestProxyHeader(t *testing.T) {
	t.Parallel()
	const header4 = "PROXY TCP4 203.0.113.7 192.0.2.1 4711 110\r\n"
	overTLS := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x14" + "\xcb\x00\x71\x07\xc0\x00\x02\x01\x12\x67\x00\x6e" + "\x20\x00\x05\x01\x00\x00\x00\x00"
	for name, c := range map[string]struct {
		from, in string
		plain    bool // passwords are taken in the clear
		want     string
	}{
		"trusted":       {"192.0.2.8", header4, true, "203.0.113.7"},
		"ended TLS":     {"192.0.2.8", overTLS, false, "203.0.113.7"},
		"for itself":    {"192.0.2.8", "PROXY UNKNOWN\r\n", true, "192.0.2.8"},
		"no header":     {"192.0.2.8", "a CAPABILITY\r\na CAPABILITY\r\n", true, ""},
		"silent":        {"192.0.2.8", "", true, ""},
		"not trusted":   {"192.0.2.9", header4, true, "192.0.2.9"},
		"needs privacy": {"192.0.2.8", header4, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n memnet.Network
			l, err := n.Listen("tcp", "192.0.2.1:143")
			require.NoError(t, err)
			auth := addresses{make(chan netip.Addr, 1)}
			store := &memstore.Store{}
			require.NoError(t, store.CreateAccount(t.Context(), "alice", mailstore.Limits{}))
			srv := &imap.Server{Backend: store, Auth: auth, InsecureAuth: c.plain, ProxyFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.8/32")}}
			go srv.Serve(l)
			defer srv.Close()
			conn, err := n.Host(c.from).DialContext(t.Context(), "tcp", "192.0.2.1:143")
			require.NoError(t, err)
			io.WriteString(conn, c.in+"a LOGIN alice x\r\n")
			conn.(interface{ CloseWrite() error }).CloseWrite()
			out, _ := io.ReadAll(conn)
			if c.want == "" {
				require.Empty(t, auth.seen)
				require.NotContains(t, string(out), "alice")
				return
			}
			require.Equal(t, c.want, (<-auth.seen).String())
			require.True(t, strings.HasPrefix(string(out), "* OK"))
		})
	}
}
