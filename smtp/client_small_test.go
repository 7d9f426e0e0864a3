package smtp_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// A chunk is refused while the last one is under way: both replies are read, and the connection goes on with RSET.
func TestClientChunkRefusedBeforeTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const line = "0123456789abcd"
		s := hello("CHUNKING", "PIPELINING") + "C: MAIL FROM:<alice@a.test>\nC: RCPT TO:<bob@b.test>\nS: 250 ok\nS: 250 ok\n" +
			"C: BDAT 32768\n" + strings.Repeat("C: "+line+"\n", 2048) + "C: BDAT 160 LAST\n" + strings.Repeat("C: "+line+"\n", 10) +
			"S: 452 4.3.1 full\nS: 503 5.5.1 no\nC: RSET\nC: MAIL FROM:<alice@a.test>\nC: RCPT TO:<bob@b.test>\nS: 250 ok\nS: 250 ok\nS: 250 ok\n" +
			chunkLines + "S: 250 ok"
		conn, err := client().NewConn(background, peer(t, script(s)), "mx.test")
		require.NoError(t, err)
		defer conn.Close()
		e := envelope(t, "alice@a.test", "bob@b.test")
		r, err := conn.Send(background, e, smtp.StringContent(strings.Repeat(line+"\r\n", 2058)))
		require.Equal(t, "bob BDAT: 452 4.3.1 full; BDAT: 452 4.3.1 full", outcome(r, err))
		_, err = conn.Send(background, e, letter)
		require.NoError(t, err)
	})
}

// A message that ends where a chunk ends is ended by an empty chunk.
func TestClientWholeChunks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const line = "0123456789abcd"
		s := hello("CHUNKING") + "C: MAIL FROM:<alice@a.test>\nS: 250 ok\nC: RCPT TO:<bob@b.test>\nS: 250 ok\n" +
			"C: BDAT 32768\n" + strings.Repeat("C: "+line+"\n", 2048) + "S: 250 ok\nC: BDAT 0 LAST\nS: 250 ok"
		conn, err := client().NewConn(background, peer(t, script(s)), "mx.test")
		require.NoError(t, err)
		defer conn.Close()
		r, err := conn.Send(background, envelope(t, "alice@a.test", "bob@b.test"), smtp.StringContent(strings.Repeat(line+"\r\n", 2048)))
		require.NoError(t, err)
		require.Equal(t, int64(32768), r.Size)
	})
}

// What the caller got wrong is found before anything is sent, and the connection stays good.
func TestClientRefusesToSend(t *testing.T) {
	t.Parallel()
	conn, err := client().NewConn(background, peer(t, script(hello("DSN")+"C: NOOP\nS: 250 ok")), "mx.test")
	require.NoError(t, err)
	defer conn.Close()
	for name, change := range map[string]func(e *smtp.Envelope){
		"nobody":         func(e *smtp.Envelope) { e.To = nil },
		"RET":            func(e *smtp.Envelope) { e.Params.Return = "X\r\nRSET" },
		"NOTIFY":         func(e *smtp.Envelope) { e.To[0].Params.Notify = smtp.NotifyNever | smtp.NotifyDelay },
		"null recipient": func(e *smtp.Envelope) { e.To[0].Path = smtp.ForwardPath{} },
		"sender":         func(e *smtp.Envelope) { e.From.Domain = "a.test> BODY=X" },
		"BODY":           func(e *smtp.Envelope) { e.Params.Body = "X" },
	} {
		e := envelope(t, "alice@a.test", "bob@b.test")
		change(e)
		r, err := conn.Send(background, e, letter)
		x, ok := errors.AsType[*smtp.Error](err)
		require.True(t, ok, "%s: %v", name, err)
		require.False(t, x.Temporary(), name)
		require.Zero(t, r.Accepted())
		for _, rcpt := range r.Recipients {
			require.Error(t, rcpt.Err)
		}
	}
	require.NoError(t, conn.Noop(background))
	require.Equal(t, "not offered", conn.TLS().Reason)
	require.NotNil(t, conn.RemoteAddr())
	require.NotNil(t, conn.LocalAddr())
}

func TestNewEnvelope(t *testing.T) {
	t.Parallel()
	e, err := smtp.NewEnvelope("", "<bob@b.test>", "postmaster")
	require.NoError(t, err)
	require.True(t, e.From.IsNull())
	require.Equal(t, "bob@b.test", e.To[0].Path.String())
	_, err = smtp.NewEnvelope("alice", "bob@b.test")
	require.ErrorContains(t, err, `sender "alice"`)
	_, err = smtp.NewEnvelope("alice@a.test", "bob@b.test", "x\r\ny@b.test")
	require.ErrorContains(t, err, `recipient "x\r\ny@b.test"`)
}

func TestBytesContent(t *testing.T) {
	t.Parallel()
	c := smtp.BytesContent("hello")
	require.Equal(t, int64(5), c.Size())
	for range 2 {
		r, err := c.Open()
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, "hello", string(b))
	}
}

func TestReply(t *testing.T) {
	t.Parallel()
	require.NoError(t, smtp.Reply{Code: 250}.Err())
	require.NoError(t, smtp.Reply{Code: 354}.Err())
	r := smtp.Reply{Code: 450, Enhanced: smtp.EnhancedCode{4, 2, 1}, Text: "one\ntwo"}
	require.EqualError(t, r.Err(), "450 4.2.1 one / two")
	require.Equal(t, "450 4.2.1 one / two", r.String())
	require.True(t, r.Temporary())
	require.False(t, r.Permanent())
	require.Error(t, smtp.Reply{}.Err(), "no reply is no success")
}
