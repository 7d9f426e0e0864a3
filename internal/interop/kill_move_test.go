//go:build unix

package interop

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/pop3client"
)

// TestKillMoves is TestKill for what has more than one end: COPY and MOVE of several messages are done whole or not at all, LMTP and POP3 keep
// what they promised, and a UID that was told once is never another message's.
func TestKillMoves(t *testing.T) {
	t.Parallel()
	serverCommand(t, memory) // skips, or builds
	dir := t.TempDir()
	m := &moves{placed: map[string]bool{}, moved: map[string]string{}, copied: map[string]string{}, told: map[string]string{}, lmtp: map[string]string{}}
	for round := range 4 {
		s, err := startServer(t, dir)
		require.NoError(t, err, "round %d", round)
		m.require(s)
		m.s, m.round = s, round
		m.stop = make(chan struct{})
		var clients sync.WaitGroup
		for i := range 2 {
			clients.Go(func() { m.move(i) })
		}
		clients.Go(m.deliver)
		clients.Go(m.fetch)
		time.Sleep(200*time.Millisecond + rand.N(300*time.Millisecond)) // the moment of death is chosen at random
		for end := time.Now().Add(30 * time.Second); round == 3 && !m.all() && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond) // a busy machine comes to nothing in so short a time
		}
		s.kill()
		close(m.stop)
		clients.Wait()
	}
	m.require(newServer(t, dir))
	require.True(t, m.all())
}

// all reports whether each thing was done at least once, and answered, in the rounds so far.
func (m *moves) all() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	told, deleted := 0, 0
	for place := range m.told {
		if strings.HasPrefix(place, "Archive ") {
			told++
		}
	}
	for _, message := range m.lmtp {
		if message == done {
			deleted++
		}
	}
	m.s.t.Logf("%d groups appended, %d moved, %d UIDs of COPYUID, %d copied; by LMTP %d, by POP3 %d deleted", len(m.placed), len(m.moved), told, len(m.copied), len(m.lmtp), deleted)
	return told > 0 && deleted > 0 && len(m.copied) > 0
}

// moves is what clients of bob's asked for, and what the server said.
type moves struct {
	s     *server
	round int
	stop  chan struct{}

	mu     sync.Mutex
	placed map[string]bool   // groups of three messages that were appended to Drafts
	moved  map[string]string // groups for which Archive was asked for: "tried" or "done"
	copied map[string]string // groups for which a copy in Trash was asked for, likewise
	told   map[string]string // "mailbox uid" to the subject of the message that has it
	lmtp   map[string]string // what LMTP answered with 250: the message, "tried" while POP3 may have deleted it, or "done"
}

const (
	tried = "tried"
	done  = "done"
)

func (m *moves) set(in map[string]string, key, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in[key] = value
}

// move appends groups of three, copies some, and moves them all.
func (m *moves) move(client int) {
	c, err := m.s.dialIMAP("bob")
	if err != nil {
		return
	}
	defer c.Close()
	if _, err := c.Select("Drafts", false); err != nil {
		return
	}
	for n := 0; ; n++ {
		group := fmt.Sprintf("group-%d-%d-%d", m.round, client, n)
		var uids []uint32
		for i := range 3 {
			id := fmt.Sprintf("%s/%d", group, i)
			_, uid, err := c.Append("Drafts", `(\Flagged $Group)`, noDate, []byte("Subject: "+id+"\r\n\r\n"+strings.Repeat(id+"\r\n", n%50*10)))
			if err != nil {
				return
			}
			m.set(m.told, fmt.Sprint("Drafts ", uid), id)
			uids = append(uids, uid)
		}
		m.mu.Lock()
		m.placed[group] = true
		m.mu.Unlock()
		set := strings.Trim(strings.ReplaceAll(fmt.Sprint(uids), " ", ","), "[]")
		if n%2 == 0 {
			m.set(m.copied, group, tried)
			if _, err := c.Copy(true, set, "Trash"); err != nil {
				return
			}
			m.set(m.copied, group, done)
		}
		m.set(m.moved, group, tried)
		r, err := c.Move(true, set, "Archive")
		if err != nil {
			return
		}
		m.set(m.moved, group, done)
		for _, u := range r.Named("OK") {
			var first, last uint32
			if u.Code.Name != "COPYUID" || len(u.Code.Args) != 3 {
				continue
			}
			if _, err := fmt.Sscanf(u.Code.Args[2].Text, "%d:%d", &first, &last); err == nil && last-first == 2 {
				for i := range uint32(3) {
					m.set(m.told, fmt.Sprint("Archive ", first+i), fmt.Sprintf("%s/%d", group, i))
				}
			}
		}
	}
}

