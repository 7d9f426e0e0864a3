//go:build unix

package interop

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

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
