package imaptest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/imap"
)

func testCopy(e *env) {
	ctx, from, to := e.Context(), e.open("INBOX"), e.create("to")
	uids := e.add(from, imap.Meta{Flags: imap.FlagSeen, InternalDate: aDate}, message(1), message(2), message(3))
	e.addN(to, 2)
	before := e.view(from)
	some := imap.UIDSetOf(uids.Min(), uids.Max(), uids.Max()+50)
	r, err := from.Transfer(ctx, some, to.ID(), false)
	e.ok(err)
	equal(e, imap.UIDSetOf(uids.Min(), uids.Max()).String(), r.Source.String())
	equal(e, 2, r.Dest.Len())
	v := e.view(to)
	equal(e, v.UIDValidity(), r.UIDValidity)
	equal(e, 4, v.Len())
	equal(e, v.UIDs(3, 4).String(), r.Dest.String())
	equal(e, imap.FlagSeen, v.Message(3).Flags)
	equal(e, aDate.Format(time.RFC3339), v.Message(4).InternalDate.Format(time.RFC3339))
	bodies := e.bodies(to, r.Dest)
	equal(e, string(message(1)), bodies[r.Dest.Min()])
	equal(e, string(message(3)), bodies[r.Dest.Max()])
	equal(e, before.ModSeq(), e.view(from).ModSeq(), "the source of a copy does not change")
	// Copies live on their own.
	e.ok(from.Expunge(ctx, uids))
	equal(e, string(message(3)), e.bodies(to, r.Dest)[r.Dest.Max()])
	_, err = to.Transfer(ctx, r.Dest, "nothing", false)
	e.is(err, imap.ErrNotFound)
	r, err = to.Transfer(ctx, imap.UIDSetOf(4_000_000_000), from.ID(), true)
	e.ok(err)
	equal(e, 0, r.Source.Len()+r.Dest.Len(), "nothing to move")
}

func testMove(e *env) {
	ctx, from, to := e.Context(), e.open("INBOX"), e.create("to")
	uids := e.addN(from, 4)
	before, beforeTo := e.view(from), e.view(to)
	some := imap.UIDSetOf(uids.Min()+1, uids.Max())
	r, err := from.Transfer(ctx, some, to.ID(), true)
	e.ok(err)
	equal(e, some.String(), r.Source.String())
	v, vTo := e.view(from), e.view(to)
	equal(e, 2, v.Len())
	equal(e, 2, vTo.Len())
	equal(e, vTo.UIDs(1, 2).String(), r.Dest.String())
	equal(e, string(message(3)), e.bodies(to, r.Dest)[r.Dest.Max()])
	if v.ModSeq() <= before.ModSeq() || vTo.ModSeq() <= beforeTo.ModSeq() {
		e.Fatal("a move changes both mailboxes")
	}
	gone, known, err := from.Vanished(ctx, before.ModSeq())
	e.ok(err)
	if known {
		equal(e, some.String(), gone.String())
	}
}

func testTransferWithin(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	uids := e.addN(box, 3)
	r, err := box.Transfer(ctx, uids, box.ID(), false)
	e.ok(err)
	equal(e, 6, e.view(box).Len())
	if r.Dest.Min() <= uids.Max() {
		e.Fatalf("copies of %v are %v", uids, r.Dest)
	}
	r, err = box.Transfer(ctx, uids, box.ID(), true)
	e.ok(err)
	v := e.view(box)
	equal(e, 6, v.Len())
	equal(e, v.UIDs(4, 6).String(), r.Dest.String())
	equal(e, string(message(0)), e.bodies(box, r.Dest)[r.Dest.Min()])
}

func testTransferKeywords(e *env) {
	ctx, from, to := e.Context(), e.open("INBOX"), e.create("to")
	e.add(to, imap.Meta{Keywords: []string{"zwei"}}, message(0))
	uids := e.add(from, imap.Meta{Keywords: []string{"eins", "ZWEI", "drei"}, Flags: imap.FlagFlagged}, message(1))
	e.flags(from, uids, imap.FlagChange{Op: imap.FlagsRemove, Keywords: []string{"drei"}})
	_, err := from.Transfer(ctx, uids, to.ID(), false)
	e.ok(err)
	v := e.view(to)
	equal(e, []string{"zwei", "eins"}, v.Keywords())
	equal(e, imap.FlagFlagged|imap.FlagKeyword|imap.FlagKeyword<<1, v.Message(2).Flags)
}

func testExtra(e *env) {
	ctx, from, to := e.Context(), e.open("INBOX"), e.create("to")
	c := e.Backend.Capabilities()
	start := time.Now().Add(-2 * time.Second)
	uids := e.add(from, imap.Meta{InternalDate: aDate}, message(1), message(1))
	r, err := from.Transfer(ctx, uids, to.ID(), false)
	e.ok(err)
	ids := map[string]bool{}
	fetch := func(box imap.Mailbox, uids imap.UIDSet) (all []string) {
		for item, err := range box.Fetch(ctx, uids, imap.Want{Extra: true}) {
			e.ok(err)
			if c.SaveDate && (item.SaveDate.Before(start) || item.SaveDate.After(time.Now().Add(2*time.Second))) {
				e.Fatalf("saved at %v", item.SaveDate)
			}
			if c.ObjectID && (item.EmailID == "" || len(item.EmailID) > 255) {
				e.Fatalf("email id is %q", item.EmailID)
			}
			all = append(all, item.EmailID)
			ids[item.EmailID] = true
		}
		return all
	}
	source, dest := fetch(from, uids), fetch(to, r.Dest)
	if c.ObjectID {
		equal(e, source, dest, "a copy keeps its email id (RFC 8474 s5.1)")
		equal(e, 2, len(ids))
		r, err = to.Transfer(ctx, r.Dest, from.ID(), true)
		e.ok(err)
		equal(e, source, fetch(from, r.Dest))
	}
}

