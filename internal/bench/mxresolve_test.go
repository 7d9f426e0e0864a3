package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mxresolve"
)

// asNameServer makes the test binary be a name server, in a process of its own so that the processor time of resolvers can be told.
const asNameServer = "MAILROOM_BENCH_NAMESERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asNameServer) != "" {
		answer()
		return
	}
	os.Exit(m.Run())
}

// answer tells every question the same without looking anything up: two MX hosts for MX, one address for A and AAAA.
func answer() {
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	pc.SetReadBuffer(4 << 20)
	fmt.Println(pc.LocalAddr())
	record := func(typ uint16, data string) string {
		b := binary.BigEndian.AppendUint16([]byte{0xc0, 12}, typ)
		b = append(b, 0, 1, 0, 0, 0, 60)
		return string(binary.BigEndian.AppendUint16(b, uint16(len(data)))) + data
	}
	answers := map[uint16]string{
		dns.TypeMX:   record(dns.TypeMX, "\x00\x0a\x03mx1\xc0\x0c") + record(dns.TypeMX, "\x00\x14\x03mx2\xc0\x0c"),
		dns.TypeA:    record(dns.TypeA, "\xc0\x00\x02\x01"),
		dns.TypeAAAA: record(dns.TypeAAAA, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"),
	}
	const opt = "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
	for buf := make([]byte, 2048); ; {
		n, from, err := pc.ReadFromUDPAddrPort(buf)
		if err != nil || n < 12 {
			return
		}
		end := 12
		for end < n && buf[end] != 0 {
			end += int(buf[end]) + 1
		}
		m := buf[:end+5]
		typ := binary.BigEndian.Uint16(m[end+1:])
		additional := m[11]
		m[2], m[3], m[7], m[9], m[11] = 0x81, 0x80, 1, 0, 0
		if typ == dns.TypeMX {
			m[7] = 2
		}
		m = append(m, answers[typ]...)
		if additional > 0 {
			m[11] = 1
			m = append(m, opt...)
		}
		pc.WriteToUDPAddrPort(m, from)
	}
}

func nameServer(b *testing.B) string {
	p := exec.Command(os.Args[0])
	p.Env = append(os.Environ(), asNameServer+"=1")
	out, err := p.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, p.Start())
	b.Cleanup(func() {
		p.Process.Kill()
		p.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err)
	return strings.TrimSpace(line)
}

// resolvers give a function that finds the hosts of a domain and all their addresses.
var resolvers = []struct {
	name string
	make func(addr string) func(ctx context.Context, domain string) error
}{
	{"mailroom", func(addr string) func(context.Context, string) error {
		r := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: addr}}}
		return func(ctx context.Context, domain string) error {
			p, err := r.Resolve(ctx, domain)
			if err == nil && len(p.Hosts) != 2 {
				err = fmt.Errorf("%d hosts", len(p.Hosts))
			}
			return err
		}
	}},
	{"net", func(addr string) func(context.Context, string) error {
		r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}
		return func(ctx context.Context, domain string) error {
			hosts, err := r.LookupMX(ctx, domain+".")
			for _, h := range hosts {
				if _, err := r.LookupNetIP(ctx, "ip", h.Host); err != nil {
					return err
				}
			}
			return err
		}
	}},
	{"miekg-dns", func(addr string) func(context.Context, string) error {
		c := dns.Client{Timeout: 5 * time.Second}
		ask := func(ctx context.Context, name string, typ uint16) (*dns.Msg, error) {
			m := new(dns.Msg).SetQuestion(name, typ)
			m.SetEdns0(1232, false)
			reply, _, err := c.ExchangeContext(ctx, m, addr)
			return reply, err
		}
		return func(ctx context.Context, domain string) error {
			reply, err := ask(ctx, domain+".", dns.TypeMX)
			if err != nil {
				return err
			}
			for _, rr := range reply.Answer {
				for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
					if _, err := ask(ctx, rr.(*dns.MX).Mx, typ); err != nil {
						return err
					}
				}
			}
			return nil
		}
	}},
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMXResolve asks for a new domain each time: one MX question and four for addresses. cpu-us/domain is the processor time of this process; the name
// server is another.
func BenchmarkMXResolve(b *testing.B) {
	for _, concurrency := range []int{1, 64, 512} {
		for _, r := range resolvers {
			b.Run(fmt.Sprintf("concurrency%d/%s", concurrency, r.name), func(b *testing.B) {
				resolve := r.make(nameServer(b))
				var next atomic.Int64
				b.ReportAllocs()
				b.SetParallelism(max(1, concurrency/2))
				before := processorTime()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := resolve(b.Context(), fmt.Sprintf("d%d.example", next.Add(1))); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64((processorTime()-before).Microseconds())/float64(b.N), "cpu-us/domain")
			})
		}
	}
}

// BenchmarkMXResolveCached asks again and again for a thousand domains. The peers have no cache.
func BenchmarkMXResolveCached(b *testing.B) {
	resolve := resolvers[0].make(nameServer(b))
	var domains [1024]string
	for i := range domains {
		domains[i] = fmt.Sprintf("d%d.example", i)
		require.NoError(b, resolve(b.Context(), domains[i]))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := resolve(b.Context(), domains[i%len(domains)]); err != nil {
			b.Fatal(err)
		}
	}
}
