package bench

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mxresolve"
)

// The name server is knot, from packages, with a zone of 100,000 domains of all kinds. Benchmarks are skipped without it.
const (
	mxDomains     = 100_000
	mxPeerDomains = 20_000 // for peers, and for the cache: any run of a hundred has all kinds in the same shares
	mxProviders   = 200    // whose hosts many domains share
)

// An mxOutcome is what a resolver must find out about a domain: its hosts in the order to try, or why there are none.
type mxOutcome struct {
	verdict string // "hosts", "null", "no domain", "no address"
	hosts   []string
}

// mxDomain gives domain number i: its records, and what must come of them.
func mxDomain(i int) (name, records string, want mxOutcome) {
	var b strings.Builder
	name = fmt.Sprintf("d%d.bench", i)
	want.verdict = "hosts"
	host := func(h string, pref int) {
		fmt.Fprintf(&b, "%s. MX %d %s.\n", name, pref, h)
		want.hosts = append(want.hosts, h)
	}
	own := func(n int) {
		for k := range n {
			h := fmt.Sprintf("mx%d.%s", k, name)
			host(h, 10*(k+1))
			b.WriteString(mxAddresses(h))
		}
	}
	switch k := i % 100; {
	case k < 20:
		own(1)
	case k < 45:
		own(2)
	case k < 55:
		own(3)
	case k < 80:
		p := i * 7 % mxProviders
		for k := range 1 + p%4 {
			host(fmt.Sprintf("mx%d.p%d.bench", k, p), 10*(k+1))
		}
	case k < 85:
		fmt.Fprintf(&b, "%s. MX 0 .\n", name)
		want.verdict = "null"
	case k < 90: // implicit MX
		b.WriteString(mxAddresses(name))
		want.hosts = []string{name}
	case k < 92:
		fmt.Fprintf(&b, "%s. TXT x\n", name)
		want.verdict = "no address"
	case k < 95:
		p := i * 7 % mxProviders
		fmt.Fprintf(&b, "%s. CNAME p%d.bench.\n", name, p)
		want.hosts = []string{fmt.Sprintf("mx0.p%d.bench", p)}
	case k < 96:
		fmt.Fprintf(&b, "%s. MX 10 dead.%s.\n", name, name)
		want.verdict = "no address"
	default:
		want.verdict = "no domain"
	}
	return name, b.String(), want
}

// mxAddrs are the two addresses of a host, made from its name.
func mxAddrs(host string) [2]netip.Addr {
	h := fnv.New64a()
	h.Write([]byte(host))
	n := h.Sum64()
	return [2]netip.Addr{
		netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 9: byte(n >> 32), 10: byte(n >> 24), 11: byte(n >> 16), 12: byte(n >> 8), 13: byte(n), 15: 1}),
		netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}),
	}
}

func mxAddresses(host string) string {
	a := mxAddrs(host)
	return fmt.Sprintf("%s. AAAA %s\n%s. A %s\n", host, a[0], host, a[1])
}

// check compares what a resolver found: addresses by host.
func (want *mxOutcome) check(verdict string, hosts []string, addrs func(host int) []netip.Addr) error {
	if verdict != want.verdict || !slices.Equal(hosts, want.hosts) {
		return fmt.Errorf("%s %v, want %s %v", verdict, slices.Clone(hosts), want.verdict, want.hosts)
	}
	for i, h := range hosts {
		got := addrs(i)
		for _, a := range mxAddrs(h) {
			if !slices.Contains(got, a) {
				return fmt.Errorf("%s: %v misses %v", h, got, a)
			}
		}
		if len(got) != 2 {
			return fmt.Errorf("%s: %v", h, got)
		}
	}
	return nil
}

