// Package imaptest is the conformance suite for backends of the imap package: what a server relies on, one subtest for each property.
//
//	func TestBackend(t *testing.T) {
//		imaptest.TestBackend(t, func(t *testing.T) imaptest.Setup {
//			store := mystore.New(t.TempDir())
//			return imaptest.Setup{Backend: store, Identity: store.NewAccount(), SetQuota: store.SetQuota}
//		})
//	}
//
// Subtests run in parallel, each on a Setup of its own; run them with -race.
package imaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/imap"
)

// Setup is a backend to test.
type Setup struct {
	Backend  imap.Backend
	Identity string // of an account with an empty INBOX, which the test may fill

	// SetQuota limits the account; 0 is no limit. Without it quotas are not tested.
	SetQuota func(octets, messages int64) error
}

// TestBackend tests a backend. setup is called for each property and cleans up by t.Cleanup.
func TestBackend(t *testing.T, setup func(t *testing.T) Setup) {
	for name, test := range map[string]func(e *env){
		"Account":                testAccount,
		"Mailboxes":              testMailboxes,
		"CreateLevels":           testCreateLevels,
		"CreateRefuses":          testCreateRefuses,
		"SpecialUse":             testSpecialUse,
		"Subscribe":              testSubscribe,
		"DeleteGone":             testDeleteGone,
		"DeleteParent":           testDeleteParent,
		"RenameKeepsSessions":    testRename,
		"RenameRefuses":          testRenameRefuses,
		"RenameInbox":            testRenameInbox,
		"Watch":                  testWatch,
		"AppendOne":              testAppend,
		"AppendManyOrNone":       testAppendAtomic,
		"AppendAbort":            testAppendAbort,
		"AppendShort":            testAppendShort,
		"UIDsNeverReused":        testUIDs,
		"ModSeqGrows":            testModSeq,
		"Flags":                  testFlags,
		"Keywords":               testKeywords,
		"KeywordLimit":           testKeywordLimit,
		"UnchangedSince":         testUnchangedSince,
		"Expunge":                testExpunge,
		"ViewsStay":              testViewsStay,
		"Fetch":                  testFetch,
		"Bodies":                 testBodies,
		"Copy":                   testCopy,
		"Move":                   testMove,
		"TransferWithin":         testTransferWithin,
		"TransferKeywords":       testTransferKeywords,
		"Extra":                  testExtra,
		"QuotaAppend":            testQuotaAppend,
		"QuotaTransfer":          testQuotaTransfer,
		"ContextCancelled":       testContext,
		"ConcurrentWriters":      testConcurrent,
		"ConcurrentTransfers":    testConcurrentTransfers,
		"CandidatesAreHonest":    testCandidates,
		"InboxInAnyCase":         testInbox,
		"VanishedWithoutHistory": testVanishedFromZero,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			account, err := s.Backend.Account(t.Context(), s.Identity)
			if err != nil {
				t.Fatalf("Account(%q): %v", s.Identity, err)
			}
			defer account.Close()
			test(&env{T: t, Setup: s, account: account})
		})
	}
}

// env is what a test works with.
type env struct {
	*testing.T
	Setup
	account imap.Account
}

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *env) is(err, target error) {
	e.Helper()
	if !errors.Is(err, target) {
		e.Fatalf("error is %v, must be %v", err, target)
	}
}

func equal[T any](e *env, want, got T, what ...any) {
	e.Helper()
	if !reflect.DeepEqual(want, got) {
		e.Fatalf("%s: want %v, got %v", fmt.Sprint(what...), want, got)
	}
}

// equalSet compares UID sets.
func equalSet(e *env, want string, got imap.UIDSet, what ...any) {
	e.Helper()
	equal(e, want, got.String(), what...)
}

func (e *env) open(name string) imap.Mailbox {
	e.Helper()
	box, err := e.account.Open(e.Context(), name)
	if err != nil {
		e.Fatalf("Open(%q): %v", name, err)
	}
	return box
}

// create makes a mailbox and opens it.
func (e *env) create(name string) imap.Mailbox {
	e.Helper()
	id, err := e.account.Create(e.Context(), name, "")
	if err != nil {
		e.Fatalf("Create(%q): %v", name, err)
	}
	box := e.open(name)
	equal(e, id, box.ID(), "id of the new mailbox")
	return box
}

