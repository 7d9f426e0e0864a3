package smtp_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

// relay hands each transaction on to another server: the whole of it is what Begin has in common with a handler.
type relay struct {
	dialer *smtp.Dialer
	addr   string
}

func (p relay) Connect(ctx context.Context, _ *smtp.Peer) (smtp.Session, error) {
	c, err := p.dialer.Dial(ctx, p.addr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { c.Close() })
	return relaySession{c}, nil
}

type relaySession struct{ *smtp.Conn }

func (s relaySession) Begin(ctx context.Context, _ *smtp.Peer, from smtp.ReversePath, params smtp.MailParams) (smtp.Transaction, error) {
	params.Size = 0
	return s.Conn.Begin(ctx, from, params)
}

func TestProxy(t *testing.T) {
	t.Parallel()
	for _, mode := range []smtp.Mode{smtp.Transfer, smtp.LMTP} {
		for _, withhold := range []smtp.Extensions{0, smtp.ExtChunking | smtp.ExtPipelining} {
			synctest.Test(t, func(t *testing.T) {
				var n memnet.Network
				start := func(addr string, set func(s *smtptest.Server)) *smtptest.Server {
					srv := smtptest.NewUnstartedServer(t)
					srv.Config.TLSConfig, srv.NetDial = nil, n.DialContext
					srv.Config.Mode, srv.Config.Withhold = mode, withhold
					set(srv)
					var err error
					srv.Listener, err = n.Listen("tcp", addr)
					require.NoError(t, err)
					srv.Start()
					return srv
				}
				inner := start("192.0.2.1:25", func(s *smtptest.Server) {
					s.Script(smtptest.Rule{On: smtptest.OnMessage, Address: "full@*", Reply: smtptest.Reply(452, "4.2.2 full")})
					s.Refuse("nobody@*", 550, "5.1.1 who")
				})
				outer := start("192.0.2.2:25", func(s *smtptest.Server) { s.Config.Handler = relay{inner.Dialer(), inner.Addr} })

				conn, err := outer.Dialer().Dial(t.Context(), outer.Addr)
				require.NoError(t, err)
				defer conn.Close()
				e := envelope(t, "alice@a.test", "bob@b.test", "nobody@b.test")
				e.To[0].Params.Notify = smtp.NotifyFailure
				r, err := conn.Send(t.Context(), e, letter)
				require.NoError(t, err)
				require.NoError(t, r.Recipients[0].Err)
				require.ErrorContains(t, r.Recipients[1].Err, "550 5.1.1 who")
				require.Len(t, inner.Messages(), 1)
				require.Equal(t, string(letter), string(inner.Messages()[0].Data))
				require.Equal(t, smtp.NotifyFailure, inner.Messages()[0].Envelope.To[0].Params.Notify)

				r, err = conn.Send(t.Context(), envelope(t, "", "bob@b.test", "full@b.test"), letter)
				if mode == smtp.LMTP {
					require.NoError(t, err)
					require.NoError(t, r.Recipients[0].Err)
					require.Len(t, inner.Messages(), 2)
				} else {
					require.Error(t, err)
					require.Len(t, inner.Messages(), 1)
				}
				require.ErrorContains(t, r.Recipients[1].Err, "452 4.2.2 full")
			})
		}
	}
}

