package smtp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// model is what a client that knows the protocol expects of each reply.
type model struct {
	hello, open, chunks, failed bool
	accepted                    int
	lmtp                        bool
	want                        []string // classes of the replies to come
}

func (m *model) expect(class string) { m.want = append(m.want, class) }
func (m *model) reset()              { m.open, m.chunks, m.failed, m.accepted = false, false, false, 0 }

// nobody is the class of the reply to a message for no recipients.
func (m *model) nobody() string {
	if m.lmtp {
		return "503"
	}
	return "554"
}

var modelBodies = []string{"", "x\r\n", "..x\r\n", "a\r\n\r\n..\r\nb\r\n", strings.Repeat("long line of a long message\r\n", 400)}

// step makes up one command and says what must be answered.
func (m *model) step(r *rand.Rand) string {
	switch r.IntN(12) {
	case 0:
		m.reset()
		m.hello = true
		m.expect("250")
		if m.lmtp {
			return "LHLO client.example\r\n"
		}
		return "EHLO client.example\r\n"
	case 1:
		if m.failed || m.open || !m.hello {
			m.expect("503")
		} else {
			m.open = true
			m.expect("250")
		}
		return "MAIL FROM:<" + []string{"a", "early", "lazy", "deaf", "each"}[r.IntN(5)] + "@example.org>\r\n"
	case 2:
		if !m.open || m.chunks || m.failed {
			m.expect("503")
			return "RCPT TO:<no@example.org>\r\n"
		}
		m.expect("550")
		return "RCPT TO:<no@example.org>\r\n"
	case 3, 4, 5:
		if !m.open || m.chunks || m.failed {
			m.expect("503")
		} else {
			m.accepted++
			m.expect("250")
		}
		return "RCPT TO:<bob@example.org>\r\n"
	case 6, 7:
		switch {
		case !m.open, m.chunks, m.failed:
			m.expect("503")
			return "DATA\r\n"
		case m.accepted == 0:
			m.expect(m.nobody())
			return "DATA\r\n"
		}
		m.expect("354")
		m.final()
		return "DATA\r\n" + modelBodies[r.IntN(len(modelBodies))] + ".\r\n"
	case 8, 9:
		body := modelBodies[r.IntN(len(modelBodies))]
		last := ""
		if r.IntN(2) == 0 {
			last = " LAST"
		}
		line := fmt.Sprintf("BDAT %d%s\r\n%s", len(body), last, body)
		switch {
		case m.failed:
			m.expect("503")
			if last != "" {
				m.reset()
			}
		case !m.open:
			m.expect("503")
		case m.accepted == 0:
			m.expect(m.nobody())
		case last != "":
			m.final()
		default:
			m.chunks = true
			m.expect("chunk") // 250, or 554 of the sender "early": then the transaction has failed
		}
		return line
	case 10:
		m.reset()
		m.expect("250")
		return "RSET\r\n"
	}
	m.expect("250")
	return "NOOP\r\n"
}

func (m *model) final() {
	n := 1
	if m.lmtp {
		n = m.accepted
	}
	for range n {
		m.expect("final")
	}
	m.reset()
}

// TestModel runs random sessions: the replies must be those that a model of the protocol expects, one for each command, and the
// handler must be asked in the order that it is promised, whatever the client does and wherever the input is cut.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 7))
		m := &model{lmtp: seed%3 == 0}
		srv := &Server{Limits: Limits{BadCommands: -1, Commands: -1, Refusals: -1}}
		if m.lmtp {
			srv.Mode = LMTP
		}
		// Commands are made up one by one, since the outcome of a chunk is only known by its reply; the session up to each is run anew.
		var input strings.Builder
		for range 25 {
			input.WriteString(m.step(random))
			replies, r, err := converse(&Server{Mode: srv.Mode, Limits: srv.Limits}, cut(random, input.String())...)
			_ = err
			require.Empty(t, r.fault, "seed %d: %q", seed, input.String())
			m.settle(t, replies, seed)
			require.Equal(t, strings.Count(r.log(), "begin"), strings.Count(r.log(), "data")+strings.Count(r.log(), "abort"),
				"seed %d: each transaction ends once\n%s", seed, r.log())
		}
	}
}

// settle compares the replies with those expected.
func (m *model) settle(t *testing.T, replies string, seed uint64) {
	t.Helper()
	var got []string
	for line := range strings.SplitSeq(strings.TrimSuffix(replies, "\r\n"), "\r\n") {
		if len(line) > 3 && line[3] == ' ' {
			got = append(got, line[:3])
		}
	}
	require.Equal(t, "220", got[0])
	got = got[1:]
	require.Len(t, got, len(m.want), "seed %d", seed)
	for i, want := range m.want {
		switch want {
		case "chunk":
			require.Contains(t, []string{"250", "554"}, got[i])
			if i == len(m.want)-1 && got[i] == "554" {
				m.chunks, m.failed = false, true
			}
		case "final":
			require.Contains(t, []string{"250", "554"}, got[i])
		default:
			require.Equal(t, want, got[i], "seed %d, reply %d", seed, i)
		}
	}
}

// cut divides s at random.
func cut(r *rand.Rand, s string) (pieces []string) {
	for s != "" {
		n := 1 + r.IntN(len(s))
		pieces = append(pieces, s[:n])
		s = s[n:]
	}
	return pieces
}