func testQuotaAppend(e *env) {
	if e.SetQuota == nil || !e.Backend.Capabilities().Quota {
		e.Skip("the backend has no quotas")
	}
	ctx, box := e.Context(), e.open("INBOX")
	e.ok(e.SetQuota(1000, 5))
	q, err := e.account.Quota(ctx)
	e.ok(err)
	equal(e, imap.Quota{OctetLimit: 1000, MessageLimit: 5}, q)
	uids := e.add(box, imap.Meta{}, make([]byte, 400))
	a, err := box.Append(ctx)
	e.ok(err)
	e.is(a.Add(ctx, imap.Meta{}, 601, brokenReader{}), imap.ErrOverQuota) // before the body is read
	a.Abort()
	a, err = box.Append(ctx)
	e.ok(err)
	e.ok(a.Add(ctx, imap.Meta{}, 400, strings.NewReader(strings.Repeat("x", 400))))
	err = a.Add(ctx, imap.Meta{}, 400, strings.NewReader(strings.Repeat("x", 400)))
	if err == nil {
		_, err = a.Commit(ctx)
	} else {
		a.Abort()
	}
	e.is(err, imap.ErrOverQuota)
	equal(e, 1, e.view(box).Len())
	for range 4 {
		e.add(box, imap.Meta{}, []byte("x\r\n"))
	}
	_, err = appendAll(ctx, box, imap.Meta{}, []byte("x\r\n"))
	e.is(err, imap.ErrOverQuota)
	e.ok(box.Expunge(ctx, uids))
	q, err = e.account.Quota(ctx)
	e.ok(err)
	equal(e, imap.Quota{Octets: 12, Messages: 4, OctetLimit: 1000, MessageLimit: 5}, q)
	e.create("box")
	e.add(e.open("box"), imap.Meta{}, make([]byte, 900))
	e.ok(e.account.Delete(ctx, "box"))
	q, err = e.account.Quota(ctx)
	e.ok(err)
	equal(e, int64(12), q.Octets, "what was in a deleted mailbox is free again")
}

func testQuotaTransfer(e *env) {
	if e.SetQuota == nil || !e.Backend.Capabilities().Quota {
		e.Skip("the backend has no quotas")
	}
	ctx, from, to := e.Context(), e.open("INBOX"), e.create("to")
	uids := e.add(from, imap.Meta{}, make([]byte, 300), make([]byte, 300))
	e.ok(e.SetQuota(1000, 0))
	_, err := from.Transfer(ctx, uids, to.ID(), false)
	e.is(err, imap.ErrOverQuota)
	equal(e, 0, e.view(to).Len(), "all or none")
	_, err = from.Transfer(ctx, uids, to.ID(), true)
	e.ok(err) // a move needs no room
	q, err := e.account.Quota(ctx)
	e.ok(err)
	equal(e, int64(600), q.Octets)
	equal(e, int64(2), q.Messages)
}

func testContext(e *env) {
	box := e.open("INBOX")
	uids := e.addN(box, 3)
	ctx, cancel := context.WithCancel(e.Context())
	defer cancel()
	n := 0
	for _, err := range box.Fetch(ctx, uids, imap.Want{Body: true}) {
		if n++; n == 1 {
			e.ok(err)
			cancel()
		}
	}
	before, names := e.view(box), e.names()
	for name, err := range map[string]error{
		"expunge":  box.Expunge(ctx, uids),
		"flags":    second(box.SetFlags(ctx, uids, imap.FlagChange{Flags: imap.FlagSeen})),
		"transfer": second(box.Transfer(ctx, uids, box.ID(), false)),
		"append":   second(appendAll(ctx, box, imap.Meta{}, message(1))),
		"create":   second(e.account.Create(ctx, "x", "")),
		"delete":   e.account.Delete(ctx, "INBOX/none"),
	} {
		if err == nil {
			e.Errorf("%s with a cancelled context did its work", name)
		}
	}
	equal(e, before.ModSeq(), e.view(box).ModSeq())
	equal(e, names, e.names())
}

func second[T any](_ T, err error) error { return err }

// A backend may help with searches, but must not hide a message.
func testCandidates(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	uids := e.addN(box, 20)
	for _, k := range []imap.SearchKey{
		{Op: imap.SearchAll},
		{Op: imap.SearchHeader, Name: "Subject", Text: "MESSAGE 7"},
		{Op: imap.SearchBody, Text: "message 7"},
		{Op: imap.SearchNot, Keys: []imap.SearchKey{{Op: imap.SearchText, Text: "nothing like it"}}},
	} {
		got, exact, ok, err := box.Candidates(ctx, uids, k)
		e.ok(err)
		if !ok {
			continue
		}
		want := uids
		if k.Op == imap.SearchHeader || k.Op == imap.SearchBody {
			want = imap.UIDSetOf(slices.Collect(uids.All())[7])
		}
		if !want.Subtract(got).IsEmpty() || exact && !got.Equal(want) {
			e.Fatalf("%+v: candidates %v, exact %v, must have %v", k, got, exact, want)
		}
	}
}
