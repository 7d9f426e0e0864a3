//go:build unix

package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// mxLab is knot with signed, unsigned and broken zones, unbound that validates them, and an authority for certificates.
type mxLab struct {
	knot, unbound string // addresses
	ca, otherCA   *certs.CA
	leaf, rolled  tls.Certificate // of mx.dane.test: now, and announced
	expired       tls.Certificate
	ta            tls.Certificate // of mx2.dane.test, with the authority in its chain

	made *dnstest.Server // with the signed zone made.test

	mu   sync.Mutex
	sent []mxresolve.SentInfo
}

func hexSum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func newMXLab(t *testing.T) *mxLab {
	t.Helper()
	knotd, unbound := mxProgram(t, "knotd"), mxProgram(t, "unbound")
	l := &mxLab{ca: certs.NewCA(), otherCA: certs.NewCA()}
	l.leaf, l.rolled = l.ca.Issue("mx.dane.test"), l.ca.Issue("mx.dane.test")
	l.expired, l.ta = l.ca.IssueExpired("mx.dane.test"), l.ca.Issue("mx2.dane.test")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	const head = "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
	spki := func(c tls.Certificate) string { return hexSum(c.Leaf.RawSubjectPublicKeyInfo) }
	write("dane.test.zone", "$ORIGIN dane.test.\n"+head+`
@ MX 10 mx
@ MX 20 mx2
mx A 127.0.0.1
mx2 A 127.0.0.1
_25._tcp.mx TLSA 3 1 1 `+spki(l.leaf)+`
_25._tcp.mx TLSA 3 1 1 `+spki(l.rolled)+`
_25._tcp.mx TLSA 3 1 1 `+spki(l.expired)+`
_25._tcp.mx2 TLSA 2 0 1 `+hexSum(l.ca.Certificate().Raw)+`
alias CNAME dane.test.
plain A 127.0.0.1
toplain MX 10 plain
mixed MX 10 host.unsigned.test.
mixed MX 20 mx
byalias MX 10 out
out CNAME host.unsigned.test.
_25._tcp.out TLSA 3 1 1 `+spki(l.leaf)+`
unusable MX 10 mx3
mx3 A 127.0.0.1
_25._tcp.mx3 TLSA 1 1 1 `+spki(l.leaf)+`
fails MX 10 mx4
fails MX 20 mx
onlyfails MX 10 mx4
mx4 A 127.0.0.1
_25._tcp.mx4 CNAME tlsa.broken.test.
null MX 0 .
sts MX 10 plain
sts MX 20 plain2
plain2 A 127.0.0.1
_mta-sts.sts TXT "v=STSv1; id=1;"
mta-sts.sts A 127.0.0.1
_smtp._tls.sts TXT "v=TLSRPTv1; rua=mailto:tls@dane.test"
`)
	write("broken.test.zone", "$ORIGIN broken.test.\n"+head+"@ MX 10 mx\nmx A 127.0.0.1\ntlsa TLSA 3 1 1 "+spki(l.leaf)+"\n")
	write("unsigned.test.zone", "$ORIGIN unsigned.test.\n"+head+"@ MX 10 host\nhost A 127.0.0.1\n_25._tcp.host TLSA 3 1 1 "+spki(l.rolled)+"\n")

	l.knot, l.unbound = mxPort(t), mxPort(t)
	_, knotPort, _ := net.SplitHostPort(l.knot)
	_, unboundPort, _ := net.SplitHostPort(l.unbound)
	conf := write("knot.conf", fmt.Sprintf(`server:
  rundir: %[1]s
  listen: 127.0.0.1@%[2]s
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: %[1]s
control:
  listen: %[1]s/k.sock
log:
  - target: stderr
    any: error
policy:
  - id: lab
    algorithm: ecdsap256sha256
    nsec3: on
template:
  - id: default
    storage: %[1]s
    file: "%%s.zone"
    zonefile-load: difference-no-serial
    zonefile-sync: -1
    journal-content: all
zone:
  - domain: dane.test
    dnssec-signing: on
    dnssec-policy: lab
  - domain: broken.test
    dnssec-signing: on
    dnssec-policy: lab
  - domain: unsigned.test
`, dir, knotPort))
	mxStart(t, knotd, "-c", conf)
	key := mxAwait(t, l.knot, "dane.test.", dns.TypeDNSKEY, func(m *dns.Msg) string {
		for _, rr := range m.Answer {
			if k, ok := rr.(*dns.DNSKEY); ok && k.Flags&dns.SEP != 0 {
				return k.String()
			}
		}
		return ""
	})
	var err error
	l.made, err = dnstest.Start(`
$ORIGIN made.test.
@       SOA ns hostmaster 1 3600 600 86400 60
@       NS  ns
ns      A   127.0.0.1
@       MX  10 mx
mx      A   127.0.0.1
_25._tcp.mx TLSA 3 1 1 ` + spki(l.leaf) + `
alias   CNAME @
*.wild  MX  10 mx
*.alias CNAME alias
bad     MX  10 mx
`)
	require.NoError(t, err)
	t.Cleanup(func() { l.made.Close() })
	anchor, err := l.made.Sign("made.test")
	require.NoError(t, err)
	l.made.SetFault("bad.made.test", "", dnstest.Fault{BadSignature: true})
	stub := fmt.Sprintf("stub-zone:\n  name: \"made.test.\"\n  stub-addr: %s\n", strings.Replace(l.made.Addr(), ":", "@", 1))
	for _, z := range []string{"dane.test", "broken.test", "unsigned.test"} {
		stub += fmt.Sprintf("stub-zone:\n  name: \"%s.\"\n  stub-addr: 127.0.0.1@%s\n", z, knotPort)
	}
	conf = write("unbound.conf", fmt.Sprintf(`server:
  interface: 127.0.0.1
  port: %[2]s
  directory: "%[1]s"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  verbosity: 0
  num-threads: 1
  do-not-query-localhost: no
  local-zone: "test." nodefault
  module-config: "validator iterator"
  ede: yes
  trust-anchor: "%[3]s"
  trust-anchor: "%[6]s"
  trust-anchor: "broken.test. DS 12345 13 2 %[4]s"
remote-control:
  control-enable: no
%[5]s`, dir, unboundPort, strings.ReplaceAll(key, "\t", " "), strings.Repeat("ab", 32), stub, strings.ReplaceAll(anchor, "\t", " ")))
	mxStart(t, unbound, "-d", "-c", conf)
	mxAwait(t, l.unbound, "dane.test.", dns.TypeMX, func(m *dns.Msg) string {
		if m.AuthenticatedData && len(m.Answer) > 0 {
			return "ready"
		}
		return ""
	})
	return l
}

