package bench

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
	"github.com/gomailroom/mailroom/imap/mailstore/sqlstore"
)

const mailboxSize = 10_000 // messages that the benchmarks of IMAP and POP3 look at

// anybody lets everybody in.
type anybody struct{}

func (anybody) VerifyPassword(_ context.Context, _ netip.Addr, _, username, _ string) (string, error) {
	return username, nil
}

// newStore gives a store of ours, memory or sqlite, with an account alice.
func newStore(b *testing.B, name string) mailstore.Store {
	var store mailstore.Store = &memstore.Store{}
	if name == "sqlite" {
		db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(b.TempDir(), "mail.db")))
		require.NoError(b, err)
		db.SetMaxOpenConns(5)
		db.SetMaxIdleConns(5)
		b.Cleanup(func() { db.Close() })
		store, err = sqlstore.Open(b.Context(), db, sqlstore.SQLite)
		require.NoError(b, err)
		b.Cleanup(func() { store.Close() })
	}
	require.NoError(b, store.CreateAccount(b.Context(), "alice", mailstore.Limits{}))
	return store
}

func deliver(ctx context.Context, store mailstore.Store, message []byte) error {
	return store.Deliver(ctx, mailstore.Incoming{Content: bytes.NewReader(message)}, []mailstore.Target{{Account: "alice"}})[0]
}

// spread calls op n times, from so many goroutines.
func spread(b *testing.B, writers, n int, op func(i int) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := op(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// full gives a store with a mailbox full of letters.
func full(b *testing.B, name string) mailstore.Store {
	store := newStore(b, name)
	spread(b, 64, mailboxSize, func(i int) error { return deliver(b.Context(), store, Letter(i)) })
	return store
}

func newGoIMAP(b *testing.B) (*imapmemserver.Server, *imapmemserver.User) {
	user := imapmemserver.NewUser("alice", "secret")
	require.NoError(b, user.Create("INBOX", nil))
	s := imapmemserver.New()
	s.AddUser(user)
	return s, user
}

// deliverGoIMAP stores a message in go-imap's store.
func deliverGoIMAP(user *imapmemserver.User, message []byte) error {
	_, err := user.Append("INBOX", bytes.NewReader(message), &imap.AppendOptions{})
	return err
}

// writeDurably keeps a message without a store: a file for each, as a Maildir has them. It parses nothing and knows no mailboxes.
func writeDurably(dir string, i int, texts ...[]byte) error {
	tmp, name := filepath.Join(dir, "tmp", fmt.Sprint(i)), filepath.Join(dir, "new", fmt.Sprint(i))
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if _, err := f.Write(text); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func newMaildir(b *testing.B) string {
	dir := b.TempDir()
	for _, sub := range []string{"tmp", "new"} {
		require.NoError(b, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	return dir
}

// BenchmarkStoreDeliver stores messages of 2 KiB in one mailbox from several goroutines: on disk when a delivery returns, or in memory.
func BenchmarkStoreDeliver(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		run := func(kind, name string, start func(b *testing.B) func(i int) error) {
			b.Run(fmt.Sprintf("%s,writers%d/%s", kind, writers, name), func(b *testing.B) {
				op := start(b)
				b.SetBytes(int64(len(Letter(0))))
				b.ReportAllocs()
				b.ResetTimer()
				spread(b, writers, b.N, op)
			})
		}
		letter := Letter(0)
		ours := func(store string) func(b *testing.B) func(int) error {
			return func(b *testing.B) func(int) error {
				s := newStore(b, store)
				return func(int) error { return deliver(b.Context(), s, letter) }
			}
		}
		run("disk", "mailroom", ours("sqlite"))
		run("disk", "files", func(b *testing.B) func(int) error {
			dir := newMaildir(b)
			return func(i int) error { return writeDurably(dir, i, letter) }
		})
		run("memory", "mailroom", ours("memory"))
		run("memory", "go-imap", func(b *testing.B) func(int) error {
			_, user := newGoIMAP(b)
			return func(int) error { return deliverGoIMAP(user, letter) }
		})
	}
}
