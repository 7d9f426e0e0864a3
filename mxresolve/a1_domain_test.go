package mxresolve_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

// The tests of the table of situations, rows 1 to 13: the domain, and its MX answer.

func TestA1_01_AddressLiteral(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, "")
	for in, want := range map[string]string{
		"[192.0.2.1]":                "192.0.2.1",
		"[IPv6:2001:db8::1]":         "2001:db8::1",
		"[ipv6:2001:DB8::1]":         "2001:db8::1",
		"[IPv6:::ffff:192.0.2.1]":    "192.0.2.1",
		"[IPv6:2001:db8:0:0::0:1]":   "2001:db8::1",
		"[IPv6:2001:db8::192.0.2.1]": "2001:db8::c000:201",
	} {
		t.Run(in, func(t *testing.T) {
			p, err := ask(r, in)
			require.Nil(t, err)
			require.True(t, p.Literal)
			require.Len(t, p.Hosts, 1)
			require.Equal(t, addrs(want), p.Hosts[0].Addrs)
			require.Equal(t, in, p.Domain)
			require.Zero(t, p.Expires)
		})
	}
	for _, in := range []string{"[", "[]", "[192.0.2]", "[192.0.2.1", "[2001:db8::1]", "[IPv6:192.0.2.1]", "[IPv6:]", "[IPv6:fe80::1%eth0]",
		"[x400:abc]", "[192.0.2.256]", "[192.0.2.1]x", "[ 192.0.2.1]", "[mail.example.org]"} {
		t.Run(in, func(t *testing.T) {
			_, err := ask(r, in)
			mustBounce(t, err, mxresolve.KindInvalidDomain, "5.1.3")
		})
	}
	require.Zero(t, s.Count("", ""), "DNS is for names only")
}

func TestA1_02_InternationalDomain(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, "xn--bcher-kva.example. MX 10 mx.example.\nmx.example. A 192.0.2.1\nstrasse.example. MX 10 mx.example.\nxn--strae-oqa.example. MX 10 mx.example.")
	for _, in := range []string{"bücher.example", "BÜCHER.Example", "bu\u0308cher.example", "bücher。example", "xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE"} {
		t.Run(in, func(t *testing.T) {
			p, err := ask(r, in)
			require.Nil(t, err)
			require.Equal(t, "xn--bcher-kva.example", p.ASCII)
			require.Equal(t, in, p.Domain, "for display")
		})
	}
	t.Run("sharp s is a letter of IDNA2008", func(t *testing.T) {
		p, err := ask(r, "straße.example")
		require.Nil(t, err)
		require.Equal(t, "xn--strae-oqa.example", p.ASCII)
	})
	s.ResetQueries()
	long := strings.Repeat("a", 63)
	for name, in := range map[string]string{
		"empty":        "",
		"root":         ".",
		"label of 64":  long + "a.example",
		"name of 254":  strings.Repeat(long+".", 3) + strings.Repeat("a", 62),
		"U-label long": strings.Repeat("ü", 64) + ".example",
		"empty label":  "a..example",
		"leading dot":  ".example",
		"two dots":     "example..",
		"space":        "exam ple.org",
		"control":      "example\r\n.org",
		"NUL":          "example\x00.org",
		"backslash":    `exa\046mple.org`,
		"bad bidi":     "a\u05d0.example",
		"joiner":       "a\u200db.example",
		"not UTF-8":    "b\xfccher.example",
		"IPv4":         "192.0.2.1",
		"IPv6":         "2001:db8::1",
		"slash":        "example.org/x",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(r, in)
			mustBounce(t, err, mxresolve.KindInvalidDomain, "5.1.2")
		})
	}
	require.Zero(t, s.Count("", ""))
	t.Run("longest name", func(t *testing.T) {
		_, err := ask(r, strings.Repeat(long+".", 3)+strings.Repeat("a", 61))
		mustBounce(t, err, mxresolve.KindNoSuchDomain, "5.1.2")
	})
}