func (e *env) view(box imap.Mailbox) *imap.View {
	e.Helper()
	v, err := box.View(e.Context())
	e.ok(err)
	checkView(e, v)
	return v
}

// checkView checks what holds for every picture.
func checkView(e *env, v *imap.View) {
	e.Helper()
	last, unseen, n := imap.UID(0), 0, 0
	for seq, m := range v.All() {
		n++
		if int(seq) != n || m.UID <= last || m.UID >= v.UIDNext() || m.ModSeq == 0 || m.ModSeq > v.ModSeq() {
			e.Fatalf("message %d is %+v after UID %d; UIDNEXT %d, modification sequence %d", seq, m, last, v.UIDNext(), v.ModSeq())
		}
		if last = m.UID; m.Flags&imap.FlagSeen == 0 {
			unseen++
		}
	}
	if n != v.Len() || unseen != v.Unseen() || v.UIDValidity() == 0 || v.ModSeq() == 0 { // RFC 7162 s7: mod-sequence-value is 1 or more
		e.Fatalf("%d messages of %d, %d unseen of %d, UIDVALIDITY %d", n, v.Len(), unseen, v.Unseen(), v.UIDValidity())
	}
}

// message gives a small message with a number in it.
func message(n int) []byte {
	return fmt.Appendf(nil, "From: a@example.org\r\nSubject: message %d\r\n\r\nText of message %d.\r\n", n, n)
}

// add appends messages in one go.
func (e *env) add(box imap.Mailbox, m imap.Meta, bodies ...[]byte) imap.UIDSet {
	e.Helper()
	r, err := appendAll(e.Context(), box, m, bodies...)
	e.ok(err)
	equal(e, len(bodies), r.UIDs.Len(), "UIDs appended")
	return r.UIDs
}

// addN appends n small messages.
func (e *env) addN(box imap.Mailbox, n int) imap.UIDSet {
	e.Helper()
	var bodies [][]byte
	for i := range n {
		bodies = append(bodies, message(i))
	}
	return e.add(box, imap.Meta{}, bodies...)
}

func appendAll(ctx context.Context, box imap.Mailbox, m imap.Meta, bodies ...[]byte) (imap.AppendResult, error) {
	a, err := box.Append(ctx)
	if err != nil {
		return imap.AppendResult{}, err
	}
	for _, body := range bodies {
		if err := a.Add(ctx, m, int64(len(body)), bytes.NewReader(body)); err != nil {
			a.Abort()
			return imap.AppendResult{}, err
		}
	}
	return a.Commit(ctx)
}

// bodies reads messages whole.
func (e *env) bodies(box imap.Mailbox, uids imap.UIDSet) map[imap.UID]string {
	e.Helper()
	all := map[imap.UID]string{}
	last := imap.UID(0)
	for item, err := range box.Fetch(e.Context(), uids, imap.Want{Body: true}) {
		e.ok(err)
		if item.UID <= last || !uids.Contains(item.UID) {
			e.Fatalf("Fetch gives UID %d after %d", item.UID, last)
		}
		last = item.UID
		b, err := io.ReadAll(io.NewSectionReader(item.Body, 0, item.Body.Size()))
		e.ok(err)
		all[item.UID] = string(b)
	}
	return all
}

func (e *env) flags(box imap.Mailbox, uids imap.UIDSet, c imap.FlagChange) imap.UIDSet {
	e.Helper()
	conflicts, err := box.SetFlags(e.Context(), uids, c)
	e.ok(err)
	return conflicts
}

// names gives the names of the mailboxes.
func (e *env) names() []string {
	e.Helper()
	all, err := e.account.Mailboxes(e.Context())
	e.ok(err)
	var names []string
	for i, m := range all {
		if i > 0 && m.Name <= all[i-1].Name {
			e.Fatalf("mailboxes are not sorted: %q after %q", m.Name, all[i-1].Name)
		}
		names = append(names, m.Name)
	}
	return names
}

func (e *env) info(name string) imap.MailboxInfo {
	e.Helper()
	all, err := e.account.Mailboxes(e.Context())
	e.ok(err)
	for _, m := range all {
		if m.Name == name {
			return m
		}
	}
	e.Fatalf("no mailbox %q", name)
	return imap.MailboxInfo{}
}

var aDate = time.Date(2020, 2, 29, 23, 59, 58, 0, time.FixedZone("", -5*3600-1800))
