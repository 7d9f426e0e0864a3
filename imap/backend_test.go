package imap_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/internal/sasl"
)

// A faulty backend wraps another one.
type faulty struct {
	imap.Backend
	body       func(imap.Body) imap.Body
	fetch      error // after the first message
	flags      error
	candidates func(within imap.UIDSet, k imap.SearchKey) (imap.UIDSet, bool, bool, error)
	account    error
	took       func() // for each message
}

func (f *faulty) Account(ctx context.Context, identity string) (imap.Account, error) {
	if f.account != nil {
		return nil, f.account
	}
	a, err := f.Backend.Account(ctx, identity)
	return &faultyAccount{a, f}, err
}

type faultyAccount struct {
	imap.Account
	f *faulty
}

func (a *faultyAccount) Open(ctx context.Context, name string) (imap.Mailbox, error) {
	m, err := a.Account.Open(ctx, name)
	return &faultyMailbox{m, a.f}, err
}

type faultyMailbox struct {
	imap.Mailbox
	f *faulty
}

func (m *faultyMailbox) Fetch(ctx context.Context, uids imap.UIDSet, want imap.Want) iter.Seq2[imap.Item, error] {
	return func(yield func(imap.Item, error) bool) {
		for item, err := range m.Mailbox.Fetch(ctx, uids, want) {
			if m.f.body != nil && item.Body != nil {
				item.Body = m.f.body(item.Body)
			}
			if m.f.took != nil {
				m.f.took()
			}
			if !yield(item, err) {
				return
			}
			if m.f.fetch != nil {
				yield(imap.Item{}, m.f.fetch)
				return
			}
		}
	}
}

func (m *faultyMailbox) SetFlags(ctx context.Context, uids imap.UIDSet, c imap.FlagChange) (imap.UIDSet, error) {
	if m.f.flags != nil {
		return imap.UIDSet{}, m.f.flags
	}
	return m.Mailbox.SetFlags(ctx, uids, c)
}

func (m *faultyMailbox) Candidates(ctx context.Context, within imap.UIDSet, k imap.SearchKey) (imap.UIDSet, bool, bool, error) {
	if m.f.candidates != nil {
		return m.f.candidates(within, k)
	}
	return m.Mailbox.Candidates(ctx, within, k)
}

// brokenBody fails from an offset on.
type brokenBody struct {
	imap.Body
	from int64
}

var errDisk = errors.New("disk on fire")

func (b brokenBody) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.from {
		return 0, errDisk
	}
	return b.Body.ReadAt(p, off)
}

func newFaulty(t *testing.T) (*faulty, *client) {
	t.Helper()
	srv := newServer(t)
	f := &faulty{Backend: srv.Backend}
	srv.Backend = f
	c := selectInbox(t, srv)
	c.append("INBOX", "", hello)
	c.append("INBOX", "", strings.Replace(hello, "hello", strings.Repeat("long ", 20000), 1))
	return f, c
}

func TestBodyFails(t *testing.T) {
	t.Parallel()
	f, c := newFaulty(t)
	f.body = func(b imap.Body) imap.Body { return brokenBody{b, 0} }
	untagged, end := c.cmd("FETCH 1:2 (FLAGS BODY.PEEK[])")
	require.Empty(t, untagged, "no half of a response")
	require.Equal(t, "NO [SERVERBUG] Internal error", end)
	c.fails("NO [SERVERBUG]", "SEARCH BODY x")
	f.body = func(b imap.Body) imap.Body { return brokenBody{b, 70000} }
	c.send("x FETCH 1:2 BODY.PEEK[]\r\n")
	require.Contains(t, c.line(), "* 1 FETCH (BODY[] {139}")
	_, err := c.readLine()
	require.Error(t, err, "in the middle of a literal nothing else can be said")
	require.ErrorIs(t, <-c.done, errDisk)
}

func TestFetchFails(t *testing.T) {
	t.Parallel()
	f, c := newFaulty(t)
	f.fetch = &imap.Error{Code: "CORRUPTION", Text: "Lost\r\nx OK \u2603"}
	untagged, end := c.cmd("FETCH 1:2 BODY.PEEK[TEXT]")
	require.Len(t, untagged, 1)
	require.Equal(t, "NO [CORRUPTION] Lost??x OK ?", end)
	f.fetch = context.DeadlineExceeded
	_, end = c.cmd("FETCH 1:2 BODY.PEEK[TEXT]")
	require.Equal(t, "NO [UNAVAILABLE] Temporarily unavailable", end)
}

func TestSeenCannotBeSet(t *testing.T) {
	t.Parallel()
	f, c := newFaulty(t)
	f.flags = imap.ErrReadOnly
	require.Equal(t, []string{"* 1 FETCH (BODY[TEXT] {10}\r\nHi there\r\n)"}, c.ok("FETCH 1 BODY[TEXT]"), "the message can be read all the same")
	c.fails("NO [READ-ONLY]", `STORE 1 +FLAGS (\Seen)`)
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	f, c := newFaulty(t)
	f.body = func(b imap.Body) imap.Body { return brokenBody{b, 0} } // nothing can be read
	var asked []imap.SearchOp
	f.candidates = func(within imap.UIDSet, k imap.SearchKey) (imap.UIDSet, bool, bool, error) {
		asked = append(asked, k.Op)
		require.Equal(t, "1:2", within.String())
		return imap.UIDSetOf(2, 77), true, true, nil
	}
	require.Equal(t, []string{"* SEARCH 2"}, c.ok("SEARCH BODY indexed UNSEEN"))
	require.Equal(t, []imap.SearchOp{imap.SearchBody}, asked, "flags need no index")
	f.candidates = func(imap.UIDSet, imap.SearchKey) (imap.UIDSet, bool, bool, error) {
		return imap.UIDSet{}, false, true, nil
	}
	require.Equal(t, []string{"* SEARCH"}, c.ok("SEARCH TEXT indexed"))
}