// startKnot serves the zone on a free port of the loopback interface.
func startKnot(b *testing.B) string {
	knotd, err := exec.LookPath("knotd")
	if err != nil {
		b.Skip("knotd is not installed (apt-get install knot)")
	}
	dir := b.TempDir()
	zone, err := os.Create(filepath.Join(dir, "bench.zone"))
	require.NoError(b, err)
	text := new(strings.Builder)
	text.WriteString("$ORIGIN bench.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 3600\n@ NS ns\nns A 127.0.0.1\n")
	for p := range mxProviders {
		fmt.Fprintf(text, "p%d MX 10 mx0.p%d\n", p, p)
		for k := range 4 {
			text.WriteString(mxAddresses(fmt.Sprintf("mx%d.p%d.bench", k, p)))
		}
	}
	for i := range mxDomains {
		_, records, _ := mxDomain(i)
		text.WriteString(records)
	}
	_, err = zone.WriteString(text.String())
	require.NoError(b, err)
	require.NoError(b, zone.Close())

	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(b, err)
	addr := pc.LocalAddr().String()
	pc.Close()
	conf := filepath.Join(dir, "knot.conf")
	require.NoError(b, os.WriteFile(conf, []byte(fmt.Sprintf(`server:
  rundir: %[1]s
  listen: %[2]s
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: %[1]s
control:
  listen: %[1]s/knot.sock
log:
  - target: stderr
    any: error
zone:
  - domain: bench
    file: %[1]s/bench.zone
    journal-content: none
    semantic-checks: off
`, dir, strings.Replace(addr, ":", "@", 1))), 0o600))
	p := exec.Command(knotd, "-c", conf)
	p.Stderr = os.Stderr
	require.NoError(b, p.Start())
	b.Cleanup(func() {
		p.Process.Kill()
		p.Wait()
	})
	for try := 0; ; try++ {
		m, err := dns.Exchange(new(dns.Msg).SetQuestion("bench.", dns.TypeSOA), addr)
		if err == nil && len(m.Answer) == 1 {
			return addr
		}
		require.Less(b, try, 300, "knot does not serve the zone: %v", err)
		time.Sleep(100 * time.Millisecond)
	}
}

// An mxResolver finds out where mail for a domain goes, and compares.
type mxResolver func(ctx context.Context, domain string, want *mxOutcome) error

func mailroomResolver(addr string) (mxResolver, *mxresolve.Resolver) {
	r := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: addr}}}
	return func(ctx context.Context, domain string, want *mxOutcome) error {
		p, err := r.Resolve(ctx, domain)
		if err != nil {
			switch err.(*mxresolve.Error).Kind {
			case mxresolve.KindNullMX:
				return want.check("null", nil, nil)
			case mxresolve.KindNoSuchDomain:
				return want.check("no domain", nil, nil)
			case mxresolve.KindNoAddress:
				return want.check("no address", nil, nil)
			}
			return err
		}
		var names [4]string
		hosts := names[:0]
		for i := range p.Hosts {
			hosts = append(hosts, p.Hosts[i].Name)
		}
		return want.check("hosts", hosts, func(i int) []netip.Addr { return p.Hosts[i].Addrs })
	}, r
}

// netResolver does with package net what mailroom does. It cannot tell a missing domain from one without addresses.
func netResolver(addr string) mxResolver {
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	missing := func(err error) bool {
		var e *net.DNSError
		return errors.As(err, &e) && e.IsNotFound
	}
	return func(ctx context.Context, domain string, want *mxOutcome) error {
		mxs, err := r.LookupMX(ctx, domain+".")
		if err != nil && !missing(err) {
			return err
		}
		if len(mxs) == 1 && mxs[0].Host == "." {
			return want.check("null", nil, nil)
		}
		if len(mxs) == 0 {
			mxs = []*net.MX{{Host: domain + "."}}
		}
		var hosts []string
		var addrs [][]netip.Addr
		for _, mx := range mxs {
			list, err := r.LookupNetIP(ctx, "ip", mx.Host)
			if missing(err) {
				continue
			}
			if err != nil {
				return err
			}
			for i := range list {
				list[i] = list[i].Unmap()
			}
			hosts, addrs = append(hosts, strings.TrimSuffix(mx.Host, ".")), append(addrs, list)
		}
		if len(hosts) == 0 {
			return want.check("no address", nil, nil)
		}
		return want.check("hosts", hosts, func(i int) []netip.Addr { return addrs[i] })
	}
}

