package imapdrop_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/imapdrop"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
	"github.com/gomailroom/mailroom/imap/mailstore/sqlstore"
	"github.com/gomailroom/mailroom/pop3"
	"github.com/gomailroom/mailroom/pop3/pop3test"
)

func fixture(t testing.TB, store mailstore.Store) pop3test.Fixture {
	require.NoError(t, store.CreateAccount(t.Context(), "alice", mailstore.Limits{}))
	return pop3test.Fixture{Backend: imapdrop.New(store), Identity: "alice", Exact: true, Deliver: func(t testing.TB, message []byte) {
		deliver(t, store, message)
	}}
}

func deliver(t testing.TB, store mailstore.Store, message []byte) {
	require.NoError(t, store.Deliver(t.Context(), mailstore.Incoming{Content: bytes.NewReader(message)}, []mailstore.Target{{Account: "alice"}})[0])
}

func TestBackend(t *testing.T) {
	t.Parallel()
	t.Run("memstore", func(t *testing.T) {
		t.Parallel()
		pop3test.TestBackend(t, func(t testing.TB) pop3test.Fixture { return fixture(t, new(memstore.Store)) })
	})
	t.Run("sqlstore", func(t *testing.T) {
		t.Parallel()
		pop3test.TestBackend(t, func(t testing.TB) pop3test.Fixture {
			db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "mail.db")))
			require.NoError(t, err)
			store, err := sqlstore.Open(t.Context(), db, sqlstore.SQLite)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close()); require.NoError(t, db.Close()) })
			return fixture(t, store)
		})
	})
}

func TestInUse(t *testing.T) {
	t.Parallel()
	f := fixture(t, new(memstore.Store))
	first, err := f.Backend.Maildrop(t.Context(), "alice")
	require.NoError(t, err)
	_, err = f.Backend.Maildrop(t.Context(), "alice")
	require.ErrorIs(t, err, pop3.ErrInUse)
	require.NoError(t, first.Close())
	second, err := f.Backend.Maildrop(t.Context(), "alice")
	require.NoError(t, err)
	require.NoError(t, first.Close(), "closing again does not take the lock of another")
	_, err = f.Backend.Maildrop(t.Context(), "alice")
	require.ErrorIs(t, err, pop3.ErrInUse)
	require.NoError(t, second.Close())
	for range 2 { // a failure does not keep the lock
		_, err = f.Backend.Maildrop(t.Context(), "nobody")
		require.ErrorIs(t, err, mailstore.ErrNoAccount)
	}
}

// IMAP goes on while a POP3 session reads.
func TestBesideIMAP(t *testing.T) {
	t.Parallel()
	store := new(memstore.Store)
	f := fixture(t, store)
	for i := range 5 {
		f.Deliver(t, fmt.Appendf(nil, "Subject: %d\r\n\r\n", i))
	}
	drop, err := f.Backend.Maildrop(t.Context(), "alice")
	require.NoError(t, err)
	list, err := drop.Messages(t.Context())
	require.NoError(t, err)
	account, err := store.Account(t.Context(), "alice")
	require.NoError(t, err)
	box, err := account.Open(t.Context(), "INBOX")
	require.NoError(t, err)
	read := func(i int) string {
		body, err := drop.Open(t.Context(), list[i].UID)
		require.NoError(t, err)
		b, err := io.ReadAll(body)
		require.NoError(t, err)
		require.NoError(t, body.Close())
		return string(b)
	}
	require.Equal(t, "Subject: 0\r\n\r\n", read(0))
	require.NoError(t, box.Expunge(t.Context(), imap.UIDSetOf(2)))
	f.Deliver(t, []byte("Subject: late\r\n\r\n"))
	_, err = drop.Open(t.Context(), list[1].UID)
	require.ErrorIs(t, err, pop3.ErrNoMessage)
	for _, i := range []int{2, 3, 4, 0, 4, 3, 2, 2} {
		require.Equal(t, fmt.Sprintf("Subject: %d\r\n\r\n", i), read(i))
	}
	for _, id := range []string{"", "1", ".", "1.1", list[0].UID + "0", "x." + list[0].UID} {
		_, err := drop.Open(t.Context(), id)
		require.ErrorIs(t, err, pop3.ErrNoMessage, id)
	}
	require.NoError(t, drop.Commit(t.Context(), []string{list[0].UID, list[1].UID, "7.3", "x"}))
	require.NoError(t, drop.Close())
	v, err := box.View(t.Context())
	require.NoError(t, err)
	require.Equal(t, "3:6", v.UIDs(1, 100).String())
}
