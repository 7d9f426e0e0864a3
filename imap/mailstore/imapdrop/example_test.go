package imapdrop_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/imapdrop"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
)

func ExampleNew() {
	ctx := context.Background()
	store := new(memstore.Store)
	_ = store.CreateAccount(ctx, "alice", mailstore.Limits{})
	letter := []byte("Subject: hello\r\n\r\nHow are you?\r\n")
	store.Deliver(ctx, mailstore.Incoming{Content: bytes.NewReader(letter)}, []mailstore.Target{{Account: "alice"}})

	backend := imapdrop.New(store) // for pop3.Server
	drop, err := backend.Maildrop(ctx, "alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer drop.Close()
	messages, err := drop.Messages(ctx)
	fmt.Println(len(messages), messages[0].Size, err)
	// Output: 1 32 <nil>
}