// mxProgram finds a program; the tests are skipped without it, unless they are required.
func mxProgram(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if p, err := exec.LookPath(path); err == nil {
			return p
		}
	}
	if os.Getenv("MAILROOM_INTEROP") == "required" {
		t.Fatalf("%s is not installed, and MAILROOM_INTEROP=required", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// mxPort finds a port that is free for UDP and TCP.
func mxPort(t *testing.T) string {
	t.Helper()
	for range 20 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		addr := pc.LocalAddr().String()
		ln, err := net.Listen("tcp", addr)
		pc.Close()
		if err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// mxStart runs a name server until the test ends.
func mxStart(t *testing.T, program string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	p := exec.Command(program, args...)
	p.Stdout, p.Stderr = &log, &log
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		p.Process.Kill()
		p.Wait()
		if t.Failed() {
			t.Logf("%s wrote: %s", program, log.String())
		}
	})
}

// mxAwait asks until the answer is as it should be.
func mxAwait(t *testing.T, addr, name string, typ uint16, good func(*dns.Msg) string) string {
	t.Helper()
	c := &dns.Client{Net: "tcp", Timeout: 2 * time.Second}
	deadline := time.Now().Add(30 * time.Second)
	for {
		q := new(dns.Msg).SetQuestion(name, typ)
		q.SetEdns0(1232, true)
		m, _, err := c.Exchange(q, addr)
		if err == nil {
			if s := good(m); s != "" {
				return s
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer about %s: %v %v", addr, name, err, m)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// resolver asks unbound, and notes each packet.
func (l *mxLab) resolver(t *testing.T, sts *mxresolve.STS) *mxresolve.Resolver {
	r := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: l.unbound}}, AllowLoopback: true, STS: sts,
		Trace: &mxresolve.Trace{Sent: func(i mxresolve.SentInfo) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.sent = append(l.sent, i)
		}}}
	t.Cleanup(func() { r.Close() })
	return r
}

// asked says whether a question has left.
func (l *mxLab) asked(name, typ string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range l.sent {
		if i.Name == name && i.Type == typ {
			return true
		}
	}
	return false
}

// shake connects to a server with a certificate, as the plan demands.
func shake(t *testing.T, req mxresolve.TLSRequirement, cert tls.Certificate) error {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	require.NoError(t, err)
	defer ln.Close()
	go func() {
		if c, err := ln.Accept(); err == nil {
			c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	cfg, _ := req.Config(nil)
	c, err := tls.Dial("tcp", ln.Addr().String(), cfg)
	if err == nil {
		c.Close()
	}
	return err
}

func TestMXResolveUnboundKnot(t *testing.T) {
	if testing.Short() {
		t.Skip("starts name servers")
	}
	l := newMXLab(t)
	ctx := context.Background()
	r := l.resolver(t, nil)
	plan := func(t *testing.T, domain string) *mxresolve.Plan {
		t.Helper()
		p, err := r.Resolve(ctx, domain)
		require.NoError(t, err)
		return p
	}
	t.Run("diagnosis", func(t *testing.T) {
		list, err := r.Diagnose(ctx, "dane.test")
		require.NoError(t, err)
		ok, text := list[0].DNSSEC()
		require.True(t, ok, text)
		knot := &mxresolve.Resolver{Upstreams: []mxresolve.Upstream{{Addr: l.knot}}}
		defer knot.Close()
		list, err = knot.Diagnose(ctx, "dane.test")
		require.NoError(t, err)
		_, text = list[0].DNSSEC()
		require.Contains(t, text, "does not validate")
	})
	t.Run("DANE-EE", func(t *testing.T) {
		p := plan(t, "dane.test")
		require.True(t, p.Secure)
		require.True(t, p.Hosts[0].Secure)
		mx := p.Hosts[0].TLS
		require.NoError(t, shake(t, mx, l.leaf))
		require.NoError(t, shake(t, mx, l.rolled), "rollover: two records")
		require.NoError(t, shake(t, mx, l.expired), "dates do not count")
		require.ErrorIs(t, shake(t, mx, l.otherCA.Issue("mx.dane.test")), mxresolve.ErrTLSA)
	})
	t.Run("DANE-TA", func(t *testing.T) {
		mx2 := plan(t, "dane.test").Hosts[1].TLS
		require.NoError(t, shake(t, mx2, l.ta))
		require.NoError(t, shake(t, mx2, l.ca.Issue("dane.test")), "the name of the domain will do as well")
		require.ErrorIs(t, shake(t, mx2, l.ca.Issue("mx9.dane.test")), mxresolve.ErrTLSA)
		require.ErrorIs(t, shake(t, mx2, l.ca.IssueExpired("mx2.dane.test")), mxresolve.ErrTLSA)
		require.ErrorIs(t, shake(t, mx2, l.otherCA.Issue("mx2.dane.test")), mxresolve.ErrTLSA)
	})
	t.Run("alias", func(t *testing.T) {
		p := plan(t, "alias.dane.test")
		require.True(t, p.Secure)
		require.Equal(t, "dane.test", p.Canonical)
		require.Contains(t, p.Hosts[0].TLS.String(), "DANE")
	})
	t.Run("no TLSA", func(t *testing.T) {
		p := plan(t, "toplain.dane.test")
		require.True(t, p.Secure)
		require.Equal(t, "opportunistic", p.Hosts[0].TLS.String())
		require.True(t, l.asked("_25._tcp.plain.dane.test", "TLSA"))
	})
	t.Run("host in an unsigned zone", func(t *testing.T) {
		p := plan(t, "mixed.dane.test")
		require.True(t, p.Secure)
		require.False(t, p.Hosts[0].Secure)
		require.Equal(t, "opportunistic", p.Hosts[0].TLS.String())
		require.False(t, l.asked("_25._tcp.host.unsigned.test", "TLSA"), "no question must leave")
		require.Contains(t, p.Hosts[1].TLS.String(), "DANE")
	})
	t.Run("alias into an unsigned zone", func(t *testing.T) {
		p := plan(t, "byalias.dane.test")
		require.NoError(t, shake(t, p.Hosts[0].TLS, l.leaf))
		require.Error(t, shake(t, p.Hosts[0].TLS, l.rolled))
		require.False(t, l.asked("_25._tcp.host.unsigned.test", "TLSA"))
	})
	t.Run("unsigned", func(t *testing.T) {
		p := plan(t, "unsigned.test")
		require.False(t, p.Secure)
		require.Equal(t, mxresolve.InsecureNoAD, p.Insecure)
		require.Equal(t, "opportunistic", p.Hosts[0].TLS.String())
	})
	t.Run("unusable TLSA", func(t *testing.T) {
		p := plan(t, "unusable.dane.test")
		_, mandatory := p.Hosts[0].TLS.Config(nil)
		require.True(t, mandatory)
		require.NoError(t, shake(t, p.Hosts[0].TLS, l.otherCA.Issue("anything.test")))
		require.Equal(t, tlsrpt.TLSAInvalid, p.Failures[0].Result)
	})
	t.Run("TLSA fails", func(t *testing.T) {
		p := plan(t, "fails.dane.test")
		require.Equal(t, "mx.dane.test", p.Hosts[0].Name)
		require.Equal(t, mxresolve.SkipLookupFailed, p.Skipped[0].Reason)
		require.Equal(t, tlsrpt.DNSSECInvalid, p.Failures[0].Result)
		_, err := r.Resolve(ctx, "onlyfails.dane.test")
		var e *mxresolve.Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Temporary)
		require.Equal(t, "4.4.3", e.Enhanced)
	})
	t.Run("bogus", func(t *testing.T) {
		_, err := r.Resolve(ctx, "broken.test")
		var e *mxresolve.Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Temporary)
		require.Regexp(t, "DNSSEC Bogus|DNSKEY Missing", e.Extended, "the Extended DNS Error says why")
	})
	t.Run("NXDOMAIN and null MX", func(t *testing.T) {
		_, err := r.Resolve(ctx, "none.dane.test")
		var e *mxresolve.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, mxresolve.KindNoSuchDomain, e.Kind)
		_, err = r.Resolve(ctx, "null.dane.test")
		require.ErrorAs(t, err, &e)
		require.Equal(t, mxresolve.KindNullMX, e.Kind)
	})
	t.Run("zones signed by dnstest", func(t *testing.T) {
		for domain, canonical := range map[string]string{"made.test": "made.test", "alias.made.test": "made.test", "x.wild.made.test": "x.wild.made.test", "y.alias.made.test": "made.test"} {
			p := plan(t, domain)
			require.True(t, p.Secure, domain)
			require.Equal(t, canonical, p.Canonical)
			require.NoError(t, shake(t, p.Hosts[0].TLS, l.leaf), domain)
			_, mandatory := p.Hosts[0].TLS.Config(nil)
			require.True(t, mandatory)
		}
		implicit := plan(t, "ns.made.test")
		require.True(t, implicit.Secure && implicit.Implicit, "the proof that there is no MX record")
		_, err := r.Resolve(ctx, "none.made.test")
		var e *mxresolve.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, mxresolve.KindNoSuchDomain, e.Kind)
		_, err = r.Resolve(ctx, "bad.made.test")
		require.ErrorAs(t, err, &e)
		require.True(t, e.Temporary)
		require.Contains(t, e.Extended, "Bogus")
	})
	t.Run("MTA-STS", func(t *testing.T) { testMXPolicyHost(t, l) })
}

