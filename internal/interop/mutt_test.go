//go:build unix

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// muttConfig is what mutt needs to trust the server and to ask nothing.
func (s *server) muttConfig(home, more string) string {
	return write(s.t, home, "muttrc", `set folder="imaps://alice@localhost:%[4]s/"
set ssl_ca_certificates_file="%[1]s"
set certificate_file="%[2]s/certificates"
set ssl_verify_host=yes
set realname="Älice" from="alice@example.test" use_from=yes envelope_from=yes hostname="client.test"
set smtp_pass="%[3]s" imap_user="alice" imap_pass="%[3]s" pop_user="alice" pop_pass="%[3]s"
set send_charset="utf-8" charset="utf-8" allow_8bit=yes
set confirmappend=no confirmcreate=no delete=yes quit=yes move=no mark_old=no wait_key=no mbox_type=Maildir sort=mailbox-order beep=no
%[5]s
`, common.authority, home, alicePassword, s.port("imaps"), more)
}

// mutt runs mutt on a terminal of its own, with keys pressed.
func mutt(t *testing.T, home, config, folder, keys string) outcome {
	t.Helper()
	r, w, err := os.Pipe() // a keyboard that nobody touches
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	o := runWith(t, home, r, "script", "-qec", "mutt -n -F '"+config+"' -f '"+folder+"' -e 'push \""+keys+"\"'", filepath.Join(home, "typescript"))
	require.Zero(t, o.code, "%s\n%s", o.stdout, o.stderr)
	return o
}

func TestMuttSend(t *testing.T) {
	t.Parallel()
	program(t, "mutt")
	s := newServer(t, t.TempDir())
	picture := make([]byte, 50_000)
	for i := range picture {
		picture[i] = byte(i * i >> 5)
	}
	// mutt 2.2 with gsasl 2.2 begins SCRAM-SHA-256-PLUS where it is offered, finds that it has no channel binding, and gives up: the mail server leaves it out.
	ways := []string{
		`set smtp_url="smtps://alice@localhost:` + s.port("submissions") + `"`,
		`set smtp_url="smtp://alice@localhost:` + s.port("submission") + `" ssl_starttls=yes ssl_force_tls=yes smtp_authenticators="scram-sha-256"`,
		`set smtp_url="smtps://alice@localhost:` + s.port("submissions") + `" smtp_authenticators="scram-sha-256"`,
		`set smtp_url="smtps://alice@localhost:` + s.port("submissions") + `" smtp_authenticators="plain"`,
		`set smtp_url="smtps://alice@localhost:` + s.port("submissions") + `" smtp_authenticators="login"`,
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			home := t.TempDir()
			config := s.muttConfig(home, way+"\nset record=\"imaps://alice@localhost:"+s.port("imaps")+"/Sent\"")
			file := write(t, home, "Füße.bin", "%s", picture)
			must(t, home, "Grüße aus Zürich\n.\n..dots\n", "mutt", "-n", "-F", config, "-s", "Größe ☃", "-a", file, "--", bob, "alice+list@example.test")
		})
	}
	c := s.imap("bob")
	_, err := c.Select("INBOX", true)
	require.NoError(t, err)
	messages, err := c.Fetch(false, "1:*", "(UID FLAGS BODY.PEEK[] BODY.PEEK[1] BODY.PEEK[2] BODY.PEEK[HEADER])")
	require.NoError(t, err)
	require.Len(t, messages, len(ways))
	for _, m := range messages {
		require.Equal(t, "Grüße aus Zürich\r\n.\r\n..dots\r\n", m.Items["BODY[1]"].Text)
		require.Equal(t, picture, decodeBase64(t, m.Items["BODY[2]"].Text))
		require.Contains(t, m.Items["BODY[HEADER]"].Text, "\r\nFrom: =?utf-8?")
	}
	// The copy that mutt keeps is the message that arrived.
	sent := s.mailbox("alice", "Sent")
	require.Len(t, sent, len(ways))
	for i, copy := range sent {
		require.Equal(t, `\Seen`, copy.flags)
		_, body, _ := strings.Cut(copy.body, "\r\n\r\n")
		require.True(t, strings.HasSuffix(keptText(messages[i]), "\r\n\r\n"+body))
	}
	require.Len(t, s.mailbox("alice", "INBOX"), len(ways))
}

func TestMuttRead(t *testing.T) {
	t.Parallel()
	program(t, "mutt")
	program(t, "script")
	for name, way := range map[string]struct{ scheme, listener, more string }{
		"IMAPS":                {"imaps", "imaps", ""},
		"IMAPS with CONDSTORE": {"imaps", "imaps", "set imap_condstore=yes imap_qresync=yes imap_pipeline_depth=1"},
		"IMAP STARTTLS":        {"imap", "imap", "set ssl_starttls=yes ssl_force_tls=yes imap_authenticators=\"scram-sha-256\""},
		"IMAP LOGIN":           {"imaps", "imaps", "set imap_authenticators=\"login\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, memory)
			all := s.fill()
			home := t.TempDir()
			out := filepath.Join(home, "out")
			config := s.muttConfig(home, way.more)
			mutt(t, home, config, way.scheme+"://alice@localhost:"+s.port(way.listener)+"/INBOX",
				"<tag-pattern>~A<enter><tag-prefix><copy-message>"+out+"<enter><untag-pattern>~A<enter>"+ // all of them into a Maildir
					"<delete-pattern>~s dots<enter>"+
					"<limit>~s plain<enter><flag-message><limit>~s long<enter><copy-message>=Archive<enter><limit>~A<enter>"+
					"<sync-mailbox><quit>")
			requireFiles(t, all, append(glob(t, out, "new/*"), glob(t, out, "cur/*")...))
			kept := s.remote("INBOX")["INBOX"]
			require.Len(t, kept, len(all)-1)
			require.Contains(t, kept["plain"].flags, "F")
			require.NotContains(t, kept, "dots")
			require.Equal(t, unix(all["long"]), added.ReplaceAllString(s.remote("Archive")["Archive"]["long"].text, "")) // by COPY, or over here and APPEND
		})
	}
	t.Run("POP3S", func(t *testing.T) {
		s := newServer(t, memory)
		all := s.fill()
		home := t.TempDir()
		out := filepath.Join(home, "out")
		mutt(t, home, s.muttConfig(home, "set pop_delete=yes pop_authenticators=plain"), "pops://alice@localhost:"+s.port("pop3s")+"/",
			"<tag-pattern>~A<enter><tag-prefix><copy-message>"+out+"<enter><delete-pattern>~s dots<enter><sync-mailbox><quit>")
		requireFiles(t, all, append(glob(t, out, "new/*"), glob(t, out, "cur/*")...))
		require.Len(t, s.mailbox("alice", "INBOX"), len(all)-1)
	})
}
