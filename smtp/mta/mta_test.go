package mta

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
	"github.com/gomailroom/mailroom/mime/dkim"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/spam"
	"github.com/stretchr/testify/require"
)

const hello = "From: Dora <dora@there.test>\nTo: bob@here.test\nSubject: hello\nAuthentication-Results: mx.here.test; spf=pass\nAuthentication-Results: other.test; spf=pass\n\nhello\n"

func TestReceive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		r := h.send("25", "", "dora@there.test", hello, "bob@here.test", "nobody@here.test", "eve@there.test", "carol@here.test", "all@here.test")
		require.Equal(t, []string{"250", "550 5.1.1", "550 5.7.1", "250", "250"}, replies(r))
		got := h.box("bob@here.test", "INBOX")
		require.Len(t, got, 1, "an alias brings no second copy")
		for _, want := range []string{"Return-Path: <dora@there.test>\r\n", "Delivered-To: bob@here.test\r\n", "Received: from client.test ([198.51.100.7])\r\n\tby mx.here.test with ESMTP id ",
			"\r\nSubject: hello\r\nAuthentication-Results: other.test; spf=pass\r\n\r\nhello\r\n"} {
			require.Contains(t, got[0], want)
		}
		require.NotContains(t, got[0], "mx.here.test; spf=pass", "a forged field of our own")
		require.NotContains(t, got[0], "for <", "recipients do not learn of each other")
		require.Len(t, h.box("alice@here.test", "INBOX"), 1)
		require.Len(t, h.box("carol@here.test", "INBOX"), 1)
	})
}

func TestQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var log bytes.Buffer
		h.mta.Logger = slog.New(slog.NewTextHandler(&log, nil))
		large := hello + strings.Repeat("x", 1950) + "\n"
		require.Equal(t, []string{"552 5.2.2"}, replies(h.send("25", "", "dora@there.test", large, "carol@here.test")), "by SIZE, before the message")
		// Without SIZE the store finds out; bob has the message, so dora is notified about carol.
		raw := h.raw("25", "EHLO x", "MAIL FROM:<alice@here.test>", "RCPT TO:<bob@here.test>", "RCPT TO:<carol@here.test>", "DATA", strings.ReplaceAll(large, "\n", "\r\n")+".", "QUIT")
		require.Contains(t, raw, "250 2.0.0 taken as")
		require.Len(t, h.box("bob@here.test", "INBOX"), 1)
		require.Empty(t, h.box("carol@here.test", "INBOX"))
		dsn := h.box("alice@here.test", "INBOX")
		require.Len(t, dsn, 1)
		for _, want := range []string{"Return-Path: <>\r\n", "carol@here.test", "Status: 5.2.2", "multipart/report"} {
			require.Contains(t, dsn[0], want)
		}
		require.Equal(t, []string{"250", "552 5.2.2"}, replies(h.send("24", "", "dora@there.test", large, "bob@here.test", "carol@here.test")), "LMTP tells each")
		require.Contains(t, log.String(), "level=INFO msg=\"cannot file a message\"")
		require.NotContains(t, log.String(), "level=ERROR", "a full mailbox is no failure of the server")
	})
}

// TestNoticeOfRequireTLS tells of a message with REQUIRETLS no more than its header (RFC 8689 s5).
func TestNoticeOfRequireTLS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		s, err := h.mta.Connect(t.Context(), nil)
		require.NoError(t, err)
		e, err := smtp.NewEnvelope("alice@here.test", "bob@here.test", "carol@here.test")
		require.NoError(t, err)
		tr, err := s.Begin(t.Context(), &smtp.Peer{}, e.From, smtp.MailParams{RequireTLS: true, Return: smtp.ReturnFull})
		require.NoError(t, err)
		for _, to := range e.To {
			require.NoError(t, tr.Rcpt(t.Context(), to.Path, to.Params))
		}
		_, err = tr.Data(t.Context(), strings.NewReader("Subject: private\r\n\r\n"+strings.Repeat("xxxxxxxx\r\n", 199)))
		require.NoError(t, err)
		dsn := h.box("alice@here.test", "INBOX")
		require.Len(t, dsn, 1)
		require.Contains(t, dsn[0], "Subject: private\r\n")
		require.NotContains(t, dsn[0], "xxxx")
	})
}

