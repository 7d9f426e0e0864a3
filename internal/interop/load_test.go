//go:build unix

package interop

import (
	"crypto/tls"
	"fmt"
	"net"
	netsmtp "net/smtp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load is several clients that send without end; it keeps what the server answered with 250.
type load struct {
	s        *server
	stop     atomic.Bool
	number   *atomic.Int64
	sending  sync.WaitGroup
	mu       sync.Mutex
	local    map[string]string // to alice by SMTP: what was sent, by subject
	relayed  map[string]string // to x@elsewhere.test by submission
	changed  map[uint32]string // in bob's INBOX by IMAP: the flags that a message has to have, by UID; gone when it was expunged
	attempts atomic.Int64
}

const gone = "expunged"

// newLoad starts clients of each kind.
func newLoad(s *server, number *atomic.Int64, clients int) *load {
	l := &load{s: s, number: number, local: map[string]string{}, relayed: map[string]string{}, changed: map[uint32]string{}}
	for range clients {
		l.sending.Go(func() { l.send("local", l.local, "carol@other.test", alice, l.smtp) })
		l.sending.Go(func() { l.send("relayed", l.relayed, alice, "x@elsewhere.test", l.submissions) })
	}
	l.sending.Go(l.change)
	return l
}

// wait ends the load. A connection that the server does not serve any more ends by itself.
func (l *load) wait() {
	l.stop.Store(true)
	l.sending.Wait()
}

func (l *load) smtp() (*netsmtp.Client, error) {
	nc, err := net.DialTimeout("tcp", l.s.addr["smtp"], 5*time.Second)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(40 * time.Second))
	return netsmtp.NewClient(nc, "localhost")
}

func (l *load) submissions() (*netsmtp.Client, error) {
	nc, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", l.s.addr["submissions"], tlsConfig())
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(40 * time.Second))
	c, err := netsmtp.NewClient(nc, "localhost")
	if err != nil {
		return nil, err
	}
	return c, c.Auth(netsmtp.PlainAuth("", "alice", alicePassword, "localhost"))
}

// send delivers message after message until it is told to stop or the connection breaks.
func (l *load) send(kind string, taken map[string]string, from, to string, dial func() (*netsmtp.Client, error)) {
	c, err := dial()
	if err != nil {
		return
	}
	defer c.Close()
	for !l.stop.Load() {
		n := l.number.Add(1)
		id := fmt.Sprintf("%s-%d", kind, n)
		message := "From: " + from + "\r\nTo: " + to + "\r\nSubject: " + id + "\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <" + id + "@other.test>\r\n\r\n" +
			strings.Repeat(id+" 0123456789\r\n", int(n%17)*int(n%13)*10)
		l.attempts.Add(1)
		if err := c.Mail(from); err != nil {
			return
		}
		if err := c.Rcpt(to); err != nil {
			return
		}
		w, err := c.Data()
		if err != nil {
			return
		}
		if _, err := w.Write([]byte(message)); err != nil {
			return
		}
		if err := w.Close(); err != nil { // nil: answered with 250
			return
		}
		l.mu.Lock()
		taken[id] = message
		l.mu.Unlock()
	}
	c.Quit()
}

// change appends messages, flags the odd ones and expunges every fourth, and keeps what the server said OK to.
func (l *load) change() {
	c, err := l.s.dialIMAP("bob")
	if err != nil {
		return
	}
	defer c.Close()
	if _, err := c.Select("INBOX", false); err != nil {
		return
	}
	set := func(uid uint32, flags string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if flags == "" { // asked for and not answered: it may be or not
			delete(l.changed, uid)
		} else {
			l.changed[uid] = flags
		}
	}
	for !l.stop.Load() {
		l.attempts.Add(1)
		_, uid, err := c.Append("INBOX", `(\Seen)`, noDate, []byte("Subject: changed\r\n\r\n.\r\n"))
		if err != nil {
			return
		}
		set(uid, `\Seen`)
		switch id := strconv.Itoa(int(uid)); {
		case uid%4 == 0:
			set(uid, "")
			if _, err := c.Cmd("UID STORE ", id, ` +FLAGS.SILENT (\Deleted)`); err != nil {
				return
			}
			if _, err := c.Cmd("UID EXPUNGE ", id); err != nil {
				return
			}
			set(uid, gone)
		case uid%2 == 1:
			set(uid, "")
			if _, err := c.Cmd("UID STORE ", id, ` FLAGS.SILENT (\Flagged)`); err != nil {
				return
			}
			set(uid, `\Flagged`)
		}
	}
	c.Logout()
}

// requireChanged requires that bob's INBOX is as the server said that it is.
func requireChanged(t *testing.T, changed map[uint32]string, there []kept) {
	t.Helper()
	flags := map[uint32]string{}
	for _, m := range there {
		flags[m.uid] = m.flags
	}
	for uid, want := range changed {
		got, ok := flags[uid]
		require.Equal(t, want == gone, !ok, "UID %d, %s", uid, want)
		if ok {
			require.Equal(t, want, got, "UID %d", uid)
		}
	}
}

// snapshot is a mailbox as seen at one time.
type snapshot struct {
	validity uint32
	byUID    map[uint32]string // the whole messages
}

func (s *server) snapshot() snapshot {
	s.t.Helper()
	c := s.imap("alice")
	box, err := c.Select("INBOX", true)
	require.NoError(s.t, err)
	shot := snapshot{box.UIDValidity, map[uint32]string{}}
	if box.Exists == 0 {
		return shot
	}
	messages, err := c.Fetch(false, "1:*", "(UID BODY.PEEK[])")
	require.NoError(s.t, err)
	for _, m := range messages {
		require.NotContains(s.t, shot.byUID, m.UID())
		require.Less(s.t, m.UID(), box.UIDNext)
		shot.byUID[m.UID()] = keptText(m)
	}
	require.NoError(s.t, c.Logout())
	return shot
}

// requireKept requires that every message of an earlier snapshot is there still, under its UID.
func requireKept(t *testing.T, before, after snapshot) {
	t.Helper()
	require.Equal(t, before.validity, after.validity, "UIDVALIDITY")
	for uid, text := range before.byUID {
		require.Equal(t, text, after.byUID[uid], "UID %d", uid)
	}
}

// requireTaken requires that every message that was answered with 250 is there, whole, and gives how many are there more than once.
func requireTaken(t *testing.T, taken map[string]string, there []string) (twice int) {
	t.Helper()
	count := map[string]int{}
	for _, text := range there {
		id := subject(text)
		if want, ok := taken[id]; ok && !strings.HasSuffix(text, want) {
			t.Errorf("%s is not what was sent: %.300q", id, text)
		}
		count[id]++
	}
	lost := 0
	for id := range taken {
		switch n := count[id]; {
		case n == 0:
			lost++
			t.Errorf("%s was answered with 250 and is lost", id)
		case n > 1:
			twice++
		}
		if lost > 10 {
			t.Fatal("and so on")
		}
	}
	return twice
}
