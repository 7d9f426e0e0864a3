package mxresolve_test

import (
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

// questionLen is how long the question of a query for name is.
func questionLen(name string) int { return len(name) + 2 + 4 }

// crafted answers a question with a body of our making: n records follow the question.
func crafted(name string, n int, body []byte) dnstest.Fault {
	return dnstest.Fault{Mangle: func(a []byte) [][]byte {
		m := append([]byte(nil), a[:12+questionLen(name)]...)
		m[2], m[3] = m[2]&^2, m[3]&^15 // not truncated, NOERROR
		binary.BigEndian.PutUint16(m[6:], uint16(n))
		clear(m[8:12])
		return [][]byte{append(m, body...)}
	}}
}

// rr is a record owned by the question's name.
func rr(typ uint16, data string) string {
	var b []byte
	b = append(b, 0xc0, 12)
	b = binary.BigEndian.AppendUint16(b, typ)
	b = append(b, 0, 1, 0, 0, 0, 60)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return string(b) + data
}

func TestThousandsOfMX(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, "example.org. MX 10 mx.example.org.")
	var body strings.Builder
	const n = 3300 // as many as fit in 64 KiB
	for i := range n {
		body.WriteString(rr(15, string([]byte{byte(i >> 8), byte(i), 2, byte('a' + i>>8), byte('a' + i&15), 0xc0, 12})))
	}
	require.Greater(t, body.Len(), 60000)
	byTCP(s, "example.org", "MX", crafted("example.org", n, []byte(body.String())))
	_, err := ask(r, "example.org")
	mustBounce(t, err, mxresolve.KindNoAddress, "5.4.4")
	require.LessOrEqual(t, s.Count("", "A"), 16)
	require.Less(t, len(err.Error()), 1000)
}

// byTCP sets a fault for answers that are too big for UDP: there, a truncated header is sent.
func byTCP(s *dnstest.Server, name, typ string, f dnstest.Fault) {
	inner := f.Mangle
	f.Mangle = func(a []byte) [][]byte {
		out := inner(a)
		qs := s.Queries()
		for i := len(qs) - 1; i >= 0; i-- {
			if qs[i].Name == name && qs[i].Type == typ {
				if qs[i].Network == "udp" {
					m := append([]byte(nil), out[0][:12+questionLen(name)]...)
					m[2] |= 2
					clear(m[6:12])
					return [][]byte{m}
				}
				break
			}
		}
		return out
	}
	s.SetFault(name, typ, f)
}

func TestCompressionBomb(t *testing.T) { // not parallel, for the sake of its measurement
	// A name of 255 octets, then as many records as fit whose targets are pointers to it: 64 KiB that could become
	// megabytes.
	long := strings.Repeat("\x3f"+strings.Repeat("x", 63), 3) + "\x3d" + strings.Repeat("y", 61) + "\x00"
	const name = "example.org"
	at := 12 + questionLen(name) + 12 + 2
	body := rr(15, "\x00\x0a"+long)
	n := 1
	for ; len(body) < 64000; n++ {
		body += rr(15, string([]byte{byte(n >> 8), byte(n), byte(0xc0 | at>>8), byte(at)}))
	}
	s, r := newLab(t, "")
	byTCP(s, name, "MX", crafted(name, n, []byte(body)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ask(r, name)
	runtime.ReadMemStats(&after)
	mustBounce(t, err, mxresolve.KindNoAddress, "5.4.4")
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20))
}

func TestMalformedRecords(t *testing.T) {
	t.Parallel()
	const name = "example.org"
	// Pointers that lead in circles, or forward, or out, and records that are cut.
	end := 12 + questionLen(name)
	for what, target := range map[string]string{
		"to itself":       string([]byte{0xc0 | byte((end+14)>>8), byte(end + 14)}),
		"forward":         "\xff\xff",
		"forward in here": string([]byte{0xc0, byte(end + 16)}),
		"pair":            string([]byte{1, 'a', 0xc0, byte(end + 14)}),
		"reserved label":  "\x80a",
		"extended label":  "\x41a",
		"runs out":        "\x3fabc",
		"no end":          "\x01a",
		"too long data":   "\x01a\x00\x00",
		"nothing":         "",
	} {
		t.Run(what, func(t *testing.T) {
			s, r := newLab(t, "")
			s.SetFault(name, "MX", crafted(name, 1, []byte(rr(15, "\x00\x0a"+target))))
			_, err := ask(r, name)
			mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
			require.Contains(t, err.Error(), "malformed")
		})
	}
	for what, record := range map[string]string{
		"A of 5 octets":     rr(1, "12345"),
		"A of 16":           rr(1, "1234567890123456"),
		"AAAA of 4":         rr(28, "1234"),
		"MX of 1":           rr(15, "1"),
		"TXT without end":   rr(16, "\x05abc"),
		"length past end":   rr(1, "1234")[:14],
		"head cut":          rr(1, "1234")[:7],
		"count without any": "",
	} {
		t.Run(what, func(t *testing.T) {
			s, r := newLab(t, "")
			s.SetFault(name, "MX", crafted(name, 1, []byte(record)))
			_, err := ask(r, name)
			mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
		})
	}
}

