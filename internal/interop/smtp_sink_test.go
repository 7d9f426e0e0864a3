//go:build unix

package interop

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
)

// smtpSink starts Postfix's test server and gives its address.
func smtpSink(t *testing.T, args ...string) string {
	t.Helper()
	addr := "127.0.0.1:" + freePort(t)
	daemon(t, addr, program(t, "smtp-sink"), append(asNobody(), append(args, addr, "100")...)...)
	return addr
}

// asNobody is what smtp-sink and smtp-source want of root.
func asNobody() []string {
	if os.Getuid() == 0 {
		return []string{"-u", "nobody"}
	}
	return nil
}

// TestSMTPSink sends to Postfix's test server with each of its faults. What the client says of each is what a sender needs to know: for good or for now, at which
// command, and that nothing was delivered.
func TestSMTPSink(t *testing.T) {
	t.Parallel()
	const letter = smtp.StringContent("Subject: hi\r\n\r\nhi\r\n")
	hard := func(command string) string { return command + ": 500 5.3.0 Error: command failed" }
	soft := func(command string) string { return command + ": 450 4.3.0 Error: command failed" }
	gone := func(command string) string { return command + ": unexpected EOF" }
	bye := func(command string) string { return command + ": 421 4.0.0 Server closing connection" }
	const mail, rcpt, data, end = "MAIL FROM:<alice@a.test>", "RCPT TO:<bob@b.test>", "DATA", "end of data"
	for _, c := range []struct {
		flag, command, want string
		temporary           bool
	}{
		{"-f", "connect", hard("connect"), false},
		{"-f", "ehlo", "", false}, // HELO is the answer
		{"-f", "ehlo,helo", hard("HELO client.test"), false},
		{"-f", "mail", hard(mail), false},
		{"-f", "rcpt", hard(rcpt), false},
		{"-f", "data", hard(data), false},
		{"-f", ".", hard(end), false},
		{"-f", "quit", "", false}, // the message is delivered all the same
		{"-r", "connect", soft("connect"), true},
		{"-r", "ehlo", soft("EHLO client.test"), true},
		{"-r", "mail", soft(mail), true},
		{"-r", "rcpt", soft(rcpt), true},
		{"-r", "data", soft(data), true},
		{"-r", ".", soft(end), true},
		{"-q", "connect", gone("connect"), true},
		{"-q", "ehlo", gone("EHLO client.test"), true},
		{"-q", "mail", gone(mail), true},
		{"-q", "rcpt", gone(rcpt), true},
		{"-q", "data", gone(data), true},
		{"-q", ".", end + ": the message may have been delivered: the server had all of it when the connection failed: unexpected EOF", true},
		{"-q", "quit", "", false},
		{"-Q", "connect", bye("connect"), true},
		{"-Q", "ehlo", bye("EHLO client.test"), true},
		{"-Q", "mail", bye(mail), true},
		{"-Q", "rcpt", bye(rcpt), true},
		{"-Q", "data", bye(data), true},
		{"-Q", ".", bye(end), true},
		{"-A", "0", end + ": 550 This violates SMTP", false}, // while the message is on its way,
	} {
		t.Run(c.flag+" "+c.command, func(t *testing.T) {
			t.Parallel()
			addr := smtpSink(t, c.flag, c.command)
			r, err := smtp.SendMail(t.Context(), &smtp.Dialer{Hostname: "client.test"}, addr, newEnvelope(t, "alice@a.test", "bob@b.test"), letter)
			if c.want == "" {
				require.NoError(t, err)
				require.Equal(t, 1, r.Accepted())
				return
			}
			require.EqualError(t, err, c.want)
			require.Zero(t, r.Accepted())
			e, ok := errors.AsType[*smtp.Error](r.Recipients[0].Err)
			require.True(t, ok)
			require.Equal(t, c.temporary, e.Temporary())
		})
	}
}

