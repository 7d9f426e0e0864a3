//go:build unix

package interop

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
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

func newMXLab(t *testing.T) *mxLab {
	t.Helper()
	knotd, unbound := mxProgram(t, "knotd"), mxProgram(t, "unbound")
	l := &mxLab{ca: certs.NewCA(), otherCA: certs.NewCA(), knot: mxPort(t), unbound: mxPort(t)}
	l.leaf, l.rolled = l.ca.Issue("mx.dane.test"), l.ca.Issue("mx.dane.test")
	l.expired, l.ta = l.ca.IssueExpired("mx.dane.test"), l.ca.Issue("mx2.dane.test")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for name, text := range l.zones() {
		write(name+".zone", "$ORIGIN "+name+".\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"+text)
	}
	knotAt := strings.Replace(l.knot, ":", "@", 1)
	mxStart(t, knotd, "-c", write("knot.conf", fmt.Sprintf(mxKnotConf, dir, knotAt)))
	key := mxAwait(t, l.knot, "dane.test.", dns.TypeDNSKEY, func(m *dns.Msg) string {
		for _, rr := range m.Answer {
			if k, ok := rr.(*dns.DNSKEY); ok && k.Flags&dns.SEP != 0 {
				return k.String()
			}
		}
		return ""
	})
	var err error
	l.made, err = dnstest.Start(fmt.Sprintf(mxMadeZone, spki(l.leaf)))
	require.NoError(t, err)
	t.Cleanup(func() { l.made.Close() })
	anchor, err := l.made.Sign("made.test")
	require.NoError(t, err)
	l.made.SetFault("bad.made.test", "", dnstest.Fault{BadSignature: true})

	_, port, _ := net.SplitHostPort(l.unbound)
	conf := fmt.Sprintf(mxUnboundConf, dir, port)
	for _, a := range []string{key, anchor, "broken.test. DS 12345 13 2 " + strings.Repeat("ab", 32)} {
		conf = strings.Replace(conf, "remote-control:", fmt.Sprintf("  trust-anchor: %q\nremote-control:", strings.ReplaceAll(a, "\t", " ")), 1)
	}
	for zone, addr := range map[string]string{"made": strings.Replace(l.made.Addr(), ":", "@", 1), "dane": knotAt, "broken": knotAt, "unsigned": knotAt} {
		conf += fmt.Sprintf("stub-zone:\n  name: \"%s.test.\"\n  stub-addr: %s\n", zone, addr)
	}
	mxStart(t, unbound, "-d", "-c", write("unbound.conf", conf))
	mxAwait(t, l.unbound, "dane.test.", dns.TypeMX, func(m *dns.Msg) string {
		if m.AuthenticatedData && len(m.Answer) > 0 {
			return "ready"
		}
		return ""
	})
	return l
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