// deliver hands messages over by LMTP.
func (m *moves) deliver() {
	nc, err := net.DialTimeout("tcp", m.s.addr["lmtp"], 5*time.Second)
	if err != nil {
		return
	}
	nc.SetDeadline(time.Now().Add(40 * time.Second))
	c := textproto.NewConn(nc)
	defer c.Close()
	if _, _, err := c.ReadResponse(220); err != nil {
		return
	}
	say := func(code int, line string) error {
		if err := c.PrintfLine("%s", line); err != nil {
			return err
		}
		_, _, err := c.ReadResponse(code)
		return err
	}
	if say(250, "LHLO other.test") != nil {
		return
	}
	for n := 0; ; n++ {
		id := fmt.Sprintf("lmtp-%d-%d", m.round, n)
		message := "Subject: " + id + "\r\n\r\n" + strings.Repeat(id+"\r\n", n%50*10)
		if say(250, "MAIL FROM:<carol@other.test>") != nil || say(250, "RCPT TO:<"+bob+">") != nil || say(354, "DATA") != nil || say(250, message+".") != nil {
			return
		}
		m.set(m.lmtp, id, message)
	}
}

// fetch deletes by POP3 some of what LMTP delivered.
func (m *moves) fetch() {
	for {
		select {
		case <-m.stop:
			return
		default:
		}
		if err := m.fetchOnce(); err != nil {
			time.Sleep(10 * time.Millisecond) // the server is dead
		}
	}
}

func (m *moves) fetchOnce() error {
	nc, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", m.s.addr["pop3s"], tlsConfig())
	if err != nil {
		return err
	}
	defer nc.Close()
	c, err := pop3client.New(m.s.t.Context(), nc, nil)
	if err != nil {
		return err
	}
	if err := c.Login("bob", bobPassword); err != nil {
		return err
	}
	count, _, err := c.Stat()
	if err != nil {
		return err
	}
	var ids []string
	for n := 1; n <= count && len(ids) < 3; n += 2 {
		top, err := c.Top(n, 0)
		if err != nil {
			return err
		}
		id := subject(string(top))
		m.mu.Lock()
		_, known := m.lmtp[id] // otherwise the reply to LMTP is still on its way
		m.mu.Unlock()
		if !known {
			continue
		}
		if err := c.Dele(n); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		m.set(m.lmtp, id, tried)
	}
	if err := c.Quit(); err != nil {
		return err
	}
	for _, id := range ids {
		m.set(m.lmtp, id, done)
	}
	return nil
}

// require holds what is there against what was said.
func (m *moves) require(s *server) {
	t := s.t
	t.Helper()
	there := map[string]map[string]int{} // mailbox and group: how many
	for _, box := range []string{"Drafts", "Archive", "Trash"} {
		there[box] = map[string]int{}
		for _, k := range s.mailbox("bob", box) {
			id := subject(k.body)
			if want, ok := m.told[fmt.Sprint(box, " ", k.uid)]; ok {
				require.Equal(t, want, id, "UID %d of %s", k.uid, box)
			}
			require.Equal(t, `\Flagged $Group`, k.flags, id)
			group, _, _ := strings.Cut(id, "/")
			there[box][group]++
		}
	}
	for group := range m.placed {
		in := func(box string) int { return there[box][group] }
		require.Equal(t, 3, in("Drafts")+in("Archive"), "%s: %d and %d", group, in("Drafts"), in("Archive"))
		for box, asked := range map[string]string{"Archive": m.moved[group], "Trash": m.copied[group]} {
			switch asked {
			case "":
				require.Zero(t, in(box), "%s in %s", group, box)
			case tried:
				require.Contains(t, []int{0, 3}, in(box), "%s in %s", group, box)
			default:
				require.Equal(t, 3, in(box), "%s in %s", group, box)
			}
		}
	}
	inbox := s.mailbox("bob", "INBOX")
	for id, message := range m.lmtp {
		has := slices.ContainsFunc(inbox, func(k kept) bool { return subject(k.body) == id })
		switch message {
		case tried:
		case done:
			require.False(t, has, "%s was deleted", id)
		default:
			require.True(t, has, "%s was answered with 250 and is lost", id)
			require.True(t, slices.ContainsFunc(inbox, func(k kept) bool { return strings.HasSuffix(k.body, message) }), "%s is not what was sent", id)
		}
	}
}
