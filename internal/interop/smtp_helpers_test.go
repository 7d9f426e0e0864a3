//go:build unix

package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
)

// freePort gives a port of 127.0.0.1 that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// openDir is a folder that programs with a user of their own can reach.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o711))
	return dir
}

// needRoot skips the test of a program that changes its user.
func needRoot(t *testing.T, name string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skipf("%s is started by root only", name)
	}
}

// identity is a certificate authority and a certificate, as values and as files.
type identity struct {
	ca                   *certs.CA
	pair                 tls.Certificate
	authority, cert, key string
}

func newIdentity(t *testing.T, dir string, names ...string) identity {
	t.Helper()
	ca := certs.NewCA()
	id := identity{ca: ca, pair: ca.Issue(names...)}
	file := func(name, kind string, ders ...[]byte) string {
		var b []byte
		for _, der := range ders {
			b = append(b, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
		}
		name = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(name, b, 0o644))
		return name
	}
	key, err := x509.MarshalPKCS8PrivateKey(id.pair.PrivateKey)
	require.NoError(t, err)
	id.authority = file("authority.pem", "CERTIFICATE", ca.Certificate().Raw)
	id.cert = file("cert.pem", "CERTIFICATE", id.pair.Certificate...)
	id.key = file("key.pem", "PRIVATE KEY", key)
	return id
}

// smtpSink starts a server that keeps what it is sent, with a certificate that id's authority signed.
func (id identity) sink(t *testing.T, set func(s *smtptest.Server)) *smtptest.Server {
	t.Helper()
	s := smtptest.NewUnstartedServer(t)
	s.Config.TLSConfig = &tls.Config{Certificates: []tls.Certificate{id.pair}}
	if set != nil {
		set(s)
	}
	s.Start()
	return s
}

func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	return port
}

// daemon runs a program until the test ends, and waits until it accepts connections at addr.
func daemon(t *testing.T, addr, name string, args ...string) *buffer {
	t.Helper()
	var out buffer
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = &out, &out
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
	})
	await(t, addr, &out)
	return &out
}

// await waits until somebody listens at addr.
func await(t *testing.T, addr string, log *buffer) {
	t.Helper()
	require.Eventually(t, func() bool {
		nc, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			nc.Close()
		}
		return err == nil
	}, 20*time.Second, 10*time.Millisecond, "nobody listens at %s\n%s", addr, log)
}

// soon bounds the wait for mail that is under way.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func withSubject(s string) func(*smtptest.Received) bool {
	return func(m *smtptest.Received) bool { return strings.Contains(string(m.Data), "Subject: "+s+"\r\n") }
}

func newEnvelope(t *testing.T, from string, to ...string) *smtp.Envelope {
	t.Helper()
	e, err := smtp.NewEnvelope(from, to...)
	require.NoError(t, err)
	return e
}

// bodyOf cuts off the header.
func bodyOf(t *testing.T, data []byte) string {
	t.Helper()
	_, body, ok := strings.Cut(string(data), "\r\n\r\n")
	require.True(t, ok, "%q", data)
	return body
}
