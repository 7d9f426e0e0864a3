package imaptest

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/imap"
)

func testAppend(e *env) {
	box := e.open("INBOX")
	before := time.Now().Add(-time.Second)
	uids := e.add(box, imap.Meta{Flags: imap.FlagSeen | imap.FlagDraft, Keywords: []string{"$Forwarded"}, InternalDate: aDate}, message(1))
	uids.AddSet(e.add(box, imap.Meta{}, message(2)))
	v := e.view(box)
	equal(e, 2, v.Len())
	equal(e, 1, v.Unseen())
	m := v.Message(1)
	equal(e, uids.Min(), m.UID)
	equal(e, imap.FlagSeen|imap.FlagDraft|imap.FlagKeyword, m.Flags)
	equal(e, []string{"$Forwarded"}, v.Keywords())
	equal(e, int64(len(message(1))), m.Size)
	equal(e, aDate.Format(time.RFC3339), m.InternalDate.Format(time.RFC3339), "internal date, with its zone")
	if d := v.Message(2).InternalDate; d.Before(before) || d.After(time.Now().Add(time.Second)) {
		e.Fatalf("without a date it is %v", d)
	}
	equal(e, string(message(2)), e.bodies(box, uids)[uids.Max()])
}

func testAppendAtomic(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	before := e.view(box)
	a, err := box.Append(ctx)
	e.ok(err)
	for i := range 10 {
		e.ok(a.Add(ctx, imap.Meta{Keywords: []string{fmt.Sprint("k", i)}}, int64(len(message(i))), bytes.NewReader(message(i))))
		equal(e, before.ModSeq(), e.view(box).ModSeq(), "nothing is there before Commit")
	}
	r, err := a.Commit(ctx)
	e.ok(err)
	v := e.view(box)
	equal(e, 10, v.Len())
	equal(e, v.UIDValidity(), r.UIDValidity)
	bodies := e.bodies(box, r.UIDs)
	i := 0
	for uid := range r.UIDs.All() { // in the order of Add
		equal(e, string(message(i)), bodies[uid])
		equal(e, imap.FlagKeyword<<slices.Index(v.Keywords(), fmt.Sprint("k", i)), v.Message(uint32(i+1)).Flags)
		i++
	}
	if _, err := a.Commit(ctx); err == nil {
		e.Fatal("committed twice")
	}
	equal(e, 10, e.view(box).Len())
}

func testAppendAbort(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	for _, size := range []int{100, 1 << 20} {
		a, err := box.Append(ctx)
		e.ok(err)
		e.ok(a.Add(ctx, imap.Meta{}, int64(size), strings.NewReader(strings.Repeat("x", size))))
		a.Abort()
		a.Abort()
		if _, err := a.Commit(ctx); err == nil {
			e.Fatal("committed after Abort")
		}
	}
	equal(e, 0, e.view(box).Len())
	if e.Backend.Capabilities().Quota {
		q, err := e.account.Quota(ctx)
		e.ok(err)
		equal(e, int64(0), q.Octets)
	}
}

