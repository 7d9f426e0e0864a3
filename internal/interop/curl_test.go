//go:build unix

package interop

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// curl runs curl with the server's authority trusted.
func curl(t *testing.T, home string, args ...string) outcome {
	t.Helper()
	return must(t, home, "", "curl", append([]string{"-sSv", "--max-time", "30", "--cacert", common.authority}, args...)...)
}

func TestCurlSMTP(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	s := newServer(t, memory)
	home := t.TempDir()
	for name, letter := range letters() {
		curl(t, home, "--mail-from", "carol@other.test", "--mail-rcpt", alice, "-T", write(t, home, name, "%s", letter), s.url("smtp", "smtp", "/client.test"))
	}
	require.Len(t, s.mailbox("alice", "INBOX"), len(letters()))
	for _, letter := range letters() {
		s.arrived("alice", "INBOX", letter)
	}
}

func TestCurlSubmission(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	s := newServer(t, t.TempDir())
	home := t.TempDir()
	ways := map[string][]string{
		"STARTTLS":       {"--ssl-reqd", s.url("smtp", "submission", "/client.test")},
		"implicit TLS":   {s.url("smtps", "submissions", "/client.test")},
		"AUTH PLAIN":     {"--login-options", "AUTH=PLAIN", s.url("smtps", "submissions", "/client.test")},
		"AUTH LOGIN":     {"--login-options", "AUTH=LOGIN", s.url("smtps", "submissions", "/client.test")},
		"no initial":     {"--no-sasl-ir", s.url("smtps", "submissions", "/client.test")},
		"no ALPN":        {"--no-alpn", "--tls-max", "1.2", s.url("smtps", "submissions", "/client.test")},
		"two recipients": {"--mail-rcpt", "bob+list@example.test", s.url("smtps", "submissions", "/client.test")},
	}
	letter := strings.Replace(letters()["parts"], "carol@other.test", alice, 1)
	file := write(t, home, "letter", "%s", letter)
	for name, args := range ways {
		t.Run(name, func(t *testing.T) {
			curl(t, home, append([]string{"-u", "alice:" + alicePassword, "--mail-from", alice, "--mail-rcpt", bob, "-T", file}, args...)...)
		})
	}
	kept := s.mailbox("bob", "INBOX")
	require.Len(t, kept, len(ways)) // two addresses of one mailbox: one copy
	for _, m := range kept {
		above, ok := strings.CutSuffix(m.body, letter)
		require.True(t, ok, "%q", m.body)
		requireTrace(t, above)
	}

	refused := map[string][]string{
		"wrong password":      {"-u", "alice:x", "--mail-from", alice, "--mail-rcpt", bob, s.url("smtps", "submissions", "/c.test")},
		"no password":         {"--mail-from", alice, "--mail-rcpt", bob, s.url("smtps", "submissions", "/c.test")},
		"password in clear":   {"-u", "alice:" + alicePassword, "--mail-from", alice, "--mail-rcpt", bob, s.url("smtp", "submission", "/c.test")},
		"unknown user":        {"-u", "alice:" + alicePassword, "--mail-from", alice, "--mail-rcpt", "nobody@example.test", s.url("smtps", "submissions", "/c.test")},
		"relay without queue": {"-u", "alice:" + alicePassword, "--mail-from", alice, "--mail-rcpt", "x@elsewhere.test", s.url("smtps", "submissions", "/c.test")},
		"somebody else":       {"-u", "alice:" + alicePassword, "--mail-from", bob, "--mail-rcpt", bob, s.url("smtps", "submissions", "/c.test")},
		"relay for strangers": {"--mail-from", "a@b.test", "--mail-rcpt", "x@elsewhere.test", s.url("smtp", "smtp", "/c.test")},
	}
	for name, args := range refused {
		t.Run("refused: "+name, func(t *testing.T) {
			o := run(t, home, "", "curl", append([]string{"-sSv", "--max-time", "30", "--cacert", common.authority, "-T", file}, args...)...)
			require.NotZero(t, o.code, o.stderr)
			require.Contains(t, []int{55, 67, 94}, o.code, o.stderr) // refused RCPT or MAIL, login denied, no mechanism
		})
	}
	require.Len(t, s.mailbox("bob", "INBOX"), len(ways))
}

