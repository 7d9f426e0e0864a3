package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/sqlstore"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "mail.db")))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(9) // one writes, eight read
	db.SetMaxIdleConns(9)
	store, err := sqlstore.Open(ctx, db, sqlstore.SQLite)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	if err := store.CreateAccount(ctx, "alice", mailstore.Limits{}); err != nil {
		log.Fatal(err)
	}
	letter := []byte("Subject: hello\r\n\r\nHow are you?\r\n")
	errs := store.Deliver(ctx, mailstore.Incoming{Content: bytes.NewReader(letter)}, []mailstore.Target{
		{Account: "alice"}, {Account: "alice", Mailbox: "Archive", Flags: imap.FlagSeen},
	})
	fmt.Println("delivered:", errs)

	account, err := store.Account(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	defer account.Close()
	for _, name := range []string{"INBOX", "Archive"} {
		box, err := account.Open(ctx, name)
		if err != nil {
			log.Fatal(err)
		}
		view, err := box.View(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %d messages, %d unseen\n", name, view.Len(), view.Unseen())
	}
	// Output:
	// delivered: [<nil> <nil>]
	// INBOX: 1 messages, 1 unseen
	// Archive: 1 messages, 0 unseen
}
