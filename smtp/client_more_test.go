package smtp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

// Octets that come with the last reply and belong to none are no answer to what comes next.
func TestClientUnaskedReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ extra, want string }{
		{"250 ok", "a reply that nothing asked for"},
		{"250-o", "a reply that nothing asked for"},
		{"x", "a reply that nothing asked for"},
		{"421 4.4.2 idle for too long", "421 4.4.2 idle for too long"},
	} {
		in := "220 x\r\n250 x\r\n250 ok\r\n" + c.extra + "\r\n"
		h := &hostile{in: strings.NewReader(in)}
		replies := 0
		conn, err := client().NewConn(background, &burst{hostile: h, after: 3, lines: &replies}, "mx.test")
		require.NoError(t, err)
		require.NoError(t, conn.Noop(background))
		sent := h.written
		_, err = conn.Send(background, envelope(t, "alice@a.test", "bob@b.test"), letter)
		require.ErrorContains(t, err, c.want)
		require.Equal(t, sent, h.written, "nothing is sent any more")
		require.ErrorIs(t, conn.Noop(background), smtp.ErrConnUnusable)
	}
}

// burst gives one line for each read, and from one on all that there is.
type burst struct {
	*hostile
	after int
	lines *int
}

func (b *burst) Read(p []byte) (int, error) {
	if *b.lines++; *b.lines < b.after {
		return stepped{b.hostile}.Read(p)
	}
	return b.in.Read(p)
}

// A server that refuses a message at its first chunk does not get all of the rest.
func TestClientChunkRefused(t *testing.T) {
	t.Parallel()
	for _, pipelining := range []string{"PIPELINING", "X"} {
		synctest.Test(t, func(t *testing.T) {
			s := hello("CHUNKING", pipelining)
			if pipelining == "X" {
				s += "C: MAIL FROM:<alice@a.test>\nS: 250 ok\nC: RCPT TO:<bob@b.test>\nS: 250 ok\nC: BDAT 32768\n"
				s += "S: 552 5.3.4 too much\nP: 1s\nX:"
			} else {
				s += "C: MAIL FROM:<alice@a.test>\nC: RCPT TO:<bob@b.test>\nS: 250 ok\nS: 250 ok\nC: BDAT 32768\n"
				s += "S: 552 5.3.4 too much\n" + strings.Repeat("S: 503 5.5.1 no\n", 7) + "P: 1s\nX:"
			}
			conn, err := client().NewConn(background, peer(t, script(s)), "mx.test")
			require.NoError(t, err)
			r, err := conn.Send(background, envelope(t, "alice@a.test", "bob@b.test"), smtp.StringContent(strings.Repeat("0123456789abcde\r\n", 1<<18)))
			require.Equal(t, "bob BDAT: 552 5.3.4 too much; BDAT: 552 5.3.4 too much", outcome(r, err))
			conn.Close()
		})
	}
}

func TestClientSMTPUTF8NotOffered(t *testing.T) {
	t.Parallel()
	one := `
		C: MAIL FROM:<alice@a.test> BODY=8BITMIME
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: BDAT ~
		C: ~
		C:
		C: ~
		S: 250 ok`
	for _, c := range []struct {
		name, message, script string
		reencode              bool
		want                  error
	}{
		{"the header does not need it", "Subject: x\r\n\r\nü\r\n", hello("8BITMIME", "CHUNKING") + one, false, nil},
		{"the header needs it", "Subject: ü\r\n\r\nx\r\n", hello("8BITMIME", "CHUNKING"), false, smtp.ErrNoSMTPUTF8},
		{"reencoded", "Subject: ü\r\n\r\nx\r\n", hello("8BITMIME", "CHUNKING") + strings.Replace(one, " BODY=8BITMIME", "", 1), true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := client()
			if c.reencode {
				d.Reencode = func(_ smtp.Content, caps smtp.Capabilities) (smtp.Content, error) {
					require.True(t, caps.Has("8BITMIME"))
					return smtp.StringContent("Subject: ue\r\n\r\nx\r\n"), nil
				}
			}
			conn, err := d.NewConn(background, peer(t, script(c.script)), "mx.test")
			require.NoError(t, err)
			defer conn.Close()
			e := envelope(t, "alice@a.test", "bob@b.test")
			e.Params.UTF8 = true
			_, err = conn.Send(background, e, smtp.StringContent(c.message))
			if c.want == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, c.want)
				require.Contains(t, shown(err), "[5.6.9]")
			}
		})
	}
}

