package mta

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/spam"
	"github.com/stretchr/testify/require"
)

// notebook is a learner that writes down what it is taught.
type notebook struct {
	mu    sync.Mutex
	lines []string
}

func (n *notebook) Learn(_ context.Context, m *spam.Mail, isSpam bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf("%s %s %v", m.Account, m.Message.Header().Text("Subject"), isSpam))
	return nil
}

func (n *notebook) Unlearn(context.Context, *spam.Mail) error { return nil }

func (n *notebook) take() []string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	lines := n.lines
	n.lines = nil
	return lines
}

func TestTrainer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		const bob = "bob@here.test"
		deliver := func(subject, mailbox string, keywords ...string) {
			text := smtp.StringContent("Subject: " + subject + "\r\n\r\nx\r\n")
			r, err := text.Open()
			require.NoError(t, err)
			spool, err := mime.Spool(r, mime.SpoolLimits{})
			require.NoError(t, err)
			for _, err := range h.store.Deliver(t.Context(), mailstore.Incoming{Content: spool}, []mailstore.Target{{Account: bob, Mailbox: mailbox, Keywords: keywords}}) {
				require.NoError(t, err)
			}
		}
		deliver("before", "Junk")
		notes := &notebook{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- (&Trainer{Backend: h.store, Learner: notes}).Run(ctx, bob) }()
		require.Empty(t, notes.take(), "what was there before says nothing")

		account, err := h.store.Account(t.Context(), bob)
		require.NoError(t, err)
		defer account.Close()
		inbox, err := account.Open(t.Context(), "INBOX")
		require.NoError(t, err)
		junk, err := account.Open(t.Context(), "Junk")
		require.NoError(t, err)
		trash, err := account.Open(t.Context(), "Trash")
		require.NoError(t, err)

		deliver("one", "INBOX")
		deliver("two", "Junk", "$Junk")
		require.Empty(t, notes.take(), "what the filter decided says nothing")
		moved, err := inbox.Transfer(t.Context(), imap.UIDSetOf(1), junk.ID(), true)
		require.NoError(t, err)
		require.Equal(t, []string{"bob@here.test one true"}, notes.take(), "moved into Junk")
		_, err = junk.Transfer(t.Context(), moved.Dest, inbox.ID(), true)
		require.NoError(t, err)
		require.Equal(t, []string{"bob@here.test one false"}, notes.take(), "and back")
		_, err = junk.Transfer(t.Context(), imap.UIDSetOf(2), trash.ID(), true)
		require.NoError(t, err)
		require.Empty(t, notes.take(), "thrown away")
		deliver("three", "INBOX")
		require.Empty(t, notes.take())
		_, err = inbox.SetFlags(t.Context(), imap.UIDSetOf(3), imap.FlagChange{Op: imap.FlagsAdd, Keywords: []string{"$Junk"}})
		require.NoError(t, err)
		require.Equal(t, []string{"bob@here.test three true"}, notes.take(), "marked as junk")
		_, err = inbox.SetFlags(t.Context(), imap.UIDSetOf(3), imap.FlagChange{Op: imap.FlagsReplace, Keywords: []string{"$NotJunk"}})
		require.NoError(t, err)
		require.Equal(t, []string{"bob@here.test three false"}, notes.take(), "and not")
		cancel()
		require.NoError(t, <-done)
	})
}
