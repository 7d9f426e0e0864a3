//go:build unix

package interop

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree is folders, in them messages by subject, each with its flags (sorted Maildir letters) and text.
type tree map[string]map[string]maildirEntry

type maildirEntry struct{ flags, text string }

// maildirLetters are the flags that Maildir and IMAP have in common.
var maildirLetters = map[string]string{`\Draft`: "D", `\Flagged`: "F", `\Answered`: "R", `\Seen`: "S", `\Deleted`: "T"}

func subject(text string) string {
	_, rest, _ := strings.Cut(text, "Subject: ")
	s, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSuffix(s, "\r")
}

// remote reads these folders of alice's account.
func (s *server) remote(folders ...string) tree {
	s.t.Helper()
	all := tree{}
	for _, name := range folders {
		all[name] = map[string]maildirEntry{}
		for _, m := range s.mailbox("alice", name) {
			var flags []string
			for f := range strings.FieldsSeq(m.flags) {
				if letter := maildirLetters[f]; letter != "" {
					flags = append(flags, letter)
				}
			}
			slices.Sort(flags)
			text := withoutTUID(unix(m.body))
			require.NotContains(s.t, all[name], subject(text), "twice in %s", name)
			all[name][subject(text)] = maildirEntry{strings.Join(flags, ""), text}
		}
	}
	return all
}

// local reads these folders below a directory of Maildirs.
func local(t *testing.T, root string, folders ...string) tree {
	t.Helper()
	all := tree{}
	for _, name := range folders {
		all[name] = map[string]maildirEntry{}
		for _, file := range messageFiles(t, filepath.Join(root, name)) {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			_, flags, _ := strings.Cut(filepath.Base(file), ":2,")
			require.NotContains(t, all[name], subject(string(b)), "twice in %s", name)
			all[name][subject(string(b))] = maildirEntry{flags, withoutTUID(string(b))}
		}
	}
	return all
}

// messageFiles lists the messages of a Maildir.
func messageFiles(t *testing.T, maildir string) []string {
	t.Helper()
	var all []string
	for _, sub := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(maildir, sub))
		require.NoError(t, err)
		for _, e := range entries {
			all = append(all, filepath.Join(maildir, sub, e.Name()))
		}
	}
	return all
}

// fileOf gives the file of the message with this subject.
func fileOf(t *testing.T, maildir, want string) string {
	t.Helper()
	for _, file := range messageFiles(t, maildir) {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		if subject(string(b)) == want {
			return file
		}
	}
	t.Fatalf("no message %q in %s", want, maildir)
	return ""
}

// files gives every file below a folder with its contents, but for those of the program's own bookkeeping.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	}))
	return all
}

