package mxresolve_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

// The tests of the table of DANE (RFC 7672): when TLSA records are asked for, and what comes of them.

var digest = strings.Repeat("ab", 32)

// daneLab serves one domain with two hosts, all of it signed.
func daneLab(t *testing.T, more string) (*dnstest.Server, *mxresolve.Resolver) {
	s, r := newLab(t, `
example.org.  MX 10 a.example.org.
example.org.  MX 20 b.example.org.
a.example.org. A 192.0.2.1
a.example.org. AAAA 2001:db8::1
b.example.org. A 192.0.2.2
`+more)
	s.SetSecure(".", true)
	return s, r
}

func tlsaAt(host, rdata string) string { return "_25._tcp." + host + ". TLSA " + rdata + "\n" }

func required(h mxresolve.Host) bool {
	_, ok := h.TLS.Config(nil)
	return ok
}

func TestA2_01_MXInsecure(t *testing.T) {
	t.Parallel()
	s, r := daneLab(t, tlsaAt("a.example.org", "3 1 1 "+digest))
	s.SetFault("example.org", "MX", dnstest.Fault{Insecure: true})
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.False(t, required(p.Hosts[0]))
	require.True(t, p.Hosts[0].Secure)
	require.Zero(t, s.Count("", "TLSA"))
}

func TestA2_02_HostInsecure(t *testing.T) {
	t.Parallel()
	s, r := daneLab(t, "")
	s.SetSecure("a.example.org", false)
	s.SetFault("_25._tcp.a.example.org", "", dnstest.Fault{Rcode: dnstest.ServFail}) // as unsigned zones of a large provider do
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	require.Equal(t, []string{"a.example.org", "b.example.org"}, names(p))
	require.Zero(t, s.Count("_25._tcp.a.example.org", ""), "no question must leave")
	require.Equal(t, 1, s.Count("_25._tcp.b.example.org", "TLSA"))
}

func TestA2_03_OneFamilySecure(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]dnstest.Fault{"insecure": {Insecure: true}, "bogus": {Rcode: dnstest.ServFail}} {
		t.Run(name, func(t *testing.T) {
			s, r := daneLab(t, tlsaAt("a.example.org", "3 1 1 "+digest))
			s.SetFault("a.example.org", "AAAA", f)
			p, err := ask(r, "example.org")
			require.Nil(t, err)
			require.True(t, required(p.Hosts[0]))
			require.Equal(t, addrs("192.0.2.1"), p.Hosts[0].Addrs)
		})
	}
}

func TestA2_04_AliasIntoUnsignedZone(t *testing.T) {
	t.Parallel()
	const more = "example.com. MX 10 mx.example.com.\nmx.example.com. CNAME real.unsigned.\nreal.unsigned. A 192.0.2.3\n"
	t.Run("alias secure", func(t *testing.T) {
		s, r := daneLab(t, more+tlsaAt("mx.example.com", "3 1 1 "+digest)+tlsaAt("real.unsigned", "3 1 1 "+digest))
		s.SetSecure("unsigned", false)
		p, err := ask(r, "example.com")
		require.Nil(t, err)
		require.True(t, required(p.Hosts[0]))
		require.Zero(t, s.Count("_25._tcp.real.unsigned", ""))
		cfg, _ := p.Hosts[0].TLS.Config(nil)
		require.Equal(t, "mx.example.com", cfg.ServerName)
	})
	t.Run("alias insecure", func(t *testing.T) {
		s, r := daneLab(t, more+tlsaAt("mx.example.com", "3 1 1 "+digest))
		s.SetSecure("unsigned", false)
		s.SetSecure("mx.example.com", false)
		p, err := ask(r, "example.com")
		require.Nil(t, err)
		require.False(t, required(p.Hosts[0]))
		require.Zero(t, s.Count("", "TLSA"))
	})
	t.Run("alias unknown", func(t *testing.T) {
		s, r := daneLab(t, more)
		s.SetSecure("unsigned", false)
		s.SetFault("mx.example.com", "CNAME", dnstest.Fault{Rcode: dnstest.ServFail})
		_, err := ask(r, "example.com")
		mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
	})
}

func TestA2_05_BaseDomain(t *testing.T) {
	t.Parallel()
	const more = "example.com. MX 10 mx.example.com.\nmx.example.com. CNAME real.example.net.\nreal.example.net. A 192.0.2.3\n"
	for _, base := range []string{"real.example.net", "mx.example.com"} {
		t.Run(base, func(t *testing.T) {
			_, r := daneLab(t, more+tlsaAt(base, "3 1 1 "+digest))
			p, err := ask(r, "example.com")
			require.Nil(t, err)
			cfg, ok := p.Hosts[0].TLS.Config(nil)
			require.True(t, ok)
			require.Equal(t, base, cfg.ServerName, "RFC 7672 s8.1: SNI is the base domain")
		})
	}
}

