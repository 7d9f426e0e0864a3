package queue

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// TestDSNParameters relays to hosts with and without DSN: what they are told (RFC 3461 s5.2.1, s5.2.2), and what the sender hears.
func TestDSNParameters(t *testing.T) {
	t.Parallel()
	original := smtp.OriginalRecipient{Type: "rfc822", Address: "Bob@Elsewhere.test"}
	for name, c := range map[string]struct {
		withhold smtp.Extensions
		params   smtp.RcptParams
		refuse   bool
		action   string // of the notification; empty: none
	}{
		"DSN, success":           {params: smtp.RcptParams{Notify: smtp.NotifySuccess, OriginalRecipient: original}},
		"DSN, nothing asked":     {},
		"DSN, refused":           {refuse: true, action: "failed"},
		"DSN, refused, never":    {params: smtp.RcptParams{Notify: smtp.NotifyNever}, refuse: true},
		"DSN, refused, success":  {params: smtp.RcptParams{Notify: smtp.NotifySuccess}, refuse: true},
		"none, success":          {withhold: smtp.ExtDSN, params: smtp.RcptParams{Notify: smtp.NotifySuccess | smtp.NotifyFailure, OriginalRecipient: original}, action: "relayed"},
		"none, failure":          {withhold: smtp.ExtDSN, params: smtp.RcptParams{Notify: smtp.NotifyFailure}},
		"none, nothing asked":    {withhold: smtp.ExtDSN},
		"none, refused":          {withhold: smtp.ExtDSN, refuse: true, action: "failed"},
		"none, refused, failure": {withhold: smtp.ExtDSN, params: smtp.RcptParams{Notify: smtp.NotifyFailure, OriginalRecipient: original}, refuse: true, action: "failed"},
		"none, refused, never":   {withhold: smtp.ExtDSN, params: smtp.RcptParams{Notify: smtp.NotifyNever}, refuse: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := NewMemory()
				defer store.Close()
				w := newWorld(t, store)
				l, err := w.net.Listen("tcp", "192.0.2.1:25")
				require.NoError(t, err)
				var told *smtp.Envelope
				s := &smtp.Server{Hostname: "mx.a.test", Withhold: c.withhold, Handler: smtp.HandlerFunc(func(_ context.Context, _ *smtp.Peer, e *smtp.Envelope, r io.Reader) error {
					told = e
					if _, err := io.Copy(io.Discard, r); err != nil || !c.refuse {
						return err
					}
					return &smtp.Error{Code: 554, Enhanced: smtp.EnhancedCode{5, 7, 1}, Text: "no"}
				})}
				go s.Serve(l)
				defer s.Close()
				w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
				var notices []string
				w.queue.Return = func(_ context.Context, e *smtp.Envelope, c smtp.Content) error {
					require.True(t, e.From.IsNull())
					require.Equal(t, smtp.NotifyNever, e.To[0].Params.Notify)
					notices = append(notices, strings.ReplaceAll(read(t, c), "; ", ";"))
					return nil
				}
				e, err := smtp.NewEnvelope("alice@sender.test", "bob@a.test")
				require.NoError(t, err)
				e.Params = smtp.MailParams{Return: smtp.ReturnHeaders, EnvelopeID: "Q+1=2"}
				e.To[0].Params = c.params
				_, err = w.queue.Enqueue(t.Context(), e, nil, smtp.StringContent("Subject: hi\r\n\r\nhello\r\n"))
				require.NoError(t, err)
				w.run()

				if c.withhold.Has(smtp.ExtDSN) {
					require.Empty(t, told.Params.EnvelopeID)
					require.Empty(t, told.Params.Return)
					require.Equal(t, smtp.RcptParams{}, told.To[0].Params)
				} else {
					require.Equal(t, "Q+1=2", told.Params.EnvelopeID)
					require.Equal(t, smtp.ReturnHeaders, told.Params.Return)
					require.Equal(t, c.params, told.To[0].Params)
				}
				if c.action == "" {
					require.Empty(t, notices)
					return
				}
				require.Len(t, notices, 1)
				require.Contains(t, notices[0], "Action: "+c.action)
				require.Contains(t, notices[0], "Original-Envelope-Id: Q+1=2")
				require.Equal(t, c.params.OriginalRecipient != smtp.OriginalRecipient{}, strings.Contains(notices[0], "Original-Recipient: rfc822;Bob@Elsewhere.test"))
				require.NotContains(t, notices[0], "\r\nhello\r\n", "RET=HDRS")
			})
		})
	}
}

// TestHowMuchComesBack is RFC 3461 s4.3: what the sender said, and of a large message no more than its header where nothing was said.
func TestHowMuchComesBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ret  smtp.DSNReturn
		size int
		body bool
	}{
		"small": {"", 1000, true}, "large": {"", maxReturned + 1, false},
		"small, header asked for": {smtp.ReturnHeaders, 1000, false}, "large, all asked for": {smtp.ReturnFull, maxReturned + 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := NewMemory()
				defer store.Close()
				w := newWorld(t, store)
				var notice string
				w.queue.Return = func(_ context.Context, _ *smtp.Envelope, c smtp.Content) error {
					notice = read(t, c)
					return nil
				}
				e, err := smtp.NewEnvelope("alice@sender.test", "bob@nowhere.test")
				require.NoError(t, err)
				e.Params.Return = c.ret
				text := "Subject: the subject\r\n\r\n" + strings.Repeat("the body\r\n", c.size/10)
				_, err = w.queue.Enqueue(t.Context(), e, nil, smtp.StringContent(text))
				require.NoError(t, err)
				w.run()
				require.Contains(t, notice, "Subject: the subject")
				require.Equal(t, c.body, strings.Contains(notice, "the body"))
			})
		})
	}
}

// TestLostNotification cannot deliver a notification: nobody is told by mail (RFC 5321 s6.1), and whoever reads the log is.
func TestLostNotification(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		var log bytes.Buffer
		w.queue.Logger = slog.New(slog.NewTextHandler(&log, nil))
		w.send("", "alice@nowhere.test")
		w.run()
		require.Empty(t, w.got)
		require.Contains(t, log.String(), "level=WARN")
	})
}
