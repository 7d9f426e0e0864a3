package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// whole is a dialog with each phase, over which failures are spread. The command behind each line of the server is the one that it answers.
var whole = []struct{ line, command string }{
	{"S: 220 mx.test", "connect"},
	{"C: EHLO client.test", ""},
	{"S: 250-mx.test", "EHLO client.test"},
	{"S: 250 8BITMIME", "EHLO client.test"},
	{"C: MAIL FROM:<alice@a.test>", ""},
	{"S: 250 2.1.0 ok", "MAIL FROM:<alice@a.test>"},
	{"C: RCPT TO:<bob@b.test>", ""},
	{"S: 250 2.1.5 ok", "RCPT TO:<bob@b.test>"},
	{"C: RCPT TO:<carol@b.test>", ""},
	{"S: 550 5.1.1 no", "RCPT TO:<carol@b.test>"},
	{"C: DATA", ""},
	{"S: 354 go on", "DATA"},
	{"C: Subject: hi\nC:\nC: ..one\nC: two\nC: .", ""},
	{"S: 250 2.0.0 queued", "end of data"},
}

// sendWhole plays whole up to a line of the server, of which only so many octets come, and then what is in last.
func sendWhole(t *testing.T, ctx context.Context, line, octets int, last string) (*smtp.Result, error) {
	var b strings.Builder
	for _, l := range whole[:line] {
		b.WriteString(l.line + "\n")
	}
	b.WriteString("s: " + (strings.TrimPrefix(whole[line].line, "S: ") + "\r\n")[:octets] + "\n" + last)
	s := script(strings.ReplaceAll(b.String(), "\r\n\n", "\n"))
	if strings.Contains(string(s), "\r\n") {
		t.Fatal("a whole line is no cut")
	}
	e := envelope(t, "alice@a.test", "bob@b.test", "carol@b.test")
	conn, err := client().NewConn(ctx, peer(t, s), "mx.test")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r, err := conn.Send(ctx, e, letter)
	_, again := conn.Send(background, e, letter)
	require.ErrorIs(t, again, smtp.ErrConnUnusable)
	return r, err
}

// eachCut calls f for each place at which the dialog can break off: in front of a line, and within it.
func eachCut(t *testing.T, f func(t *testing.T, line, octets int)) {
	for i, l := range whole {
		if !strings.HasPrefix(l.line, "S:") {
			continue
		}
		for n := range len(l.line) - 2 { // up to the CR
			t.Run(fmt.Sprintf("%s/%d", l.line[3:6]+" to "+l.command, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { f(t, i, n) })
			})
		}
	}
}

// Wherever the server hangs up, the error is temporary, names the command, and nobody is told to have the mail.
func TestClientServerHangsUp(t *testing.T) {
	t.Parallel()
	eachCut(t, func(t *testing.T, line, octets int) {
		r, err := sendWhole(t, background, line, octets, "X:")
		e, ok := errors.AsType[*smtp.Error](err)
		require.True(t, ok, "%v", err)
		require.True(t, e.Temporary())
		require.Equal(t, whole[line].command, e.Command)
		require.ErrorContains(t, err, "EOF")
		if r != nil {
			require.Zero(t, r.Accepted())
			carol, _ := errors.AsType[*smtp.Error](r.Recipients[1].Err)
			require.Equal(t, line < 10, carol.Temporary(), "who was refused stays refused")
		}
	})
}

// Each phase has the deadline of RFC 5321 s4.5.3.2.
func TestClientTimeouts(t *testing.T) {
	t.Parallel()
	eachCut(t, func(t *testing.T, line, octets int) {
		want := 5 * time.Minute
		switch whole[line].command {
		case "DATA":
			want = 2 * time.Minute
		case "end of data":
			want = 10 * time.Minute
		}
		start := time.Now()
		_, err := sendWhole(t, background, line, octets, "P: 1h")
		require.Equal(t, want, time.Since(start))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		e, ok := errors.AsType[*smtp.Error](err)
		require.True(t, ok)
		require.True(t, e.Temporary())
		require.Equal(t, whole[line].command, e.Command)
	})
}

// The end of a context ends everything at once.
func TestClientContext(t *testing.T) {
	t.Parallel()
	eachCut(t, func(t *testing.T, line, octets int) {
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(background)
		defer cancel(nil)
		time.AfterFunc(time.Second, func() { cancel(cause) })
		start := time.Now()
		_, err := sendWhole(t, ctx, line, octets, "P: 1h")
		require.Equal(t, time.Second, time.Since(start))
		require.ErrorIs(t, err, cause)
	})
}

func TestClientBlockTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := hello() + `
			C: MAIL FROM:<alice@a.test>
			S: 250 ok
			C: RCPT TO:<bob@b.test>
			S: 250 ok
			C: DATA
			S: 354 go on
			P: 1h
			X:`
		conn, err := client().NewConn(background, peer(t, script(s)), "mx.test")
		require.NoError(t, err)
		start := time.Now()
		_, err = conn.Send(background, envelope(t, "alice@a.test", "bob@b.test"), smtp.StringContent(strings.Repeat("0123456789abcdef\r\n", 1<<14)))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 3*time.Minute, time.Since(start))
	})
}

func TestDialTimeoutAndRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.Network{Link: func(_ string, _, to netip.AddrPort) memnet.Link {
			return memnet.Link{BlackHole: to.Addr() == netip.MustParseAddr("192.0.2.9")}
		}}
		d := client()
		d.NetDial = n.DialContext
		start := time.Now()
		_, err := d.Dial(background, "192.0.2.9:25")
		require.Equal(t, 30*time.Second, time.Since(start))
		e, ok := errors.AsType[*smtp.Error](err)
		require.True(t, ok)
		require.True(t, e.Temporary())
		require.Equal(t, smtp.EnhancedCode{4, 4, 1}, e.Enhanced)

		_, err = d.Dial(background, "192.0.2.1:25")
		e, ok = errors.AsType[*smtp.Error](err)
		require.True(t, ok)
		require.True(t, e.Temporary())
		require.Equal(t, "connect to 192.0.2.1:25", e.Command)
		_, ok = errors.AsType[*net.OpError](err)
		require.True(t, ok)

		_, err = d.Dial(background, "no port")
		e, ok = errors.AsType[*smtp.Error](err)
		require.True(t, ok)
		require.True(t, e.Temporary(), "whoever configured this will mend it, and no mail need be returned until then")
		require.Equal(t, smtp.EnhancedCode{4, 3, 5}, e.Enhanced)
	})
}

// A server that says why before it hangs up while the message is still under way is heard.
func TestClientHearsLastWord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := hello() + `
			C: MAIL FROM:<alice@a.test>
			S: 250 ok
			C: RCPT TO:<bob@b.test>
			S: 250 ok
			C: DATA
			S: 354 go on
			P: 1s
			S: 552 5.3.4 enough of it
			X:`
		conn, err := client().NewConn(background, peer(t, script(s)), "mx.test")
		require.NoError(t, err)
		r, err := conn.Send(background, envelope(t, "alice@a.test", "bob@b.test"), smtp.StringContent(strings.Repeat("0123456789abcdef\r\n", 1<<14)))
		require.Equal(t, "bob DATA: 552 5.3.4 enough of it; DATA: 552 5.3.4 enough of it", outcome(r, err))
	})
}

// brokenContent has n good octets and then fails.
type brokenContent int

var errDisk = errors.New("the disk is on fire")

func (n brokenContent) Size() int64 { return -1 }
func (n brokenContent) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x\r\n", int(n)/3)), iotest.ErrReader(errDisk))), nil
}

// A message that cannot be read to its end is never ended by the client as if it were whole.
func TestClientContentFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		octets     int
		extensions string
		dead       bool
	}{
		{"at once", 0, "CHUNKING", false},
		{"looked through for 8-bit octets", 3 << 15, "SIZE", false},
		{"DATA", 3 << 15, "8BITMIME", true},
		{"BDAT", 3 << 15, "CHUNKING", false},
		{"BDAT pipelined", 3 << 15, "CHUNKING PIPELINING", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server, nc := memnet.Pipe()
			defer nc.Close()
			done := make(chan []byte, 1)
			go func() { done <- answer(server, c.extensions) }()
			conn, err := client().NewConn(background, nc, "mx.test")
			require.NoError(t, err)
			r, err := conn.Send(background, envelope(t, "alice@a.test", "bob@b.test"), brokenContent(c.octets))
			require.ErrorIs(t, err, errDisk)
			e, _ := errors.AsType[*smtp.Error](err)
			require.True(t, e.Temporary())
			require.Zero(t, r.Accepted())
			if c.dead {
				require.ErrorIs(t, conn.Noop(background), smtp.ErrConnUnusable)
			} else {
				require.NoError(t, conn.Noop(background))
			}
			conn.Close()
			got := string(<-done)
			require.NotContains(t, got, "\r\n.\r\n")
			require.NotContains(t, got, "LAST")
		})
	}
}