func TestBegin(t *testing.T) {
	t.Parallel()
	from, _ := smtp.ParseReversePath("alice@a.test")
	bob, _ := smtp.ParseForwardPath("bob@b.test")
	open := func(t *testing.T, s string) *smtp.Conn {
		c, err := client().NewConn(background, peer(t, script(s)), "mx.test")
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	t.Run("Abort", func(t *testing.T) {
		t.Parallel()
		c := open(t, hello()+"C: MAIL FROM:<alice@a.test>\nS: 250 ok\nC: RSET\nS: 250 ok\nC: NOOP\nS: 250 ok")
		tr, err := c.Begin(background, from, smtp.MailParams{})
		require.NoError(t, err)
		tr.Abort()
		tr.Abort()
		require.Error(t, tr.Rcpt(background, bob, smtp.RcptParams{}))
		_, err = tr.Data(background, strings.NewReader("x"))
		require.Error(t, err)
		require.NoError(t, c.Reset(background))
		require.NoError(t, c.Noop(background))
	})
	t.Run("a refusal frees the connection", func(t *testing.T) {
		t.Parallel()
		c := open(t, hello()+"C: MAIL FROM:<alice@a.test>\nS: 450 4.7.1 not now\nC: RSET\nS: 250 ok\nC: MAIL FROM:<alice@a.test>\nS: 250 ok")
		_, err := c.Begin(background, from, smtp.MailParams{Return: smtp.ReturnFull})
		require.EqualError(t, err, "MAIL FROM:<alice@a.test>: 450 4.7.1 not now")
		tr, err := c.Begin(background, from, smtp.MailParams{})
		require.NoError(t, err)
		tr.Abort()
	})
	t.Run("what is not offered", func(t *testing.T) {
		t.Parallel()
		c := open(t, hello("SIZE 100", "REQUIRETLS")+"C: MAIL FROM:<alice@a.test>\nS: 250 ok")
		for want, p := range map[error]smtp.MailParams{
			smtp.ErrNo8BitMIME:      {Body: smtp.Body8BitMIME},
			smtp.ErrNoBinaryMIME:    {Body: smtp.BodyBinaryMIME},
			smtp.ErrNoSMTPUTF8:      {UTF8: true},
			smtp.ErrNoRequireTLS:    {RequireTLS: true},
			smtp.ErrMessageTooBig:   {Size: 101},
			smtp.ErrNoFutureRelease: {HoldFor: 1},
			smtp.ErrNoDeliverBy:     {DeliverBy: &smtp.DeliverBy{Return: true}},
		} {
			_, err := c.Begin(background, from, p)
			require.ErrorIs(t, err, want)
		}
		umlaut, _ := smtp.ParseReversePath("jörg@a.test")
		_, err := c.Begin(background, umlaut, smtp.MailParams{})
		require.ErrorIs(t, err, smtp.ErrNoSMTPUTF8)
		tr, err := c.Begin(background, from, smtp.MailParams{Body: smtp.Body7Bit})
		require.NoError(t, err)
		jorg, _ := smtp.ParseForwardPath("jörg@b.test")
		require.ErrorIs(t, tr.Rcpt(background, jorg, smtp.RcptParams{}), smtp.ErrNoSMTPUTF8)
		_, err = tr.Data(background, strings.NewReader("x"))
		require.Error(t, err, "nobody was accepted")
	})
	t.Run("the message breaks off", func(t *testing.T) {
		t.Parallel()
		c := open(t, hello()+"C: MAIL FROM:<alice@a.test>\nS: 250 ok\nC: RCPT TO:<bob@b.test>\nS: 250 ok\nC: RSET\nS: 250 ok")
		tr, err := c.Begin(background, from, smtp.MailParams{})
		require.NoError(t, err)
		require.NoError(t, tr.Rcpt(background, bob, smtp.RcptParams{}))
		_, err = tr.Data(background, io.MultiReader(strings.NewReader("Subject: x\r\n"), iotest.ErrReader(io.ErrUnexpectedEOF)))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NoError(t, c.Reset(background))
	})
}

// A connection may be used by many at once: they take turns.
func TestConnTakesTurns(t *testing.T) {
	t.Parallel()
	srv := smtptest.NewServer(t)
	c, err := srv.Dialer().Dial(t.Context(), srv.Addr)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := c.Send(t.Context(), envelope(t, "alice@a.test", "bob@b.test"), letter)
			if err != nil || r.Err() != nil {
				t.Error(err, r.Err())
			}
		})
	}
	wg.Wait()
	require.Len(t, srv.Messages(), 20)
	require.Equal(t, 1, srv.Connections())

	tr, err := c.Begin(t.Context(), smtp.ReversePath{}, smtp.MailParams{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Send(ctx, envelope(t, "alice@a.test", "bob@b.test"), letter)
	require.ErrorIs(t, err, context.Canceled)
	tr.Abort()
	require.NoError(t, c.Noop(t.Context()), "waiting in vain does no harm")
	require.NoError(t, c.Quit(t.Context()))
	require.ErrorIs(t, c.Noop(t.Context()), smtp.ErrConnUnusable)
	require.Error(t, c.Quit(t.Context()))

	c, err = srv.Dialer().Dial(t.Context(), srv.Addr)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	require.ErrorIs(t, c.Noop(t.Context()), smtp.ErrConnUnusable)
}

// Thousands of recipients and a message of many chunks go through, by every way and over every network.
func TestClientLarge(t *testing.T) {
	t.Parallel()
	big := smtp.StringContent("Subject: big\r\n\r\n" + strings.Repeat(".0123456789abcdef0123456789abcdef0123456789abcdef\r\n", 1<<15))
	var to []string
	for range 900 {
		to = append(to, strings.Repeat("x", 50)+"@b.test")
	}
	for name, withhold := range map[string]smtp.Extensions{
		"BDAT": 0, "DATA": smtp.ExtChunking, "BDAT one by one": smtp.ExtPipelining, "DATA one by one": smtp.ExtChunking | smtp.ExtPipelining,
	} {
		for _, mode := range []smtp.Mode{smtp.Transfer, smtp.LMTP} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				srv := smtptest.NewUnstartedServer(t)
				srv.Config.Withhold, srv.Config.Mode, srv.Config.TLSConfig = withhold, mode, nil
				srv.Start()
				r, err := smtp.SendMail(t.Context(), srv.Dialer(), srv.Addr, envelope(t, "alice@a.test", to...), big)
				require.NoError(t, err)
				require.Equal(t, 900, r.Accepted())
				require.Equal(t, int64(len(big)), r.Size)
				got := srv.Messages()
				require.Len(t, got, 1)
				require.True(t, string(big) == string(got[0].Data))
				require.Len(t, got[0].Envelope.To, 900)
			})
		}
	}
}

// More recipients than the server takes at once get the message in several transactions.
func TestClientTooManyRecipients(t *testing.T) {
	t.Parallel()
	srv := smtptest.NewUnstartedServer(t)
	srv.Config.Limits.Recipients = 2
	srv.Start()
	for name, ignore := range map[string][]string{"announced": nil, "found out": {"LIMITS"}} {
		t.Run(name, func(t *testing.T) {
			srv.Reset()
			d := srv.Dialer()
			d.Ignore = ignore
			r, err := smtp.SendMail(t.Context(), d, srv.Addr, envelope(t, "alice@a.test", "a@b.test", "b@b.test", "c@b.test", "d@b.test", "e@b.test"), letter)
			require.NoError(t, err)
			require.Equal(t, 5, r.Accepted())
			got := srv.Messages()
			require.Len(t, got, 3)
			require.Len(t, got[1].Envelope.To, 2)
			require.True(t, got[2].To("e@b.test"))
		})
	}
}
