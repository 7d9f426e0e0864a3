package pop3_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/internal/pop3client"
	"github.com/gomailroom/mailroom/pop3"
	"github.com/gomailroom/mailroom/pop3/pop3test"
	"github.com/stretchr/testify/require"
)

// model is what a maildrop should be: a list, and a set of marks.
type model struct {
	t        *testing.T
	r        *rand.Rand
	store    *pop3test.Memory
	mailbox  []string          // UIDs
	contents map[string]string // by UID
}

// TestModel runs random sessions, each ended in a random way, while mail
// arrives, and compares every answer with the model's.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			m := &model{t: t, r: rand.New(rand.NewPCG(seed, 1)), store: new(pop3test.Memory), contents: map[string]string{}, mailbox: []string{}}
			srv := &pop3.Server{Backend: m.store, Auth: pop3test.Users{"u": "p"}, InsecureAuth: true}
			for range 40 {
				for range m.r.IntN(3) {
					m.deliver()
				}
				a, b := memnet.Pipe()
				ended := make(chan struct{})
				go func() {
					srv.ServeConn(t.Context(), b)
					close(ended)
				}()
				c, err := pop3client.New(t.Context(), a, nil)
				require.NoError(t, err)
				m.session(c)
				c.Close()
				<-ended
				require.Equal(t, m.mailbox, m.store.UIDs("u"))
			}
		})
	}
}

func (m *model) deliver() {
	body := fmt.Sprintf("N: %d\r\n\r\n", len(m.contents))
	for range m.r.IntN(4) {
		body += []string{".\r\n", "..x\r\n", "line\r\n", "\r\n"}[m.r.IntN(4)]
	}
	uid := m.store.Deliver("u", []byte(body))
	m.mailbox = append(m.mailbox, uid)
	m.contents[uid] = body
}

// session runs one, and does to the model what it should do to the store.
func (m *model) session(c *pop3client.Client) {
	require.NoError(m.t, c.Login("u", "p"))
	listed := slices.Clone(m.mailbox)
	marked := map[int]bool{}
	for range m.r.IntN(15) {
		n := m.r.IntN(len(listed)+2) + 1
		there := n <= len(listed) && !marked[n]
		switch m.r.IntN(7) {
		case 0:
			require.Equal(m.t, there, c.Dele(n) == nil)
			if there {
				marked[n] = true
			}
		case 1:
			_, err := c.Cmd("RSET")
			require.NoError(m.t, err)
			clear(marked)
		case 2:
			msg, err := c.Retr(n)
			require.Equal(m.t, there, err == nil)
			if there {
				require.Equal(m.t, m.contents[listed[n-1]], string(msg))
			}
		case 3:
			uids, err := c.UIDL()
			require.NoError(m.t, err)
			want := map[int]string{}
			for i, uid := range listed {
				if !marked[i+1] {
					want[i+1] = uid
				}
			}
			require.Equal(m.t, want, uids)
		case 4:
			messages, octets, err := c.Stat()
			require.NoError(m.t, err)
			require.Equal(m.t, len(listed)-len(marked), messages)
			for i, uid := range listed {
				if !marked[i+1] {
					octets -= int64(len(m.contents[uid]))
				}
			}
			require.Zero(m.t, octets)
		case 5:
			sizes, err := c.List()
			require.NoError(m.t, err)
			require.Len(m.t, sizes, len(listed)-len(marked))
			for i, size := range sizes {
				require.Len(m.t, m.contents[listed[i-1]], int(size))
			}
		case 6:
			m.deliver() // not seen by this session
		}
	}
	if m.r.IntN(3) == 0 {
		return // hangs up: nothing is deleted
	}
	require.NoError(m.t, c.Quit())
	for n := range marked {
		i := slices.Index(m.mailbox, listed[n-1])
		m.mailbox = slices.Delete(m.mailbox, i, i+1)
	}
}
