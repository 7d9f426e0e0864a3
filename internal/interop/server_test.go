//go:build unix

package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Users of every server.
const (
	domain        = "example.test"
	alice         = "alice@example.test"
	bob           = "bob@example.test"
	alicePassword = "wonder land"
	bobPassword   = "b\\uilder\"s"
)

var listeners = []string{"smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s"}

// server is a running mail server.
type server struct {
	t       *testing.T
	dir     string
	addr    map[string]string // by listener
	process *exec.Cmd
	exited  chan struct{} // closed when the process has ended
	log     *buffer       // what it wrote on standard error
}

const memory = ":memory:"

// newServer starts a server that is ended when the test ends, and has to end well.
func newServer(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s, err := startServer(t, dir, args...)
	require.NoError(t, err)
	t.Cleanup(func() {
		select {
		case <-s.exited:
		default:
			s.terminate()
		}
		for line := range strings.Lines(s.log.String()) {
			if strings.Contains(line, " level=ERROR ") || strings.Contains(line, "panic") || strings.Contains(line, "DATA RACE") {
				t.Errorf("the server logged %s", line)
			}
		}
		for _, secret := range []string{alicePassword, bobPassword, base64.StdEncoding.EncodeToString([]byte(alicePassword)), base64.StdEncoding.EncodeToString([]byte("\x00alice\x00" + alicePassword))} {
			if strings.Contains(s.log.String(), secret) {
				t.Error("the server logged a password")
			}
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	return s
}

// serverCommand gives the command that runs a server. Flags in args win.
func serverCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the mail server is not built")
	}
	require.NoError(t, prepare())
	all := []string{"-domain", domain, "-user", "alice:" + alicePassword, "-user", "bob:" + bobPassword, "-dir", dir, "-resolver", "none", "-log", "debug",
		"-cert", common.cert, "-key", common.key}
	for _, name := range listeners {
		all = append(all, "-"+name, "127.0.0.1:0")
	}
	return exec.Command(common.binary, append(all, args...)...)
}

// startServer starts a server and waits until it is ready.
func startServer(t *testing.T, dir string, args ...string) (*server, error) {
	t.Helper()
	s := &server{t: t, dir: dir, addr: map[string]string{}, process: serverCommand(t, dir, args...), exited: make(chan struct{}), log: &buffer{}}
	out, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.process.Stderr = s.log
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	kill := time.AfterFunc(60*time.Second, func() { s.process.Process.Kill() })
	ready := false
	for lines := bufio.NewScanner(out); !ready && lines.Scan(); {
		switch f := strings.Fields(lines.Text()); {
		case len(f) == 3 && f[0] == "listening":
			s.addr[f[1]] = f[2]
		case len(f) == 1 && f[0] == "ready":
			ready = true
		default:
			t.Errorf("line on standard output: %q", lines.Text())
		}
	}
	kill.Stop()
	go func() {
		s.process.Wait()
		close(s.exited)
	}()
	if !ready {
		<-s.exited
		return nil, errors.New("the server did not start: " + s.log.String())
	}
	return s, nil
}

// terminate ends the server by SIGTERM: it has ten seconds, and its exit code is 0.
func (s *server) terminate() {
	s.t.Helper()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Errorf("SIGTERM: %v", err)
	}
	select {
	case <-s.exited:
	case <-time.After(12 * time.Second): // ten, and the machine may be busy
		s.t.Errorf("the server did not end within ten seconds after SIGTERM")
		s.kill()
	}
	if code := s.process.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("exit code %d after SIGTERM\n%s", code, s.log)
	}
}

// kill ends the server by SIGKILL.
func (s *server) kill() {
	s.process.Process.Kill()
	<-s.exited
}

// port gives the port of a listener.
func (s *server) port(name string) string {
	_, port, err := net.SplitHostPort(s.addr[name])
	require.NoError(s.t, err, "listener %s", name)
	return port
}

// url gives scheme://localhost:port/path.
func (s *server) url(scheme, listener, path string) string {
	return scheme + "://localhost:" + s.port(listener) + path
}

// buffer can be written and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// exitOf runs a server that is not expected to start, and gives exit code and standard error.
func exitOf(t *testing.T, c *exec.Cmd) (int, string) {
	t.Helper()
	var stderr buffer
	c.Stderr = &stderr
	require.NoError(t, c.Start())
	kill := time.AfterFunc(20*time.Second, func() { c.Process.Kill() })
	defer kill.Stop()
	c.Wait()
	return c.ProcessState.ExitCode(), stderr.String()
}

// outcome is what a program did.
type outcome struct {
	stdout, stderr string
	code           int
}

// program finds a program, or skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the mail server is not built")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("MAILROOM_INTEROP") == "required" {
			t.Fatalf("%s is not installed, and MAILROOM_INTEROP=required", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// run runs a program in a clean environment, with an own HOME, and gives what it did. It has 60 seconds.
func run(t *testing.T, home, stdin, name string, args ...string) outcome {
	t.Helper()
	return runWith(t, home, strings.NewReader(stdin), name, args...)
}

func runWith(t *testing.T, home string, stdin io.Reader, name string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Stdin = home, stdin
	c.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TMPDIR=" + home, "TERM=vt100", "USER=tester", "LOGNAME=tester"}
	c.WaitDelay = time.Second
	var stdout, stderr buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	require.NoError(t, ctx.Err(), "%s took too long\n%s\n%s", name, &stdout, &stderr)
	if c.ProcessState == nil {
		require.NoError(t, err)
	}
	return outcome{stdout.String(), stderr.String(), c.ProcessState.ExitCode()}
}

// must is run for a program that has to succeed.
func must(t *testing.T, home, stdin, name string, args ...string) outcome {
	t.Helper()
	o := run(t, home, stdin, name, args...)
	require.Zero(t, o.code, "%s %q\n%s\n%s", name, args, o.stdout, o.stderr)
	return o
}
