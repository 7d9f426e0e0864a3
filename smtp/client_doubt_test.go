package smtp_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// When a connection fails, a sender has to know whether the server had all of the message: only then another attempt may deliver it twice.
func TestClientMaybeDelivered(t *testing.T) {
	t.Parallel()
	mail := "C: MAIL FROM:<alice@a.test>\nS: 250 ok\nC: RCPT TO:<bob@b.test>\nS: 250 ok\n"
	data := mail + "C: DATA\nS: 354 go on\n"
	for name, c := range map[string]struct {
		script string
		lmtp   bool
		doubt  bool
		cause  error // nil: the server said it
	}{
		"cut before DATA":            {hello() + mail + "C: DATA\nX:", false, false, io.ErrUnexpectedEOF},
		"cut after the end":          {hello() + data + bodyLines + "X:", false, true, io.ErrUnexpectedEOF},
		"cut within the last reply":  {hello() + data + bodyLines + "s: 25\nX:", false, true, io.ErrUnexpectedEOF},
		"silence after the end":      {hello() + data + bodyLines + "P: 11m", false, true, nil},
		"nonsense after the end":     {hello() + data + bodyLines + "S: what", false, true, smtp.ErrBadReply},
		"another reply at the end":   {hello() + data + bodyLines + "S: 354 go on", false, true, smtp.ErrBadReply},
		"421 at the end":             {hello() + data + bodyLines + "S: 421 4.3.2 down\nX:", false, false, nil},
		"451 at the end":             {hello() + data + bodyLines + "S: 451 4.3.0 full", false, false, nil},
		"cut after the last chunk":   {hello("CHUNKING") + mail + chunkLines + "X:", false, true, io.ErrUnexpectedEOF},
		"451 to the last chunk":      {hello("CHUNKING") + mail + chunkLines + "S: 451 full", false, false, nil},
		"LMTP, cut after the end":    {strings.Replace(hello(), "EHLO", "LHLO", 1) + data + bodyLines + "X:", true, true, io.ErrUnexpectedEOF},
		"LMTP, cut before the reply": {strings.Replace(hello(), "EHLO", "LHLO", 1) + mail + "C: DATA\nX:", true, false, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := client()
				d.LMTP = c.lmtp
				conn, err := d.NewConn(background, peer(t, script(c.script)), "mx.test")
				require.NoError(t, err)
				r, err := conn.Send(background, envelope(t, "alice@a.test", "bob@b.test"), letter)
				for _, err := range []error{err, r.Recipients[0].Err} {
					require.Equal(t, c.doubt, errors.Is(err, smtp.ErrMaybeDelivered), "%v", err)
					var e *smtp.Error
					require.ErrorAs(t, err, &e)
					require.True(t, e.Temporary())
					if c.cause != nil {
						require.ErrorIs(t, err, c.cause)
						require.Zero(t, e.Code)
					}
				}
				conn.Close()
			})
		})
	}
}

func TestClientMaybeDeliveredCanceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		data := "C: MAIL FROM:<alice@a.test>\nS: 250 ok\nC: RCPT TO:<bob@b.test>\nS: 250 ok\nC: DATA\nS: 354 go on\n"
		conn, err := client().NewConn(background, peer(t, script(hello()+data+bodyLines+"P: 1m")), "mx.test")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		_, err = conn.Send(ctx, envelope(t, "alice@a.test", "bob@b.test"), letter)
		require.ErrorIs(t, err, smtp.ErrMaybeDelivered)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
