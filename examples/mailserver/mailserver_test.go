package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/imapclient"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

var people = []string{"-domain", "example.test", "-user", "alice:wonderland", "-user", "bob:builder", "-log", "off"}

// anyPort puts every listener on a port of the system's choice.
var anyPort = []string{"-smtp", "127.0.0.1:0", "-submission", "127.0.0.1:0", "-submissions", "127.0.0.1:0", "-lmtp", "127.0.0.1:0", "-imap", "127.0.0.1:0",
	"-imaps", "127.0.0.1:0", "-pop3", "127.0.0.1:0", "-pop3s", "127.0.0.1:0"}

// off switches every listener off.
var off = []string{"-smtp=", "-submission=", "-submissions=", "-lmtp=", "-imap=", "-imaps=", "-pop3=", "-pop3s="}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	join := func(lists ...[]string) (all []string) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "-domain is required"},
		{"no user", []string{"-domain", "example.test"}, "at least one -user"},
		{"bad domain", []string{"-domain", "exa mple", "-user", "a:b"}, "is no domain name"},
		{"domain too long", []string{"-domain", strings.Repeat("a", 64) + ".test", "-user", "a:b"}, "is no domain name"},
		{"domain of dots", []string{"-domain", "..", "-user", "a:b"}, "is no domain name"},
		{"domain of numbers", []string{"-domain", "127.0.0.1", "-user", "a:b"}, "is no domain name"},
		{"user that is no address", []string{"-domain", "example.test", "-user", "a..b:x"}, "want the part before the @"},
		{"bad user", []string{"-domain", "example.test", "-user", "alice"}, "want NAME:PASSWORD"},
		{"user without password", []string{"-domain", "example.test", "-user", "alice:"}, "want NAME:PASSWORD"},
		{"user with a domain", []string{"-domain", "example.test", "-user", "alice@example.test:x"}, "want the part before the @"},
		{"user twice", []string{"-domain", "example.test", "-user", "alice:x", "-user", "alice:y"}, "-user"},
		{"unknown flag", []string{"-nonsense"}, "-nonsense"},
		{"argument", join(people, []string{"more"}), `"more"`},
		{"listener", join(people, []string{"-imap", "nonsense"}), "-imap"},
		{"port taken", join(people, off, []string{"-dir", filepath.Join(t.TempDir(), "new"), "-imap", taken.Addr().String()}), "address already in use"},
		{"all off", join(people, off), "all listeners are off"},
		{"plaintext to the world", join(people, anyPort, []string{"-plaintext-auth", "-smtp", "0.0.0.0:0"}), "only for listeners on loopback"},
		{"relay", join(people, []string{"-relay", "nowhere"}), "want HOST:PORT"},
		{"port of the relay", join(people, []string{"-relay", "mx.example.test:99999"}), "want HOST:PORT"},
		{"resolver", join(people, []string{"-resolver", "nowhere"}), "-resolver"},
		{"quota", join(people, []string{"-quota", "-1"}), "-quota"},
		{"log", join(people, []string{"-log", "loud"}), "-log"},
		{"cert alone", join(people, []string{"-cert", file}), "belong together"},
		{"cert that is none", join(people, anyPort, []string{"-cert", file, "-key", file}), "-cert and -key"},
		{"dir is a file", join(people, anyPort, []string{"-dir", file}), "-dir"},
		{"dir in a file", join(people, anyPort, []string{"-dir", filepath.Join(file, "below")}), "-dir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, stderr bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			require.Equal(t, 2, run(ctx, c.args, &out, &stderr))
			require.Empty(t, out.String())
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), "one line: %s", stderr.String())
			require.Contains(t, stderr.String(), c.want)
			for i, a := range c.args {
				if a == "-dir" && c.args[i+1] != file {
					require.NoDirExists(t, c.args[i+1], "nothing half-created")
				}
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var out, stderr bytes.Buffer
	require.Equal(t, 0, run(t.Context(), []string{"-h"}, &out, &stderr))
	for _, f := range []string{"-domain", "-user", "-dir", "-smtp", "-submission", "-submissions", "-lmtp", "-imap", "-imaps", "-pop3", "-pop3s", "-resolver", "-relay",
		"-cert", "-key", "-plaintext-auth", "-quota", "-log"} {
		require.Contains(t, stderr.String(), "\n  "+f, f)
	}
}

// lines hands out what the server prints, by name.
type lines struct {
	ready chan map[string]string
	buf   bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.buf.Write(p)
	if strings.HasSuffix(l.buf.String(), "ready\n") {
		addrs := map[string]string{}
		for line := range strings.Lines(l.buf.String()) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "listening" {
				addrs[f[1]] = f[2]
			}
		}
		l.ready <- addrs
	}
	return len(p), nil
}

// serve runs a server until stop, which gives its exit code.
func serve(t *testing.T, args ...string) (addrs map[string]string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &lines{ready: make(chan map[string]string, 1)}
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, args, out, &stderr) }()
	select {
	case addrs = <-out.ready:
	case c := <-code:
		t.Fatalf("exit code %d: %s", c, stderr.String())
	}
	return addrs, func() int { cancel(); return <-code }
}

