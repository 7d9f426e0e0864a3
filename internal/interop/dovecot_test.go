//go:build unix

package interop

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDovecot has Dovecot's dsync, a strict IMAP client, fetch all that alice has into a Maildir, and store it from there into bob's account. Octets, flags and mailboxes are the same.
func TestDovecot(t *testing.T) {
	t.Parallel()
	doveadm := program(t, "doveadm")
	s := newServer(t, t.TempDir(), "-plaintext-auth")
	c := s.imap("alice")
	boxes := []string{"INBOX", "Archive", "Work/Bills", "Entw&APw-rfe &- mehr", `quo"te`}
	flags := []string{"", `(\Seen)`, `($Forwarded NonJunk)`, `(\Answered \Flagged $Label1)`, `(\Draft \Deleted)`}
	for _, box := range boxes[2:] {
		_, err := c.Cmd("CREATE ", fmt.Sprintf("%q", box))
		require.NoError(t, err)
	}
	n := 0
	for _, letter := range letters() {
		for _, box := range boxes {
			_, _, err := c.Append(box, flags[n%len(flags)], noDate, []byte(letter))
			require.NoError(t, err)
			n++
		}
	}
	require.NoError(t, c.Logout())

	home, err := os.MkdirTemp("", "mailroom-dovecot-") // below t.TempDir others than root get nowhere
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(home) })
	for _, dir := range []string{"base", "state", "mail"} {
		require.NoError(t, os.Mkdir(filepath.Join(home, dir), 0o700))
	}
	uid := os.Geteuid()
	if uid == 0 { // Dovecot does not touch mail as root
		uid = 65534
	}
	config := write(t, home, "dovecot.conf", `base_dir = %[1]s/base
state_dir = %[1]s/state
log_path = /dev/stderr
ssl = no
mail_uid = %[2]d
mail_gid = %[2]d
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:%[1]s/mail
imapc_host = 127.0.0.1
imapc_port = %[3]s
namespace inbox {
  inbox = yes
  separator = /
}
`, home, uid, s.port("imap"))
	require.NoError(t, filepath.WalkDir(home, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && os.Geteuid() == 0 {
			err = os.Chown(path, uid, uid)
		}
		return err
	}))
	sync := func(user, password string, args ...string) {
		t.Helper()
		must(t, home, "", doveadm, append([]string{"-c", config, "-o", "imapc_user=" + user, "-o", "imapc_password=" + password, "backup"}, args...)...)
	}
	sync("alice", alicePassword, "-R", "imapc:")
	sync("bob", bobPassword, "imapc:")
	for _, box := range boxes {
		want, got := s.mailbox("alice", box), s.mailbox("bob", box)
		require.Len(t, got, len(want), box)
		require.NotEmpty(t, want, box)
		for i := range want {
			got[i].uid = want[i].uid
			require.Equal(t, want[i], got[i], box)
		}
	}
}