// TestNoQueue: without one, users are told that their mail does not leave.
func TestNoQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.mta.Queue = nil
		r := h.send("587", "alice@here.test", "alice@here.test", "From: alice@here.test\n\nhello\n", "bob@here.test", "dora@there.test")
		require.Equal(t, []string{"250", "550 5.7.1"}, replies(r))
		require.ErrorContains(t, r.Err(), "sends no mail to other domains")
	})
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var there []string
		var from smtp.ReversePath
		l, err := h.net.Listen("tcp", "192.0.2.99:25")
		require.NoError(t, err)
		remote := &smtp.Server{Handler: smtp.HandlerFunc(func(_ context.Context, _ *smtp.Peer, e *smtp.Envelope, r io.Reader) error {
			b, err := io.ReadAll(r)
			there, from = append(there, string(b)), e.From
			return err
		})}
		go remote.Serve(l)
		defer remote.Close()
		pub, key, err := ed25519.GenerateKey(nil)
		require.NoError(t, err)
		record, err := dkim.Record(pub)
		require.NoError(t, err)
		h.mta.Signers = func(domain string) []dkim.Signer {
			require.Equal(t, "here.test", domain)
			return []dkim.Signer{{Domain: domain, Selector: "s", Key: key}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.mta.Queue.Run(ctx) }()

		text := "From: alice@here.test\nTo: bob@here.test, dora@there.test\nBcc: secret@there.test\nSubject: plan\n\nbody\n"
		require.Equal(t, []string{"250", "250", "250", "550 5.1.1"}, replies(h.send("587", "alice@here.test", "alice@here.test", text, "bob@here.test", "dora@there.test", "secret@there.test", "nobody@here.test")))
		synctest.Wait()
		require.Len(t, there, 1)
		require.Equal(t, "alice", from.Local)
		require.Contains(t, there[0], "Message-ID: <")
		require.Contains(t, there[0], "Date: ")
		require.NotContains(t, there[0], "Bcc")
		require.NotContains(t, there[0], "198.51.100.7", "where users are is nobody's business")
		results, err := dkim.Verify(t.Context(), smtp.StringContent(there[0]), txtZone{"s._domainkey.here.test": record})
		require.NoError(t, err)
		require.Len(t, results, 1)
		require.Equal(t, dkim.Pass, results[0].Status, "%v", results[0].Err)
		require.Len(t, h.box("bob@here.test", "INBOX"), 1)

		require.Equal(t, []string{"550 5.7.1"}, replies(h.send("587", "alice@here.test", "bob@here.test", text, "dora@there.test")), "another's address in MAIL")
		require.Equal(t, []string{"550 5.7.1"}, replies(h.send("587", "bob@here.test", "bob@here.test", text, "dora@there.test")), "another's address in From")
		long := "From: alice@here.test\n" + strings.Repeat("X: "+strings.Repeat("x", 900)+"\n", 1200) + "\nbody\n"
		require.Equal(t, []string{"552 5.3.4"}, replies(h.send("587", "alice@here.test", "alice@here.test", long, "dora@there.test")), "it will never be signed")
		cancel()
		require.NoError(t, <-done)
	})
}

type txtZone map[string]string

func (z txtZone) LookupTXT(_ context.Context, name string) ([]string, error) {
	if v, ok := z[name]; ok {
		return []string{v}, nil
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

// oracle judges by a word in the subject.
type oracle struct{ failing bool }

func (o oracle) Score(_ context.Context, m *spam.Mail, s spam.Stage) (*spam.Verdict, error) {
	if o.failing {
		return nil, errors.New("out of order")
	}
	v := &spam.Verdict{Text: "not wanted"}
	if s < spam.StageBody {
		return v, nil
	}
	switch subject := m.Message.Header().Text("Subject"); {
	case strings.Contains(subject, "reject"):
		v.Action = spam.Reject
	case strings.Contains(subject, "defer"):
		v.Action = spam.Defer
	case strings.Contains(subject, "junk"), s == spam.StageAccount && strings.Contains(subject, m.Account):
		v.Action, v.Score, v.Symbols = spam.Junk, 7, []spam.Symbol{{Name: "WORD", Score: 7}}
	}
	return v, nil
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		subject string
		want    []string
		inbox   int
		junk    int
	}{
		{"fine", []string{"250", "250"}, 2, 0},
		{"junk", []string{"250", "250"}, 0, 2},
		{"for bob@here.test only", []string{"250", "250"}, 1, 1},
		{"reject", []string{"550 5.7.1", "550 5.7.1"}, 0, 0},
		{"defer", []string{"451 4.7.1", "451 4.7.1"}, 0, 0},
	} {
		t.Run(c.subject, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.mta.Scorer = oracle{}
				text := strings.Replace(hello, "Subject: hello", "Subject: "+c.subject, 1)
				require.Equal(t, c.want, replies(h.send("25", "", "dora@there.test", text, "alice@here.test", "bob@here.test")))
				inbox := append(h.box("alice@here.test", "INBOX"), h.box("bob@here.test", "INBOX")...)
				junk := append(h.box("alice@here.test", "Junk"), h.box("bob@here.test", "Junk")...)
				require.Len(t, inbox, c.inbox)
				require.Len(t, junk, c.junk)
				for _, m := range junk {
					require.Contains(t, m, "X-Spam-Status: Yes, score=7.00, action=junk;\r\n\tWORD=7.00\r\n")
				}
				for _, m := range append(inbox, junk...) {
					require.True(t, strings.HasPrefix(m, "Return-Path: <dora@there.test>\r\n"), "RFC 5321 s4.4: it begins the message: %s", m)
					require.Contains(t, m, "Authentication-Results: mx.here.test; none\r\n", "our own")
					require.NotContains(t, m, "mx.here.test; spf=pass", "not the forged one")
				}
			})
		})
	}
}

func TestScorerOutOfOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.mta.Scorer = oracle{failing: true}
		require.Equal(t, []string{"250"}, replies(h.send("25", "", "dora@there.test", hello, "bob@here.test")))
		require.Len(t, h.box("bob@here.test", "INBOX"), 1)
	})
}

// failingStore cannot write for now.
type failingStore struct{ *memstore.Store }

func (failingStore) Deliver(_ context.Context, _ mailstore.Incoming, to []mailstore.Target) []error {
	errs := make([]error, len(to))
	for i := range errs {
		errs[i] = &mailstore.TemporaryError{Err: errors.New("disk on fire")}
	}
	return errs
}

func TestStoreOutOfOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.mta.Store = failingStore{h.store}
		require.Equal(t, []string{"451 4.2.0"}, replies(h.send("25", "", "dora@there.test", hello, "bob@here.test")))
	})
}

// TestNothingIsSentTwiceWhileTheStoreFails submits for a user here and one elsewhere: nobody elsewhere gets a copy for each time that it is tried.
func TestNothingIsSentTwiceWhileTheStoreFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.mta.Store = failingStore{h.store}
		for range 3 {
			r := h.send("587", "alice@here.test", "alice@here.test", "From: alice@here.test\n\nhi\n", "bob@here.test", "dora@there.test")
			require.Equal(t, []string{"451 4.2.0", "451 4.2.0"}, replies(r))
		}
		for s := range h.queue.All(t.Context()) {
			require.Fail(t, "queued", "%v", s)
		}
	})
}

// mute is a store that cannot write for alice.
type mute struct{ *memstore.Store }

func (m mute) Deliver(ctx context.Context, in mailstore.Incoming, to []mailstore.Target) []error {
	if to[0].Account == "alice@here.test" {
		return []error{&mailstore.TemporaryError{Err: errors.New("disk on fire")}}
	}
	return m.Store.Deliver(ctx, in, to)
}

// TestFailureThatCannotBeToldIsNotTaken has a message for bob and for carol, whose mailbox is full, and a sender who cannot be notified.
func TestFailureThatCannotBeToldIsNotTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.mta.Store = mute{h.store}
		large := strings.ReplaceAll(hello+strings.Repeat("x", 1950)+"\n", "\n", "\r\n")
		raw := h.raw("25", "EHLO x", "MAIL FROM:<alice@here.test>", "RCPT TO:<bob@here.test>", "RCPT TO:<carol@here.test>", "DATA", large+".", "QUIT")
		require.Contains(t, raw, "451 4.3.0 the message was refused for some")
		require.NotContains(t, raw, "taken as")
	})
}

func TestLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		require.Equal(t, []string{"554 5.4.6"}, replies(h.send("25", "", "dora@there.test", strings.Repeat("Received: by x\n", 51)+hello, "bob@here.test")))
	})
}

func TestSuccessNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		raw := h.raw("25", "EHLO x", "MAIL FROM:<alice@here.test> RET=HDRS ENVID=abc", "RCPT TO:<bob@here.test> NOTIFY=SUCCESS ORCPT=rfc822;Bob@here.test", "DATA",
			strings.ReplaceAll(hello, "\n", "\r\n")+".", "QUIT")
		require.Contains(t, raw, "250 2.0.0 taken as")
		got := h.box("alice@here.test", "INBOX")
		require.Len(t, got, 1)
		for _, want := range []string{"Action: delivered", "Original-Envelope-Id: abc", "Original-Recipient: rfc822;Bob@here.test"} {
			require.Contains(t, strings.ReplaceAll(got[0], "; ", ";"), want)
		}
		require.NotContains(t, got[0], "\r\n\r\nhello\r\n", "only the header comes back")
	})
}

func TestReceivedNamesTheProtocol(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lmtp, extended, utf8 bool
		identity             string
		want                 string
	}{{want: "SMTP"}, {extended: true, want: "ESMTP"}, {extended: true, identity: "a", want: "ESMTPA"}, {extended: true, utf8: true, want: "UTF8SMTP"}, {lmtp: true, want: "LMTP"}} {
		l := &letter{transaction: &transaction{lmtp: c.lmtp, peer: &smtp.Peer{Extended: c.extended, Identity: c.identity}}}
		l.envelope.Params.UTF8 = c.utf8
		require.Equal(t, c.want, l.with())
	}
	p := &smtp.Peer{Remote: netip.MustParseAddrPort("[2001:db8::1]:25")}
	require.Equal(t, "[IPv6:2001:db8::1]", literal(p))
	require.Equal(t, "evilX", word("evil)\r\nX"))
}