func TestA2_06_NoTLSA(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"secure": true, "insecure": false} {
		t.Run(name, func(t *testing.T) {
			s, r := daneLab(t, "_25._tcp.a.example.org. TXT x") // NODATA for one host, NXDOMAIN for the other
			s.SetFault("", "TLSA", dnstest.Fault{Insecure: !secure})
			p, err := ask(r, "example.org")
			require.Nil(t, err)
			require.Len(t, p.Hosts, 2)
			for _, h := range p.Hosts {
				require.False(t, required(h))
				require.Equal(t, "opportunistic", h.TLS.String())
			}
		})
	}
	t.Run("insecure records", func(t *testing.T) {
		s, r := daneLab(t, tlsaAt("a.example.org", "3 1 1 "+digest))
		s.SetFault("", "TLSA", dnstest.Fault{Insecure: true})
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.False(t, required(p.Hosts[0]))
	})
}

func TestA2_07_TLSAFails(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]dnstest.Fault{"SERVFAIL": {Rcode: dnstest.ServFail}, "bogus": {Rcode: dnstest.ServFail, Extended: 6},
		"REFUSED": {Rcode: dnstest.Refused}, "NOTIMP": {Rcode: dnstest.NotImp}} {
		t.Run(name, func(t *testing.T) {
			s, r := daneLab(t, "")
			s.SetFault("_25._tcp.a.example.org", "TLSA", f)
			p, err := ask(r, "example.org")
			require.Nil(t, err)
			require.Equal(t, []string{"b.example.org"}, names(p))
			require.Equal(t, mxresolve.SkipLookupFailed, skipped(p.Skipped)["a.example.org"])

			s.SetFault("", "TLSA", f)
			r.Purge()
			_, err = ask(r, "example.org")
			mustDefer(t, err, mxresolve.KindLookupFailed, "4.4.3")
			require.Contains(t, err.Error(), "TLSA")
		})
	}
}

func TestA2_07_CanceledIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := daneLab(t, tlsaAt("a.example.org", "3 1 1 "+digest))
		s.SetFault("_25._tcp.a.example.org", "TLSA", dnstest.Fault{Drop: true, Times: 1})
		ctx, cancel := context.WithTimeout(bg, time.Millisecond)
		defer cancel()
		r.Resolve(ctx, "example.org")
		p, err := ask(r, "example.org")
		require.Nil(t, err)
		require.Equal(t, []string{"a.example.org", "b.example.org"}, names(p))
		require.True(t, required(p.Hosts[0]))
	})
}

func TestA2_08_Unusable(t *testing.T) {
	t.Parallel()
	for _, rdata := range []string{"0 0 1 " + digest, "1 1 1 " + digest, "3 2 1 " + digest, "3 1 3 " + digest, "4 1 1 " + digest,
		"3 1 1 abcd", "3 1 2 " + digest, "2 1 1 " + digest + "00"} {
		t.Run(rdata[:8], func(t *testing.T) {
			_, r := daneLab(t, tlsaAt("a.example.org", rdata))
			p, err := ask(r, "example.org")
			require.Nil(t, err)
			cfg, ok := p.Hosts[0].TLS.Config(nil)
			require.True(t, ok, "TLS is mandatory")
			require.True(t, cfg.InsecureSkipVerify && cfg.VerifyConnection == nil, "with any certificate")
			require.Contains(t, p.Hosts[0].TLS.String(), "no usable record")
		})
	}
}

// handshake connects to a host that has cert with what a plan demands.
func handshake(t *testing.T, cert tls.Certificate, req mxresolve.TLSRequirement, base *tls.Config) error {
	t.Helper()
	a, b := memnet.Pipe()
	server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{cert}})
	go func() {
		server.Handshake()
		server.Close()
	}()
	cfg, ok := req.Config(base)
	require.True(t, ok)
	client := tls.Client(a, cfg)
	defer client.Close()
	return client.Handshake()
}

