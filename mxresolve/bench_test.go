package mxresolve_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/stretchr/testify/require"
)

// canned answers every question over loopback UDP without looking anything up: two MX records, or one address.
func canned(b *testing.B) string {
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(b, err)
	pc.SetReadBuffer(4 << 20)
	b.Cleanup(func() { pc.Close() })
	opt := "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
	answers := map[uint16]string{
		15: rr(15, "\x00\x0a\x03mx1\xc0\x0c") + rr(15, "\x00\x14\x03mx2\xc0\x0c") + opt,
		1:  rr(1, "\xc0\x00\x02\x01") + opt,
		28: rr(28, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01") + opt,
	}
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if n < 11+12+5 {
				continue
			}
			m := buf[:n-11] // without OPT
			typ := binary.BigEndian.Uint16(m[len(m)-4:])
			m[2], m[3], m[7] = 0x81, 0x80, 1
			if typ == 15 {
				m[7] = 2
			}
			m = append(m, answers[typ]...)
			pc.WriteToUDPAddrPort(m, from)
		}
	}()
	return pc.LocalAddr().String()
}

// BenchmarkResolve plans for a new domain each time: one MX question and four for addresses.
func BenchmarkResolve(b *testing.B) {
	for _, c := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("concurrency %d", c), func(b *testing.B) {
			r := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: canned(b)}}}
			defer r.Close()
			var next atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(max(1, c/2))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := r.Resolve(bg, fmt.Sprintf("d%d.example", next.Add(1))); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "domains/s")
		})
	}
}

// BenchmarkResolveCached plans again and again for a thousand domains.
func BenchmarkResolveCached(b *testing.B) {
	r := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: canned(b)}}}
	defer r.Close()
	var domains [1024]string
	for i := range domains {
		domains[i] = fmt.Sprintf("d%d.example", i)
		_, err := r.Resolve(bg, domains[i])
		require.NoError(b, err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := r.Resolve(bg, domains[i&1023]); err != nil {
			b.Fatal(err)
		}
	}
}
