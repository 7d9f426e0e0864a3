//go:build unix

package interop

import (
	netsmtp "net/smtp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp/smtptest"
)

// submit sends a message as alice, with a client that knows nothing of this server.
func (s *server) submit(message string, to ...string) error {
	s.t.Helper()
	c, err := (&load{s: s}).submissions()
	require.NoError(s.t, err)
	defer c.Close()
	return deliver(c, alice, message, to...)
}

func deliver(c *netsmtp.Client, from, message string, to ...string) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, rcpt := range to {
		if err := c.Rcpt(rcpt); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(message)); err != nil {
		return err
	}
	return w.Close()
}

// wait waits until alice's INBOX holds a message that matches, and gives it.
func (s *server) wait(match func(kept) bool) kept {
	s.t.Helper()
	c := s.imap("alice")
	c.Timeout = 20 * time.Second
	_, err := c.Select("INBOX", true)
	require.NoError(s.t, err)
	for {
		for _, m := range s.mailbox("alice", "INBOX") {
			if match(m) {
				return m
			}
		}
		idle, err := c.Idle()
		require.NoError(s.t, err)
		_, err = idle.Next() // what came since the mailbox was looked at is told at once
		require.NoError(s.t, err, "the message did not come")
		_, err = idle.Done()
		require.NoError(s.t, err)
	}
}

// TestReturned: what the relay refuses for good comes back as a report, to the sender alone.
func TestReturned(t *testing.T) {
	t.Parallel()
	serverCommand(t, memory) // skips, or builds
	relay := smtptest.NewServer(t)
	relay.Refuse("no@elsewhere.test", 550, "5.1.1 no such user")
	s := newServer(t, t.TempDir(), "-relay", relay.Addr)
	letter := strings.Replace(letters()["eight"], "carol@other.test", alice, 1)
	require.NoError(t, s.submit(letter, "no@elsewhere.test", "yes@elsewhere.test", bob))
	got, err := relay.Wait(t.Context(), 1)
	require.NoError(t, err)
	above, ok := strings.CutSuffix(string(got[0].Data), letter)
	require.True(t, ok, "%s", got[0].Data)
	requireTrace(t, above)
	require.True(t, got[0].To("yes@elsewhere.test"))
	s.arrived("bob", "INBOX", letter)

	returned := s.wait(func(kept) bool { return true })
	report := returned.body
	require.True(t, strings.HasPrefix(report, "Return-Path: <>\r\n"), "%s", report) // RFC 3464 s2
	for _, want := range []string{"multipart/report", "report-type=delivery-status", "\r\nFinal-Recipient: rfc822;no@elsewhere.test\r\n", "\r\nAction: failed\r\n", "\r\nStatus: 5.1.1\r\n",
		"\r\nAuto-Submitted: auto-"} {
		require.Contains(t, strings.ReplaceAll(report, "rfc822; ", "rfc822;"), want)
	}
	require.NotContains(t, report, "yes@elsewhere.test")
	c := s.imap("alice")
	_, err = c.Select("INBOX", true)
	require.NoError(t, err)
	parts, err := c.Fetch(true, strconv.Itoa(int(returned.uid)), "(BODY.PEEK[3])")
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(decodeBase64(t, parts[0].Items["BODY[3]"].Text)), letter)) // message/global, as the client said SMTPUTF8
}

// TestTwoServers: alice writes to a user of another server, which answers.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	other := newServer(t, memory, "-domain", "other.test", "-user", "carol:secret")
	s := newServer(t, t.TempDir(), "-relay", other.addr["smtp"])
	for name, letter := range letters() {
		letter = strings.Replace(letter, "carol@other.test", alice, 1)
		require.NoError(t, s.submit(letter, "carol@other.test"), name)
	}
	home := t.TempDir()
	fetch := func(path string, args ...string) string {
		return curl(t, home, append(args, "-u", "carol:secret", other.url("imaps", "imaps", path))...).stdout
	}
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(fetch("/", "-X", "STATUS INBOX (MESSAGES)"), "(MESSAGES 7)") {
		require.True(t, time.Now().Before(deadline), "the messages did not come")
	}
	for name, letter := range letters() {
		uid := strings.TrimSpace(strings.TrimPrefix(fetch("/INBOX", "-X", "UID SEARCH SUBJECT "+name), "* SEARCH"))
		above, ok := strings.CutSuffix(fetch("/INBOX;UID="+uid), strings.Replace(letter, "carol@other.test", alice, 1))
		require.True(t, ok, name)
		requireTrace(t, above)
		require.Regexp(t, "with (ESMTPS|UTF8SMTPS) ", above) // TLS where it is offered, RFC 7435
	}
}

// TestQuota: a full mailbox takes nothing more, by no door.
func TestQuota(t *testing.T) {
	t.Parallel()
	s := newServer(t, t.TempDir(), "-quota", "200000")
	send := func() error {
		c, err := (&load{s: s}).smtp()
		require.NoError(t, err)
		defer c.Close()
		return deliver(c, "x@other.test", letters()["parts"], alice)
	}
	require.NoError(t, send())
	require.ErrorContains(t, send(), `552 "5.2.2 `)
	require.ErrorContains(t, s.submit(strings.Replace(letters()["parts"], "carol@other.test", alice, 1), alice), `552 "5.2.2 `)
	c := s.imap("alice")
	_, _, err := c.Append("INBOX", "", noDate, []byte(letters()["parts"]))
	require.ErrorContains(t, err, "OVERQUOTA") // RFC 9208 s4.3.1
	_, _, err = c.Append("INBOX", "", noDate, []byte(letters()["plain"]))
	require.NoError(t, err)
	_, err = c.Select("INBOX", false)
	require.NoError(t, err)
	_, err = c.Cmd(`STORE 1 +FLAGS (\Deleted)`)
	require.NoError(t, err)
	_, err = c.Expunge()
	require.NoError(t, err)
	require.NoError(t, send())
}
