package memstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/internal/rules"
)

const defaultMaxMessage = 64 << 20

// A Store is a [mailstore.Store] in memory. The zero value is empty and ready.
type Store struct {
	MaxMessage int64 // largest message in octets; default 64 MiB

	mu       sync.Mutex // guards all below; held for moments only
	accounts map[string]*account
	lastID   uint64
	validity uint32
	closed   bool
}

var _ mailstore.Store = (*Store)(nil)

type account struct {
	store *Store
	name  string
	quota imap.Quota
	boxes map[string]*mailbox
	subs  map[string]bool
	gone  bool
	watch map[*func(imap.MailboxID)]struct{}
}

// hints are whom to tell what, once the lock is free.
type hints []func()

func (h hints) send() {
	for _, f := range h {
		f()
	}
}

func (a *account) hint(h *hints, id imap.MailboxID) {
	for w := range a.watch {
		*h = append(*h, func() { (*w)(id) })
	}
}

func (s *Store) maxMessage() int64 {
	if s.MaxMessage > 0 {
		return s.MaxMessage
	}
	return defaultMaxMessage
}

// account gives an account. The lock is held.
func (s *Store) account(name string) (*account, error) {
	if s.closed {
		return nil, mailstore.ErrClosed
	}
	if a := s.accounts[name]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%w: %q", mailstore.ErrNoAccount, name)
}

// newBox makes a mailbox. The lock is held.
func (a *account) newBox(name, use string) *mailbox {
	s := a.store
	s.lastID++
	s.validity = max(s.validity+1, uint32(time.Now().Unix()))
	b := &mailbox{account: a, id: imap.MailboxID("m" + strconv.FormatUint(s.lastID, 10)), number: s.lastID, name: name, use: use, stored: map[imap.UID]*stored{}}
	empty, _ := imap.NewView(s.validity).Apply(imap.Delta{ModSeq: 1}) // nothing that could be refused
	b.Publish(empty)
	a.boxes[name] = b
	return b
}

// CreateAccount makes an account with the default mailboxes.
func (s *Store) CreateAccount(ctx context.Context, name string, limits mailstore.Limits) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return mailstore.ErrClosed
	case name == "":
		return errors.New("memstore: an account needs a name")
	case s.accounts[name] != nil:
		return fmt.Errorf("%w: %q", mailstore.ErrAccountExists, name)
	case s.accounts == nil:
		s.accounts = map[string]*account{}
	}
	a := &account{store: s, name: name, boxes: map[string]*mailbox{}, subs: map[string]bool{}, watch: map[*func(imap.MailboxID)]struct{}{},
		quota: imap.Quota{OctetLimit: limits.Octets, MessageLimit: limits.Messages}}
	for _, spec := range mailstore.DefaultMailboxes() {
		a.newBox(spec.Name, spec.SpecialUse)
		a.subs[spec.Name] = true
	}
	s.accounts[name] = a
	return nil
}

// DeleteAccount removes an account; its open mailboxes are gone.
func (s *Store) DeleteAccount(ctx context.Context, name string) error {
	var h hints
	defer func() { h.send() }()
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.account(name)
	if err != nil {
		return err
	}
	a.gone = true
	for _, b := range a.boxes {
		b.gone = true
		a.hint(&h, b.id)
	}
	delete(s.accounts, name)
	return nil
}

// Accounts gives all names.
func (s *Store) Accounts(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.accounts))
	for name := range s.accounts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// SetLimits changes what an account may hold.
func (s *Store) SetLimits(ctx context.Context, name string, limits mailstore.Limits) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.account(name)
	if err != nil {
		return err
	}
	a.quota.OctetLimit, a.quota.MessageLimit = limits.Octets, limits.Messages
	return nil
}

// Usage gives what an account holds.
func (s *Store) Usage(ctx context.Context, name string) (imap.Quota, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.account(name)
	if err != nil {
		return imap.Quota{}, err
	}
	return a.quota, nil
}

// Capabilities says that all but threads is kept.
func (s *Store) Capabilities() imap.Capabilities {
	return imap.Capabilities{SaveDate: true, ObjectID: true, Quota: true}
}

// Close makes all further calls fail.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Deliver stores one message in many mailboxes.
func (s *Store) Deliver(ctx context.Context, m mailstore.Incoming, to []mailstore.Target) []error {
	errs := make([]error, len(to))
	fail := func(err error) []error {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	if m.Content.Size() > s.maxMessage() {
		return fail(imap.ErrTooLarge)
	}
	content := make([]byte, m.Content.Size())
	if n, err := m.Content.ReadAt(content, 0); n < len(content) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fail(&mailstore.TemporaryError{Err: fmt.Errorf("read the message: %w", err)})
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	structure, err := rules.Parse(m.Structure, rules.Bytes(content))
	if err != nil {
		return fail(err)
	}
	var h hints
	defer func() { h.send() }()
	for i := range to {
		structure, err := rules.WithPrefix(structure, to[i].Prefix, rules.Bytes(content))
		if err != nil {
			errs[i] = err
			continue
		}
		s.mu.Lock()
		errs[i] = s.deliver(&to[i], &stored{prefix: slices.Clone(to[i].Prefix), content: content, structure: structure, saved: time.Now()}, m.InternalDate, &h)
		s.mu.Unlock()
	}
	return errs
}

func (s *Store) deliver(to *mailstore.Target, m *stored, date time.Time, h *hints) error {
	a, err := s.account(to.Account)
	if err != nil {
		return err
	}
	name := to.Mailbox
	if name == "" {
		name = "INBOX"
	}
	if name, err = rules.Name(name); err != nil {
		return err
	}
	if err := rules.Room(a.quota, m.size(), 1); err != nil {
		return err
	}
	if _, _, err := rules.Keywords(nil, to.Keywords); err != nil {
		return err
	}
	b := a.boxes[name]
	if b == nil || b.noSelect {
		if b, err = a.create(name, a.unusedDefault(name), h); err != nil {
			return err
		}
	}
	_, err = b.add([]*stored{m}, []imap.Meta{{Flags: to.Flags, Keywords: to.Keywords, InternalDate: date}}, h)
	return err
}

// unusedDefault gives the special use that a default mailbox has, unless another mailbox took it over.
func (a *account) unusedDefault(name string) string {
	for _, spec := range mailstore.DefaultMailboxes() {
		if spec.Name != name {
			continue
		}
		for _, b := range a.boxes {
			if strings.EqualFold(b.use, spec.SpecialUse) && !b.noSelect {
				return ""
			}
		}
		return spec.SpecialUse
	}
	return ""
}
