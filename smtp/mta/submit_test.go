package mta

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/queue"
	"github.com/stretchr/testify/require"
)

// TestAuthor submits messages that say different things of who wrote and sent them.
func TestAuthor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, header, want string
	}{
		"own":                                 {"alice@here.test", "From: Alice <alice@here.test>\n", "250"},
		"none: made of MAIL":                  {"alice@here.test", "Subject: x\n", "250"},
		"none, and no sender":                 {"", "Subject: x\n", "550 5.6.0"},
		"own, and no sender: a receipt":       {"", "From: alice@here.test\n", "250"},
		"a colleague":                         {"alice@here.test", "From: bob@here.test\n", "550 5.7.1"},
		"a stranger":                          {"alice@here.test", "From: dora@there.test\n", "550 5.7.1"},
		"a colleague as well":                 {"alice@here.test", "From: alice@here.test, bob@here.test\nSender: alice@here.test\n", "550 5.7.1"},
		"a colleague in a second field":       {"alice@here.test", "From: alice@here.test\nFrom: bob@here.test\n", "550 5.6.0"},
		"nobody can read it":                  {"alice@here.test", "From: bob at here.test\n", "550 5.7.1"},
		"empty":                               {"alice@here.test", "From: \n", "550 5.6.0"},
		"a colleague as sender":               {"alice@here.test", "From: alice@here.test\nSender: bob@here.test\n", "550 5.7.1"},
		"resent, of a stranger":               {"alice@here.test", "Resent-From: alice@here.test\nFrom: dora@there.test\nSender: list@there.test\n", "250"},
		"resent, of a colleague":              {"alice@here.test", "Resent-From: alice@here.test\nFrom: bob@here.test\n", "550 5.7.1"},
		"resent by a colleague":               {"alice@here.test", "Resent-From: bob@here.test\nFrom: alice@here.test\n", "550 5.7.1"},
		"resent, what was resent to the user": {"alice@here.test", "Resent-From: alice@here.test\nResent-From: dora@there.test\nFrom: eve@else.test\n", "250"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				r := h.send("587", "alice@here.test", c.from, c.header+"To: bob@here.test\nResent-Bcc: secret@here.test\n\nbody\n", "bob@here.test")
				require.Equal(t, []string{c.want}, replies(r))
				if c.want != "250" {
					require.Empty(t, h.box("bob@here.test", "INBOX"))
					return
				}
				got := h.box("bob@here.test", "INBOX")
				require.Len(t, got, 1)
				for _, want := range []string{"\r\nFrom: ", "\r\nDate: ", "\r\nMessage-ID: <"} {
					require.Equal(t, 1, strings.Count(got[0], want), want)
				}
				require.NotContains(t, got[0], "secret@here.test")
			})
		})
	}
}

// TestHeldMail submits for later: nobody has it before, users here and elsewhere have it then, and who asked for it hears of that.
func TestHeldMail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.mta.Queue.Router = h.mta.Router(&queue.RelayRouter{Addr: "192.0.2.99:25"})
		var there atomic.Int32
		h.serve("192.0.2.99:25", &smtp.Server{Handler: smtp.HandlerFunc(func(_ context.Context, _ *smtp.Peer, e *smtp.Envelope, r io.Reader) error {
			there.Add(1)
			require.Equal(t, "dora", e.To[0].Path.Local)
			_, err := io.Copy(io.Discard, r)
			return err
		})})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.mta.Queue.Run(ctx) }()
		began := time.Now()
		e, err := smtp.NewEnvelope("alice@here.test", "bob@here.test", "carol@here.test", "dora@there.test")
		require.NoError(t, err)
		e.Params.HoldFor = 24 * time.Hour
		e.To[0].Params.Notify = smtp.NotifySuccess
		text := "From: alice@here.test\r\nSubject: later\r\n\r\n" + strings.Repeat("x", 1200) + "\r\n"
		for range 2 { // carol has room for one
			r, err := smtp.SendMail(t.Context(), h.submitter("alice@here.test"), "192.0.2.1:587", e, smtp.StringContent(text))
			require.NoError(t, err)
			require.Equal(t, []string{"250", "250", "250"}, replies(r))
		}
		time.Sleep(time.Until(began.Add(24*time.Hour - time.Minute)))
		synctest.Wait()
		require.Empty(t, h.box("bob@here.test", "INBOX"))
		require.Zero(t, there.Load())
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Len(t, h.box("bob@here.test", "INBOX"), 2)
		require.Len(t, h.box("carol@here.test", "INBOX"), 1)
		require.EqualValues(t, 2, there.Load())
		notices := h.box("alice@here.test", "INBOX")
		require.Len(t, notices, 3)
		all := strings.ReplaceAll(strings.Join(notices, ""), "; ", ";")
		require.Equal(t, 2, strings.Count(all, "Final-Recipient: rfc822;bob@here.test\r\nAction: delivered"), all)
		require.Equal(t, 1, strings.Count(all, "Final-Recipient: rfc822;carol@here.test\r\nAction: failed\r\nStatus: 5.2.2"))
		cancel()
		require.NoError(t, <-done)
	})
}