func TestA1_03_AbsoluteNames(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, "localpart. MX 10 mx.example.\nmx.example. A 192.0.2.1")
	for _, in := range []string{"localpart", "localpart.", "LOCALPART"} {
		p, err := ask(r, in)
		require.Nil(t, err)
		require.Equal(t, "localpart", p.ASCII)
	}
	_, err := ask(r, "nowhere")
	mustBounce(t, err, mxresolve.KindNoSuchDomain, "5.1.2")
	for _, q := range s.Queries() {
		require.Contains(t, []string{"localpart", "nowhere", "mx.example"}, q.Name, "no search list")
	}
}

func TestA1_04_NXDOMAIN(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, "alias.example. CNAME gone.example.")
	_, err := ask(r, "gone.example")
	mustBounce(t, err, mxresolve.KindNoSuchDomain, "5.1.2")
	require.Equal(t, 1, s.Count("", ""), "NXDOMAIN covers all types (RFC 8020)")
	_, err = ask(r, "alias.example")
	mustBounce(t, err, mxresolve.KindNoSuchDomain, "5.1.2")
	require.Contains(t, err.Error(), "gone.example")
	require.Zero(t, s.Count("", "A"))
}

func TestA1_05_FailureDefers(t *testing.T) {
	t.Parallel()
	faults := map[string]dnstest.Fault{
		"SERVFAIL":       {Rcode: dnstest.ServFail},
		"REFUSED":        {Rcode: dnstest.Refused},
		"NOTIMP":         {Rcode: dnstest.NotImp},
		"FORMERR":        {Rcode: dnstest.FormErr},
		"YXDOMAIN":       {Rcode: 6},
		"bogus":          {Rcode: dnstest.ServFail, Extended: 6, ExtendedText: "signature expired"},
		"timeout":        {Drop: true},
		"wrong question": {WrongQuestion: true},
		"malformed":      {Mangle: func(b []byte) [][]byte { return [][]byte{b[:len(b)-1]} }},
		"lame": {Mangle: func(b []byte) [][]byte { // a referral of a server that does not recurse
			b[2], b[3] = b[2]&^4, b[3]&^0x80
			b[7], b[9], b[11] = 0, 0, 0
			return [][]byte{b[:12+len("\x07example\x03org\x00")+4]}
		}},
		"about others": {Mangle: func(b []byte) [][]byte { // the answer's owner is another name
			return [][]byte{append(b[:len("123456789012\x07example\x03org\x00....")], []byte("\x01x\x00\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x04\x00\x01\xc0\x0c")...)}
		}},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, r := newLab(t, "example.org. MX 10 mx.example.org.\nexample.org. A 192.0.2.9\nmx.example.org. A 192.0.2.1")
				if name == "about others" {
					inner := f.Mangle
					f.Mangle = func(b []byte) [][]byte { b[7], b[9], b[11] = 1, 0, 0; return inner(b) }
				}
				s.SetFault("example.org", "MX", f)
				_, err := ask(r, "example.org")
				mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
				require.Zero(t, s.Count("", "A")+s.Count("", "AAAA"), "never implicit MX")
				says := map[string]string{"lame": "lame", "about others": "other names", "malformed": "malformed", "timeout": "no answer within",
					"wrong question": "no answer within", "bogus": "SERVFAIL", "YXDOMAIN": "YXDOMAIN"}
				if text, ok := says[name]; ok {
					require.Contains(t, err.Error(), text)
				} else {
					require.Contains(t, err.Error(), name)
				}
				if name == "bogus" {
					require.Equal(t, "DNSSEC Bogus: signature expired", err.Extended)
					require.Contains(t, err.Error(), "signature expired")
				}
			})
		})
	}
}

