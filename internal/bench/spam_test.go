package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"blitiri.com.ar/go/spf"
	msgauth "github.com/emersion/go-msgauth/dkim"
	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime/dkim"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/auth"
)

// zone answers from memory, for ours and for the peers.
type zone map[string][]string

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	if v := z["TXT "+trim(name)]; v != nil {
		return v, nil
	}
	return nil, notFound(name)
}

func (z zone) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	var hosts []*net.MX
	for _, h := range z["MX "+trim(name)] {
		hosts = append(hosts, &net.MX{Host: h, Pref: 10})
	}
	if hosts == nil {
		return nil, notFound(name)
	}
	return hosts, nil
}

func (z zone) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, a := range z["A "+trim(name)] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil {
		return nil, notFound(name)
	}
	return addrs, nil
}

func (z zone) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	addrs, err := z.LookupNetIP(ctx, "ip", name)
	var out []net.IPAddr
	for _, a := range addrs {
		out = append(out, net.IPAddr{IP: a.AsSlice()})
	}
	return out, err
}

func (z zone) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return nil, notFound(addr)
}

func trim(name string) string {
	if n := len(name); n > 0 && name[n-1] == '.' {
		return name[:n-1]
	}
	return name
}

// BenchmarkSPF judges senders: one that matches at once, one behind includes, and one that fails after all of them.
func BenchmarkSPF(b *testing.B) {
	z := zone{
		"TXT plain.example":   {"v=spf1 ip4:192.0.2.0/24 -all"},
		"TXT include.example": {"some other text", "v=spf1 mx include:_a.example include:_b.example ~all"},
		"TXT _a.example":      {"v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ip6:2001:db8:1::/48 a:host.example ~all"},
		"TXT _b.example":      {"v=spf1 ip4:203.0.113.128/25 include:_c.example ip4:192.0.2.0/24 ?all"},
		"TXT _c.example":      {"v=spf1 ip4:198.18.0.0/15 ip4:198.51.100.0/24 ip6:2001:db8:2::/48 ~all"},
		"MX include.example":  {"mx1.example.", "mx2.example."},
		"A mx1.example":       {"198.51.100.1", "2001:db8::1"},
		"A mx2.example":       {"198.51.100.2"},
		"A host.example":      {"198.51.100.3"},
	}
	for _, c := range []struct {
		name, remote, domain string
		want                 spf.Result
	}{
		{"ip4", "192.0.2.7", "plain.example", spf.Pass},
		{"include", "192.0.2.7", "include.example", spf.Pass},
		{"softfail", "10.1.2.3", "include.example", spf.SoftFail},
	} {
		b.Run(c.name+"/mailroom", func(b *testing.B) {
			q := auth.SPFQuery{Remote: netip.MustParseAddr(c.remote), Hello: "mx.example", From: "user@" + c.domain, Hostname: "mx.example.net"}
			b.ReportAllocs()
			for b.Loop() {
				if r := auth.SPF(b.Context(), z, q); string(r.Result) != string(c.want) {
					b.Fatal(r)
				}
			}
		})
		b.Run(c.name+"/go-spf", func(b *testing.B) {
			remote, resolver := net.ParseIP(c.remote), spf.WithResolver(z)
			b.ReportAllocs()
			for b.Loop() {
				if r, err := spf.CheckHostWithSender(remote, "mx.example", "user@"+c.domain, resolver, spf.WithContext(b.Context())); r != c.want {
					b.Fatal(r, err)
				}
			}
		})
	}
}

// keys of DKIM, and the records that go with them.
func keys(b *testing.B) (map[string]crypto.Signer, zone) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(b, err)
	_, e, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(b, err)
	signers, z := map[string]crypto.Signer{"rsa": r, "ed25519": e}, zone{}
	for name, s := range signers {
		record, err := dkim.Record(s.Public())
		require.NoError(b, err)
		z["TXT "+name+"._domainkey.example.org"] = []string{record}
	}
	return signers, z
}

// BenchmarkDKIM signs and verifies plain letters of a size.
func BenchmarkDKIM(b *testing.B) {
	signers, z := keys(b)
	for _, c := range []struct {
		key  string
		size int
	}{{"rsa", 4 << 10}, {"ed25519", 4 << 10}, {"ed25519", 1 << 20}} {
		name := fmt.Sprintf("%s,%dKiB", c.key, c.size>>10)
		letter := append(Letter(1)[:bytes.Index(Letter(1), []byte("\r\n\r\n"))+4], ASCII(c.size)...)
		ours := dkim.Signer{Domain: "example.org", Selector: c.key, Key: signers[c.key]}
		field, err := dkim.Sign(b.Context(), smtp.BytesContent(letter), ours)
		require.NoError(b, err)
		signed := append(field, letter...)

		run := func(name string, op func(b *testing.B)) {
			b.Run(name, func(b *testing.B) {
				b.SetBytes(int64(len(letter)))
				b.ReportAllocs()
				for b.Loop() {
					op(b)
				}
			})
		}
		run("sign/"+name+"/mailroom", func(b *testing.B) {
			_, err := dkim.Sign(b.Context(), smtp.BytesContent(letter), ours)
			require.NoError(b, err)
		})
		run("sign/"+name+"/go-msgauth", func(b *testing.B) {
			s, err := msgauth.NewSigner(&msgauth.SignOptions{Domain: "example.org", Selector: c.key, Signer: signers[c.key],
				HeaderCanonicalization: msgauth.CanonicalizationRelaxed, BodyCanonicalization: msgauth.CanonicalizationRelaxed})
			require.NoError(b, err)
			_, err = io.Copy(s, bytes.NewReader(letter))
			require.NoError(b, err)
			require.NoError(b, s.Close())
			s.Signature()
		})
		run("verify/"+name+"/mailroom", func(b *testing.B) {
			results, err := dkim.Verify(b.Context(), smtp.BytesContent(signed), z)
			require.NoError(b, err)
			require.Equal(b, dkim.Pass, results[0].Status)
		})
		run("verify/"+name+"/go-msgauth", func(b *testing.B) {
			results, err := msgauth.VerifyWithOptions(bytes.NewReader(signed), &msgauth.VerifyOptions{
				LookupTXT: func(name string) ([]string, error) { return z.LookupTXT(b.Context(), name) }})
			require.NoError(b, err)
			require.NoError(b, results[0].Err)
		})
	}
}

var _ spam.Resolver = zone{}
