//go:build unix

package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fill puts all letters into alice's INBOX.
func (s *server) fill() map[string]string {
	s.t.Helper()
	c := s.imap("alice")
	all := letters()
	for _, letter := range all {
		_, _, err := c.Append("INBOX", "", noDate, []byte(letter))
		require.NoError(s.t, err)
	}
	require.NoError(s.t, c.Logout())
	return all
}

// added are fields that getmail and mutt put into what they write.
var added = regexp.MustCompile(`(?m)^(X-getmail-retrieved-from-mailbox: INBOX|Content-Length: \d+|Lines: \d+)\n`)

// requireFiles requires that each letter is the end of exactly one of the files.
func requireFiles(t *testing.T, letters map[string]string, names []string) {
	t.Helper()
	var texts []string
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		texts = append(texts, added.ReplaceAllString(unix(string(b)), ""))
	}
	require.Len(t, texts, len(letters))
	for name, letter := range letters {
		n := 0
		for _, text := range texts {
			if strings.HasSuffix(text, unix(letter)) {
				n++
			}
		}
		if n != 1 {
			for _, text := range texts {
				t.Logf("%.200q", text)
			}
			t.Errorf("letter %s was found %d times", name, n)
		}
	}
}

// delivery makes a program that puts each message into a file of its own in the folder out. It ends with the last lines, if any.
func delivery(t *testing.T, home string, last ...string) string {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(home, "out"), 0o700))
	script := write(t, home, "deliver", "#!/bin/sh\nset -e\nf=$(mktemp %s/out/XXXXXXXX)\ncat >\"$f\"\n%s\n", home, strings.Join(last, "\n"))
	require.NoError(t, os.Chmod(script, 0o700))
	return script
}

func TestFetchmail(t *testing.T) {
	t.Parallel()
	program(t, "fetchmail")
	for name, way := range map[string]string{
		"POP3 STLS":     `protocol pop3 service "%[2]s" auth password user "alice" password "wonder land" sslproto "TLS1.2+"`,
		"POP3S":         `protocol pop3 service "%[3]s" auth password user "alice" password "wonder land" ssl`,
		"POP3S, UIDL":   `protocol pop3 service "%[3]s" uidl auth password user "alice" password "wonder land" ssl`,
		"IMAP STARTTLS": `protocol imap service "%[4]s" auth password user "alice" password "wonder land" sslproto "TLS1.2+"`,
		"IMAPS":         `protocol imap service "%[5]s" user "alice" password "wonder land" ssl`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, memory)
			all := s.fill()
			home := t.TempDir()
			script := delivery(t, home)
			way := strings.NewReplacer("%[2]s", s.port("pop3"), "%[3]s", s.port("pop3s"), "%[4]s", s.port("imap"), "%[5]s", s.port("imaps")).Replace(way)
			config := func(options string) string {
				return write(t, home, ".fetchmailrc", "set invisible\nset no bouncemail\npoll localhost %s sslcertck sslcertfile %s no rewrite fetchlimit 0 %s\n", way, common.authority, options)
			}
			keep := config(`keep mda "` + script + `"`)
			must(t, home, "", "fetchmail", "-v", "-N", "-f", keep, "--pidfile", filepath.Join(home, "pid"))
			requireFiles(t, all, glob(t, home, "out/*"))
			require.Len(t, s.mailbox("alice", "INBOX"), len(all))
			c := s.imap("alice") // what was fetched is not fetched again, unless it is new again
			_, err := c.Select("INBOX", false)
			require.NoError(t, err)
			_, err = c.Cmd(`STORE 1:* -FLAGS.SILENT (\Seen)`)
			require.NoError(t, err)
			back := config(`nokeep fetchall forcecr smtphost "localhost/` + s.port("smtp") + `" smtpname "bob@example.test"`)
			must(t, home, "", "fetchmail", "-v", "-N", "-f", back, "--pidfile", filepath.Join(home, "pid"))
			require.Empty(t, s.mailbox("alice", "INBOX"))
			require.Len(t, s.mailbox("bob", "INBOX"), len(all))
			for _, letter := range all {
				endsIn(t, s.mailbox("bob", "INBOX"), letter)
			}
			o := run(t, home, "", "fetchmail", "-v", "-N", "-f", back, "--pidfile", filepath.Join(home, "pid"))
			require.Equal(t, 1, o.code, "no mail\n%s\n%s", o.stdout, o.stderr)
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		s := newServer(t, memory)
		home := t.TempDir()
		config := write(t, home, ".fetchmailrc", `poll localhost protocol pop3 service "%s" user "alice" password "x" ssl sslcertck sslcertfile %s mda "cat"`+"\n", s.port("pop3s"), common.authority)
		o := run(t, home, "", "fetchmail", "-N", "-f", config, "--pidfile", filepath.Join(home, "pid"))
		require.Equal(t, 3, o.code, "authentication failed\n%s\n%s", o.stdout, o.stderr)
	})
}

func TestGetmail(t *testing.T) {
	t.Parallel()
	program(t, "getmail")
	for name, way := range map[string]string{
		"POP3S":         "type = SimplePOP3SSLRetriever\nport = POP3S\nca_certs = CA\n",
		"POP3 in clear": "type = SimplePOP3Retriever\nport = POP3\n",
		"IMAPS":         "type = SimpleIMAPSSLRetriever\nport = IMAPS\nca_certs = CA\nmailboxes = (\"INBOX\",)\n",
		"IMAP in clear": "type = SimpleIMAPRetriever\nport = IMAP\nmailboxes = (\"INBOX\",)\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, memory, "-plaintext-auth")
			all := s.fill()
			home := t.TempDir()
			// getmail takes no notice of a delivery that ends before it waits for it, and then waits in vain.
			script := delivery(t, home, "sleep 0.3")
			way := strings.NewReplacer("POP3S\n", s.port("pop3s")+"\n", "POP3\n", s.port("pop3")+"\n", "IMAPS\n", s.port("imaps")+"\n", "IMAP\n", s.port("imap")+"\n", "CA\n", common.authority+"\n").Replace(way)
			config := func(deleting string) string {
				return write(t, home, "getmailrc", "[retriever]\n%sserver = localhost\nusername = alice\npassword = %s\ntimeout = 20\n\n[destination]\ntype = MDA_external\npath = %s\nallow_root_commands = true\n\n"+
					"[options]\nread_all = false\ndelete = %s\ndelivered_to = false\nreceived = false\nverbose = 2\n", way, alicePassword, script, deleting)
			}
			must(t, home, "", "getmail", "--getmaildir", home, "--rcfile", config("false"))
			requireFiles(t, all, glob(t, home, "out/*"))
			require.Len(t, s.mailbox("alice", "INBOX"), len(all))
			must(t, home, "", "getmail", "--getmaildir", home, "--rcfile", config("false")) // UIDs are remembered: nothing new
			requireFiles(t, all, glob(t, home, "out/*"))
			must(t, home, "", "getmail", "--getmaildir", home, "--all", "--rcfile", config("true"))
			require.Empty(t, s.mailbox("alice", "INBOX"))
			require.Len(t, glob(t, home, "out/*"), 2*len(all))
		})
	}
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	return names
}

// endsIn requires that exactly one of the messages ends in these octets.
func endsIn(t *testing.T, messages []kept, letter string) {
	t.Helper()
	n := 0
	for _, m := range messages {
		if strings.HasSuffix(m.body, letter) {
			n++
		}
	}
	if n != 1 {
		for _, m := range messages {
			t.Logf("%.200q", m.body)
		}
		t.Errorf("%.200q was found %d times", letter, n)
	}
}