func TestA1_06_NODATAImplicitMX(t *testing.T) {
	t.Parallel()
	_, r := newLab(t, `
example.org.       A 192.0.2.1
example.org.       AAAA 2001:db8::1
alias.example.org. CNAME example.org.
`)
	for _, d := range []string{"example.org", "alias.example.org"} {
		t.Run(d, func(t *testing.T) {
			p, err := ask(r, d)
			require.Nil(t, err)
			require.True(t, p.Implicit)
			require.Equal(t, []string{"example.org"}, names(p))
			require.Zero(t, p.Hosts[0].Preference)
			require.Equal(t, addrs("2001:db8::1", "192.0.2.1"), p.Hosts[0].Addrs)
			require.Equal(t, "example.org", p.Canonical)
			require.Equal(t, d, p.Domain)
		})
	}
}

func TestA1_06_NODATAWithoutSOA(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, "example.org. A 192.0.2.1")
	for name, count := range map[string]byte{"nothing at all": 0, "NS records": 1} { // RFC 2308 s2.2, types 2 and 3
		t.Run(name, func(t *testing.T) {
			s.SetFault("example.org", "MX", crafted("example.org", 0, nil))
			if count > 0 {
				f := crafted("example.org", 0, []byte(rr(2, "\x02ns\xc0\x0c")))
				inner := f.Mangle
				f.Mangle = func(a []byte) [][]byte {
					out := inner(a)
					out[0][9] = count
					return out
				}
				s.SetFault("example.org", "MX", f)
			}
			p, err := ask(r, "example.org")
			require.Nil(t, err)
			require.True(t, p.Implicit)
		})
	}
}

func TestA1_07_NothingAtAll(t *testing.T) {
	t.Parallel()
	const zone = `example.org. TXT "no mail here"`
	t.Run("no address", func(t *testing.T) {
		_, r := newLab(t, zone)
		_, err := ask(r, "example.org")
		mustBounce(t, err, mxresolve.KindNoAddress, "5.4.4")
	})
	for _, typ := range []string{"A", "AAAA"} {
		t.Run(typ+" fails", func(t *testing.T) {
			s, r := newLab(t, zone)
			s.SetFault("example.org", typ, dnstest.Fault{Rcode: dnstest.ServFail})
			_, err := ask(r, "example.org")
			mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
		})
	}
}

func TestA1_08_NullMX(t *testing.T) {
	t.Parallel()
	for _, pref := range []int{0, 10, 65535} {
		t.Run(fmt.Sprint(pref), func(t *testing.T) {
			s, r := newLab(t, fmt.Sprintf("example.org. MX %d .\nexample.org. A 192.0.2.1", pref))
			_, err := ask(r, "example.org")
			mustBounce(t, err, mxresolve.KindNullMX, "5.1.10")
			require.Equal(t, 556, err.Code)
			require.Equal(t, 1, s.Count("", ""), "nothing else is asked")
		})
	}
}

func TestA1_09_NullTargetBesideOthers(t *testing.T) {
	t.Parallel()
	_, r := newLab(t, "example.org. MX 0 .\nexample.org. MX 10 mx.example.org.\nmx.example.org. A 192.0.2.1")
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Equal(t, []string{"mx.example.org"}, names(p))
	require.Equal(t, map[string]mxresolve.SkipReason{"": mxresolve.SkipNullTarget}, skipped(p.Skipped))
}

