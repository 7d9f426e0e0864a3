package sqlstore_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/sqlstore"
)

// TestMain lets the test binary be the process that is killed: "path writers count first".
func TestMain(m *testing.M) {
	if job := os.Getenv("MAILROOM_CRASH_CHILD"); job != "" {
		if err := child(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crashBody is the message of a number; every tenth is too large for one row.
func crashBody(n int) []byte {
	size := 500
	if n%10 == 0 {
		size = 300_000
	}
	return append(fmt.Appendf(nil, "Subject: %d\r\n\r\n", n), bytes.Repeat([]byte{byte('a' + n%26)}, size)...)
}

// child delivers numbered messages and prints the number of each once it is acknowledged; every fifth of its own it then removes, and prints that.
func child(job string) error {
	fields := strings.Fields(job)
	path := fields[0]
	writers, _ := strconv.Atoi(fields[1])
	count, _ := strconv.Atoi(fields[2])
	first, _ := strconv.Atoi(fields[3])
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(path))
	if err != nil {
		return err
	}
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, db, sqlstore.SQLite)
	if err != nil {
		return err
	}
	account, err := store.Account(ctx, "alice")
	if err != nil {
		return err
	}
	box, err := account.Open(ctx, "INBOX")
	if err != nil {
		return err
	}
	var next atomic.Int64
	next.Store(int64(first))
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for range writers {
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= first+count {
					return
				}
				if n%5 == 2 { // by APPEND, then removed
					uid, err := appendOne(ctx, box, crashBody(n))
					if err == nil {
						fmt.Printf("+%d\n", n)
						err = box.Expunge(ctx, imap.UIDSetOf(uid))
					}
					if err != nil {
						errs <- err
						return
					}
					fmt.Printf("-%d\n", n)
					continue
				}
				in := mailstore.Incoming{Content: bytes.NewReader(crashBody(n))}
				if errs2 := store.Deliver(ctx, in, []mailstore.Target{{Account: "alice"}, {Account: "alice", Mailbox: "Archive"}}); errs2[0] != nil || errs2[1] != nil {
					errs <- fmt.Errorf("%v", errs2)
					return
				}
				fmt.Printf("+%d\n", n)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return store.Close()
	}
}

func appendOne(ctx context.Context, box imap.Mailbox, b []byte) (imap.UID, error) {
	a, err := box.Append(ctx)
	if err == nil {
		err = a.Add(ctx, imap.Meta{}, int64(len(b)), bytes.NewReader(b))
	}
	if err != nil {
		return 0, err
	}
	r, err := a.Commit(ctx)
	return r.UIDs.Min(), err
}

func childCommand(t *testing.T, name string, args []string, job string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(t, err)
	var c *exec.Cmd
	if name == "" {
		c = exec.CommandContext(t.Context(), self)
	} else {
		c = exec.CommandContext(t.Context(), name, append(args, self)...)
	}
	c.Env = append(os.Environ(), "MAILROOM_CRASH_CHILD="+job)
	return c
}

// Killed at any moment, the store has lost nothing that it acknowledged, and nothing is damaged.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mail.db")
	store := open(t, path, sqlstore.Options{})
	require.NoError(t, store.CreateAccount(t.Context(), "alice", mailstore.Limits{}))
	require.NoError(t, store.Close())
	rnd := rand.New(rand.NewPCG(uint64(os.Getpid()), 5))
	present, removed := map[int]bool{}, map[int]bool{}
	var last imap.ModSeq
	for round := range 4 {
		c := childCommand(t, "", nil, fmt.Sprintf("%s 8 1000000 %d", path, round*1_000_000))
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		c.Stderr = os.Stderr
		require.NoError(t, c.Start())
		kill := 20 + rnd.IntN(200)
		lines := bufio.NewScanner(out)
		for i := 0; lines.Scan(); i++ { // to the end: what was printed was acknowledged
			if i == kill {
				require.NoError(t, c.Process.Kill())
			}
			n, err := strconv.Atoi(lines.Text()[1:])
			if err != nil {
				break // cut off
			}
			present[n] = true
			if lines.Text()[0] == '-' {
				removed[n] = true
			}
		}
		require.Error(t, c.Wait(), "it was killed")
		last = checkAfterKill(t, path, present, removed, last)
	}
}