// testMXPolicyHost lets a web server on the loopback interface be the policy host of sts.dane.test.
func testMXPolicyHost(t *testing.T, l *mxLab) {
	const policy = "version: STSv1\nmode: enforce\nmx: plain.dane.test\nmax_age: 86400\n"
	serve := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		}
	}
	good := l.ca.Issue("mta-sts.sts.dane.test")
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		cert    tls.Certificate
		result  tlsrpt.Result // empty: the policy is enforced
	}{
		"enforce":     {serve("text/plain", policy), good, ""},
		"redirect":    {http.RedirectHandler("/x", http.StatusMovedPermanently).ServeHTTP, good, tlsrpt.STSPolicyFetchError},
		"404":         {http.NotFound, good, tlsrpt.STSPolicyFetchError},
		"type":        {serve("text/html", policy), good, tlsrpt.STSPolicyFetchError},
		"long":        {serve("text/plain", policy+strings.Repeat("x: y\n", 20000)), good, tlsrpt.STSPolicyFetchError},
		"nonsense":    {serve("text/plain", "hello"), good, tlsrpt.STSPolicyInvalid},
		"other name":  {serve("text/plain", policy), l.ca.Issue("sts.dane.test"), tlsrpt.STSWebPKIInvalid},
		"expired":     {serve("text/plain", policy), l.ca.IssueExpired("mta-sts.sts.dane.test"), tlsrpt.STSWebPKIInvalid},
		"not trusted": {serve("text/plain", policy), l.otherCA.Issue("mta-sts.sts.dane.test"), tlsrpt.STSWebPKIInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			web := &http.Server{Handler: c.handler, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 10 * time.Second,
				TLSConfig: &tls.Config{Certificates: []tls.Certificate{c.cert}}}
			done := make(chan struct{})
			go func() {
				web.ServeTLS(ln, "", "")
				close(done)
			}()
			defer func() { web.Close(); <-done }()
			r := l.resolver(t, &mxresolve.STS{RootCAs: l.ca.Pool(), Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != "127.0.0.1:443" {
					return nil, fmt.Errorf("dialed %s", addr)
				}
				return new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
			}})
			p, err := r.Resolve(context.Background(), "sts.dane.test")
			require.NoError(t, err)
			if c.result != "" {
				require.Nil(t, p.Policy)
				require.Len(t, p.Hosts, 2)
				require.Equal(t, c.result, p.Failures[0].Result, p.Failures[0].Reason)
				return
			}
			require.Len(t, p.Hosts, 1)
			require.Equal(t, mxresolve.SkipPolicy, p.Skipped[0].Reason)
			require.NoError(t, shake(t, p.Hosts[0].TLS, l.ca.Issue("plain.dane.test")))
			err = shake(t, p.Hosts[0].TLS, l.ca.Issue("plain2.dane.test"))
			o, ok := p.Hosts[0].TLS.Outcome(err)
			require.True(t, ok)
			require.Equal(t, tlsrpt.CertificateHostMismatch, o.Result)
			record, err := r.LookupTLSReporting(context.Background(), "sts.dane.test")
			require.NoError(t, err)
			require.Equal(t, []string{"mailto:tls@dane.test"}, record.URIs)
		})
	}
}
