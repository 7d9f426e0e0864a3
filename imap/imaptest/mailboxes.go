package imaptest

import (
	"slices"
	"strings"
	"sync"

	"github.com/gomailroom/mailroom/imap"
)

func testAccount(e *env) {
	if _, err := e.Backend.Account(e.Context(), e.Identity+"-nobody"); err == nil {
		e.Fatal("an account that is not there was opened")
	}
	equal(e, e.Backend.Capabilities(), e.Backend.Capabilities(), "capabilities do not change")
}

func testMailboxes(e *env) {
	if !slices.Contains(e.names(), "INBOX") {
		e.Fatal("no INBOX")
	}
	box := e.create("Grüße")
	info := e.info("Grüße")
	equal(e, box.ID(), info.ID)
	equal(e, false, info.NoSelect || info.Subscribed)
	equal(e, "", strings.Trim(string(info.ID), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"), "characters of an id (RFC 8474 s4)")
	if v := e.view(box); v.Len() != 0 || v.UIDNext() == 0 {
		e.Fatal("a new mailbox is not empty")
	}
	_, err := e.account.Open(e.Context(), "Nothing")
	e.is(err, imap.ErrNotFound)
}

func testInbox(e *env) {
	e.addN(e.open("INBOX"), 1)
	for _, name := range []string{"inbox", "Inbox", "iNBOX"} {
		equal(e, e.open("INBOX").ID(), e.open(name).ID(), name) // RFC 3501 s5.1
	}
	_, err := e.account.Create(e.Context(), "inbox", "")
	e.is(err, imap.ErrExists)
	e.is(e.account.Delete(e.Context(), "Inbox"), imap.ErrCannot) // RFC 3501 s6.3.4
}

func testCreateLevels(e *env) {
	e.create("a/b/c")
	for _, name := range []string{"a", "a/b", "a/b/c"} {
		if !slices.Contains(e.names(), name) {
			e.Fatalf("CREATE a/b/c did not make %s", name)
		}
	}
	if !e.info("a").NoSelect {
		e.addN(e.open("a"), 1)
	}
	if id, err := e.account.Create(e.Context(), "sep/", ""); err != nil || e.open("sep").ID() != id { // RFC 3501 s6.3.3
		e.Fatalf("CREATE sep/: %v", err)
	}
}

func testCreateRefuses(e *env) {
	e.create("there")
	_, err := e.account.Create(e.Context(), "there", "")
	e.is(err, imap.ErrExists)
	before := e.names()
	for _, name := range []string{"", "a//b", "/a", "a\x00b", "a\r\nb", "\xff", strings.Repeat("x", 100_000), strings.Repeat("x/", 50_000) + "x"} {
		if _, err := e.account.Create(e.Context(), name, ""); err == nil {
			e.Fatalf("CREATE %.20q was let through", name)
		}
	}
	equal(e, before, e.names())
}

func testSpecialUse(e *env) {
	_, err := e.account.Create(e.Context(), "Entwürfe", `\Drafts`)
	e.ok(err)
	equal(e, `\Drafts`, e.info("Entwürfe").SpecialUse)
	_, err = e.account.Create(e.Context(), "x", `\Nonsense`)
	e.is(err, imap.ErrCannot)
	if slices.Contains(e.names(), "x") {
		e.Fatal("made although refused")
	}
}

func testSubscribe(e *env) {
	ctx := e.Context()
	e.create("box")
	e.ok(e.account.Subscribe(ctx, "box", true))
	e.ok(e.account.Subscribe(ctx, "box", true))
	equal(e, true, e.info("box").Subscribed)
	e.ok(e.account.Subscribe(ctx, "not/there", true))
	info := e.info("not/there")
	equal(e, imap.MailboxInfo{Name: "not/there", Subscribed: true}, info)
	e.ok(e.account.Delete(ctx, "box")) // RFC 3501 s6.3.6: the subscription stays
	equal(e, imap.MailboxInfo{Name: "box", Subscribed: true}, e.info("box"))
	e.ok(e.account.Subscribe(ctx, "box", false))
	e.ok(e.account.Subscribe(ctx, "box", false))
	if slices.Contains(e.names(), "box") {
		e.Fatal("still listed")
	}
}

func testDeleteGone(e *env) {
	ctx := e.Context()
	e.is(e.account.Delete(ctx, "nothing"), imap.ErrNotFound)
	box := e.create("box")
	uids := e.addN(box, 3)
	oldValidity := e.view(box).UIDValidity()
	appending, err := box.Append(ctx)
	e.ok(err)
	e.ok(e.account.Delete(ctx, "box"))
	_, err = box.View(ctx)
	e.is(err, imap.ErrGone)
	_, err = box.SetFlags(ctx, uids, imap.FlagChange{Flags: imap.FlagSeen})
	e.is(err, imap.ErrGone)
	e.is(box.Expunge(ctx, uids), imap.ErrGone)
	_, err = box.Transfer(ctx, uids, e.open("INBOX").ID(), false)
	e.is(err, imap.ErrGone)
	for _, err := range box.Fetch(ctx, uids, imap.Want{Body: true}) {
		e.is(err, imap.ErrGone)
	}
	if err := appending.Add(ctx, imap.Meta{}, 1, strings.NewReader("x")); err == nil {
		_, err = appending.Commit(ctx)
		e.is(err, imap.ErrGone)
	} else {
		e.is(err, imap.ErrGone)
		appending.Abort()
	}
	again := e.create("box")
	if again.ID() == box.ID() || e.view(again).UIDValidity() <= oldValidity { // RFC 3501 s2.3.1.1
		e.Fatal("a mailbox made anew is the old one")
	}
	equal(e, 0, e.view(again).Len())
	_, err = box.View(ctx)
	e.is(err, imap.ErrGone)
}

func testDeleteParent(e *env) {
	ctx := e.Context()
	parent := e.create("p")
	e.addN(parent, 2)
	child := e.create("p/c")
	e.ok(e.account.Delete(ctx, "p"))
	_, err := parent.View(ctx)
	e.is(err, imap.ErrGone)
	equal(e, true, e.info("p").NoSelect)
	e.view(child)
	_, err = e.account.Open(ctx, "p")
	e.is(err, imap.ErrNotFound)
	e.is(e.account.Delete(ctx, "p"), imap.ErrCannot) // RFC 3501 s6.3.4
	again := e.create("p")
	equal(e, 0, e.view(again).Len())
	equal(e, false, e.info("p").NoSelect)
	e.ok(e.account.Delete(ctx, "p/c"))
	e.ok(e.account.Delete(ctx, "p"))
}

func testRename(e *env) {
	ctx := e.Context()
	box, child := e.create("old"), e.create("old/child")
	other := e.create("older")
	uids := e.addN(box, 2)
	before := e.view(box)
	e.ok(e.account.Rename(ctx, "old", "new/place"))
	equal(e, before.UIDValidity(), e.view(box).UIDValidity())
	equal(e, 2, e.view(box).Len())
	e.addN(box, 1)
	equal(e, box.ID(), e.open("new/place").ID())
	equal(e, child.ID(), e.open("new/place/child").ID())
	equal(e, other.ID(), e.open("older").ID())
	equal(e, 2, len(e.bodies(e.open("new/place"), uids)))
	_, err := e.account.Open(ctx, "old")
	e.is(err, imap.ErrNotFound)
	if !slices.Contains(e.names(), "new") {
		e.Fatal("the level above is missing")
	}
	fresh := e.create("old") // the name is free again
	if fresh.ID() == box.ID() {
		e.Fatal("an id was given twice")
	}
}

func testRenameRefuses(e *env) {
	ctx := e.Context()
	e.create("a/b")
	e.create("c")
	before := e.names()
	e.is(e.account.Rename(ctx, "nothing", "x"), imap.ErrNotFound)
	e.is(e.account.Rename(ctx, "a", "c"), imap.ErrExists)
	e.is(e.account.Rename(ctx, "c", "inbox"), imap.ErrExists)
	if err := e.account.Rename(ctx, "a", "a/b/d"); err == nil {
		e.Fatal("a mailbox was moved below itself")
	}
	if err := e.account.Rename(ctx, "a", "x\x01"); err == nil {
		e.Fatal("a control character was let through")
	}
	equal(e, before, e.names())
}

func testRenameInbox(e *env) {
	ctx := e.Context()
	inbox := e.open("INBOX")
	below := e.create("INBOX/below")
	e.addN(inbox, 3)
	want := e.bodies(inbox, imap.UIDSetRange(1, 1000))
	e.ok(e.account.Rename(ctx, "inbox", "saved"))
	equal(e, 0, e.view(inbox).Len()) // RFC 3501 s6.3.5: it stays, empty
	equal(e, inbox.ID(), e.open("INBOX").ID())
	equal(e, below.ID(), e.open("INBOX/below").ID())
	saved := e.open("saved")
	equal(e, 3, e.view(saved).Len())
	got := e.bodies(saved, imap.UIDSetRange(1, 1000))
	equal(e, len(want), len(got))
	e.addN(inbox, 1)
}

func testWatch(e *env) {
	ctx := e.Context()
	box := e.create("box")
	var mu sync.Mutex
	seen := map[imap.MailboxID]int{}
	stop := e.account.Watch(func(id imap.MailboxID) {
		mu.Lock()
		defer mu.Unlock()
		seen[id]++
	})
	expect := func(what string, ids ...imap.MailboxID) {
		e.Helper()
		mu.Lock()
		defer mu.Unlock()
		for _, id := range ids {
			if seen[id] == 0 {
				e.Fatalf("%s: no hint for %q", what, id)
			}
		}
		clear(seen)
	}
	uids := e.addN(box, 2)
	expect("append", box.ID())
	e.flags(box, uids, imap.FlagChange{Flags: imap.FlagSeen})
	expect("flags", box.ID())
	inbox := e.open("INBOX")
	_, err := box.Transfer(ctx, imap.UIDSetOf(uids.Min()), inbox.ID(), true)
	e.ok(err)
	expect("move", box.ID(), inbox.ID())
	e.ok(box.Expunge(ctx, uids))
	expect("expunge", box.ID())
	e.create("another")
	expect("create", "")
	e.ok(e.account.Rename(ctx, "another", "renamed"))
	expect("rename", "")
	e.ok(e.account.Subscribe(ctx, "renamed", true))
	expect("subscribe", "")
	e.ok(e.account.Delete(ctx, "box"))
	expect("delete", box.ID(), "")
	stop()
	e.addN(inbox, 1)
	mu.Lock()
	defer mu.Unlock()
	equal(e, 0, len(seen), "hints after stop")
}
