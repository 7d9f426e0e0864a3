package mailstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
	"github.com/gomailroom/mailroom/imap/mailstore/sqlstore"
)

// eachStore runs a test on every store.
func eachStore(t *testing.T, test func(t *testing.T, store mailstore.Store)) {
	t.Run("memstore", func(t *testing.T) {
		t.Parallel()
		test(t, new(memstore.Store))
	})
	t.Run("sqlstore", func(t *testing.T) {
		t.Parallel()
		db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "mail 100%?#.db")))
		require.NoError(t, err)
		store, err := sqlstore.Open(t.Context(), db, sqlstore.SQLite)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()); require.NoError(t, db.Close()) })
		test(t, store)
	})
}

func accounts(t *testing.T, store mailstore.Store, names ...string) {
	for _, name := range names {
		require.NoError(t, store.CreateAccount(t.Context(), name, mailstore.Limits{}))
	}
}

func open(t *testing.T, store mailstore.Store, account, name string) imap.Mailbox {
	a, err := store.Account(t.Context(), account)
	require.NoError(t, err)
	box, err := a.Open(t.Context(), name)
	require.NoError(t, err)
	return box
}

// texts gives all messages of a mailbox, and checks their structure against their text.
func texts(t *testing.T, store mailstore.Store, account, name string) (all []string) {
	for item, err := range open(t, store, account, name).Fetch(t.Context(), imap.UIDSetRange(1, 1<<31), imap.Want{Body: true, Structure: true, Extra: true}) {
		require.NoError(t, err)
		b, err := io.ReadAll(io.NewSectionReader(item.Body, 0, item.Body.Size()))
		require.NoError(t, err)
		require.EqualValues(t, len(b), item.Structure.Size)
		off, size, ok := item.Structure.Section(nil, 1) // HEADER
		require.True(t, ok)
		require.True(t, size == 0 || strings.HasSuffix(string(b[off:off+size]), "\r\n\r\n"), "%q", b[off:off+size])
		all = append(all, string(b))
	}
	return all
}

func incoming(text string) mailstore.Incoming {
	return mailstore.Incoming{Content: bytes.NewReader([]byte(text))}
}

const text = "From: a@example.org\r\nSubject: hello\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\n"

func TestDeliverToMany(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store mailstore.Store) {
		accounts(t, store, "alice", "bob")
		bobPrefix := "Return-Path: <x@example.net>\r\nReceived: from a\r\n by b\r\n"
		errs := store.Deliver(t.Context(), incoming(text), []mailstore.Target{
			{Account: "alice", Prefix: []byte("Delivered-To: alice@example.org\r\n")},
			{Account: "bob", Mailbox: "Junk", Prefix: []byte(bobPrefix), Flags: imap.FlagSeen, Keywords: []string{"$Junk"}},
			{Account: "nobody"},
			{Account: "bob", Mailbox: "lists/go"},
			{Account: "bob", Mailbox: "a//b"},
			{Account: "bob", Prefix: []byte("no field")},
			{Account: "bob", Prefix: []byte("A: b\r\n\r\nC: d\r\n")},
			{Account: "bob", Keywords: []string{"a b"}},
			{Account: "bob", Mailbox: "inbox"},
		})
		require.NoError(t, errs[0])
		require.NoError(t, errs[1])
		require.ErrorIs(t, errs[2], mailstore.ErrNoAccount)
		require.NoError(t, errs[3])
		for _, i := range []int{4, 5, 6, 7} {
			require.ErrorIs(t, errs[i], imap.ErrCannot, "target %d", i)
		}
		require.NoError(t, errs[8])
		require.Equal(t, []string{"Delivered-To: alice@example.org\r\n" + text}, texts(t, store, "alice", "INBOX"))
		require.Equal(t, []string{bobPrefix + text}, texts(t, store, "bob", "Junk"))
		require.Equal(t, []string{text}, texts(t, store, "bob", "lists/go"))
		require.Equal(t, []string{text}, texts(t, store, "bob", "INBOX"))
		v, err := open(t, store, "bob", "Junk").View(t.Context())
		require.NoError(t, err)
		require.Equal(t, imap.FlagSeen|imap.FlagKeyword, v.Message(1).Flags)
		require.EqualValues(t, len(bobPrefix)+len(text), v.Message(1).Size)
		q, err := store.Usage(t.Context(), "bob")
		require.NoError(t, err)
		require.EqualValues(t, 3*len(text)+len(bobPrefix), q.Octets)
		require.EqualValues(t, 3, q.Messages)
	})
}

