package mxresolve_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

func TestSpoofedAnswers(t *testing.T) {
	t.Parallel()
	forge := func(change func(m []byte)) dnstest.Fault {
		return dnstest.Fault{Mangle: func(answer []byte) [][]byte {
			bad := append([]byte(nil), answer...)
			copy(bad[len(bad)-11-4:], []byte{6, 6, 6, 6}) // another address, before the OPT record
			change(bad)
			return [][]byte{bad, bad, answer}
		}}
	}
	for name, f := range map[string]dnstest.Fault{
		"id":      forge(func(m []byte) { m[1]++ }),
		"name":    forge(func(m []byte) { m[14]++ }),
		"type":    forge(func(m []byte) { m[12+len("\x02mx\x07example\x03org\x00")+1] = 28 }),
		"class":   forge(func(m []byte) { m[12+len("\x02mx\x07example\x03org\x00")+3] = 3 }),
		"a query": forge(func(m []byte) { m[2] &^= 0x80 }),
		"opcode":  forge(func(m []byte) { m[2] |= 0x10 }),
		"none":    forge(func(m []byte) { m[5] = 0 }),
		"two":     forge(func(m []byte) { m[5] = 2 }),
		"case":    forge(func(m []byte) { m[13] ^= 0x20; m[14] ^= 0x20 }), // leads to TCP, where the truth is
		"tiny":    {Mangle: func(a []byte) [][]byte { return [][]byte{a[:1], {}, a[:11], a} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, r := newLab(t, oneHost)
				if name == "case" {
					inner := f.Mangle
					f.Mangle = func(a []byte) [][]byte { return inner(a)[:1] }
					f.Times = 1
				}
				s.SetFault("mx.example.org", "A", f)
				got, err := r.LookupNetIP(bg, "ip4", "mx.example.org")
				require.NoError(t, err)
				require.Equal(t, addrs("192.0.2.1"), got)
			})
		})
	}
	for name, f := range map[string]dnstest.Fault{"wrong id": {WrongID: true, Times: 1}, "wrong question": {WrongQuestion: true, Times: 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, r := newLab(t, oneHost)
				s.SetFault("mx.example.org", "A", f)
				begin := time.Now()
				_, err := r.LookupNetIP(bg, "ip4", "mx.example.org")
				require.NoError(t, err)
				require.Equal(t, 300*time.Millisecond, time.Since(begin), "ignored, and asked again")
			})
		})
	}
}

func TestMixedCase(t *testing.T) {
	t.Parallel()
	const zone = "*.abcdefghijklmnopqrstuvwxyz.example. TXT x\nexample. MX 10 mx.example.\nmx.example. A 192.0.2.1"
	t.Run("used", func(t *testing.T) {
		s, r := newLab(t, zone)
		seen := map[string]bool{}
		for i := range 10 {
			_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.abcdefghijklmnopqrstuvwxyz.example", i))
			require.NoError(t, err)
		}
		for _, q := range s.Queries() {
			_, tail, _ := strings.Cut(q.RawName, ".")
			seen[tail] = true
		}
		require.Len(t, seen, 10)
		p, err := ask(r, "example")
		require.Nil(t, err)
		require.Equal(t, "mx.example", p.Hosts[0].Name, "and hidden from callers")
	})
	t.Run("server that does not repeat it", func(t *testing.T) {
		s, r := newLab(t, zone)
		s.SetFault("", "", dnstest.Fault{LowerCase: true})
		for i := range 5 {
			_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.abcdefghijklmnopqrstuvwxyz.example", i))
			require.NoError(t, err)
		}
		tcp := 0
		for _, q := range s.Queries() {
			if q.Network == "tcp" {
				tcp++
			}
		}
		require.Equal(t, 1, tcp, "proven by TCP once, then remembered")
		require.Equal(t, 6, len(s.Queries()))
	})
}

func TestIDsAndPortsDiffer(t *testing.T) {
	t.Parallel()
	n := new(memnet.Network)
	s := addServer(t, n, dnsAddr, "*.example. TXT x")
	r := s.Resolver()
	var mu sync.Mutex
	ids := map[uint16]bool{}
	r.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := n.DialContext(ctx, network, addr)
		return &spy{c, func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			ids[binary.BigEndian.Uint16(b)] = true
		}}, err
	}
	t.Cleanup(func() { r.Close() })
	for i := range 200 {
		_, err := r.LookupTXT(bg, fmt.Sprintf("n%d.example", i))
		require.NoError(t, err)
	}
	require.Greater(t, len(ids), 190)
	ports := map[string]bool{}
	for _, q := range s.Queries() {
		ports[q.From.String()] = true
	}
	require.Len(t, ports, 4, "a few sockets are shared")
}

// spy shows what is written to a connection.
type spy struct {
	net.Conn
	wrote func([]byte)
}

func (s *spy) Write(b []byte) (int, error) {
	s.wrote(b)
	return s.Conn.Write(b)
}
