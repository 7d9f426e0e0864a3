package sqlstore_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/sqlstore"
)

var update = flag.Bool("update", false, "write testdata anew")

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := openDB(t, filepath.Join(dir, "newer.db"))
	store, err := sqlstore.Open(t.Context(), old, sqlstore.SQLite)
	require.NoError(t, err)
	require.NoError(t, store.Close())
	_, err = old.Exec("UPDATE mailroom SET version = 99")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "junk.db"), bytes.Repeat([]byte("junk"), 5000), 0o600))
	for name, test := range map[string]struct{ dsn, says string }{
		"newer version":   {sqlstore.SQLiteDSN(filepath.Join(dir, "newer.db")), "version 99"},
		"not a database":  {sqlstore.SQLiteDSN(filepath.Join(dir, "junk.db")), "sqlstore: "},
		"exclusive locks": {sqlstore.SQLiteDSN(filepath.Join(dir, "a.db")) + "&_pragma=locking_mode(EXCLUSIVE)", "locking_mode"},
		"no WAL":          {"file:" + filepath.Join(dir, "b.db") + "?vfs=unix-none&_pragma=locking_mode(NORMAL)", "WAL"},
		"no directory":    {sqlstore.SQLiteDSN(filepath.Join(dir, "none", "c.db")), "sqlstore: "},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sql.Open("sqlite", test.dsn)
			require.NoError(t, err)
			defer db.Close()
			_, err = sqlstore.Open(t.Context(), db, sqlstore.SQLite)
			require.ErrorContains(t, err, test.says)
			require.Zero(t, db.Stats().InUse, "no connection is left behind")
		})
	}
	t.Run("one connection", func(t *testing.T) {
		db := openDB(t, filepath.Join(dir, "d.db"))
		db.SetMaxOpenConns(1)
		_, err := sqlstore.Open(t.Context(), db, sqlstore.SQLite)
		require.ErrorContains(t, err, "one connection")
	})
	t.Run("dialect", func(t *testing.T) {
		_, err := sqlstore.Open(t.Context(), old, 0)
		require.ErrorContains(t, err, "dialect")
	})
}

// Settings that would lose commits are put right.
func TestOpenMakesDurable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mail.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(OFF)&_pragma=journal_mode(DELETE)")
	require.NoError(t, err)
	defer db.Close()
	store, err := sqlstore.Open(t.Context(), db, sqlstore.SQLite)
	require.NoError(t, err)
	require.NoError(t, store.CreateAccount(t.Context(), "alice", mailstore.Limits{}))
	_, err = os.Stat(path + "-wal")
	require.NoError(t, err)
	require.NoError(t, store.Close())
}

// v1Messages is what testdata/v1.db.gz has: a small, a shared and a large message, one expunged, flags, a keyword, a mailbox below another.
func writeV1(t *testing.T, path string) {
	store := open(t, path, sqlstore.Options{})
	ctx := t.Context()
	require.NoError(t, store.CreateAccount(ctx, "alice", mailstore.Limits{Octets: 1 << 30, Messages: 1000}))
	require.NoError(t, store.CreateAccount(ctx, "bob", mailstore.Limits{}))
	date := time.Date(2026, 11, 21, 12, 0, 0, 0, time.FixedZone("", 19800))
	for i := range 4 {
		in := mailstore.Incoming{Content: bytes.NewReader(crashBody(i)), InternalDate: date}
		for _, err := range store.Deliver(ctx, in, []mailstore.Target{{Account: "alice", Prefix: []byte("Delivered-To: alice\r\n")}, {Account: "bob", Mailbox: "lists/go", Keywords: []string{"$Work"}}}) {
			require.NoError(t, err)
		}
	}
	box := inbox(t, store)
	_, err := box.SetFlags(ctx, imap.UIDSetOf(2), imap.FlagChange{Flags: imap.FlagSeen, Keywords: []string{"$Forwarded"}})
	require.NoError(t, err)
	require.NoError(t, box.Expunge(ctx, imap.UIDSetOf(3)))
	require.NoError(t, store.Close())
}

// What version 1 wrote opens for ever.
func TestVersion1(t *testing.T) {
	t.Parallel()
	const saved = "testdata/v1.db.gz"
	path := filepath.Join(t.TempDir(), "mail.db")
	if *update {
		writeV1(t, path)
		db := openDB(t, path)
		_, err := db.Exec("VACUUM")
		require.NoError(t, err)
		_, err = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		require.NoError(t, err)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		var buf bytes.Buffer
		z, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
		_, _ = z.Write(b)
		require.NoError(t, z.Close())
		require.NoError(t, os.WriteFile(saved, buf.Bytes(), 0o644))
	} else {
		f, err := os.Open(saved)
		require.NoError(t, err)
		defer f.Close()
		z, err := gzip.NewReader(f)
		require.NoError(t, err)
		b, err := io.ReadAll(z)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, b, 0o600))
	}
	store := open(t, path, sqlstore.Options{})
	box := inbox(t, store)
	v, err := box.View(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1:2,4", v.UIDs(1, 10).String())
	require.EqualValues(t, 5, v.UIDNext())
	require.Equal(t, []string{"$Forwarded"}, v.Keywords())
	require.Equal(t, imap.FlagSeen|imap.FlagKeyword, v.Message(2).Flags)
	require.Equal(t, "2026-11-21T12:00:00+05:30", v.Message(1).InternalDate.Format(time.RFC3339))
	gone, known, err := box.Vanished(t.Context(), 1)
	require.NoError(t, err)
	require.True(t, known)
	require.Equal(t, "3", gone.String())
	for item, err := range box.Fetch(t.Context(), imap.UIDSetRange(1, 4), imap.Want{Structure: true, Body: true, Extra: true}) {
		require.NoError(t, err)
		b, err := io.ReadAll(io.NewSectionReader(item.Body, 0, item.Body.Size()))
		require.NoError(t, err)
		require.Equal(t, "Delivered-To: alice\r\n"+string(crashBody(int(item.UID)-1)), string(b))
		require.Equal(t, fmt.Sprint(item.UID-1), item.Structure.Envelope.Subject)
		require.Regexp(t, fmt.Sprintf(`^e\d+-%d$`, item.UID), item.EmailID)
	}
	q, err := store.Usage(t.Context(), "alice")
	require.NoError(t, err)
	require.EqualValues(t, 3, q.Messages)
	require.EqualValues(t, 1000, q.MessageLimit)
	a, err := store.Account(t.Context(), "bob")
	require.NoError(t, err)
	lists, err := a.Open(t.Context(), "lists/go")
	require.NoError(t, err)
	v, err = lists.View(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4, v.Len())
	require.NoError(t, store.Deliver(t.Context(), mailstore.Incoming{Content: bytes.NewReader(crashBody(9))}, []mailstore.Target{{Account: "alice"}})[0])
}