func TestMbsync(t *testing.T) {
	t.Parallel()
	program(t, "mbsync")
	s := newServer(t, t.TempDir())
	home := t.TempDir()
	root := filepath.Join(home, "Mail")
	require.NoError(t, os.Mkdir(root, 0o700))
	all := letters()
	note := func(subject string) string {
		return "From: a@b.test\nSubject: " + subject + "\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <" + subject + "@b.test>\n\nText of " + subject + "\n"
	}
	config := func(name, transport string) string {
		return write(t, home, name, `SyncState *
IMAPStore remote
Host localhost
%s
CertificateFile %s
User alice
Pass "%s"

MaildirStore local
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
`, transport, common.authority, alicePassword, root, root)
	}
	imaps := config("imaps", "SSLType IMAPS\nAuthMechs *\nPort "+s.port("imaps"))
	starttls := config("starttls", "SSLType STARTTLS\nAuthMechs LOGIN\nPipelineDepth 1\nPort "+s.port("imap"))
	sync := func(config string) { t.Helper(); must(t, home, "", "mbsync", "-V", "-c", config, "all") }
	folders := []string{"INBOX", "Work", "Work/Bills", "Entw&APw-rfe"}

	c := s.imap("alice")
	for _, f := range folders[1:] {
		_, err := c.Cmd("CREATE ", `"`+f+`"`)
		require.NoError(t, err)
	}
	for _, name := range []string{"plain", "parts", "eight", "long", "dots"} {
		_, _, err := c.Append("INBOX", `(\Seen)`, noDate, []byte(all[name]))
		require.NoError(t, err)
	}
	for i, f := range folders[1:] {
		_, _, err := c.Append(f, "", noDate, []byte(crlf(note(f))))
		require.NoError(t, err, i)
	}

	t.Run("down", func(t *testing.T) {
		sync(imaps)
		got := local(t, root, folders...)
		requireSame(t, s.remote(folders...), got)
		require.Len(t, got["INBOX"], 5)
		require.Equal(t, maildirEntry{"S", unix(all["parts"])}, got["INBOX"]["parts"])
	})
	t.Run("both ways", func(t *testing.T) {
		inbox := filepath.Join(root, "INBOX")
		move := func(subject, flags string) {
			file := fileOf(t, inbox, subject)
			base, _, _ := strings.Cut(filepath.Base(file), ":2,")
			require.NoError(t, os.Rename(file, filepath.Join(inbox, "cur", base+":2,"+flags)))
		}
		move("plain", "FRS")                                     // flags here
		require.NoError(t, os.Remove(fileOf(t, inbox, "eight"))) // gone here
		write(t, inbox, "new/1.1.here", "%s", note("here"))
		write(t, root, "Work/cur/1.2.here:2,DS", "%s", note("draft"))
		for _, sub := range []string{"cur", "new", "tmp"} {
			require.NoError(t, os.MkdirAll(filepath.Join(root, "Private", sub), 0o700))
		}
		write(t, root, "Private/cur/1.3.here:2,S", "%s", note("private"))

		_, err := c.Select("INBOX", false)
		require.NoError(t, err)
		uids, err := c.Search(true, "SUBJECT parts")
		require.NoError(t, err)
		require.Len(t, uids, 1)
		_, err = c.Cmd(`UID STORE 2 -FLAGS.SILENT (\Seen)`) // flags there
		require.NoError(t, err)
		require.Equal(t, []uint32{2}, uids)
		_, err = c.Cmd(`UID STORE 4 +FLAGS.SILENT (\Deleted)`) // gone there
		require.NoError(t, err)
		_, err = c.Expunge()
		require.NoError(t, err)
		_, _, err = c.Append("Work/Bills", `(\Flagged)`, noDate, []byte(crlf(note("there"))))
		require.NoError(t, err)

		sync(imaps)
		folders := append(folders, "Private")
		got, there := local(t, root, folders...), s.remote(folders...)
		requireSame(t, there, got)
		require.Equal(t, map[string]maildirEntry{
			"plain": {"FRS", unix(all["plain"])}, "parts": {"", unix(all["parts"])}, "dots": {"S", unix(all["dots"])}, "here": {"", note("here")},
		}, got["INBOX"])
		require.Equal(t, map[string]maildirEntry{"Work": {"", note("Work")}, "draft": {"DS", note("draft")}}, got["Work"])
		require.Equal(t, maildirEntry{"F", note("there")}, got["Work/Bills"]["there"])
		require.Equal(t, map[string]maildirEntry{"private": {"S", note("private")}}, got["Private"])
	})
	t.Run("again: nothing changes", func(t *testing.T) {
		before, there := files(t, root), s.mailbox("alice", "INBOX")
		status := func() map[string]uint64 {
			st, err := c.Status("Work", "MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ")
			require.NoError(t, err)
			return st
		}
		stBefore := status()
		for _, config := range []string{imaps, starttls} {
			sync(config)
			require.Equal(t, before, files(t, root))
			require.Equal(t, there, s.mailbox("alice", "INBOX"))
			require.Equal(t, stBefore, status())
		}
	})
	t.Run("trash flag", func(t *testing.T) {
		work := filepath.Join(root, "Work")
		file := fileOf(t, work, "draft")
		require.NoError(t, os.Rename(file, strings.TrimSuffix(file, "DS")+"DST"))
		_, err := c.Select("Work/Bills", false)
		require.NoError(t, err)
		_, err = c.Cmd(`STORE 1:* +FLAGS (\Deleted)`)
		require.NoError(t, err)
		sync(starttls)
		require.Empty(t, s.mailbox("alice", "Work/Bills"))
		require.Empty(t, messageFiles(t, filepath.Join(root, "Work/Bills")))
		require.Len(t, s.mailbox("alice", "Work"), 1)
		require.Len(t, messageFiles(t, work), 1)
	})
}

// requireSame compares trees, and shows what differs in short.
func requireSame(t *testing.T, want, got tree) {
	t.Helper()
	for folder := range want {
		for subject, w := range want[folder] {
			g, ok := got[folder][subject]
			require.True(t, ok, "%s/%s is missing", folder, subject)
			require.Equal(t, w.flags, g.flags, "%s/%s", folder, subject)
			for i := range min(len(w.text), len(g.text)) {
				require.Equal(t, w.text[i], g.text[i], "%s/%s at octet %d: %q", folder, subject, i, g.text[max(0, i-50):min(i+50, len(g.text))])
			}
			require.Len(t, g.text, len(w.text), "%s/%s", folder, subject)
		}
		require.Len(t, got[folder], len(want[folder]), "%s", folder)
	}
	require.Len(t, got, len(want))
}

// withoutTUID takes away the field by which mbsync finds its own messages again.
func withoutTUID(text string) string {
	before, rest, ok := strings.Cut(text, "X-TUID: ")
	if !ok {
		return text
	}
	_, after, _ := strings.Cut(rest, "\n")
	return before + after
}
