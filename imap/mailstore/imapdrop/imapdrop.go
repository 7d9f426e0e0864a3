// Package imapdrop lets POP3 read what IMAP keeps: it makes any [imap.Backend] a [pop3.Backend], whose maildrop is the account's INBOX.
//
//	pop := &pop3.Server{Backend: imapdrop.New(store), ...}
//
// A message's unique id is "uidvalidity.uid", so it lasts as long as the message (RFC 1939 s7). One session at a time has an account's maildrop (RFC 1939 s4): others get
// [pop3.ErrInUse]. That holds within the process. IMAP sessions are not shut out: what they expunge meanwhile gives [pop3.ErrNoMessage], and what arrives is seen by the next
// session. Commit expunges; to do so twice is no error.
package imapdrop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/pop3"
)

// New gives the POP3 view of a backend.
func New(backend imap.Backend) pop3.Backend {
	return &drops{backend: backend, open: map[string]struct{}{}}
}

type drops struct {
	backend imap.Backend
	mu      sync.Mutex // guards open
	open    map[string]struct{}
}

func (d *drops) lock(identity string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, taken := d.open[identity]; taken {
		return pop3.ErrInUse
	}
	d.open[identity] = struct{}{}
	return nil
}

func (d *drops) unlock(identity string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, identity)
}

// Maildrop opens the INBOX of an account for one session.
func (d *drops) Maildrop(ctx context.Context, identity string) (pop3.Maildrop, error) {
	if err := d.lock(identity); err != nil {
		return nil, err
	}
	m, err := d.maildrop(ctx, identity)
	if err != nil {
		d.unlock(identity)
		return nil, err
	}
	return m, nil
}

func (d *drops) maildrop(ctx context.Context, identity string) (*maildrop, error) {
	account, err := d.backend.Account(ctx, identity)
	if err != nil {
		return nil, err
	}
	m := &maildrop{account: account, release: sync.OnceFunc(func() { d.unlock(identity) }), ctx: ctx}
	m.inbox, err = account.Open(ctx, "INBOX")
	if err == nil {
		m.view, err = m.inbox.View(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, account.Close())
	}
	return m, nil
}

type maildrop struct {
	account imap.Account
	inbox   imap.Mailbox
	view    *imap.View // as it was when the session began
	release func()
	ctx     context.Context // of the connection

	// Clients mostly read one message after the other: what was fetched goes on from there.
	next func() (imap.Item, error, bool)
	stop func()
	at   imap.UID // that next gives, at least
}

func (m *maildrop) Messages(ctx context.Context) ([]pop3.Message, error) {
	all := make([]pop3.Message, 0, m.view.Len())
	prefix := strconv.FormatUint(uint64(m.view.UIDValidity()), 10) + "."
	for _, msg := range m.view.All() {
		all = append(all, pop3.Message{UID: prefix + strconv.FormatUint(uint64(msg.UID), 10), Size: msg.Size})
	}
	return all, ctx.Err()
}

// parse gives the UID of a unique id; ok is false when it is not of this mailbox.
func (m *maildrop) parse(id string) (uid imap.UID, ok bool) {
	validity, number, _ := strings.Cut(id, ".")
	n, err := strconv.ParseUint(number, 10, 32)
	return imap.UID(n), err == nil && n > 0 && validity == strconv.FormatUint(uint64(m.view.UIDValidity()), 10)
}

func (m *maildrop) Open(ctx context.Context, id string) (io.ReadCloser, error) {
	uid, ok := m.parse(id)
	if !ok {
		return nil, pop3.ErrNoMessage
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	item, err := m.fetch(uid)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.NewSectionReader(item.Body, 0, item.Body.Size())), nil
}

// fetch gives a message, by going on where the last fetch was if it is the next one.
func (m *maildrop) fetch(uid imap.UID) (imap.Item, error) {
	if m.next == nil || m.at != uid {
		m.end()
		m.next, m.stop = iter.Pull2(m.inbox.Fetch(m.ctx, imap.UIDSetRange(uid, math.MaxUint32), imap.Want{Body: true}))
	}
	item, err, ok := m.next()
	if err != nil {
		m.end()
		return imap.Item{}, fmt.Errorf("imapdrop: UID %d: %w", uid, err)
	}
	if !ok || item.UID != uid {
		m.end()
		return imap.Item{}, pop3.ErrNoMessage
	}
	m.at = 0
	if seq, ok := m.view.Seq(uid); ok {
		m.at = m.view.Message(seq + 1).UID
	}
	return item, nil
}

func (m *maildrop) end() {
	if m.stop != nil {
		m.stop()
	}
	m.next, m.stop = nil, nil
}

func (m *maildrop) Commit(ctx context.Context, deleted []string) error {
	var uids imap.UIDSet
	for _, id := range deleted {
		if uid, ok := m.parse(id); ok {
			uids.Add(uid)
		}
	}
	if uids.IsEmpty() {
		return nil
	}
	return m.inbox.Expunge(ctx, uids)
}

func (m *maildrop) Close() error {
	m.end()
	defer m.release()
	return m.account.Close()
}