func TestA2_09_Matching(t *testing.T) {
	t.Parallel()
	ca, other := certs.NewCA(), certs.NewCA()
	leaf := ca.Issue("a.example.org")
	sum := func(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:]) }
	sum512 := func(b []byte) string { h := sha512.Sum512(b); return hex.EncodeToString(h[:]) }
	parsed := func(c tls.Certificate) *x509.Certificate {
		x, err := x509.ParseCertificate(c.Certificate[0])
		require.NoError(t, err)
		return x
	}
	withCA := func(c tls.Certificate) tls.Certificate {
		c.Certificate = [][]byte{c.Certificate[0], ca.Certificate().Raw}
		return c
	}
	alone := func(c tls.Certificate) tls.Certificate {
		c.Certificate = c.Certificate[:1]
		return c
	}
	spki := func(c tls.Certificate) []byte { return parsed(c).RawSubjectPublicKeyInfo }
	expired := ca.IssueExpired("a.example.org")
	otherName := ca.Issue("elsewhere.example")
	ta := "2 0 1 " + sum(ca.Certificate().Raw)
	for name, c := range map[string]struct {
		cert tls.Certificate
		tlsa []string
		ok   bool
	}{
		"3 1 1":                        {leaf, []string{"3 1 1 " + sum(spki(leaf))}, true},
		"3 0 1":                        {leaf, []string{"3 0 1 " + sum(leaf.Certificate[0])}, true},
		"3 1 2":                        {leaf, []string{"3 1 2 " + sum512(spki(leaf))}, true},
		"3 1 0":                        {leaf, []string{"3 1 0 " + hex.EncodeToString(spki(leaf))}, true},
		"3 1 1 expired":                {expired, []string{"3 1 1 " + sum(spki(expired))}, true},
		"3 1 1 other name":             {otherName, []string{"3 1 1 " + sum(spki(otherName))}, true},
		"3 1 1 rollover":               {leaf, []string{"3 1 1 " + digest, "3 1 1 " + sum(spki(leaf))}, true},
		"3 1 1 beside unusable":        {leaf, []string{"1 1 1 " + digest, "3 1 1 " + sum(spki(leaf))}, true},
		"3 1 1 wrong":                  {leaf, []string{"3 1 1 " + digest}, false},
		"3 1 1 of the anchor":          {withCA(leaf), []string{"3 1 1 " + sum(ca.Certificate().RawSubjectPublicKeyInfo)}, false},
		"2 0 1":                        {withCA(leaf), []string{ta}, true},
		"2 1 1":                        {withCA(leaf), []string{"2 1 1 " + sum(ca.Certificate().RawSubjectPublicKeyInfo)}, true},
		"2 0 1 for the domain":         {withCA(ca.Issue("example.org")), []string{ta}, true},
		"2 0 1 other name":             {withCA(otherName), []string{ta}, false},
		"2 0 1 expired":                {withCA(expired), []string{ta}, false},
		"2 0 1 anchor not sent":        {alone(leaf), []string{ta}, false},
		"2 0 0 anchor not sent":        {alone(leaf), []string{"2 0 0 " + hex.EncodeToString(ca.Certificate().Raw)}, true},
		"2 0 1 unrelated":              {withCA(other.Issue("a.example.org")), []string{ta}, false},
		"2 0 1 wrong beside 3 1 1":     {leaf, []string{"2 0 1 " + digest, "3 1 1 " + sum(spki(leaf))}, true},
		"2 0 1 name wrong, 3 1 1 good": {withCA(otherName), []string{ta, "3 1 1 " + sum(spki(otherName))}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone := ""
			for _, rdata := range c.tlsa {
				zone += tlsaAt("a.example.org", rdata)
			}
			_, r := daneLab(t, zone)
			p, e := ask(r, "example.org")
			require.Nil(t, e)
			require.Contains(t, p.Hosts[0].TLS.String(), "DANE ")
			err := handshake(t, c.cert, p.Hosts[0].TLS, nil)
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, mxresolve.ErrTLSA)
		})
	}
	t.Run("the caller's own check is kept", func(t *testing.T) {
		_, r := daneLab(t, tlsaAt("a.example.org", "3 1 1 "+sum(spki(leaf))))
		p, e := ask(r, "example.org")
		require.Nil(t, e)
		base := &tls.Config{ServerName: "not.this", VerifyConnection: func(cs tls.ConnectionState) error {
			return fmt.Errorf("seen %s", cs.ServerName)
		}}
		require.ErrorContains(t, handshake(t, leaf, p.Hosts[0].TLS, base), "seen a.example.org")
		require.Equal(t, "not.this", base.ServerName)
	})
}

func TestOpportunisticTLS(t *testing.T) {
	t.Parallel()
	cfg, ok := mxresolve.TLSRequirement{}.Config(nil)
	require.False(t, ok)
	require.True(t, cfg.InsecureSkipVerify)
	base := &tls.Config{MinVersion: tls.VersionTLS13}
	_, r := newLab(t, oneHost)
	p, err := ask(r, "example.org")
	require.Nil(t, err)
	cfg, ok = p.Hosts[0].TLS.Config(base)
	require.False(t, ok)
	require.Equal(t, "mx.example.org", cfg.ServerName)
	require.EqualValues(t, tls.VersionTLS13, cfg.MinVersion)
	require.False(t, base.InsecureSkipVerify)
	p, err = ask(r, "[192.0.2.1]")
	require.Nil(t, err)
	cfg, _ = p.Hosts[0].TLS.Config(nil)
	require.Empty(t, net.ParseIP(cfg.ServerName), "no SNI for addresses")
}
