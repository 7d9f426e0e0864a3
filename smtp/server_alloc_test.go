package smtp

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A script is a connection without a network: each Read gives what the client says next, and replies are dropped. It ends after a number of
// messages, each of 1 KiB.
type script struct {
	net.Conn       // nil: what is not here is not used
	messages       int
	next           int // of the lines; 0 begins the session
	readDeadlines  int // how often set
	writeDeadlines int
}

var scriptLines = [...][]byte{
	[]byte("EHLO client.example\r\n"),
	[]byte("MAIL FROM:<a@example.org>\r\n"), []byte("RCPT TO:<b@example.org>\r\n"), []byte("DATA\r\n"), append(mailText(1<<10), ".\r\n"...),
}

func (s *script) Read(p []byte) (int, error) {
	if s.next == len(scriptLines) {
		s.messages--
		s.next = 1
	}
	if s.messages == 0 {
		return 0, io.EOF
	}
	n := copy(p, scriptLines[s.next])
	s.next++
	return n, nil
}

func (s *script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return scriptAddr }
func (s *script) RemoteAddr() net.Addr             { return scriptAddr }
func (s *script) SetReadDeadline(time.Time) error  { s.readDeadlines++; return nil }
func (s *script) SetWriteDeadline(time.Time) error { s.writeDeadlines++; return nil }

var scriptAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 49152}

func (s *script) play(tb testing.TB, srv *Server, messages int) {
	s.next, s.messages = 0, messages
	if err := srv.ServeConn(context.Background(), s); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkSession is what a message costs the server beside the network: in a session of its own, and as one of many.
func BenchmarkSession(b *testing.B) {
	for name, messages := range map[string]int{"one": 1, "many": 1000} {
		b.Run(name, func(b *testing.B) {
			srv := &Server{Handler: discardAll}
			b.ReportAllocs()
			var s script
			for n := b.N; n > 0; n -= messages {
				s.play(b, srv, min(n, messages))
			}
		})
	}
}

// What the handler keeps is allocated, and nothing else: the two addresses, and by HandlerFunc and the server a transaction, the list of recipients and
// the reader.
func TestMessageAllocations(t *testing.T) {
	srv := &Server{Handler: discardAll}
	var s script
	one := testing.AllocsPerRun(20, func() { s.play(t, srv, 1) })
	many := testing.AllocsPerRun(20, func() { s.play(t, srv, 101) })
	require.LessOrEqual(t, (many-one)/100, 5.0, "of a message")
	require.LessOrEqual(t, one, 20.0, "of a session with a message")
}

// Deadlines are not set for each command: where no time passes, once.
func TestDeadlinesAreSetRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		s.play(t, &Server{Handler: discardAll}, 100)
		require.Equal(t, []int{1, 1}, []int{s.readDeadlines, s.writeDeadlines})
	})
}

// The machine takes commands without allocations, but for what is handed on.
func TestCommandAllocations(t *testing.T) {
	for _, tt := range []struct {
		commands string
		want     float64
	}{
		{"NOOP\r\nRSET\r\nVRFY\r\nno such command\r\nNOOP x\r\n", 0},
		{"MAIL FROM:<a@example.org> SIZE=1000 BODY=8BITMIME SMTPUTF8\r\nRSET\r\n", 1}, // the address
		{"MAIL FROM:<>\r\nRCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE\r\nRSET\r\n", 1},
		{"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: x\r\n\r\n..\r\n.\r\n", 2},
		{"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nBDAT 5 LAST\r\nhello", 2},
	} {
		t.Run(tt.commands, func(t *testing.T) {
			m := machine{settings: &settings{limits: Limits{}.withDefaults(), offer: extDefault}, in: input{buf: make([]byte, smallBuffer)}}
			m.limits.Commands, m.hello, m.extended = -1, "client.example", true
			m.out = make([]byte, 0, 4096)
			require.Equal(t, tt.want, testing.AllocsPerRun(100, func() { feed(&m, tt.commands) }), "%s", m.out)
		})
	}
}

// feed gives the machine commands, all of which are accepted.
func feed(m *machine, commands string) {
	m.out, m.errors = m.out[:0], 0
	m.in.added(copy(m.in.space(), commands))
	for e := m.next(); e != eventInput; e = m.next() {
		if e != eventChunk {
			m.answer(nil)
		}
		if e != eventData && e != eventChunk {
			continue
		}
		for e != eventEnd {
			_, e = m.block()
		}
		m.finish(nil, nil, "")
	}
}
