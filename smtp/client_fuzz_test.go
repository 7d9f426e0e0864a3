package smtp_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// hostile is a server that says what it likes, whatever it is told, and hangs up.
type hostile struct {
	in      *strings.Reader
	written int
	sent    strings.Builder
}

func (h *hostile) Read(p []byte) (int, error) { return h.in.Read(p) }
func (h *hostile) Write(p []byte) (int, error) {
	h.written += len(p)
	h.sent.Write(p)
	return len(p), nil
}
func (h *hostile) Close() error                     { return nil }
func (h *hostile) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (h *hostile) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (h *hostile) SetDeadline(time.Time) error      { return nil }
func (h *hostile) SetReadDeadline(time.Time) error  { return nil }
func (h *hostile) SetWriteDeadline(time.Time) error { return nil }

// stepped gives one reply for each read, as a server does that waits for commands.
type stepped struct{ *hostile }

func (s stepped) Read(p []byte) (int, error) {
	rest := s.in.Len()
	if rest == 0 {
		return 0, io.EOF
	}
	for n := range p {
		b, err := s.in.ReadByte()
		if err != nil {
			return n, nil
		}
		if p[n] = b; b == '\n' {
			return n + 1, nil
		}
	}
	return len(p), nil
}

// FuzzClient has a server say anything. The client neither panics nor hangs, its result is whole, and nobody's mail is reported as delivered unless the
// server said so.
func FuzzClient(f *testing.F) {
	for _, d := range dialogs {
		var b strings.Builder
		for line := range strings.Lines(d.script) {
			if text, ok := strings.CutPrefix(strings.TrimSpace(line), "S: "); ok {
				b.WriteString(text + "\r\n")
			}
		}
		f.Add(b.String(), byte(0))
		f.Add(b.String(), byte(1))
	}
	f.Add("220 x\r\n250-x\r\n250 AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256\r\n334 \r\n334 \r\n235 ok\r\n", byte(4))
	f.Add("220 x\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n", byte(8))
	f.Add("220 x\r\n250-x\r\n250 XCLIENT NAME LOGIN\r\n220 y\r\n250 x\r\n250 ok\r\n250 ok\r\n452 no\r\n354 go\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n", byte(32))
	f.Fuzz(func(t *testing.T, in string, mode byte) {
		h := &hostile{in: strings.NewReader(in)}
		var nc net.Conn = stepped{h}
		if mode&16 != 0 {
			nc = h
		}
		d := client()
		d.LMTP = mode&1 != 0
		if mode&2 != 0 {
			d.Ignore = []string{"CHUNKING"}
		}
		if mode&4 != 0 {
			d.Auth = &smtp.Credentials{Username: "u", Password: "secret"}
		}
		if mode&32 != 0 {
			d.XClient = &smtp.XClient{Name: "a.test", Login: "u=+"}
		}
		if mode&8 == 0 {
			d.TLS = smtp.TLSNever
		}
		c, err := d.NewConn(t.Context(), nc, "localhost")
		if err != nil {
			checkError(t, err)
			return
		}
		e := envelope(t, "alice@a.test", "bob@b.test", "carol@b.test")
		e.Params.Return, e.To[0].Params.Notify = smtp.ReturnFull, smtp.NotifyNever
		for range 3 {
			r, err := c.Send(t.Context(), e, letter)
			require.Len(t, r.Recipients, 2)
			if err == nil {
				require.NotZero(t, r.Accepted())
			}
			if err != nil {
				checkError(t, err)
			}
			for _, rcpt := range r.Recipients {
				if rcpt.Err == nil {
					require.Equal(t, 2, rcpt.Reply.Code/100)
					require.Contains(t, h.sent.String(), "two\r\n", "the message was sent")
				} else {
					checkError(t, rcpt.Err)
				}
			}
		}
		require.Less(t, h.written, 4096+100*len(in))
		_ = c.Quit(t.Context())
		_, err = c.Send(t.Context(), e, letter)
		require.ErrorIs(t, err, smtp.ErrConnUnusable)
	})
}

func checkError(t *testing.T, err error) {
	e, ok := errors.AsType[*smtp.Error](err)
	require.True(t, ok, "%v", err)
	if e.Code == 0 { // the client says it
		require.Error(t, e.Err)
		require.Contains(t, []int{4, 5}, e.Enhanced[0], "%v", err)
	} else { // the server says it
		require.NoError(t, e.Err)
		require.True(t, e.Code >= 400 && e.Code < 600, "%v", err)
	}
	require.Equal(t, e.Code/100 == 5 || e.Code == 0 && e.Enhanced[0] == 5, !e.Temporary(), "%v", err)
	require.NotContains(t, err.Error(), "\r")
	require.NotContains(t, err.Error(), "c2VjcmV0")
}