// The same text, in the account of each recipient, has an email id of its own where the prefixes differ.
func TestDeliverEmailIDs(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store mailstore.Store) {
		accounts(t, store, "alice", "bob")
		store.Deliver(t.Context(), incoming(text), []mailstore.Target{{Account: "alice"}, {Account: "bob", Prefix: []byte("A: b\r\n")}, {Account: "bob"}})
		ids := map[string]bool{}
		for _, account := range []string{"alice", "bob"} {
			for item, err := range open(t, store, account, "INBOX").Fetch(t.Context(), imap.UIDSetRange(1, 10), imap.Want{Extra: true}) {
				require.NoError(t, err)
				ids[item.EmailID] = true
			}
		}
		require.Len(t, ids, 3)
	})
}

// A text without a header gets one by its prefix.
func TestDeliverWithoutHeader(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store mailstore.Store) {
		accounts(t, store, "alice")
		for _, body := range []string{"\r\nbody\r\n", "just text, no colon\r\n", "x", ""} {
			errs := store.Deliver(t.Context(), incoming(body), []mailstore.Target{{Account: "alice", Prefix: []byte("A: b\r\n")}})
			require.NoError(t, errs[0])
		}
		for item, err := range open(t, store, "alice", "INBOX").Fetch(t.Context(), imap.UIDSetRange(1, 10), imap.Want{Structure: true, Body: true}) {
			require.NoError(t, err)
			require.Positive(t, item.Structure.Root.HeaderSize)
			require.Equal(t, item.Body.Size(), item.Structure.Size)
		}
	})
}

func TestDeliverQuota(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store mailstore.Store) {
		accounts(t, store, "bob")
		require.NoError(t, store.CreateAccount(t.Context(), "alice", mailstore.Limits{Octets: int64(2*len(text)) + 10, Messages: 10}))
		target := mailstore.Target{Account: "alice"}
		errs := store.Deliver(t.Context(), incoming(text), []mailstore.Target{target, target, target, {Account: "bob"}})
		require.NoError(t, errs[0])
		require.NoError(t, errs[1])
		require.ErrorIs(t, errs[2], mailstore.ErrOverQuota)
		require.NoError(t, errs[3])
		var temporary interface{ Temporary() bool }
		require.False(t, errors.As(errs[2], &temporary) && temporary.Temporary())
		require.Len(t, texts(t, store, "alice", "INBOX"), 2)
		require.NoError(t, store.SetLimits(t.Context(), "alice", mailstore.Limits{}))
		require.NoError(t, store.Deliver(t.Context(), incoming(text), []mailstore.Target{target})[0])
		require.ErrorIs(t, store.SetLimits(t.Context(), "nobody", mailstore.Limits{}), mailstore.ErrNoAccount)
	})
}

// A text that cannot be read is a temporary error for all, and leaves nothing behind.
func TestDeliverBrokenContent(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store mailstore.Store) {
		accounts(t, store, "alice")
		for _, size := range []int64{100, 1 << 20} {
			errs := store.Deliver(t.Context(), mailstore.Incoming{Content: brokenBody(size)}, []mailstore.Target{{Account: "alice"}, {Account: "alice"}})
			for _, err := range errs {
				var temporary interface{ Temporary() bool }
				require.ErrorAs(t, err, &temporary)
				require.True(t, temporary.Temporary())
			}
		}
		require.Empty(t, texts(t, store, "alice", "INBOX"))
		errs := store.Deliver(t.Context(), mailstore.Incoming{Content: brokenBody(1 << 40)}, []mailstore.Target{{Account: "alice"}})
		require.ErrorIs(t, errs[0], imap.ErrTooLarge)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, store.Deliver(ctx, incoming(text), []mailstore.Target{{Account: "alice"}})[0])
		require.Empty(t, texts(t, store, "alice", "INBOX"))
	})
}

type brokenBody int64

func (b brokenBody) Size() int64 { return int64(b) }

func (b brokenBody) ReadAt(p []byte, off int64) (int, error) {
	if off > 0 || len(p) < 60 {
		return 0, io.ErrClosedPipe
	}
	return copy(p, text[:50]), io.ErrClosedPipe
}