// miekgResolver is a plain client of github.com/miekg/dns: a socket for each question, one question after the other.
func miekgResolver(addr string) mxResolver {
	c := dns.Client{Timeout: 5 * time.Second}
	ask := func(ctx context.Context, name string, typ uint16) (*dns.Msg, error) {
		m := new(dns.Msg).SetQuestion(name, typ)
		m.SetEdns0(1232, false)
		reply, _, err := c.ExchangeContext(ctx, m, addr)
		return reply, err
	}
	return func(ctx context.Context, domain string, want *mxOutcome) error {
		reply, err := ask(ctx, domain+".", dns.TypeMX)
		if err != nil {
			return err
		}
		if reply.Rcode == dns.RcodeNameError {
			return want.check("no domain", nil, nil)
		}
		var mxs []*dns.MX
		for _, rr := range reply.Answer {
			if mx, ok := rr.(*dns.MX); ok {
				mxs = append(mxs, mx)
			}
		}
		if len(mxs) == 1 && mxs[0].Mx == "." {
			return want.check("null", nil, nil)
		}
		if len(mxs) == 0 {
			mxs = []*dns.MX{{Mx: domain + "."}}
		}
		slices.SortStableFunc(mxs, func(a, b *dns.MX) int { return int(a.Preference) - int(b.Preference) })
		var hosts []string
		var addrs [][]netip.Addr
		for _, mx := range mxs {
			var list []netip.Addr
			for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
				reply, err := ask(ctx, mx.Mx, typ)
				if err != nil {
					return err
				}
				for _, rr := range reply.Answer {
					switch rr := rr.(type) {
					case *dns.A:
						a, _ := netip.AddrFromSlice(rr.A.To4())
						list = append(list, a)
					case *dns.AAAA:
						a, _ := netip.AddrFromSlice(rr.AAAA)
						list = append(list, a)
					}
				}
			}
			if len(list) > 0 {
				hosts, addrs = append(hosts, strings.TrimSuffix(mx.Mx, ".")), append(addrs, list)
			}
		}
		if len(hosts) == 0 {
			return want.check("no address", nil, nil)
		}
		return want.check("hosts", hosts, func(i int) []netip.Addr { return addrs[i] })
	}
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// runMX resolves the first n domains and reports what it took. Processor time is of this process; the name server is another.
func runMX(b *testing.B, resolve mxResolver, n, concurrency, rounds int) {
	names, wants := make([]string, n), make([]mxOutcome, n)
	for i := range n {
		names[i], _, wants[i] = mxDomain(i)
	}
	took := make([]time.Duration, n*rounds)
	var next, wrong atomic.Int64
	var first atomic.Pointer[error]
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, begin := processorTime(), time.Now()
	var wg sync.WaitGroup
	for range concurrency {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(b.Context()) // as a delivery has
			defer cancel()
			for i := next.Add(1) - 1; i < int64(len(took)); i = next.Add(1) - 1 {
				at := time.Now()
				if e := resolve(ctx, names[i%int64(n)], &wants[i%int64(n)]); e != nil {
					err := fmt.Errorf("%s: %w", names[i%int64(n)], e)
					wrong.Add(1)
					first.CompareAndSwap(nil, &err)
				}
				took[i] = time.Since(at)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begin)
	cpu = processorTime() - cpu
	runtime.ReadMemStats(&after)
	slices.Sort(took)
	total := float64(len(took))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(total/elapsed.Seconds(), "domains/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/1000/total, "cpu-us/domain")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/total, "B/domain")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/total, "allocs/domain")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(wrong.Load()), "wrong")
	if e := first.Load(); e != nil {
		b.Logf("%d wrong, the first: %v", wrong.Load(), *e)
	}
}

// BenchmarkMXResolve asks knot for all domains, each once, and compares every outcome. Run it with -benchtime 1x. Of net about 4 % are wrong: it
// cannot tell that a domain does not exist.
func BenchmarkMXResolve(b *testing.B) {
	addr := startKnot(b)
	for _, concurrency := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("concurrency%d/mailroom", concurrency), func(b *testing.B) {
			for b.Loop() {
				resolve, r := mailroomResolver(addr)
				runMX(b, resolve, mxDomains, concurrency, 1)
				r.Close()
			}
		})
		b.Run(fmt.Sprintf("concurrency%d/net", concurrency), func(b *testing.B) {
			for b.Loop() {
				runMX(b, netResolver(addr), mxPeerDomains, concurrency, 1)
			}
		})
		b.Run(fmt.Sprintf("concurrency%d/miekg-dns", concurrency), func(b *testing.B) {
			for b.Loop() {
				runMX(b, miekgResolver(addr), mxPeerDomains, concurrency, 1)
			}
		})
	}
}

// BenchmarkMXResolveCached asks for the same domains again and again. The peers have no cache.
func BenchmarkMXResolveCached(b *testing.B) {
	addr := startKnot(b)
	for _, concurrency := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("concurrency%d/mailroom", concurrency), func(b *testing.B) {
			resolve, r := mailroomResolver(addr)
			defer r.Close()
			runMX(b, resolve, mxPeerDomains, 64, 1)
			for b.Loop() {
				runMX(b, resolve, mxPeerDomains, concurrency, 50)
			}
		})
	}
}
