package bench

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
)

// imapServers give the address of a server with a full INBOX of alice.
var imapServers = []struct {
	name  string
	start func(b *testing.B, l net.Listener)
}{
	{"mailroom-memory", func(b *testing.B, l net.Listener) { serveIMAP(b, "memory", l) }},
	{"mailroom-sqlite", func(b *testing.B, l net.Listener) { serveIMAP(b, "sqlite", l) }},
	{"go-imap-memory", func(b *testing.B, l net.Listener) {
		store, user := newGoIMAP(b)
		for i := range mailboxSize {
			require.NoError(b, deliverGoIMAP(user, Letter(i)))
		}
		s := imapserver.New(&imapserver.Options{
			NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
				return store.NewSession(), nil, nil
			},
			Caps:         goimap.CapSet{goimap.CapIMAP4rev1: {}, goimap.CapIMAP4rev2: {}},
			InsecureAuth: true,
		})
		go s.Serve(l)
	}},
}

func serveIMAP(b *testing.B, store string, l net.Listener) {
	s := &imap.Server{Backend: full(b, store), Auth: anybody{}, InsecureAuth: true}
	go s.Serve(l)
	b.Cleanup(func() { s.Close() })
}

func listen(b *testing.B) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	b.Cleanup(func() { l.Close() })
	return l
}

// imapClient sends one command at a time, and reads answers as fast as it can without looking at them.
type imapClient struct {
	net.Conn
	buf []byte
}

func dialIMAP(b *testing.B, addr string) *imapClient {
	conn, err := net.Dial("tcp", addr)
	require.NoError(b, err)
	b.Cleanup(func() { conn.Close() })
	c := &imapClient{conn, make([]byte, 256<<10)}
	_, err = c.Read(c.buf)
	require.NoError(b, err)
	c.run(b, "LOGIN alice secret")
	c.run(b, "SELECT INBOX")
	return c
}

// run gives the octets of the answer.
func (c *imapClient) run(b *testing.B, cmd string) (octets int64) {
	if _, err := io.WriteString(c, "z "+cmd+"\r\n"); err != nil {
		b.Fatal(err)
	}
	for tail := "\r\n"; ; {
		n, err := c.Read(c.buf)
		if err != nil {
			b.Fatal(err)
		}
		octets += int64(n)
		tail += string(c.buf[max(0, n-300):n])
		tail = tail[max(0, len(tail)-300):]
		if !strings.HasSuffix(tail, "\r\n") {
			continue
		}
		last := tail[strings.LastIndex(tail[:len(tail)-2], "\r\n")+2:]
		if strings.HasPrefix(last, "z OK") {
			return octets
		}
		if strings.HasPrefix(last, "z ") {
			b.Fatalf("%s: %s", cmd, last)
		}
	}
}

// BenchmarkIMAP runs commands on a mailbox with 10,000 messages of 2 KiB, over loopback TCP without TLS. MB/s is what came over the wire.
func BenchmarkIMAP(b *testing.B) {
	clients := make([]func() *imapClient, len(imapServers))
	for i, s := range imapServers {
		clients[i] = sync.OnceValue(func() *imapClient {
			l := listen(b)
			s.start(b, l)
			return dialIMAP(b, l.Addr().String())
		})
	}
	for _, c := range []struct{ name, cmd, undo string }{
		{"FETCH envelope", "FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)", ""},
		{"FETCH flags", "UID FETCH 1:* (FLAGS)", ""},
		{"FETCH body", "FETCH 1:* BODY.PEEK[]", ""},
		{"FETCH fields", "FETCH 1:* BODY.PEEK[HEADER.FIELDS (From Subject)]", ""},
		{"SEARCH SUBJECT", `SEARCH SUBJECT "number 777 of"`, ""},
		{"SEARCH FROM", "SEARCH FROM sender42", ""},
		{"SEARCH HEADER", `SEARCH HEADER Message-ID "<4242@"`, ""},
		{"SEARCH TEXT", `SEARCH TEXT "zulu yankee"`, ""},
		{"SEARCH UNSEEN", "SEARCH SINCE 1-Feb-1994 UNSEEN", ""},
		{"STORE", `STORE 1:* +FLAGS.SILENT (\Flagged)`, `STORE 1:* -FLAGS.SILENT (\Flagged)`},
		{"SELECT", "SELECT INBOX", ""},
		{"NOOP", "NOOP", ""},
	} {
		for i, s := range imapServers {
			b.Run(c.name+"/"+s.name, func(b *testing.B) {
				client := clients[i]()
				b.ReportAllocs()
				var octets int64
				b.ResetTimer()
				for b.Loop() {
					octets = client.run(b, c.cmd)
					if c.undo != "" {
						client.run(b, c.undo)
					}
				}
				if octets > 1<<20 {
					b.SetBytes(octets)
				}
			})
		}
	}
}

// BenchmarkIMAPLogin connects, logs in, selects and goes.
func BenchmarkIMAPLogin(b *testing.B) {
	for _, s := range imapServers {
		b.Run(s.name, func(b *testing.B) {
			l := listen(b)
			s.start(b, l)
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				dialIMAP(b, l.Addr().String()).Close()
			}
		})
	}
}
