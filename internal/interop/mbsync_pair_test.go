//go:build unix

package interop

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/imapclient"
)

// TestMbsyncPair keeps two computers in step over one account while both and the account change at random: in the end all three are the same.
func TestMbsyncPair(t *testing.T) {
	t.Parallel()
	program(t, "mbsync")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := newServer(t, t.TempDir())
	home := t.TempDir()
	number := 0
	text := func() string {
		number++
		return fmt.Sprintf("From: a@b.test\nSubject: m%d\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <m%d@b.test>\n\n%s", number, number, strings.Repeat("line\n", r.IntN(300)))
	}
	roots := []string{filepath.Join(home, "one"), filepath.Join(home, "two")}
	sync := func(i int) {
		t.Helper()
		require.NoError(t, os.MkdirAll(roots[i], 0o700))
		config := write(t, home, fmt.Sprint("rc", i), "SyncState *\nIMAPStore remote\nHost localhost\nSSLType IMAPS\nPort %s\nCertificateFile %s\nUser alice\nPass \"%s\"\n\n"+
			"MaildirStore local\nPath %[4]s/\nInbox %[4]s/INBOX\n\nChannel all\nFar :remote:\nNear :local:\nPatterns *\nCreate Near\nExpunge Both\n", s.port("imaps"), common.authority, alicePassword, roots[i])
		must(t, home, "", "mbsync", "-q", "-c", config, "all")
	}
	c := s.imap("alice")
	_, err := c.Select("INBOX", false)
	require.NoError(t, err)
	for range 15 {
		_, _, err := c.Append("INBOX", "", noDate, []byte(crlf(text())))
		require.NoError(t, err)
	}
	sync(0)
	sync(1)
	for range 3 {
		for i, root := range roots {
			changeMaildir(t, r, filepath.Join(root, "INBOX"), text)
			changeMailbox(t, r, c, text)
			sync(i)
		}
	}
	sync(0) // what the second brought
	sync(1)
	there := s.remote("INBOX")
	for _, root := range roots {
		requireSame(t, there, local(t, root, "INBOX"))
	}
	require.NotEmpty(t, there["INBOX"])
	before := files(t, home)
	mailbox := s.mailbox("alice", "INBOX")
	sync(0)
	sync(1)
	require.Equal(t, before, files(t, home))
	require.Equal(t, mailbox, s.mailbox("alice", "INBOX"))
}

// changeMaildir makes some changes in a Maildir.
func changeMaildir(t *testing.T, r *rand.Rand, maildir string, text func() string) {
	t.Helper()
	for range 4 {
		all := messageFiles(t, maildir)
		switch n := r.IntN(4); {
		case n == 0 || len(all) == 0:
			m := text()
			write(t, maildir, "new/"+subject(m)+".here", "%s", m)
		case n == 1:
			require.NoError(t, os.Remove(all[r.IntN(len(all))]))
		default:
			file := all[r.IntN(len(all))]
			base, _, _ := strings.Cut(filepath.Base(file), ":2,")
			flags := []string{"", "S", "F", "FS", "RS", "DFRS", "ST"}[r.IntN(7)]
			require.NoError(t, os.Rename(file, filepath.Join(maildir, "cur", base+":2,"+flags)))
		}
	}
}

// changeMailbox makes some changes by IMAP.
func changeMailbox(t *testing.T, r *rand.Rand, c *imapclient.Client, text func() string) {
	t.Helper()
	for range 3 {
		uids, err := c.Search(true, "ALL")
		require.NoError(t, err)
		slices.Sort(uids)
		if len(uids) == 0 || r.IntN(4) == 0 {
			_, _, err := c.Append("INBOX", `(\Flagged)`, noDate, []byte(crlf(text())))
			require.NoError(t, err)
			continue
		}
		flag := []string{`\Seen`, `\Flagged`, `\Answered`, `\Deleted`}[r.IntN(4)]
		sign := []string{"+", "-"}[r.IntN(2)]
		_, err = c.Cmd(fmt.Sprintf("UID STORE %d %sFLAGS (%s)", uids[r.IntN(len(uids))], sign, flag))
		require.NoError(t, err)
		if r.IntN(3) == 0 {
			_, err := c.Expunge()
			require.NoError(t, err)
		}
	}
}
