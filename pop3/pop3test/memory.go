// Package pop3test helps to test with package pop3: a suite that every
// [pop3.Backend] has to pass, and a backend and a directory in memory.
package pop3test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"github.com/gomailroom/mailroom/internal/sasl"
	"github.com/gomailroom/mailroom/pop3"
)

// Memory is a backend in memory. Every identity has a maildrop; one session at
// a time may have it open. The zero value is ready for use.
type Memory struct {
	mu    sync.Mutex
	drops map[string]*drop
}

type drop struct {
	next     int
	open     bool
	messages []stored
}

type stored struct {
	pop3.Message
	data []byte
}

// Deliver puts a message, whose lines end with CRLF, into a maildrop, and
// returns its UID.
func (m *Memory) Deliver(identity string, message []byte) (uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.drop(identity)
	d.next++
	uid = "m" + strconv.Itoa(d.next)
	header, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	utf8 := bytes.ContainsFunc(header, func(r rune) bool { return r > 0x7e })
	d.messages = append(d.messages, stored{pop3.Message{UID: uid, Size: int64(len(message)), UTF8: utf8}, message})
	return uid
}

// UIDs lists what a maildrop has.
func (m *Memory) UIDs(identity string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	uids := []string{}
	for _, s := range m.drop(identity).messages {
		uids = append(uids, s.UID)
	}
	return uids
}

// drop finds a maildrop. Called with mu held.
func (m *Memory) drop(identity string) *drop {
	if m.drops == nil {
		m.drops = make(map[string]*drop)
	}
	if m.drops[identity] == nil {
		m.drops[identity] = &drop{}
	}
	return m.drops[identity]
}

// Maildrop implements pop3.Backend.
func (m *Memory) Maildrop(_ context.Context, identity string) (pop3.Maildrop, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.drop(identity)
	if d.open {
		return nil, pop3.ErrInUse
	}
	d.open = true
	return &session{m: m, d: d}, nil
}

type session struct {
	m      *Memory
	d      *drop
	closed bool
}

func (s *session) Messages(context.Context) ([]pop3.Message, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	out := make([]pop3.Message, len(s.d.messages))
	for i, st := range s.d.messages {
		out[i] = st.Message
	}
	return out, nil
}

func (s *session) Open(_ context.Context, uid string) (io.ReadCloser, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	// mN was the Nth to arrive: it is in the Nth place or, after deletions,
	// before it.
	n, _ := strconv.Atoi(uid[min(1, len(uid)):])
	for i := min(n, len(s.d.messages)) - 1; i >= 0; i-- {
		if s.d.messages[i].UID == uid {
			return io.NopCloser(bytes.NewReader(s.d.messages[i].data)), nil
		}
	}
	return nil, pop3.ErrNoMessage
}

func (s *session) Commit(_ context.Context, deleted []string) error {
	gone := make(map[string]bool, len(deleted))
	for _, uid := range deleted {
		gone[uid] = true
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.d.messages = slices.DeleteFunc(s.d.messages, func(st stored) bool { return gone[st.UID] })
	return nil
}

func (s *session) Close() error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if !s.closed {
		s.closed, s.d.open = true, false
	}
	return nil
}

// Users is a directory of names and passwords; the name is the identity. It
// is a pop3.Authenticator, a pop3.SCRAMKeys and a pop3.Secrets.
type Users map[string]string

var errWrong = errors.New("no such user, or wrong password")

func (u Users) VerifyPassword(_ context.Context, _ netip.Addr, authzid, username, password string) (string, error) {
	if p, ok := u[username]; !ok || p != password || authzid != "" && authzid != username {
		return "", errWrong
	}
	return username, nil
}

func (u Users) SCRAMKeys(_ context.Context, _ netip.Addr, authzid, username, hash string) (string, []byte, int, []byte, []byte, error) {
	p, ok := u[username]
	if !ok || authzid != "" && authzid != username {
		return "", nil, 0, nil, nil, errWrong
	}
	salt := []byte("salt for tests..")
	stored, server, err := sasl.DeriveSCRAM(hash, p, salt, 4096)
	return username, salt, 4096, stored, server, err
}

func (u Users) Secret(_ context.Context, _ netip.Addr, username string) (string, string, error) {
	p, ok := u[username]
	if !ok {
		return "", "", errWrong
	}
	return username, p, nil
}