func TestFloodOfJunk(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, oneHost)
	s.SetFault("example.org", "MX", dnstest.Fault{Mangle: func(a []byte) [][]byte {
		var out [][]byte
		for i := range 200 {
			m := append([]byte(nil), a...)
			m[1] += byte(i%255) + 1
			out = append(out, m)
		}
		return append(out, a)
	}})
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Equal(t, addrs("192.0.2.1"), p.Hosts[0].Addrs)
}

func TestEDETextIsClean(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, "")
	s.SetFault("", "", dnstest.Fault{Rcode: dnstest.ServFail, Extended: 0, ExtendedText: "line\r\nFAKE LOG \x1b[31m" + strings.Repeat("x", 900)})
	_, err := ask(r, "example.org")
	require.NotContains(t, err.Error(), "\n")
	require.NotContains(t, err.Error(), "\x1b")
	require.Less(t, len(err.Error()), 600)
}

func TestHostileNamesInTargets(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, "")
	s.SetFault("example.org", "MX", crafted("example.org", 1, []byte(rr(15, "\x00\x0a\x0bev.il\r\n\x00\"\\ \x03org\x00"))))
	_, err := ask(r, "example.org")
	require.NotNil(t, err)
	require.NotContains(t, err.Error(), "\n")
	require.Len(t, err.Skipped, 1, err.Error())
	require.NotContains(t, err.Skipped[0].Name, "\n")
}

func FuzzAnswer(f *testing.F) {
	name := "example.org"
	f.Add([]byte(rr(15, "\x00\x0a\x02mx\xc0\x0c")), byte(0), byte(0x80), byte(1), byte(0), byte(0))
	f.Add([]byte(rr(5, "\x02mx\xc0\x0c")), byte(0), byte(0x80), byte(1), byte(0), byte(0))
	f.Add([]byte(rr(1, "\x7f\x00\x00\x01")), byte(0), byte(0x83), byte(1), byte(0), byte(0))
	f.Add([]byte(rr(6, "\x00\x00"+strings.Repeat("\x00\x00\x00\x09", 5))), byte(4), byte(0x80), byte(0), byte(1), byte(0))
	f.Add([]byte("\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x08\x00\x0f\x00\x04\x00\x06bo"), byte(0), byte(0x82), byte(0), byte(0), byte(1))
	f.Add([]byte(rr(15, "\x00\x0a\x02mx\xc0\x0c")+rr(1, "\xc0\x00\x02\x01")+rr(52, "\x03\x01\x01"+strings.Repeat("x", 32))), byte(0), byte(0xa0), byte(3), byte(0), byte(0))
	s, err := dnstest.Start("")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, body []byte, flags1, flags2, an, ns, ar byte) {
		r := s.Resolver()
		defer r.Close()
		r.Limits.Timeout = 20 * time.Millisecond
		mangle := func(a []byte) [][]byte {
			n := 12
			for n < len(a) && a[n] != 0 {
				n += int(a[n]) + 1
			}
			if n+5 > len(a) {
				return nil
			}
			m := append([]byte(nil), a[:n+5]...)
			m[2], m[3], m[7], m[9], m[11] = 0x80|flags1&7, flags2, an, ns, ar
			return [][]byte{append(m, body...)}
		}
		s.SetFault("", "", dnstest.Fault{Mangle: mangle})
		p, err := r.Resolve(bg, name)
		if (p == nil) == (err == nil) {
			t.Fatalf("plan %v, error %v", p, err)
		}
		if p != nil {
			if len(p.Hosts) == 0 {
				t.Fatal("a plan without hosts")
			}
			for _, h := range p.Hosts {
				if len(h.Addrs) == 0 {
					t.Fatal("a host without addresses")
				}
				h.TLS.Config(nil)
			}
			return
		}
		e := err.(*mxresolve.Error)
		if e.Enhanced == "" || (e.Enhanced[0] == '4') != e.Temporary || e.Code/100 != int(e.Enhanced[0]-'0') {
			t.Fatalf("codes do not fit: %+v", e)
		}
	})
}