// A mailbox that was deleted is made again, with its use.
func TestDeliverMakesMailboxes(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store mailstore.Store) {
		accounts(t, store, "alice")
		a, err := store.Account(t.Context(), "alice")
		require.NoError(t, err)
		require.NoError(t, a.Delete(t.Context(), "Junk"))
		require.NoError(t, a.Delete(t.Context(), "Sent"))
		_, err = a.Create(t.Context(), "Gesendet", `\Sent`)
		require.NoError(t, err)
		for _, err := range store.Deliver(t.Context(), incoming(text), []mailstore.Target{{Account: "alice", Mailbox: "Junk"}, {Account: "alice", Mailbox: "Sent"}, {Account: "alice", Mailbox: "x/y"}}) {
			require.NoError(t, err)
		}
		all, err := a.Mailboxes(t.Context())
		require.NoError(t, err)
		uses := map[string]string{}
		for _, m := range all {
			uses[m.Name] = m.SpecialUse
		}
		require.Equal(t, map[string]string{"INBOX": "", "Archive": `\Archive`, "Drafts": `\Drafts`, "Junk": `\Junk`, "Sent": "", "Gesendet": `\Sent`, "Trash": `\Trash`, "x": "", "x/y": ""}, uses)
	})
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store mailstore.Store) {
		accounts(t, store, "zoe", "alice")
		require.ErrorIs(t, store.CreateAccount(t.Context(), "alice", mailstore.Limits{}), mailstore.ErrAccountExists)
		require.Error(t, store.CreateAccount(t.Context(), "", mailstore.Limits{}))
		names, err := store.Accounts(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"alice", "zoe"}, names)
		store.Deliver(t.Context(), incoming(text), []mailstore.Target{{Account: "alice"}})
		box := open(t, store, "alice", "INBOX")
		a, err := store.Account(t.Context(), "alice")
		require.NoError(t, err)
		require.NoError(t, store.DeleteAccount(t.Context(), "alice"))
		require.ErrorIs(t, store.DeleteAccount(t.Context(), "alice"), mailstore.ErrNoAccount)
		_, err = box.View(t.Context())
		require.Error(t, err)
		_, err = store.Usage(t.Context(), "alice")
		require.ErrorIs(t, err, mailstore.ErrNoAccount)
		require.ErrorIs(t, store.Deliver(t.Context(), incoming(text), []mailstore.Target{{Account: "alice"}})[0], mailstore.ErrNoAccount)
		accounts(t, store, "alice") // a new one; what was opened before is of the old
		require.Empty(t, texts(t, store, "alice", "INBOX"))
		require.Error(t, box.Expunge(t.Context(), imap.UIDSetOf(1)))
		require.Error(t, a.Subscribe(t.Context(), "x", true))
		require.NoError(t, store.Close())
		require.ErrorIs(t, store.CreateAccount(t.Context(), "late", mailstore.Limits{}), mailstore.ErrClosed)
		require.ErrorIs(t, store.Deliver(t.Context(), incoming(text), []mailstore.Target{{Account: "zoe"}})[0], mailstore.ErrClosed)
	})
}

// Names that are alike stay apart: characters with a meaning in SQL or in patterns are just characters.
func TestMailboxNamesAreNoPatterns(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store mailstore.Store) {
		accounts(t, store, "alice")
		a, err := store.Account(t.Context(), "alice")
		require.NoError(t, err)
		for _, name := range []string{"a%", "ab", "a_", "A%", "a'; DROP TABLE message; --", "a%/x", "ab/x", "a%0", "a*", "%"} {
			_, err := a.Create(t.Context(), name, "")
			require.NoError(t, err, name)
		}
		require.NoError(t, a.Rename(t.Context(), "a%", "z"))
		_, err = a.Open(t.Context(), "z/x")
		require.NoError(t, err)
		for _, name := range []string{"ab", "ab/x", "A%", "a%0"} {
			_, err := a.Open(t.Context(), name)
			require.NoError(t, err, name)
		}
		require.NoError(t, a.Delete(t.Context(), "ab/x"))
		require.NoError(t, a.Delete(t.Context(), "ab"))
		_, err = a.Open(t.Context(), "ab")
		require.ErrorIs(t, err, imap.ErrNotFound)
	})
}

func ExampleStore() {
	ctx := context.Background()
	store := new(memstore.Store)
	_ = store.CreateAccount(ctx, "alice", mailstore.Limits{Octets: 1 << 30})
	letter := []byte("Subject: hello\r\n\r\nHow are you?\r\n")
	errs := store.Deliver(ctx, mailstore.Incoming{Content: bytes.NewReader(letter)}, []mailstore.Target{
		{Account: "alice", Prefix: []byte("Delivered-To: alice@example.org\r\n")},
		{Account: "nobody"},
	})
	fmt.Println(errs[0], "/", errs[1])

	account, _ := store.Account(ctx, "alice")
	inbox, _ := account.Open(ctx, "INBOX")
	view, _ := inbox.View(ctx)
	for seq, m := range view.All() {
		fmt.Println(seq, m.UID, m.Size)
	}
	for item, err := range inbox.Fetch(ctx, view.UIDs(1, 1), imap.Want{Structure: true}) {
		fmt.Println(item.Structure.Envelope.Subject, err)
	}
	// Output:
	// <nil> / mailstore: no such account: "nobody"
	// 1 1 65
	// hello <nil>
}
