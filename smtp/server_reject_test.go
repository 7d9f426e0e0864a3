package smtp

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type refusing struct{ err error }

func (r refusing) Connect(context.Context, *Peer) (Session, error) { return nil, r.err }

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"450 4.7.1 not now": &Error{Code: 450, Enhanced: EnhancedCode{4, 7, 1}, Text: "not now"},
		"421 4.3.0":         errors.New("database down"),
	} {
		w := serve(t, &Server{Handler: refusing{err}})
		w.reply(want)
		require.ErrorContains(t, w.closed(), want)
	}
}

// RFC 5321 s3.1: behind a 554 the server waits for QUIT, though not for long.
func TestConnectRejected(t *testing.T) {
	t.Parallel()
	notYou := refusing{&Error{Code: 554, Enhanced: EnhancedCode{5, 7, 1}, Text: "not you"}}
	reject := func(t *testing.T) *wire {
		w := serve(t, &Server{Handler: notYou, Auth: fileAuth{}, InsecureAuth: true, Limits: Limits{CommandTimeout: -1}})
		w.reply("554 5.7.1 not you")
		return w
	}
	t.Run("QUIT", func(t *testing.T) {
		t.Parallel()
		w := reject(t)
		for _, command := range []string{"EHLO client.example", "MAIL FROM:<a@example.org>", "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "NOOP", "VRFY bob"} {
			w.ask(command, "503")
		}
		w.quit()
	})
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			w := reject(t)
			w.reply("421 4.4.2")
			require.Error(t, w.closed())
			require.Equal(t, 10*time.Second, time.Since(start))
		})
	})
	t.Run("no end", func(t *testing.T) {
		t.Parallel()
		w := reject(t)
		for range 19 {
			w.ask("NOOP", "503")
		}
		w.ask("NOOP", "421 4.7.0")
		require.ErrorContains(t, w.closed(), "too many errors")
	})
}