// TestServes sends a letter by submission, stops the server, starts it again on the same directory and reads it over IMAP.
func TestServes(t *testing.T) {
	t.Parallel()
	args := append(append([]string{"-dir", filepath.Join(t.TempDir(), "data"), "-resolver", "none"}, people...), anyPort...)
	addrs, stop := serve(t, args...)
	require.Len(t, addrs, 8)
	insecure := &tls.Config{InsecureSkipVerify: true}
	d := &smtp.Dialer{TLS: smtp.TLSRequired, TLSConfig: insecure, Auth: &smtp.Credentials{Username: "alice", Password: "wonderland"}}
	e, err := smtp.NewEnvelope("alice@example.test", "bob+tag@example.test")
	require.NoError(t, err)
	text := smtp.StringContent("From: alice@example.test\r\nSubject: hello\r\n\r\nhello bob\r\n")
	_, err = smtp.SendMail(t.Context(), d, addrs["submission"], e, text)
	require.NoError(t, err)
	far, err := smtp.NewEnvelope("alice@example.test", "dora@elsewhere.test")
	require.NoError(t, err)
	_, err = smtp.SendMail(t.Context(), d, addrs["submission"], far, text)
	require.ErrorContains(t, err, "550 5.7.1", "no DNS and no relay: there is no way out")
	require.Equal(t, 0, stop())

	addrs, stop = serve(t, args...)
	conn, err := tls.Dial("tcp", addrs["imaps"], insecure)
	require.NoError(t, err)
	c, err := imapclient.New(t.Context(), conn, nil)
	require.NoError(t, err)
	require.NoError(t, c.Login("bob@example.test", "builder"))
	box, err := c.Select("INBOX", false)
	require.NoError(t, err)
	require.EqualValues(t, 1, box.Exists)
	got, err := c.Fetch(true, "1", "BODY.PEEK[TEXT]")
	require.NoError(t, err)
	require.Equal(t, "hello bob\r\n", got[0].Items["BODY[TEXT]"].Text)
	require.Equal(t, 0, stop(), "with a client still there")
	_ = c.Close()
}

func TestMemory(t *testing.T) { // not parallel: it changes the directory
	t.Chdir(t.TempDir())
	addrs, stop := serve(t, append(append([]string{"-dir", ":memory:", "-resolver", "none"}, people...), anyPort...)...)
	require.Len(t, addrs, 8)
	require.Equal(t, 0, stop())
	left, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestInternationalDomain takes the domain in either form, and mail for both.
func TestInternationalDomain(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{"bücher.test", "xn--bcher-kva.test", "Bücher.test."} {
		addrs, stop := serve(t, append([]string{"-dir", ":memory:", "-resolver", "none", "-domain", domain, "-user", "jörg:x", "-log", "off"}, anyPort...)...)
		for _, to := range []string{"jörg@bücher.test", "jörg@xn--bcher-kva.test"} {
			e, err := smtp.NewEnvelope("a@sender.test", to)
			require.NoError(t, err)
			_, err = smtp.SendMail(t.Context(), nil, addrs["smtp"], e, smtp.StringContent("From: a@sender.test\r\n\r\nx\r\n"))
			require.NoError(t, err, "%s at %s", to, domain)
		}
		require.Equal(t, 0, stop())
	}
}

// TestPrivateFiles: mail is readable by its server only, even if the directory was there before with other rights.
func TestPrivateFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	_, stop := serve(t, append(append([]string{"-dir", dir, "-resolver", "none"}, people...), anyPort...)...)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		if path != dir {
			require.Zero(t, info.Mode().Perm()&0o077, path)
		}
		return nil
	}))
	require.Equal(t, 0, stop())
}

// TestStopsAtOnce has clients that wait in every protocol, and do not even read that the server goes. None of them is cut, and none holds it up: what takes a second is
// that each could still read its good-bye.
func TestStopsAtOnce(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	out := &lines{ready: make(chan map[string]string, 1)}
	var stderr bytes.Buffer
	code := make(chan int, 1)
	args := append(append([]string{"-dir", ":memory:", "-resolver", "none"}, people...), append(anyPort, "-plaintext-auth", "-log", "info")...)
	go func() { code <- run(ctx, args, out, &stderr) }()
	addrs := <-out.ready
	var conns []net.Conn
	for _, c := range []struct{ name, send, until string }{
		{"smtp", "EHLO client.test\r\n", "250 "},
		{"submission", "EHLO client.test\r\n", "250 "},
		{"submissions", "EHLO client.test\r\nAUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=\r\n", "235 "},
		{"lmtp", "LHLO client.test\r\n", "250 "},
		{"imap", "a LOGIN alice wonderland\r\nb SELECT INBOX\r\nc IDLE\r\n", "+ idling"},
		{"imap", "a LOGIN alice wonderland\r\n", "a OK"},
		{"imaps", "a LOGIN alice wonderland\r\nb IDLE\r\n", "+ idling"},
		{"imaps", "", "* OK"},
		{"pop3", "USER alice\r\nPASS wonderland\r\nLIST\r\n", "\r\n.\r\n"},
		{"pop3s", "USER bob\r\nPASS builder\r\nSTAT\r\n", "+OK 0 0\r\n+OK 0 0\r\n"},
		{"pop3s", "", "+OK"},
	} {
		var conn net.Conn
		var err error
		if overTLS[c.name] {
			conn, err = tls.Dial("tcp", addrs[c.name], &tls.Config{InsecureSkipVerify: true})
		} else {
			conn, err = net.Dial("tcp", addrs[c.name])
		}
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte(c.send))
		require.NoError(t, err)
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		b := make([]byte, 4096)
		for got := ""; !strings.Contains(got, c.until); {
			n, err := conn.Read(b)
			got += string(b[:n])
			require.NoError(t, err, "%s: %q", c.name, got)
		}
		conns = append(conns, conn)
	}
	start := time.Now()
	stop()
	require.Equal(t, 0, <-code)
	took := time.Since(start)
	t.Log("stopped in", took)
	require.NotContains(t, stderr.String(), "connections were cut")
	require.Less(t, took, 6*time.Second, "it is one second, on a machine that has time")
	for _, conn := range conns {
		left, _ := io.ReadAll(conn)
		require.NotEmpty(t, left, "the good-bye: %v", conn.LocalAddr())
	}
}