// TestSMTPSinkWays sends by each way that smtp-sink has, and reads what it kept.
func TestSMTPSinkWays(t *testing.T) {
	t.Parallel()
	body := strings.Repeat(".dot\r\n..\r\nline\r\n", 2000)
	for name, c := range map[string]struct {
		args []string
		set  func(d *smtp.Dialer)
	}{
		"pipelined":         {},
		"one by one":        {args: []string{"-p"}},
		"HELO":              {args: []string{"-e"}},
		"a PIX":             {args: []string{"-P"}},
		"no enhanced codes": {args: []string{"-E"}},
		"slow to read":      {args: []string{"-H", "1"}},
		"LMTP":              {args: []string{"-L"}, set: func(d *smtp.Dialer) { d.LMTP = true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program(t, "smtp-sink")
			dir := openDir(t)
			require.NoError(t, os.Chmod(dir, 0o777))
			addr := smtpSink(t, append(c.args, "-D", filepath.Join(dir, "mail"))...)
			d := &smtp.Dialer{Hostname: "client.test"}
			if c.set != nil {
				c.set(d)
			}
			pool := &smtp.Pool{Dialer: d, MaxConns: 1}
			for range 3 {
				r, err := pool.Send(t.Context(), addr, newEnvelope(t, "alice@a.test", "bob@b.test", "carol@b.test"), smtp.StringContent("Subject: hi\r\n\r\n"+body))
				require.NoError(t, err)
				require.NoError(t, r.Err())
			}
			require.NoError(t, pool.Close())
			var kept []byte
			require.Eventually(t, func() bool {
				var err error
				kept, err = os.ReadFile(filepath.Join(dir, "mail"))
				return err == nil && strings.Count(string(kept), unix(body)) == 3
			}, 10*time.Second, 20*time.Millisecond)
			require.Equal(t, 3, strings.Count(string(kept), "X-Rcpt-Args: <carol@b.test>\n"))
		})
	}
}

// TestSMTPSource has Postfix's load generator send to the server in each of its ways.
func TestSMTPSource(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		set  func(s *smtptest.Server)
		want int // recipients of each message
	}{
		"a connection for each": {want: 1},
		"one session after":     {args: []string{"-d"}, want: 1},
		"many sessions":         {args: []string{"-s", "20", "-d"}, want: 1},
		"many recipients":       {args: []string{"-r", "30"}, want: 30},
		"64 KiB":                {args: []string{"-l", "65536", "-s", "5"}, want: 1},
		"LMTP":                  {args: []string{"-L", "-r", "3"}, set: func(s *smtptest.Server) { s.Config.Mode = smtp.LMTP }, want: 3},
		"slow sessions":         {args: []string{"-w", "1", "-s", "50"}, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := program(t, "smtp-source")
			s := smtptest.NewUnstartedServer(t)
			s.Config.TLSConfig = nil
			if c.set != nil {
				c.set(s)
			}
			s.Start()
			o := run(t, t.TempDir(), "", source, append(c.args, "-m", "100", "-f", "alice@a.test", "-t", "bob@b.test", s.Addr)...)
			require.Zero(t, o.code, o.stderr)
			require.Empty(t, o.stderr)
			messages, err := s.Wait(soon(t), 100)
			require.NoError(t, err)
			require.Len(t, messages, 100)
			for _, m := range messages {
				require.Len(t, m.Envelope.To, c.want)
			}
		})
	}
}

// TestSMTPSinkPool has many senders share connections to one server.
func TestSMTPSinkPool(t *testing.T) {
	t.Parallel()
	addr := smtpSink(t)
	var mu sync.Mutex
	dialed, kept := 0, 0
	pool := &smtp.Pool{Dialer: &smtp.Dialer{Hostname: "client.test"}, MaxConns: 4, MaxMessages: 50, Trace: &smtp.PoolTrace{Got: func(_ string, _ *smtp.Conn, k bool) {
		mu.Lock()
		defer mu.Unlock()
		if k {
			kept++
		} else {
			dialed++
		}
	}}}
	defer pool.Close()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 50 {
				if _, err := pool.Send(t.Context(), addr, newEnvelope(t, "alice@a.test", "bob@b.test"), smtp.StringContent("Subject: hi\r\n\r\nhi\r\n")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1000, dialed+kept)
	require.LessOrEqual(t, dialed, 1000/50+4)
}
