//go:build unix

package interop

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSwaks(t *testing.T) {
	t.Parallel()
	program(t, "swaks")
	s := newServer(t, t.TempDir())
	home := t.TempDir()
	letter := strings.Replace(letters()["eight"], "carol@other.test", alice, 1)
	file := write(t, home, "letter", "%s", unix(letter))
	verify := []string{"--tls-verify", "--tls-ca-path", common.authority}
	auth := func(mechanism string) []string {
		return append([]string{"--auth", mechanism, "--auth-user", alice, "--auth-password", alicePassword}, verify...)
	}
	ways := []struct {
		name, listener string
		args           []string
	}{
		{"plain", "smtp", nil},
		{"pipeline", "smtp", []string{"--pipeline"}},
		{"STARTTLS", "smtp", append(verify, "--tls")},
		{"STARTTLS and pipeline", "smtp", append(verify, "--tls", "--pipeline")},
		{"TLS 1.2", "smtp", append(verify, "--tls", "--tls-protocol", "tlsv1_2")},
		{"HELO", "smtp", []string{"--protocol", "SMTP"}},
		{"submission PLAIN", "submission", append(auth("PLAIN"), "--tls")},
		{"submission LOGIN", "submission", append(auth("LOGIN"), "--tls")},
		{"submission pipelined", "submission", append(auth("PLAIN"), "--tls", "--pipeline")},
		{"submissions PLAIN", "submissions", append(auth("PLAIN"), "--tls-on-connect")},
		{"submissions LOGIN", "submissions", append(auth("LOGIN"), "--tls-on-connect")},
		{"submissions, any mechanism", "submissions", append(auth("ANY"), "--tls-on-connect")},
		{"LMTP", "lmtp", []string{"--protocol", "LMTP"}},
		{"LMTP pipelined", "lmtp", []string{"--protocol", "LMTP", "--pipeline", "--to", bob + "," + alice}},
		{"two recipients", "smtp", []string{"--pipeline", "--to", bob + "," + alice}},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			args := []string{"--server", "127.0.0.1", "--port", s.port(way.listener), "--helo", "client.test", "--from", alice, "--to", bob, "--data", "@" + file, "--timeout", "20"}
			must(t, home, "", "swaks", append(args, way.args...)...)
		})
	}
	kept := s.mailbox("bob", "INBOX")
	require.Len(t, kept, len(ways))
	with := regexp.MustCompile(`\bwith ([A-Z0-9]+) `)
	var protocols []string
	for _, m := range kept {
		above, ok := strings.CutSuffix(m.body, letter+"\r\n") // swaks ends a message in an empty line
		if !ok {
			above, ok = strings.CutSuffix(m.body, letter)
		}
		require.True(t, ok, "%q", m.body)
		requireTrace(t, above)
		protocols = append(protocols, with.FindStringSubmatch(above)[1])
	}
	// RFC 3848: the protocol's name says TLS and authentication.
	require.Equal(t, []string{"ESMTP", "ESMTP", "ESMTPS", "ESMTPS", "ESMTPS", "SMTP", "ESMTPSA", "ESMTPSA", "ESMTPSA", "ESMTPSA", "ESMTPSA", "ESMTPSA", "LMTP", "LMTP", "ESMTP"}, protocols)
	require.Len(t, s.mailbox("alice", "INBOX"), 2)
}

func TestSwaksRefused(t *testing.T) {
	t.Parallel()
	program(t, "swaks")
	s := newServer(t, memory)
	home := t.TempDir()
	for name, try := range map[string]struct {
		code     int
		listener string
		args     []string
		say      string
	}{
		"relaying":             {24, "smtp", []string{"--to", "x@elsewhere.test"}, "<** 550 5.7.1 "},
		"unknown user":         {24, "smtp", []string{"--to", "nobody@example.test"}, "<** 550 5.1.1 "},
		"LMTP, unknown user":   {24, "lmtp", []string{"--protocol", "LMTP", "--to", "nobody@example.test"}, "<** 550 5.1.1 "},
		"password in clear":    {28, "submission", []string{"--auth", "PLAIN", "--auth-user", "alice", "--auth-password", alicePassword}, ""},
		"wrong password":       {28, "submissions", []string{"--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "x", "--tls-on-connect"}, "<~* 535 5.7.8 "},
		"no password":          {23, "submissions", []string{"--tls-on-connect"}, "<~* 530 5.7.0 "},
		"LMTP asked as SMTP":   {-1, "lmtp", []string{"--protocol", "SMTP"}, "<** 500 "},
		"not trusted":          {29, "smtp", []string{"--tls", "--tls-verify"}, ""},
		"first of two refused": {0, "smtp", []string{"--to", "nobody@example.test," + bob, "--pipeline"}, "<** 550 5.1.1 "},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"--server", "127.0.0.1", "--port", s.port(try.listener), "--helo", "client.test", "--from", alice, "--to", bob, "--timeout", "20"}
			o := run(t, home, "", "swaks", append(args, try.args...)...)
			require.True(t, o.code == try.code || try.code < 0 && o.code != 0, "code %d\n%s\n%s", o.code, o.stdout, o.stderr)
			require.Contains(t, o.stdout, try.say)
		})
	}
	require.Len(t, s.mailbox("bob", "INBOX"), 1)
}

func TestSwaksAttachment(t *testing.T) {
	t.Parallel()
	program(t, "swaks")
	s := newServer(t, memory)
	home := t.TempDir()
	picture := make([]byte, 70_000)
	for i := range picture {
		picture[i] = byte(i * i >> 3)
	}
	file := write(t, home, "Füße.bin", "%s", picture)
	must(t, home, "", "swaks", "--server", "127.0.0.1", "--port", s.port("smtp"), "--helo", "client.test", "--from", "carol@other.test", "--to", bob, "--header", "Subject: Grüße",
		"--body", "Zürich ☃", "--attach-type", "application/octet-stream", "--attach-name", "fuesse.bin", "--attach", "@"+file)
	c := s.imap("bob")
	_, err := c.Select("INBOX", false)
	require.NoError(t, err)
	uids, err := c.Search(true, `CHARSET UTF-8 BODY "x"`)
	require.NoError(t, err)
	require.Empty(t, uids)
	messages, err := c.Fetch(true, "1", "(BODYSTRUCTURE BODY.PEEK[2] BODY.PEEK[1])")
	require.NoError(t, err)
	require.Len(t, messages, 1)
	require.Equal(t, "Zürich ☃", strings.TrimRight(messages[0].Items["BODY[1]"].Text, "\r\n"))
	require.Equal(t, picture, decodeBase64(t, messages[0].Items["BODY[2]"].Text))
}