func checkAfterKill(t *testing.T, path string, present, removed map[int]bool, last imap.ModSeq) imap.ModSeq {
	db := openDB(t, path)
	store, err := sqlstore.Open(t.Context(), db, sqlstore.SQLite)
	require.NoError(t, err)
	defer store.Close()
	box := inbox(t, store)
	v, err := box.View(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, v.ModSeq(), last)
	found := map[int]bool{}
	for item, err := range box.Fetch(t.Context(), imap.UIDSetRange(1, 1<<31), imap.Want{Body: true, Structure: true}) {
		require.NoError(t, err)
		b, err := io.ReadAll(io.NewSectionReader(item.Body, 0, item.Body.Size()))
		require.NoError(t, err)
		n, err := strconv.Atoi(item.Structure.Envelope.Subject)
		require.NoError(t, err)
		require.True(t, bytes.Equal(crashBody(n), b), "message %d is damaged", n)
		require.False(t, found[n], "message %d is there twice", n)
		found[n] = true
		seq, ok := v.Seq(item.UID)
		require.True(t, ok)
		require.EqualValues(t, len(found), seq)
	}
	require.Equal(t, v.Len(), len(found))
	require.Less(t, v.UIDs(1, uint32(v.Len())).Max(), v.UIDNext())
	for n := range present {
		require.Equal(t, !removed[n], found[n] || n%5 == 2 && !removed[n], "message %d", n) // a removal may be done and not yet acknowledged
		require.False(t, removed[n] && found[n], "message %d is back", n)
	}
	var text string
	require.NoError(t, db.QueryRow("PRAGMA integrity_check").Scan(&text))
	require.Equal(t, "ok", text)
	for _, zero := range []string{
		"SELECT count(*) FROM blob b LEFT JOIN (SELECT blob, count(*) AS n FROM message GROUP BY blob) m ON m.blob = b.id WHERE b.refs <> coalesce(m.n, 0)",
		"SELECT count(*) FROM message WHERE blob NOT IN (SELECT id FROM blob)",
		"SELECT count(*) FROM chunk WHERE blob NOT IN (SELECT id FROM blob)",
		"SELECT count(*) FROM account a WHERE messages <> (SELECT count(*) FROM message m JOIN mailbox b ON b.id = m.mailbox WHERE b.account = a.id)",
		"SELECT count(*) FROM account a WHERE octets <> (SELECT coalesce(sum(m.size), 0) FROM message m JOIN mailbox b ON b.id = m.mailbox WHERE b.account = a.id)",
		"SELECT count(*) FROM message m JOIN mailbox b ON b.id = m.mailbox WHERE m.uid >= b.uidnext OR m.modseq > b.modseq",
	} {
		var n int
		require.NoError(t, db.QueryRow(zero).Scan(&n))
		require.Zero(t, n, zero)
	}
	return v.ModSeq()
}

// Each commit that is acknowledged has paid for a flush. Set MAILROOM_STRACE to run it.
func TestFlushes(t *testing.T) {
	t.Parallel()
	if os.Getenv("MAILROOM_STRACE") == "" {
		t.Skip("MAILROOM_STRACE is not set")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	path := filepath.Join(t.TempDir(), "mail.db")
	store := open(t, path, sqlstore.Options{})
	require.NoError(t, store.CreateAccount(t.Context(), "alice", mailstore.Limits{}))
	require.NoError(t, store.Close())
	const n = 100
	c := childCommand(t, strace, []string{"-f", "-c", "-e", "trace=fsync,fdatasync"}, fmt.Sprintf("%s 1 %d 1", path, n))
	var report bytes.Buffer
	c.Stderr = &report
	require.NoError(t, c.Run(), report.String())
	flushes := 0
	for _, m := range regexp.MustCompile(`(?m)^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(?:fsync|fdatasync)$`).FindAllStringSubmatch(report.String(), -1) {
		k, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		flushes += k
	}
	t.Logf("%d flushes for %d messages one after the other", flushes, n)
	require.GreaterOrEqual(t, flushes, n, report.String())
}