func TestA1_10_CNAMEAtDomain(t *testing.T) {
	t.Parallel()
	zone := `
a.example.    CNAME b.example.
b.example.    CNAME c.example.
c.example.    MX 10 mx.example.
mx.example.   A 192.0.2.1
old.example.  DNAME new.example.
x.new.example. MX 10 mx.example.
loop1.example. CNAME loop2.example.
loop2.example. CNAME loop1.example.
self.example. CNAME self.example.
`
	for i := range 20 {
		zone += fmt.Sprintf("l%d.example. CNAME l%d.example.\n", i, i+1)
	}
	zone += "l20.example. MX 10 mx.example.\n"
	for _, chase := range []bool{true, false} { // whether the upstream follows, or leaves it to us
		t.Run(fmt.Sprintf("upstream follows %v", chase), func(t *testing.T) {
			t.Parallel()
			s, r := newLab(t, zone)
			s.SetFault("", "", dnstest.Fault{NoChase: !chase})
			for domain, canon := range map[string]string{"a.example": "c.example", "x.old.example": "x.new.example", "l5.example": "l20.example"} {
				p, err := ask(r, domain)
				require.Nil(t, err)
				require.Equal(t, domain, p.Domain)
				require.Equal(t, canon, p.Canonical)
				require.Equal(t, []string{"mx.example"}, names(p))
				require.False(t, p.Implicit)
			}
			for _, domain := range []string{"loop1.example", "self.example", "l0.example"} {
				_, err := ask(r, domain)
				mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
				require.Contains(t, err.Error(), "CNAME")
			}
		})
	}
}

func TestA1_11_CNAMEAtTarget(t *testing.T) {
	t.Parallel()
	_, r := newLab(t, "example.org. MX 10 mx.example.org.\nmx.example.org. CNAME real.example.net.\nreal.example.net. A 192.0.2.1")
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Equal(t, "mx.example.org", p.Hosts[0].Name)
	require.Equal(t, "real.example.net", p.Hosts[0].Canonical)
	require.Equal(t, addrs("192.0.2.1"), p.Hosts[0].Addrs)
}

func TestA1_12_IPTarget(t *testing.T) {
	t.Parallel()
	const zone = `
example.org. MX 5 192.0.2.7.
example.org. MX 10 mx.example.org.
mx.example.org. A 192.0.2.1
only.example. MX 10 192.0.2.7.
only.example. A 192.0.2.8
six.example. MX 10 2001:db8::7.
zero.example. MX 0 0.0.0.0.
`
	t.Run("skipped", func(t *testing.T) {
		s, r := newLab(t, zone)
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.Equal(t, []string{"mx.example.org"}, names(p))
		require.Equal(t, mxresolve.SkipIPTarget, skipped(p.Skipped)["192.0.2.7"])
		for _, d := range []string{"only.example", "six.example", "zero.example"} {
			_, err = ask(r, d)
			mustBounce(t, err, mxresolve.KindNoAddress, "5.4.4")
			require.Contains(t, err.Error(), "IP address")
		}
		require.Zero(t, s.Count("192.0.2.7", ""))
	})
	t.Run("allowed", func(t *testing.T) {
		s, r := newLab(t, zone)
		r.AllowIPTargets = true
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.Equal(t, []string{"192.0.2.7", "mx.example.org"}, names(p))
		require.Equal(t, addrs("192.0.2.7"), p.Hosts[0].Addrs)
		p, err = ask(r, "six.example")
		require.Nil(t, err)
		require.Equal(t, []netip.Addr{netip.MustParseAddr("2001:db8::7")}, p.Hosts[0].Addrs)
		_, err = ask(r, "zero.example")
		mustBounce(t, err, mxresolve.KindNullMX, "5.1.10")
		require.Zero(t, s.Count("192.0.2.7", ""))
	})
}

func TestA1_13_OddTargets(t *testing.T) {
	t.Parallel()
	s, r := newLab(t, `
example.org. MX 10 mx_1.example.org.
example.org. MX 20 localhost.
mx_1.example.org. A 192.0.2.1
localhost. A 192.0.2.2
one.example. MX 10 onelabel.
onelabel. A 192.0.2.3
`)
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Equal(t, []string{"mx_1.example.org"}, names(p))
	require.Equal(t, mxresolve.SkipInvalidName, skipped(p.Skipped)["localhost"])
	_, err = ask(r, "one.example")
	mustBounce(t, err, mxresolve.KindNoAddress, "5.4.4")
	require.Zero(t, s.Count("localhost", "")+s.Count("onelabel", ""))
}