// A body that ends early, or fails, is no message.
func testAppendShort(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	for _, size := range []int64{100, 100_000, 1 << 20} {
		for _, broken := range []io.Reader{
			io.LimitReader(zeros{}, size-1),
			io.MultiReader(io.LimitReader(zeros{}, size/2), brokenReader{}),
		} {
			a, err := box.Append(ctx)
			e.ok(err)
			e.ok(a.Add(ctx, imap.Meta{}, 3, strings.NewReader("abc")))
			if err := a.Add(ctx, imap.Meta{}, size, broken); err == nil {
				e.Fatalf("a body of less than %d octets was taken", size)
			}
			a.Abort()
		}
	}
	equal(e, 0, e.view(box).Len())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func testUIDs(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	last := imap.UID(0)
	for range 5 {
		uids := e.addN(box, 3)
		if uids.Min() <= last || uids.Min() < e.view(box).UIDNext()-3 {
			e.Fatalf("UID %d after %d", uids.Min(), last)
		}
		last = uids.Max()
		next := e.view(box).UIDNext()
		e.ok(box.Expunge(ctx, uids)) // also the highest
		if v := e.view(e.open("INBOX")); v.UIDNext() < next || v.Len() != 0 {
			e.Fatalf("UIDNEXT %d after %d", v.UIDNext(), next)
		}
	}
}

func testModSeq(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	last := e.view(box).ModSeq()
	grown := func(what string) *imap.View {
		e.Helper()
		v := e.view(box)
		if v.ModSeq() <= last {
			e.Fatalf("%s: modification sequence %d after %d", what, v.ModSeq(), last)
		}
		last = v.ModSeq()
		return v
	}
	uids := e.addN(box, 3)
	grown("append")
	e.flags(box, imap.UIDSetOf(uids.Min()), imap.FlagChange{Flags: imap.FlagSeen})
	v := grown("flags")
	equal(e, v.ModSeq(), v.Message(1).ModSeq)
	if v.Message(2).ModSeq == v.ModSeq() {
		e.Fatal("a message that did not change has the modification sequence of the change")
	}
	e.flags(box, imap.UIDSetOf(uids.Min()), imap.FlagChange{Flags: imap.FlagSeen})
	equal(e, last, e.view(box).ModSeq(), "a change that changes nothing")
	e.ok(box.Expunge(ctx, imap.UIDSetOf(uids.Min())))
	grown("expunge")
	e.ok(box.Expunge(ctx, imap.UIDSetOf(uids.Min())))
	equal(e, last, e.view(box).ModSeq(), "an expunge of nothing")
	_, err := box.Transfer(ctx, uids, box.ID(), false)
	e.ok(err)
	grown("copy")
}

func testFlags(e *env) {
	box := e.open("INBOX")
	uids := e.addN(box, 3)
	first := imap.UIDSetOf(uids.Min())
	missing := imap.UIDSetOf(uids.Min(), uids.Max()+100)
	for _, step := range []struct {
		uids imap.UIDSet
		c    imap.FlagChange
		want imap.Flags
	}{
		{first, imap.FlagChange{Op: imap.FlagsAdd, Flags: imap.FlagSeen | imap.FlagFlagged}, imap.FlagSeen | imap.FlagFlagged},
		{missing, imap.FlagChange{Op: imap.FlagsAdd, Flags: imap.FlagDeleted}, imap.FlagSeen | imap.FlagFlagged | imap.FlagDeleted},
		{first, imap.FlagChange{Op: imap.FlagsRemove, Flags: imap.FlagSeen | imap.FlagDraft}, imap.FlagFlagged | imap.FlagDeleted},
		{first, imap.FlagChange{Op: imap.FlagsReplace, Flags: imap.FlagAnswered}, imap.FlagAnswered},
		{first, imap.FlagChange{Op: imap.FlagsReplace}, 0},
	} {
		equalSet(e, "", e.flags(box, step.uids, step.c))
		v := e.view(box)
		equal(e, step.want, v.Message(1).Flags, step.c)
		equal(e, imap.Flags(0), v.Message(2).Flags|v.Message(3).Flags)
		equal(e, v.Message(1).Flags&imap.FlagDeleted != 0, v.Deleted() == 1)
	}
	e.flags(box, imap.UIDSetRange(1, math.MaxUint32), imap.FlagChange{Op: imap.FlagsAdd, Flags: imap.FlagSeen})
	equal(e, 0, e.view(box).Unseen())
}

func testKeywords(e *env) {
	box := e.open("INBOX")
	uids := e.addN(box, 2)
	first := imap.UIDSetOf(uids.Min())
	e.flags(box, first, imap.FlagChange{Op: imap.FlagsAdd, Keywords: []string{"$Junk", "Work"}, Flags: imap.FlagSeen})
	e.flags(box, first, imap.FlagChange{Op: imap.FlagsAdd, Keywords: []string{"$JUNK"}})
	v := e.view(box)
	equal(e, []string{"$Junk", "Work"}, v.Keywords(), "keywords in any case are one")
	equal(e, imap.FlagSeen|imap.FlagKeyword|imap.FlagKeyword<<1, v.Message(1).Flags)
	e.flags(box, first, imap.FlagChange{Op: imap.FlagsRemove, Keywords: []string{"work", "never"}})
	v = e.view(box)
	equal(e, imap.FlagSeen|imap.FlagKeyword, v.Message(1).Flags)
	equal(e, 2, len(v.Keywords()), "removing what nobody has makes no keyword")
	e.flags(box, first, imap.FlagChange{Op: imap.FlagsReplace, Keywords: []string{"Work"}})
	equal(e, imap.FlagKeyword<<1, e.view(box).Message(1).Flags)
	for _, bad := range []string{"", "a b", `\Seen`, "a(", "ü", "a\r\nb"} {
		if _, err := box.SetFlags(e.Context(), first, imap.FlagChange{Keywords: []string{bad}}); err == nil {
			e.Fatalf("keyword %q was let through", bad)
		}
	}
}

func testKeywordLimit(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	uids := e.addN(box, 2)
	for i := range imap.MaxKeywords {
		e.flags(box, uids, imap.FlagChange{Keywords: []string{fmt.Sprint("k", i)}})
	}
	before := e.view(box)
	equal(e, ^imap.Flags(0)&^imap.FlagsSystem, before.Message(1).Flags)
	_, err := box.SetFlags(ctx, uids, imap.FlagChange{Flags: imap.FlagSeen, Keywords: []string{"k1", "one-more"}})
	e.is(err, imap.ErrLimit)
	_, err = appendAll(ctx, box, imap.Meta{Keywords: []string{"one-more"}}, message(1))
	e.is(err, imap.ErrLimit)
	v := e.view(box)
	equal(e, before.ModSeq(), v.ModSeq(), "nothing changed")
	equal(e, imap.MaxKeywords, len(v.Keywords()))
	other := e.create("other")
	more := e.add(other, imap.Meta{Keywords: []string{"one-more"}}, message(1))
	_, err = other.Transfer(ctx, more, box.ID(), true)
	e.is(err, imap.ErrLimit)
	equal(e, 1, e.view(other).Len())
	equal(e, 2, e.view(box).Len())
}

func testUnchangedSince(e *env) {
	box := e.open("INBOX")
	uids := e.addN(box, 3)
	since := e.view(box).ModSeq()
	e.flags(box, imap.UIDSetOf(uids.Min()+1), imap.FlagChange{Flags: imap.FlagFlagged})
	conflicts := e.flags(box, uids, imap.FlagChange{Flags: imap.FlagSeen, Conditional: true, UnchangedSince: since})
	equalSet(e, fmt.Sprint(uids.Min()+1), conflicts)
	v := e.view(box)
	equal(e, imap.FlagSeen, v.Message(1).Flags)
	equal(e, imap.FlagFlagged, v.Message(2).Flags)
	equal(e, imap.FlagSeen, v.Message(3).Flags)
	// RFC 7162 s3.1.3: 0 fails for every message.
	equalSet(e, uids.String(), e.flags(box, uids, imap.FlagChange{Flags: imap.FlagDeleted, Conditional: true}))
	equal(e, v.ModSeq(), e.view(box).ModSeq())
}

func testExpunge(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	uids := e.addN(box, 10)
	first := uids.Min()
	v0 := e.view(box)
	e.ok(box.Expunge(ctx, imap.UIDSetOf(first+2, first+5, first+1000)))
	v1 := e.view(box)
	e.ok(box.Expunge(ctx, imap.UIDSetRange(first+3, first+6)))
	v2 := e.view(box)
	equal(e, 8, v1.Len())
	equal(e, 5, v2.Len())
	equal(e, uids.Subtract(imap.UIDSetRange(first+2, first+6)).String(), v2.UIDs(1, 100).String())
	for _, test := range []struct {
		since imap.ModSeq
		want  imap.UIDSet
	}{
		{v0.ModSeq(), imap.UIDSetRange(first+2, first+6)},
		{v1.ModSeq(), imap.UIDSetOf(first+3, first+4, first+6)},
		{v2.ModSeq(), imap.UIDSet{}},
	} {
		got, known, err := box.Vanished(ctx, test.since)
		e.ok(err)
		if known || !test.want.IsEmpty() {
			equal(e, test.want.String(), got.Intersect(uids).String(), "vanished since ", test.since)
		}
	}
	equal(e, 5, len(e.bodies(box, uids)))
	e.ok(box.Expunge(ctx, imap.UIDSetRange(1, math.MaxUint32)))
	equal(e, 0, e.view(box).Len())
}

// From the beginning, every UID that was and is not has vanished, and no other.
func testVanishedFromZero(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	uids := e.addN(box, 5)
	e.ok(box.Expunge(ctx, imap.UIDSetOf(uids.Min(), uids.Max())))
	got, _, err := box.Vanished(ctx, 0)
	e.ok(err)
	equal(e, imap.UIDSetOf(uids.Min(), uids.Max()).String(), got.Intersect(uids).String())
	if !got.IsEmpty() && got.Max() >= e.view(box).UIDNext() {
		e.Fatalf("vanished before it was: %v", got)
	}
}

func testViewsStay(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	uids := e.addN(box, 3)
	old := e.view(box)
	want := slices.Collect(func(yield func(imap.Message) bool) {
		for _, m := range old.All() {
			if !yield(m) {
				return
			}
		}
	})
	e.flags(box, uids, imap.FlagChange{Flags: imap.FlagSeen, Keywords: []string{"new"}})
	e.ok(box.Expunge(ctx, imap.UIDSetOf(uids.Min())))
	e.addN(box, 2)
	checkView(e, old)
	for seq, m := range old.All() {
		equal(e, want[seq-1], m)
	}
	equal(e, 0, len(old.Keywords()))
	now := e.view(box)
	var vanished imap.UIDSet
	for _, uid := range now.Vanished(old) {
		vanished.Add(uid)
	}
	equalSet(e, fmt.Sprint(uids.Min()), vanished)
}

func testFetch(e *env) {
	ctx, box := e.Context(), e.open("INBOX")
	uids := e.addN(box, 300)
	e.ok(box.Expunge(ctx, imap.UIDSetOf(uids.Min()+7)))
	var got imap.UIDSet
	for item, err := range box.Fetch(ctx, imap.UIDSetRange(1, math.MaxUint32), imap.Want{Structure: true}) {
		e.ok(err)
		if item.Structure == nil || item.Structure.Size == 0 || item.Structure.Root.HeaderSize == 0 {
			e.Fatalf("UID %d has no structure", item.UID)
		}
		// While the iteration goes on, the mailbox can be changed.
		if got.Len()%100 == 50 {
			e.flags(box, imap.UIDSetOf(item.UID), imap.FlagChange{Flags: imap.FlagSeen})
		}
		got.Add(item.UID)
	}
	equal(e, uids.Subtract(imap.UIDSetOf(uids.Min()+7)).String(), got.String())
	n := 0
	for _, err := range box.Fetch(ctx, uids, imap.Want{Body: true}) {
		e.ok(err)
		if n++; n == 3 {
			break
		}
	}
	equal(e, 3, n)
	for range box.Fetch(ctx, imap.UIDSet{}, imap.Want{Body: true}) {
		e.Fatal("nothing was asked for")
	}
	for range box.Fetch(ctx, imap.UIDSetOf(uids.Max()+5), imap.Want{}) {
		e.Fatal("it is not there")
	}
}

// What comes out is what went in, octet by octet, whatever its size.
func testBodies(e *env) {
	box := e.open("INBOX")
	rnd := rand.New(rand.NewPCG(1, 1))
	var uids imap.UIDSet
	var want [][]byte
	for _, size := range []int{1, 100, 4096, 65535, 65536, 65537, 262143, 262144, 262145, 1 << 20, 3<<20 + 17} {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		copy(b, "Subject: x\r\n\r\n")
		want = append(want, b)
		uids.AddSet(e.add(box, imap.Meta{}, b))
	}
	i := 0
	for item, err := range box.Fetch(e.Context(), uids, imap.Want{Body: true, Structure: true}) {
		e.ok(err)
		equal(e, int64(len(want[i])), item.Body.Size())
		equal(e, int64(len(want[i])), e.view(box).Message(uint32(i+1)).Size)
		got := make([]byte, len(want[i]))
		if n, err := item.Body.ReadAt(got, 0); n != len(got) || err != nil && err != io.EOF || !bytes.Equal(got, want[i]) {
			e.Fatalf("%d octets: %d read, %v", len(got), n, err)
		}
		for range 20 {
			from := rnd.IntN(len(got))
			part := make([]byte, rnd.IntN(len(got)-from+1))
			if n, err := item.Body.ReadAt(part, int64(from)); n != len(part) || err != nil && err != io.EOF || !bytes.Equal(part, want[i][from:from+n]) {
				e.Fatalf("%d octets from %d of %d: %d read, %v", len(part), from, len(got), n, err)
			}
		}
		if n, err := item.Body.ReadAt(make([]byte, 10), int64(len(got)-1)); n != 1 || err != io.EOF {
			e.Fatalf("past the end: %d octets, %v", n, err)
		}
		if n, err := item.Body.ReadAt(make([]byte, 10), int64(len(got)+5)); n != 0 || err != io.EOF {
			e.Fatalf("beyond the end: %d octets, %v", n, err)
		}
		i++
	}
	equal(e, len(want), i)
}