func TestClientRequireTLS(t *testing.T) {
	t.Parallel()
	srv := smtptest.NewUnstartedServer(t)
	srv.Config.Offer = smtp.ExtRequireTLS
	srv.Start()
	e := envelope(t, "alice@a.test", "bob@b.test")
	e.Params.RequireTLS = true
	_, err := smtp.SendMail(t.Context(), srv.Dialer(), srv.Addr, e, letter)
	require.NoError(t, err)
	require.True(t, srv.Messages()[0].Envelope.Params.RequireTLS)

	unverified := srv.Dialer()
	unverified.TLS = smtp.TLSOpportunistic
	_, err = smtp.SendMail(t.Context(), unverified, srv.Addr, e, letter)
	require.ErrorIs(t, err, smtp.ErrNoRequireTLS, "a certificate that nobody looked at does not count")
}

// A binary message arrives as it is.
func TestClientBinary(t *testing.T) {
	t.Parallel()
	message := "Subject: x\r\n\r\n\x00\xff\n.\n\r.\r" + strings.Repeat("\n\x00\r", 50000)
	srv := smtptest.NewUnstartedServer(t)
	srv.Config.Lines, srv.Config.Offer = smtp.LinesKeep, smtp.ExtBinaryMIME
	srv.Start()
	e := envelope(t, "alice@a.test", "bob@b.test")
	e.Params.Body = smtp.BodyBinaryMIME
	_, err := smtp.SendMail(t.Context(), srv.Dialer(), srv.Addr, e, smtp.StringContent(message))
	require.NoError(t, err)
	require.True(t, message == string(srv.Messages()[0].Data))
}

func TestDialUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lmtp")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	srv := smtptest.NewUnstartedServer(t)
	srv.Listener, srv.Config.Mode = l, smtp.LMTP
	srv.Start()
	d := &smtp.Dialer{LMTP: true, TLS: smtp.TLSNever}
	r, err := smtp.SendMail(t.Context(), d, path, envelope(t, "alice@a.test", "bob@b.test"), letter)
	require.NoError(t, err)
	require.Equal(t, "not wanted", r.TLS.Reason)
	require.Len(t, srv.Messages(), 1)
}

func TestClientTraceAndLog(t *testing.T) {
	t.Parallel()
	srv := smtptest.NewUnstartedServer(t)
	srv.Users = map[string]string{"alice": "correct horse"}
	srv.Start()
	var b strings.Builder
	var logged bytes.Buffer
	d := srv.Dialer()
	d.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d.Trace = &smtp.ClientTrace{
		Connected: func(network, addr string, err error) { b.WriteString("connected " + network + "\n") },
		Sent:      func(line string) { b.WriteString("C: " + line + "\n") },
		Received:  func(line string) { b.WriteString("S: " + line + "\n") },
		TLS: func(state tls.ConnectionState, err error) {
			b.WriteString("TLS " + tls.VersionName(state.Version) + "\n")
		},
		Message: func(octets int64) { b.WriteString("message\n") },
	}
	_, err := smtp.SendMail(t.Context(), d, srv.Addr, envelope(t, "alice@a.test", "bob@b.test"), letter)
	require.NoError(t, err)
	for _, want := range []string{"connected tcp\n", "S: 220 mx.test", "C: STARTTLS\n", "TLS TLS 1.3\n", "C: AUTH SCRAM-SHA-256-PLUS *\n", "C: *\n",
		"C: MAIL FROM:<alice@a.test> SIZE=26\n", "C: BDAT 26 LAST\nmessage\n", "C: QUIT\n"} {
		require.Contains(t, b.String(), want)
	}
	require.Equal(t, 2, strings.Count(b.String(), "\nS: 334 *\n"))
	for _, secret := range []string{b64("r=")[:3], b64("v=")[:3], "correct horse", b64("correct horse"), b64("n,,n=alice")[:8], "Subject: hi"} {
		require.NotContains(t, b.String(), secret)
		require.NotContains(t, logged.String(), secret)
	}

	dead, cancel := context.WithCancel(t.Context())
	c, err := d.Dial(dead, srv.Addr)
	require.NoError(t, err)
	cancel()
	require.NoError(t, c.Noop(t.Context()), "the context of Dial is for Dial")
	srv.Close()
	require.Error(t, c.Noop(t.Context()))
	require.Contains(t, logged.String(), "connection given up")
}
