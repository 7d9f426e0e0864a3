//go:build unix

package interop

import (
	"bufio"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp/smtptest"
)

// TestRestart ends the server and starts it again on the same folder: everything is as it was.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newServer(t, dir)
	c := s.imap("alice")
	for _, name := range []string{"Work", "Work/Bills"} {
		_, err := c.Cmd("CREATE ", name)
		require.NoError(t, err)
	}
	for _, letter := range letters() {
		_, _, err := c.Append("Work", `(\Seen $Label)`, noDate, []byte(letter))
		require.NoError(t, err)
	}
	_, err := c.Select("Work", false)
	require.NoError(t, err)
	_, err = c.Cmd(`UID STORE 3 +FLAGS (\Deleted \Flagged)`)
	require.NoError(t, err)
	_, err = c.Expunge()
	require.NoError(t, err)
	state := func(s *server) []any {
		c := s.imap("alice")
		box, err := c.Select("Work", true)
		require.NoError(t, err)
		entries, err := c.List(`""`, "*")
		require.NoError(t, err)
		return []any{box.UIDValidity, box.UIDNext, box.HighestModSeq, box.Exists, entries, s.mailbox("alice", "Work")}
	}
	before := state(s)
	s.terminate()
	require.Equal(t, before, state(newServer(t, dir)))
}

// TestTerminateUnderLoad ends a server that has work to do and idle connections.
func TestTerminateUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	relay := smtptest.NewServer(t)
	s := newServer(t, dir, "-relay", relay.Addr)
	var number atomic.Int64
	l := newLoad(s, &number, 2)
	idle := map[string]*bufio.Reader{}
	for _, name := range []string{"smtp", "submission", "lmtp", "imap", "pop3"} { // connected, and silent
		nc, err := net.Dial("tcp", s.addr[name])
		require.NoError(t, err)
		defer nc.Close()
		require.NoError(t, nc.SetDeadline(time.Now().Add(20*time.Second)))
		idle[name] = bufio.NewReader(nc)
		_, err = idle[name].ReadString('\n')
		require.NoError(t, err)
	}
	nc, err := net.Dial("tcp", s.addr["imaps"]) // in the middle of the handshake
	require.NoError(t, err)
	defer nc.Close()
	_, err = s.imap("bob").Idle() // without a mailbox
	require.NoError(t, err)
	c := s.imap("bob")
	_, err = c.Select("INBOX", false)
	require.NoError(t, err)
	_, err = c.Idle()
	require.NoError(t, err)
	_, err = relay.Wait(t.Context(), 20)
	require.NoError(t, err)
	start := time.Now()
	s.terminate()
	t.Logf("ended within %v", time.Since(start))
	l.wait()
	for name, r := range idle {
		rest, err := io.ReadAll(r)
		require.NoError(t, err, name)
		switch name {
		case "imap":
			require.Contains(t, string(rest), "* BYE ") // RFC 9051 s7.1.5
		case "pop3":
		default:
			require.True(t, strings.HasPrefix(string(rest), "421 "), "%s: %q", name, rest) // RFC 5321 s3.8
		}
	}
	again := newServer(t, dir, "-relay", relay.Addr)
	require.NotEmpty(t, l.local)
	shot := again.snapshot()
	require.Zero(t, requireTaken(t, l.local, slices.Collect(maps.Values(shot.byUID))), "delivered twice")
	requireChanged(t, l.changed, again.mailbox("bob", "INBOX"))
	for id := range l.relayed {
		_, err := relay.WaitFor(t.Context(), func(m *smtptest.Received) bool { return subject(string(m.Data)) == id })
		require.NoError(t, err)
	}
}

// TestCannotStart: exit code 2, and one line that says why.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newServer(t, dir)
	taken := s.addr["imap"]
	file := write(t, t.TempDir(), "file", "x")
	locked := filepath.Join(t.TempDir(), "locked")
	require.NoError(t, os.Mkdir(locked, 0o500))
	spoiled := t.TempDir()
	write(t, spoiled, "mail.db", "%s", strings.Repeat("this is no database. ", 1000))
	for name, try := range map[string]struct {
		dir  string
		args []string
		say  string
	}{
		"folder in use":         {dir, nil, dir},
		"port taken":            {memory, []string{"-pop3", taken}, "-pop3: listen tcp " + taken},
		"folder is a file":      {file, nil, "-dir"},
		"folder below a file":   {filepath.Join(file, "below"), nil, "-dir"},
		"folder not writable":   {filepath.Join(locked, "below"), nil, "-dir"},
		"database spoiled":      {spoiled, nil, spoiled},
		"no certificate":        {memory, []string{"-cert", "/nowhere.pem"}, "/nowhere.pem"},
		"key is no certificate": {memory, []string{"-cert", common.key}, "-cert"},
		"unknown flag":          {memory, []string{"-nonsense"}, "-nonsense"},
		"address not ours":      {memory, []string{"-smtp", "192.0.2.1:0"}, "-smtp"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "folder not writable" && os.Geteuid() == 0 {
				t.Skip("root may write everywhere")
			}
			code, stderr := exitOf(t, serverCommand(t, try.dir, try.args...))
			require.Equal(t, 2, code, stderr)
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			last := lines[len(lines)-1]
			require.True(t, strings.HasPrefix(last, "mailserver: "), stderr)
			require.Contains(t, last, try.say)
			require.NotContains(t, stderr, "goroutine ")
		})
	}
	// The one that runs is not disturbed.
	require.NoError(t, s.imap("alice").Logout())
}

// TestOwnCertificate: without -cert the server makes one for itself, and has the same after a restart.
func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var seen [2][]byte
	for i := range seen {
		s := newServer(t, dir, "-cert", "", "-key", "")
		nc, err := tls.Dial("tcp", s.addr["imaps"], &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		require.NoError(t, nc.ConnectionState().PeerCertificates[0].VerifyHostname(domain))
		seen[i] = nc.ConnectionState().PeerCertificates[0].Raw
		nc.Close()
		s.terminate()
	}
	require.Equal(t, seen[0], seen[1])
}

// TestInterrupt: SIGINT ends the server as SIGTERM does, and a second server takes over the folder.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 3 {
		s := newServer(t, dir)
		require.NoError(t, s.process.Process.Signal(syscall.SIGINT))
		select {
		case <-s.exited:
		case <-time.After(12 * time.Second):
			s.kill()
		}
		require.Zero(t, s.process.ProcessState.ExitCode(), s.log)
	}
}