// TestLargestMessage has messages of just the size that is allowed: what is added to them here, and notices about them, may go beyond it.
func TestLargestMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.mta.Queue.Router = h.mta.Router(&queue.RelayRouter{Addr: "192.0.2.99:25"})
		h.mta.MaxSize = 1900
		text := "From: alice@here.test\r\nSubject: large\r\n\r\n"
		text += strings.Repeat("x", 1900-len(text)-2) + "\r\n"
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.mta.Queue.Run(ctx) }()
		send := func(hold time.Duration, to ...string) []string {
			e, err := smtp.NewEnvelope("alice@here.test", to...)
			require.NoError(t, err)
			e.Params.HoldFor = hold
			r, err := smtp.SendMail(t.Context(), h.submitter("alice@here.test"), "192.0.2.1:587", e, smtp.StringContent(text))
			if err != nil {
				require.Error(t, r.Err())
			}
			return replies(r)
		}
		require.Equal(t, []string{"250"}, send(0, "bob@here.test"))
		require.Equal(t, []string{"250"}, send(time.Hour, "bob@here.test"))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Len(t, h.box("bob@here.test", "INBOX"), 2)
		require.Empty(t, h.box("alice@here.test", "INBOX"))
		// Carol has room for the message, and not for its trace fields.
		require.Equal(t, []string{"250", "250"}, send(0, "bob@here.test", "carol@here.test"))
		require.Len(t, h.box("bob@here.test", "INBOX"), 3)
		require.Len(t, h.box("alice@here.test", "INBOX"), 1)
		text += "x\r\n"
		require.Equal(t, []string{"552 5.3.4"}, send(0, "bob@here.test"))
		cancel()
		require.NoError(t, <-done)
	})
}

// TestHoldIsForUsers refuses what strangers, and contradictions, ask for.
func TestHoldIsForUsers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		ask := func(identity string, p smtp.MailParams) string {
			s, err := h.mta.Connect(t.Context(), nil)
			require.NoError(t, err)
			from, err := smtp.NewEnvelope("alice@here.test", "bob@here.test")
			require.NoError(t, err)
			if _, err = s.Begin(t.Context(), &smtp.Peer{Identity: identity}, from.From, p); err == nil {
				return "250"
			}
			return strings.Join(strings.Fields(err.Error())[:2], " ")
		}
		require.Equal(t, "550 5.7.1", ask("", smtp.MailParams{HoldFor: time.Hour}))
		require.Equal(t, "550 5.7.1", ask("", smtp.MailParams{HoldUntil: time.Now().Add(time.Hour)}))
		require.Equal(t, "250", ask("alice@here.test", smtp.MailParams{HoldUntil: time.Now().Add(time.Hour)}))
		require.Equal(t, "250", ask("alice@here.test", smtp.MailParams{HoldFor: time.Hour, DeliverBy: &smtp.DeliverBy{Within: 2 * time.Hour}}))
		require.Equal(t, "501 5.5.4", ask("alice@here.test", smtp.MailParams{HoldFor: time.Hour, DeliverBy: &smtp.DeliverBy{Within: time.Hour}}))
	})
}