// failingConn breaks at the nth write, with replies still to be read.
type failingConn struct {
	*hostile
	writes int
}

func (c *failingConn) Read(p []byte) (int, error) { return stepped{c.hostile}.Read(p) }

func (c *failingConn) Write(p []byte) (int, error) {
	if c.writes--; c.writes < 0 {
		return 0, syscall.EPIPE
	}
	return c.hostile.Write(p)
}

// When a write fails, the reply to an earlier command is not taken for the reason: it would refuse everybody for good.
func TestClientWriteFails(t *testing.T) {
	t.Parallel()
	var to []string
	for range 150 {
		to = append(to, "bob@b.test")
	}
	for _, c := range []struct{ last, want string }{
		{"", "broken pipe"},
		{"421 4.7.0 too many\r\n", "421 4.7.0 too many"},
	} {
		replies := "220 x\r\n250-x\r\n250 PIPELINING\r\n" + strings.Repeat("250 ok\r\n", 51) + "550 5.1.1 who\r\n" + c.last
		nc := &failingConn{&hostile{in: strings.NewReader(replies)}, 2}
		conn, err := client().NewConn(background, nc, "mx.test")
		require.NoError(t, err)
		r, err := conn.Send(background, envelope(t, "alice@a.test", to...), letter)
		require.ErrorContains(t, err, c.want)
		require.Zero(t, r.Accepted())
		e, _ := errors.AsType[*smtp.Error](r.Recipients[140].Err)
		require.True(t, e.Temporary())
	}
}

func TestClientGreetingRefuses(t *testing.T) {
	t.Parallel()
	for greeting, temporary := range map[string]bool{"554 no mail here": false, "421 later": true, "450 later": true} {
		s := "S: " + greeting
		if greeting[:3] != "421" {
			s += "\nC: QUIT\nS: 221 bye" // RFC 5321 s4.1.1.10
		}
		_, err := client().NewConn(background, peer(t, script(s)), "mx.test")
		e, ok := errors.AsType[*smtp.Error](err)
		require.True(t, ok)
		require.Equal(t, temporary, e.Temporary())
		require.Equal(t, "connect", e.Command)
		require.NoError(t, e.Err)
	}
}

// Who dials the wrong port sees what answers there.
func TestClientWrongServer(t *testing.T) {
	t.Parallel()
	for banner, want := range map[string]string{
		"S: SSH-2.0-OpenSSH_9.2p1":                  `connect: "SSH-2.0-OpenSSH_9.2p1": ` + badReply,
		"S: * OK IMAP4rev1\u00fc":                   `connect: "* OK IMAP4rev1\u00fc": ` + badReply,
		"S: 220 hi\nC: EHLO client.test\nS: <html>": "EHLO client.test: " + badReply,
	} {
		_, err := client().NewConn(background, peer(t, script(banner)), "mx.test")
		require.EqualError(t, err, want)
		require.ErrorIs(t, err, smtp.ErrBadReply)
	}
}

func TestDialerHostname(t *testing.T) {
	t.Parallel()
	d := smtp.Dialer{Hostname: "bücher.example"}
	c, err := d.NewConn(background, peer(t, "S: 220 hi\nC: EHLO xn--bcher-kva.example\nS: 250 hi\nC: QUIT\nS: 221 bye"), "mx.test")
	require.NoError(t, err)
	require.NoError(t, c.Quit(background))
	for _, name := range []string{"a b", "a\r\nRSET", "a\x00", "ü\xff", "ü b", strings.Repeat("a", 256)} {
		d := smtp.Dialer{Hostname: name}
		c, s := memnet.Pipe()
		_, err := d.NewConn(background, c, "mx.test")
		e, ok := errors.AsType[*smtp.Error](err)
		require.True(t, ok)
		require.Equal(t, smtp.EnhancedCode{4, 3, 5}, e.Enhanced)
		require.ErrorContains(t, err, "the Hostname of the Dialer is no domain")
		s.Close()
	}
}
