package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// journey runs the program.
func journey(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestJourney(t *testing.T) {
	t.Parallel()
	code, out, stderr := journey(t)
	require.Equal(t, 0, code, "%s%s", out, stderr)
	for _, want := range []string{"C: STARTTLS", "C: AUTH SCRAM-SHA-256", "mx1.recipient.test, 192.0.2.21:25: connect", "DMARC pass for sender.test", "INBOX of bob@recipient.test",
		`"Bericht für Zürich.pdf": 20000 octets, the same as were sent`, "Junk of bob@recipient.test", "Status: 5.1.1", "Status: 5.2.2", "Status: 5.1.10", "All letters went where they belong"} {
		require.Contains(t, out, want)
	}
	for _, secret := range []string{"wonderland", "builder"} {
		require.NotContains(t, out, secret)
	}
	require.Less(t, strings.Index(out, "SUBMITTED"), strings.Index(out, "QUEUED"))
}

func TestVerboseHidesSecrets(t *testing.T) {
	t.Parallel()
	code, out, _ := journey(t, "-v")
	require.Equal(t, 0, code)
	require.Contains(t, out, "S: 250-PIPELINING")
	require.NotContains(t, out, "builder")
}

func TestJSON(t *testing.T) {
	t.Parallel()
	code, out, _ := journey(t, "-json")
	require.Equal(t, 0, code)
	var got story
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Len(t, got.Letters, 5)
	require.Empty(t, got.Failed)
	var names []string
	for _, s := range got.Letters[0].Steps {
		names = append(names, s.Name)
	}
	require.Equal(t, []string{"composed", "submitted", "queued", "looked up", "handed over", "checked and scored", "filed", "read over IMAP", "learned", "read over POP3"}, names)
}

func TestOwnMessage(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"plain":         "From: me@example.org\nTo: you@example.org\nSubject: hi\n\nhello\n.\n..dots\n",
		"no end":        "Subject: hi\n\nno line end",
		"no header":     "\njust text\n",
		"no body":       "Subject: only a header\n",
		"8-bit":         "Subject: Gr\xfc\xdfe\nContent-Type: text/plain; charset=latin1\n\nSch\xf6n\n",
		"utf-8 header":  "From: Jörg <joerg@bücher.example>\nSubject: Grüße\n\nhällo\n",
		"long line":     "Subject: long\n\n" + strings.Repeat("x", 200_000) + "\n",
		"mbox":          "From me@example.org Sat Nov 21 12:00:00 2026\nSubject: hi\n\nhello\n",
		"mixed ends":    "Subject: hi\r\n\none\r\ntwo\rthree\n",
		"broken mime":   "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\nAAAA!!!\n",
		"bcc":           "From: a@b.c\nBcc: secret@b.c\n\nhello\n",
		"forged result": "From: a@b.c\nAuthentication-Results: mx2.recipient.test; dmarc=pass\n\nhello\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "own.eml")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			code, out, stderr := journey(t, "-eml", file)
			require.Equal(t, 0, code, "%s%s", out, stderr)
		})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.eml")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-eml", "/no/such/file"}, "no such file"},
		{[]string{"-eml", empty}, "is empty"},
		{[]string{"-eml", t.TempDir()}, "is a directory"},
		{[]string{"-x"}, "-h explains"},
		{[]string{"more"}, `argument "more" is not understood`},
	} {
		code, out, stderr := journey(t, c.args...)
		require.Equal(t, 2, code)
		require.Empty(t, out)
		require.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
		require.Contains(t, stderr, c.want)
	}
	code, _, stderr := journey(t, "-h")
	require.Equal(t, 0, code)
	require.Contains(t, stderr, "-eml")
}

// TestMain runs the program itself where a test started it as one.
func TestMain(m *testing.M) {
	if os.Getenv("MAILROOM_JOURNEY") != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestNobodyListens: the end of "journey | head" and of a full disk is an error, and leaves nothing behind.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), os.Args[0], "-v")
	c.Env = append(os.Environ(), "MAILROOM_JOURNEY=1", "TMPDIR="+temp)
	c.Stdout = w
	require.NoError(t, c.Start())
	require.NoError(t, w.Close())
	_, err = r.Read(make([]byte, 10))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Error(t, c.Wait())
	require.Equal(t, 1, c.ProcessState.ExitCode())
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)

	for _, args := range [][]string{nil, {"-json"}} {
		var stderr bytes.Buffer
		require.Equal(t, 1, run(t.Context(), args, fullDisk{}, &stderr))
		require.Equal(t, "journey: no space left on device\n", stderr.String())
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestEndlessInput: Ctrl-C ends it while it waits for the message.
func TestEndlessInput(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, 2, run(ctx, []string{"-eml", pipe}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "canceled")
}

// TestRefusedMessage: the reason why a message of the user's own does not arrive is told.
func TestRefusedMessage(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		strings.Repeat("Received: from a by b; Sat, 21 Nov 2026 12:00:00 +0000\n", 60) + "\nhello\n": "554 5.4.6",
		"From: alice@sender.test\nX: " + strings.Repeat("x", 2<<20) + "\n\nhello\n":                  "552 5.3.4",
		"Subject: long\n\n" + strings.Repeat("\n", 17<<20):                                           "larger than 32 MiB",
		"From alice\r\n\r\n" + strings.Repeat("x", 33<<20):                                           "larger than 32 MiB",
	} {
		file := filepath.Join(t.TempDir(), "own.eml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		code, _, stderr := journey(t, "-eml", file)
		require.NotZero(t, code)
		require.Contains(t, stderr, want)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, stderr bytes.Buffer
	require.Equal(t, 1, run(ctx, nil, &out, &stderr))
	require.Contains(t, stderr.String(), "canceled")
}