func TestCurlIMAP(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	s := newServer(t, t.TempDir())
	home := t.TempDir()
	user := []string{"-u", "alice:" + alicePassword}
	imaps := func(path string, args ...string) string {
		t.Helper()
		return curl(t, home, append(append(user, args...), s.url("imaps", "imaps", path))...).stdout
	}
	all := letters()
	for _, name := range []string{"plain", "eight", "parts", "dots"} {
		imaps("/INBOX", "-T", write(t, home, name, "%s", all[name]))
	}
	t.Run("list", func(t *testing.T) {
		require.Contains(t, imaps("/"), `"/" "INBOX"`)
		imaps("/", "-X", "CREATE Work/Bills")
		require.Contains(t, imaps("/Work/"), `Work/Bills`)
		require.Contains(t, imaps("/", "-X", "STATUS INBOX (MESSAGES UIDNEXT)"), "(MESSAGES 4 UIDNEXT 5)")
		require.Contains(t, imaps("/", "-X", `LIST "" *`), "Work/Bills")
	})
	t.Run("fetch", func(t *testing.T) {
		for i, name := range []string{"plain", "eight", "parts", "dots"} {
			uid := strconv.Itoa(i + 1)
			require.Equal(t, all[name], imaps("/INBOX;UID="+uid))
			require.Equal(t, all[name], imaps("/INBOX;MAILINDEX="+uid))
			head, body, _ := strings.Cut(all[name], "\r\n\r\n")
			require.Equal(t, head+"\r\n\r\n", imaps("/INBOX;UID="+uid+";SECTION=HEADER"))
			require.Equal(t, body, imaps("/INBOX;UID="+uid+";SECTION=TEXT"))
			require.Equal(t, all[name][7:27], imaps("/INBOX;UID="+uid+";PARTIAL=7.20"))
		}
		require.Equal(t, "see attachment", imaps("/INBOX;UID=3;SECTION=1"))
		require.Contains(t, imaps("/INBOX;UID=3;SECTION=2.MIME"), "filename=\"a.bin\"\r\n")
	})
	t.Run("search and flags", func(t *testing.T) {
		require.Equal(t, "* SEARCH 3\r\n", imaps("/INBOX?SUBJECT%20parts"))
		require.Equal(t, "* SEARCH\r\n", imaps("/INBOX?NEW%20FROM%20nobody"))
		imaps("/INBOX", "-X", `UID STORE 2 +FLAGS (\Deleted \Flagged)`)
		imaps("/INBOX", "-X", "EXPUNGE")
		require.Equal(t, "* SEARCH 1 3 4\r\n", imaps("/INBOX", "-X", "UID SEARCH ALL"))
	})
	t.Run("STARTTLS", func(t *testing.T) {
		got := curl(t, home, append(user, "--ssl-reqd", "--login-options", "AUTH=PLAIN", s.url("imap", "imap", "/INBOX;UID=1"))...).stdout
		require.Equal(t, all["plain"], got)
		got = curl(t, home, append(user, "--ssl-reqd", "--login-options", "AUTH=LOGIN", s.url("imap", "imap", "/INBOX;UID=1"))...).stdout
		require.Equal(t, all["plain"], got)
	})
	t.Run("refused", func(t *testing.T) {
		for name, args := range map[string][]string{
			"wrong password": {"-u", "alice:x", s.url("imaps", "imaps", "/")},
			"in clear":       {"-u", "alice:" + alicePassword, s.url("imap", "imap", "/")},
			"no mailbox":     {"-u", "alice:" + alicePassword, s.url("imaps", "imaps", "/Nowhere;UID=1")},
		} {
			o := run(t, home, "", "curl", append([]string{"-sSv", "--max-time", "30", "--cacert", common.authority}, args...)...)
			require.NotZero(t, o.code, "%s: %s", name, o.stderr)
		}
	})
}

func TestCurlPOP3(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	s := newServer(t, memory)
	home := t.TempDir()
	names := []string{"plain", "dots", "parts", "eight", "long"}
	c := s.imap("alice")
	for _, name := range names {
		_, _, err := c.Append("INBOX", "", noDate, []byte(letters()[name]))
		require.NoError(t, err)
	}
	pop3 := func(scheme, listener, path string, args ...string) string {
		t.Helper()
		return curl(t, home, append(append([]string{"-u", "alice:" + alicePassword}, args...), s.url(scheme, listener, path))...).stdout
	}
	for _, way := range [][]string{{"pop3s", "pop3s"}, {"pop3", "pop3", "--ssl-reqd"}, {"pop3s", "pop3s", "--login-options", "AUTH=LOGIN"}, {"pop3s", "pop3s", "--no-sasl-ir"}} {
		list := pop3(way[0], way[1], "/", way[2:]...)
		var want strings.Builder
		for i, name := range names {
			want.WriteString(strconv.Itoa(i+1) + " " + strconv.Itoa(len(letters()[name])) + "\r\n")
			require.Equal(t, letters()[name], pop3(way[0], way[1], "/"+strconv.Itoa(i+1), way[2:]...), "%s", way)
		}
		require.Equal(t, want.String(), list)
	}
	head, body, _ := strings.Cut(letters()["dots"], "\r\n\r\n")
	require.Equal(t, head+"\r\n\r\n", pop3("pop3s", "pop3s", "/", "-X", "TOP 2 0"))
	require.Equal(t, head+"\r\n\r\n"+strings.Join(strings.SplitAfter(body, "\r\n")[:3], ""), pop3("pop3s", "pop3s", "/", "-X", "TOP 2 3"))
	require.Len(t, strings.Split(pop3("pop3s", "pop3s", "/", "-X", "UIDL"), "\r\n"), len(names)+1)
	require.Contains(t, pop3("pop3s", "pop3s", "/", "-X", "CAPA"), "TOP\r\n")
	pop3("pop3s", "pop3s", "/2", "-l", "-X", "DELE")
	require.Len(t, s.mailbox("alice", "INBOX"), len(names)-1)
}
