package sqlstore_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/gomailroom/mailroom/imap/imaptest"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/sqlstore"
)

// openDB opens a database file.
func openDB(t testing.TB, path string) *sql.DB {
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(path))
	require.NoError(t, err)
	db.SetMaxOpenConns(5)
	db.SetMaxIdleConns(5)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// open opens a store in a file.
func open(t testing.TB, path string, o sqlstore.Options) *sqlstore.Store {
	store, err := o.Open(t.Context(), openDB(t, path), sqlstore.SQLite)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// withAlice opens a store in a new file with one account.
func withAlice(t testing.TB) *sqlstore.Store {
	store := open(t, filepath.Join(t.TempDir(), "mail.db"), sqlstore.Options{})
	require.NoError(t, store.CreateAccount(t.Context(), "alice", mailstore.Limits{}))
	return store
}

func setup(t *testing.T, store *sqlstore.Store) imaptest.Setup {
	return imaptest.Setup{Backend: store, Identity: "alice", SetQuota: func(octets, messages int64) error {
		return store.SetLimits(t.Context(), "alice", mailstore.Limits{Octets: octets, Messages: messages})
	}}
}

func TestBackend(t *testing.T) {
	t.Parallel()
	imaptest.TestBackend(t, func(t *testing.T) imaptest.Setup { return setup(t, withAlice(t)) })
}

// A database without a file works on its one connection.
func TestBackendMemory(t *testing.T) {
	t.Parallel()
	imaptest.TestBackend(t, func(t *testing.T) imaptest.Setup {
		db, err := sql.Open("sqlite", ":memory:")
		require.NoError(t, err)
		db.SetMaxOpenConns(1)
		store, err := sqlstore.Open(t.Context(), db, sqlstore.SQLite)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()); require.NoError(t, db.Close()) })
		require.NoError(t, store.CreateAccount(t.Context(), "alice", mailstore.Limits{}))
		return setup(t, store)
	})
}