func TestAccountFails(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	f := &faulty{Backend: srv.Backend, account: temporary{}}
	srv.Backend = f
	c := connect(t, srv)
	c.line()
	c.fails("NO [UNAVAILABLE]", "LOGIN alice secret")
	f.account = imap.ErrNotFound
	c.fails("NO [AUTHORIZATIONFAILED]", "LOGIN alice secret")
	f.account = nil
	c.ok("LOGIN alice secret")
}

// scramKeys has the keys of "secret".
type scramKeys struct{}

func (scramKeys) SCRAMKeys(_ context.Context, _ netip.Addr, _, username, hash string) (string, []byte, int, []byte, []byte, error) {
	if username != "alice" {
		return "", nil, 0, nil, nil, errors.New("who?")
	}
	salt := []byte("0123456789abcdef")
	stored, server, err := sasl.DeriveSCRAM(hash, "secret", salt, 4096)
	return "alice", salt, 4096, stored, server, err
}

func TestSCRAM(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Auth, srv.InsecureAuth, srv.SCRAM = nil, false, scramKeys{}
	for password, ok := range map[string]bool{"secret": true, "wrong": false} {
		c := connect(t, srv)
		require.Contains(t, c.line(), " AUTH=SCRAM-SHA-256 ")
		c.fails("NO [PRIVACYREQUIRED]", "LOGIN alice secret")
		mech, err := sasl.NewClient("SCRAM-SHA-256", sasl.Credentials{Username: "alice", Password: password}, sasl.Channel{})
		require.NoError(t, err)
		first, err := mech.Start()
		require.NoError(t, err)
		c.send("a AUTHENTICATE SCRAM-SHA-256 " + sasl.EncodeInitial(first) + "\r\n")
		l := c.line()
		for strings.HasPrefix(l, "+ ") {
			challenge, err := base64.StdEncoding.DecodeString(l[2:])
			require.NoError(t, err)
			response, err := mech.Next(challenge)
			require.NoError(t, err)
			c.send(sasl.Encode(response) + "\r\n")
			l = c.line()
		}
		if ok {
			require.Contains(t, l, "a OK ")
			require.NoError(t, mech.Finish())
			c.ok("SELECT INBOX")
		} else {
			require.Contains(t, l, "a NO [AUTHENTICATIONFAILED]")
		}
	}
}

// TestObservers sees what hooks and the log are told, and that no secret is among it.
func TestObservers(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var commands []imap.CommandInfo
	var auths []imap.AuthInfo
	var peers []*imap.Peer
	gone := make(chan string, 1)
	srv := newServer(t)
	srv.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	srv.Trace = &imap.ServerTrace{
		Connected:     func(p *imap.Peer) { peers = append(peers, p) },
		Authenticated: func(_ *imap.Peer, i imap.AuthInfo) { auths = append(auths, i) },
		Command: func(p *imap.Peer, i imap.CommandInfo) {
			i.Duration = 0
			commands, peers = append(commands, i), append(peers, p)
		},
		Disconnected: func(p *imap.Peer, err error) { gone <- fmt.Sprint(p.Identity, " ", p.Mechanism, " ", err) },
	}
	c := connect(t, srv)
	c.line()
	c.fails("NO", "LOGIN mallory hunter2")
	c.ok("LOGIN alice secret")
	c.ok("SELECT INBOX")
	c.fails("NO", "UID COPY 1:* {7+}\r\nnowhere")
	c.ok("LOGOUT")
	c.c.Close()
	require.Equal(t, "alice LOGIN <nil>", <-gone)
	require.Len(t, auths, 2)
	require.Equal(t, "mallory", auths[0].Username)
	require.Error(t, auths[0].Err)
	require.Equal(t, "alice", auths[1].Identity)
	require.Len(t, commands, 5)
	require.Equal(t, imap.CommandInfo{Name: "LOGIN", Status: "NO", Code: "AUTHENTICATIONFAILED"}, commands[0])
	require.Equal(t, imap.CommandInfo{Mailbox: "INBOX", Name: "UID COPY", Status: "NO", Code: "TRYCREATE"}, commands[3])
	require.Len(t, peers, 6)
	for i, p := range peers {
		require.Equal(t, "127.0.0.1:49152", p.Remote.String())
		require.Equal(t, "127.0.0.1:49153", p.Local.String())
		require.Equal(t, peers[0].ID, p.ID)
		require.Equal(t, i >= 2, p.Identity == "alice")
	}
	require.Contains(t, log.String(), `msg="authentication failed"`)
	require.Contains(t, log.String(), "user=mallory")
	for _, line := range []string{`msg=connected ID local=127.0.0.1:49153 proxied=false`, `msg="logged in" ID user=alice mechanism=LOGIN`, `msg=disconnected ID user=alice`} {
		require.Regexp(t, strings.ReplaceAll(line, "ID", "id="+peers[0].ID+" remote=127.0.0.1:49152")+"\n", log.String(), "as smtp and pop3 log it")
	}
	require.Contains(t, log.String(), "user=alice")
	require.NotContains(t, log.String(), "secret")
	require.NotContains(t, log.String(), "hunter2")
	require.NotRegexp(t, `\berr=|<nil>`, log.String(), "an error is under the same key as in smtp and pop3, and only where there is one")
}
