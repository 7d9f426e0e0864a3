package imap_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
)

// A mirror is a client that knows of the mailbox only what untagged responses have told it.
type mirror struct {
	*client
	rnd      *rand.Rand
	messages []mirrored
}

type mirrored struct {
	uid   uint64 // 0: not known yet
	known bool   // the flags
	flags string
}

var (
	countResponse = regexp.MustCompile(`^\* (\d+) (EXISTS|EXPUNGE)$`)
	fetchResponse = regexp.MustCompile(`^\* (\d+) FETCH \((?:UID (\d+) ?)?(?:FLAGS \(([^)]*)\) ?)?(?:MODSEQ \((\d+)\))?`)
)

// hear takes in what came before a tagged response. holds says that no EXPUNGE may be among it.
func (m *mirror) hear(lines []string, holds bool) {
	for _, l := range lines {
		if p := countResponse.FindStringSubmatch(l); p != nil {
			n, _ := strconv.Atoi(p[1])
			if p[2] == "EXPUNGE" {
				require.False(m.t, holds, "EXPUNGE where none may be")
				require.LessOrEqual(m.t, n, len(m.messages))
				m.messages = slices.Delete(m.messages, n-1, n)
				continue
			}
			require.GreaterOrEqual(m.t, n, len(m.messages), "EXISTS never takes away")
			for len(m.messages) < n {
				m.messages = append(m.messages, mirrored{})
			}
		} else if p := fetchResponse.FindStringSubmatch(l); p != nil {
			n, _ := strconv.Atoi(p[1])
			require.LessOrEqual(m.t, n, len(m.messages), l)
			at := &m.messages[n-1]
			if p[2] != "" {
				uid, _ := strconv.ParseUint(p[2], 10, 32)
				require.True(m.t, at.uid == 0 || at.uid == uid, "%s: the number stands for UID %d", l, at.uid)
				at.uid = uid
			}
			if strings.Contains(l, "FLAGS (") {
				flags := strings.Fields(p[3])
				slices.Sort(flags)
				at.flags, at.known = strings.Join(flags, " "), true
			}
		}
	}
}

func (m *mirror) do(holds bool, format string, args ...any) {
	untagged, end := m.cmd(format, args...)
	require.NotRegexp(m.t, `^BAD`, end, format, args)
	m.hear(untagged, holds)
}

// learn asks for what EXISTS has announced.
func (m *mirror) learn() {
	for i, k := range m.messages {
		if !k.known {
			m.do(true, "FETCH %d:* (UID FLAGS)", i+1)
			return
		}
	}
}

func (m *mirror) step() {
	m.learn()
	seq := func() int { return 1 + m.rnd.IntN(max(len(m.messages), 1)) }
	uid := func() uint64 {
		if len(m.messages) == 0 {
			return 1
		}
		return max(m.messages[seq()-1].uid, 1)
	}
	flags := []string{`\Seen`, `\Deleted`, `\Flagged`, `one`, `two`}
	flag := flags[m.rnd.IntN(len(flags))]
	op := []string{"+FLAGS", "-FLAGS", "FLAGS"}[m.rnd.IntN(3)]
	switch k := m.rnd.IntN(20); {
	case k < 4:
		m.do(false, "APPEND INBOX (%s) {%d+}\r\n%s", flag, len(hello), hello)
	case k < 5:
		m.do(false, "EXPUNGE")
	case k < 6:
		m.do(false, "UID EXPUNGE %d:%d", uid(), uid())
	case k < 7:
		m.do(false, "UID MOVE %d Trash", uid())
	case k < 8:
		m.do(false, "UID COPY %d INBOX", uid())
	case k < 10:
		m.do(false, "UID STORE %d:%d %s (%s)", uid(), uid(), op, flag)
	case k < 12: // silent: the client changes its own picture
		u := uid()
		m.do(false, "UID STORE %d +FLAGS.SILENT (%s)", u, flag)
		for i := range m.messages {
			if at := &m.messages[i]; at.uid == u && !slices.Contains(strings.Fields(at.flags), flag) {
				f := append(strings.Fields(at.flags), flag)
				slices.Sort(f)
				at.flags = strings.Join(f, " ")
			}
		}
	case k < 13:
		m.do(false, "NOOP")
	case len(m.messages) == 0:
	case k < 15:
		m.do(true, "STORE %d:%d %s (%s)", seq(), seq(), op, flag)
	case k < 16:
		m.do(true, "FETCH %d:%d BODY[]<0.5>", seq(), seq())
	case k < 17:
		m.do(true, "SEARCH %d:* SUBJECT hello", seq())
	case k < 18:
		m.do(true, "FETCH %d FLAGS", seq())
	default:
		m.do(false, "UID FETCH %d:* BODY.PEEK[TEXT]", uid())
	}
}

func newMirror(t testing.TB, srv *imap.Server, seed uint64, condstore bool) *mirror {
	m := &mirror{client: login(t, srv), rnd: rand.New(rand.NewPCG(seed, 1))}
	if condstore {
		m.ok("ENABLE CONDSTORE")
	}
	m.hear(m.ok("SELECT INBOX"), false)
	return m
}

// settle brings a mirror to the end of all changes.
func (m *mirror) settle() string {
	m.do(false, "NOOP")
	m.learn()
	return fmt.Sprint(m.messages)
}

// TestPictures has several sessions change one mailbox at random. Each must end up with the same picture, rebuilt from untagged responses alone.
func TestPictures(t *testing.T) {
	t.Parallel()
	const sessions, steps = 4, 300
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("in turn %d", seed), func(t *testing.T) {
			t.Parallel()
			srv := newServer(t)
			var all []*mirror
			for i := range sessions {
				all = append(all, newMirror(t, srv, seed<<8|uint64(i), i%2 == 0))
			}
			turn := rand.New(rand.NewPCG(seed, 2))
			for range steps {
				all[turn.IntN(sessions)].step()
			}
			want := newMirror(t, srv, 0, false).settle()
			for i, m := range all {
				require.Equal(t, want, m.settle(), "session %d", i)
			}
		})
	}
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		srv := newServer(t)
		var all []*mirror
		for i := range sessions {
			all = append(all, newMirror(t, srv, uint64(i), i%2 == 0))
		}
		var wg sync.WaitGroup
		for _, m := range all {
			wg.Go(func() {
				for range steps {
					m.step()
				}
			})
		}
		wg.Wait()
		want := newMirror(t, srv, 0, false).settle()
		for i, m := range all {
			require.Equal(t, want, m.settle(), "session %d", i)
		}
	})
}
