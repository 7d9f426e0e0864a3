package sqlstore

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
)

const maxCached = 20_000 // rows that the writer remembers

// cache is what the writer remembers of rows: they change in memory and are written back at the end of the transaction. After a rollback, or when somebody else has written, all is
// forgotten.
type cache struct {
	version  int64
	counters struct {
		account, mailbox, blob int64
		loaded, dirty          bool
	}
	accounts map[string]*accountRow
	boxes    map[int64]*box
}

type accountRow struct {
	id       int64
	name     string
	quota    imap.Quota
	validity uint32
	deleted  bool
	boxes    map[string]*box // that were looked up
}

type box struct {
	id       int64
	account  *accountRow
	name     string
	use      string
	noSelect bool
	deleted  bool
	validity uint32
	uidNext  imap.UID
	modseq   imap.ModSeq
	floor    imap.ModSeq
	keywords []string
	ranges   int // rows in expunged; -1: not counted yet
}

func (b *box) joined() string { return strings.Join(b.keywords, " ") }

// changes are those of one transaction.
type changes struct {
	touched map[*box]*change
	used    map[*accountRow]*usage
	hints   []hint
}

type usage struct{ octets, messages int64 }

type hint struct {
	account int64
	box     imap.MailboxID
}

// change is how a mailbox gets from one picture to the next.
type change struct {
	from imap.ModSeq
	put  []imap.Message // in the order of the operations
	gone imap.UIDSet
}

func (c *changes) reset() {
	c.touched, c.used, c.hints = map[*box]*change{}, map[*accountRow]*usage{}, nil
}

// forget makes the writer read rows anew, and the sessions their pictures.
func (w *writeTx) forget() {
	w.cache = cache{accounts: map[string]*accountRow{}, boxes: map[int64]*box{}}
	w.s.lives.stale()
}

// next counts a counter up.
func (w *writeTx) next(counter *int64) int64 {
	n := *counter
	*counter++
	w.counters.dirty = true
	return n
}

// account gives an account by name.
func (w *writeTx) account(name string) (*accountRow, error) {
	if a := w.accounts[name]; a != nil {
		return a, nil
	}
	a := &accountRow{name: name, boxes: map[string]*box{}}
	found, err := w.one("SELECT id, octets, messages, octet_limit, message_limit, uidvalidity FROM account WHERE name = ?", []any{name},
		&a.id, &a.quota.Octets, &a.quota.Messages, &a.quota.OctetLimit, &a.quota.MessageLimit, &a.validity)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("%w: %q", mailstore.ErrNoAccount, name)
	}
	w.accounts[name] = a
	return a, nil
}

const boxColumns = "id, name, special_use, noselect, uidvalidity, uidnext, modseq, floor, keywords"

// box gives a mailbox by id; ErrGone if it is no more.
func (w *writeTx) box(a *accountRow, id int64) (*box, error) {
	if b := w.boxes[id]; b != nil && b.account == a && !b.deleted {
		return b, nil
	}
	b, err := w.readBox(a, "SELECT "+boxColumns+" FROM mailbox WHERE account = ? AND id = ?", a.id, id)
	if err == nil && b == nil {
		err = imap.ErrGone
	}
	return b, err
}

// boxNamed gives a mailbox by name, or nil.
func (w *writeTx) boxNamed(a *accountRow, name string) (*box, error) {
	if b := a.boxes[name]; b != nil {
		return b, nil
	}
	return w.readBox(a, "SELECT "+boxColumns+" FROM mailbox WHERE account = ? AND name = ?", a.id, name)
}

func (w *writeTx) readBox(a *accountRow, query string, args ...any) (*box, error) {
	b := &box{account: a, ranges: -1}
	var keywords string
	found, err := w.one(query, args, &b.id, &b.name, &b.use, &b.noSelect, &b.validity, &b.uidNext, &b.modseq, &b.floor, &keywords)
	if err != nil || !found {
		return nil, err
	}
	if known := w.boxes[b.id]; known != nil && known.account == a && !known.deleted {
		return known, nil // looked up by name for the first time
	}
	b.keywords = strings.Fields(keywords)
	w.boxes[b.id], a.boxes[b.name] = b, b
	return b, nil
}

// newBox makes a mailbox, whose name must be free.
func (w *writeTx) newBox(a *accountRow, name, use string, noSelect bool) (*box, error) {
	a.validity = max(a.validity+1, uint32(time.Now().Unix()))
	w.use(a, 0, 0)
	b := &box{id: w.next(&w.counters.mailbox), account: a, name: name, use: use, noSelect: noSelect, validity: a.validity, uidNext: 1, modseq: 1}
	err := w.exec("INSERT INTO mailbox (account, "+boxColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		a.id, b.id, b.name, b.use, b.noSelect, b.validity, b.uidNext, b.modseq, b.floor, "")
	w.boxes[b.id], a.boxes[name] = b, b
	return b, err
}

// touch begins a change of a mailbox: all changes in one transaction have one modification sequence.
func (w *writeTx) touch(b *box) *change {
	c := w.touched[b]
	if c == nil {
		c = &change{from: b.modseq}
		w.touched[b] = c
		b.modseq++
	}
	return c
}

// modseqOf gives the modification sequence that touch gives, or has given.
func (w *writeTx) modseqOf(b *box) imap.ModSeq {
	if w.touched[b] != nil {
		return b.modseq
	}
	return b.modseq + 1
}

// use counts what an account uses.
func (w *writeTx) use(a *accountRow, octets, messages int64) {
	u := w.used[a]
	if u == nil {
		u = &usage{}
		w.used[a] = u
	}
	u.octets, u.messages = u.octets+octets, u.messages+messages
	a.quota.Octets, a.quota.Messages = a.quota.Octets+octets, a.quota.Messages+messages
}

func boxID(id int64) imap.MailboxID { return imap.MailboxID("m" + strconv.FormatInt(id, 10)) }

func parseBoxID(id imap.MailboxID) (int64, bool) {
	text, ok := strings.CutPrefix(string(id), "m")
	n, err := strconv.ParseInt(text, 10, 64)
	return n, ok && err == nil && n > 0
}
