package smtptest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

const letter = "Subject: Welcome\r\n\r\n.Hello Bob\r\n"

func send(t *testing.T, srv *smtptest.Server, to ...string) (*smtp.Result, error) {
	e, err := smtp.NewEnvelope("alice@example.org", to...)
	require.NoError(t, err)
	return smtp.SendMail(t.Context(), srv.Dialer(), srv.Addr, e, smtp.StringContent(letter))
}

func TestServer(t *testing.T) {
	t.Parallel()
	srv := smtptest.NewServer(t)
	r, err := send(t, srv, "bob@example.org", "carol@example.org")
	require.NoError(t, err)
	require.Equal(t, "STARTTLS", r.TLS.Reason)
	require.True(t, r.TLS.Verified)
	got := srv.Messages()
	require.Len(t, got, 1)
	require.Equal(t, letter, string(got[0].Data))
	require.Equal(t, "alice@example.org", got[0].Envelope.From.String())
	require.True(t, got[0].To("CAROL@example.org"))
	require.False(t, got[0].To("dave@example.org"))
	require.NotNil(t, got[0].Peer.TLS)
	text, err := got[0].Message().Text()
	require.NoError(t, err)
	require.Contains(t, text, ".Hello Bob")
	require.Equal(t, 1, srv.Connections())
	srv.Reset()
	require.Empty(t, srv.Messages())
	srv.Close()
	srv.Close()
	_, err = send(t, srv, "bob@example.org")
	require.Error(t, err)
}

func TestServerModes(t *testing.T) {
	t.Parallel()
	t.Run("implicit TLS", func(t *testing.T) {
		t.Parallel()
		srv := smtptest.NewUnstartedServer(t)
		srv.StartTLS()
		r, err := send(t, srv, "bob@example.org")
		require.NoError(t, err)
		require.True(t, r.TLS.Implicit)
		require.Len(t, srv.Messages(), 1)
	})
	t.Run("no TLS", func(t *testing.T) {
		t.Parallel()
		srv := smtptest.NewUnstartedServer(t)
		srv.Config.TLSConfig = nil
		srv.Start()
		r, err := send(t, srv, "bob@example.org")
		require.NoError(t, err)
		require.Nil(t, r.TLS.State)
	})
	t.Run("submission", func(t *testing.T) {
		t.Parallel()
		srv := smtptest.NewUnstartedServer(t)
		srv.Config.Mode = smtp.Submission
		srv.Users = map[string]string{"alice": "secret"}
		srv.Start()
		_, err := send(t, srv, "bob@example.org")
		require.NoError(t, err)
		require.Equal(t, "alice", srv.Messages()[0].Peer.Identity)
		for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"} {
			d := srv.Dialer()
			d.Auth.Mechanisms = []string{mechanism}
			c, err := d.Dial(t.Context(), srv.Addr)
			require.NoError(t, err, mechanism)
			require.NoError(t, c.Quit(t.Context()))
		}
		d := srv.Dialer()
		d.Auth = &smtp.Credentials{Username: "alice", Password: "guess"}
		_, err = d.Dial(t.Context(), srv.Addr)
		e, ok := errors.AsType[*smtp.Error](err)
		require.True(t, ok)
		require.Equal(t, 535, e.Code)
		require.NotContains(t, err.Error(), "guess")
		d.Auth = nil
		c, err := d.Dial(t.Context(), srv.Addr)
		require.NoError(t, err)
		defer c.Close()
		env, _ := smtp.NewEnvelope("a@example.org", "b@example.org")
		_, err = c.Send(t.Context(), env, smtp.StringContent(letter))
		e, ok = errors.AsType[*smtp.Error](err)
		require.True(t, ok)
		require.Equal(t, 530, e.Code)
	})
	t.Run("tokens", func(t *testing.T) {
		t.Parallel()
		srv := smtptest.NewUnstartedServer(t)
		srv.Config.Mode = smtp.Submission
		srv.Tokens = map[string]string{"alice": "ya29.a0"}
		srv.Start()
		for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
			d := srv.Dialer()
			d.Auth.Mechanisms = []string{mechanism}
			c, err := d.Dial(t.Context(), srv.Addr)
			require.NoError(t, err, mechanism)
			require.NoError(t, c.Quit(t.Context()))
			d.Auth.Token = func(context.Context) (string, error) { return "guess", nil }
			_, err = d.Dial(t.Context(), srv.Addr)
			e, ok := errors.AsType[*smtp.Error](err)
			require.True(t, ok)
			require.Equal(t, 535, e.Code)
		}
	})
	t.Run("users without TLS", func(t *testing.T) {
		t.Parallel()
		srv := smtptest.NewUnstartedServer(t)
		srv.Config.TLSConfig, srv.Users = nil, map[string]string{"alice": "secret"}
		srv.Start()
		_, err := send(t, srv, "bob@example.org")
		require.NoError(t, err)
		require.Equal(t, "alice", srv.Messages()[0].Peer.Identity)
	})
	t.Run("LMTP", func(t *testing.T) {
		t.Parallel()
		srv := smtptest.NewUnstartedServer(t)
		srv.Config.Mode = smtp.LMTP
		srv.Script(smtptest.Rule{On: smtptest.OnMessage, Address: "full@*", Reply: smtptest.Reply(452, "4.2.2 full")})
		srv.Start()
		r, err := send(t, srv, "bob@example.org", "full@example.org")
		require.ErrorContains(t, err, "452 4.2.2 full")
		require.NoError(t, r.Recipients[0].Err)
		require.Error(t, r.Recipients[1].Err)
		require.Len(t, srv.Messages(), 1)
		require.False(t, srv.Messages()[0].To("full@example.org"))
	})
}

func TestServerScript(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		rules []smtptest.Rule
		want  []string // of one attempt after the other
		kept  int
	}{
		{"greylisting", []smtptest.Rule{{On: smtptest.OnRcpt, Times: 1, Reply: smtptest.Reply(451, "4.7.1 later")}},
			[]string{"RCPT TO:<bob@example.org>: 451 4.7.1 later", ""}, 1},
		{"from the second on", []smtptest.Rule{{On: smtptest.OnMessage, Skip: 1, Reply: smtptest.Reply(554, "5.7.1 spam")}},
			[]string{"", "end of data: 554 5.7.1 spam"}, 1},
		{"sender", []smtptest.Rule{{On: smtptest.OnMail, Address: "alice@*", Reply: smtptest.Reply(550, "5.7.1 not you")}},
			[]string{"MAIL FROM:<alice@example.org>: 550 5.7.1 not you"}, 0},
		{"connection", []smtptest.Rule{{On: smtptest.OnConnect, Times: 1, Reply: smtptest.Reply(554, "go away")}},
			[]string{"connect: 554 5.0.0 go away", ""}, 1},
		{"421", []smtptest.Rule{{On: smtptest.OnRcpt, Reply: smtptest.Reply(421, "4.3.2 going down")}},
			[]string{"RCPT TO:<bob@example.org>: 421 4.3.2 going down"}, 0},
		{"DATA", []smtptest.Rule{{On: smtptest.OnCommand, Address: "data", Times: 1, Reply: smtptest.Reply(452, "4.3.1 no room")}},
			[]string{"DATA: 452 4.3.1 no room", "", ""}, 2},
		{"dropped at MAIL", []smtptest.Rule{{On: smtptest.OnMail, Times: 1, Drop: true}},
			[]string{"MAIL FROM:<alice@example.org>: unexpected EOF", ""}, 1},
		{"dropped in the message", []smtptest.Rule{{On: smtptest.OnData, Octets: 10, Times: 1, Drop: true}},
			[]string{"end of data: the message may have been delivered", ""}, 1},
		{"refused in the message", []smtptest.Rule{{On: smtptest.OnData, Octets: 10, Reply: smtptest.Reply(554, "5.7.1 enough")}},
			[]string{"end of data: 554 5.7.1 enough"}, 0},
		{"refused behind the message", []smtptest.Rule{{On: smtptest.OnData, Octets: 1000, Drop: true}}, []string{""}, 1},
		{"dropped at EHLO", []smtptest.Rule{{On: smtptest.OnCommand, Address: "EHLO", Times: 1, Drop: true}},
			[]string{"EHLO client.test: unexpected EOF", ""}, 1},
		{"no EHLO", []smtptest.Rule{{On: smtptest.OnCommand, Address: "EHLO", Reply: smtptest.Reply(502, "5.5.1 what")}}, []string{"", ""}, 2},
		{"421 at EHLO", []smtptest.Rule{{On: smtptest.OnCommand, Address: "EHLO", Reply: smtptest.Reply(421, "4.3.2 one\ntwo")}},
			[]string{"EHLO client.test: 421 4.3.2 one / two"}, 0},
		{"somebody else", []smtptest.Rule{{On: smtptest.OnRcpt, Address: "carol@*", Reply: smtptest.Reply(550, "no")}}, []string{""}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			srv := smtptest.NewUnstartedServer(t)
			srv.Config.TLSConfig, srv.Config.Withhold = nil, smtp.ExtChunking
			srv.Start()
			srv.Script(c.rules...)
			for _, want := range c.want {
				_, err := send(t, srv, "bob@example.org")
				if want == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, want)
				}
			}
			require.Len(t, srv.Messages(), c.kept)
		})
	}
}

func TestServerCertPEM(t *testing.T) {
	t.Parallel()
	srv := smtptest.NewServer(t)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(srv.CertPEM()))
	_, port, err := net.SplitHostPort(srv.Addr)
	require.NoError(t, err)
	d := &smtp.Dialer{Hostname: "client.test", TLS: smtp.TLSRequired, TLSConfig: &tls.Config{RootCAs: pool}}
	c, err := d.Dial(t.Context(), "localhost:"+port)
	require.NoError(t, err)
	require.NoError(t, c.Quit(t.Context()))
}

// Who waits without a deadline for what does not come is told what came instead.
func TestServerWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := bubble(t, func(*smtptest.Server) {})
		_, err := srv.Wait(t.Context(), 1)
		require.EqualError(t, err, "smtptest: 0 of 1 messages were received: after 10s: context deadline exceeded")
		for range 7 {
			require.NoError(t, srv.Send(t.Context(), "alice@example.org", []string{"bob@example.org", "carol@example.org"}, "Subject: hi\n\nhi\n"))
		}
		start := time.Now()
		_, err = srv.WaitFor(t.Context(), func(m *smtptest.Received) bool { return m.To("dave@example.org") })
		require.Equal(t, 10*time.Second, time.Since(start))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		one := `"hi" to <bob@example.org> <carol@example.org>`
		require.ErrorContains(t, err, "none of 7 messages is the one that was waited for ("+strings.Repeat(one+", ", 5)+"...): after 10s")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = srv.Wait(ctx, 8)
		require.ErrorContains(t, err, "7 of 8")
		require.Equal(t, 70*time.Second, time.Since(start))
	})
}

// bubble starts a server in memory, for tests with time.
func bubble(t *testing.T, set func(*smtptest.Server)) *smtptest.Server {
	var n memnet.Network
	l, err := n.Listen("tcp", "192.0.2.1:25")
	require.NoError(t, err)
	srv := smtptest.NewUnstartedServer(t)
	srv.Listener, srv.NetDial, srv.Config.TLSConfig = l, n.DialContext, nil
	set(srv)
	srv.Start()
	return srv
}

func TestServerWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := bubble(t, func(*smtptest.Server) {})
		go func() {
			for _, who := range []string{"bob", "carol"} {
				time.Sleep(time.Second)
				require.NoError(t, srv.Send(t.Context(), "alice@example.org", []string{who + "@example.org"}, letter))
			}
		}()
		start := time.Now()
		got, err := srv.Wait(t.Context(), 2)
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Equal(t, 2*time.Second, time.Since(start))
		carol := func(m *smtptest.Received) bool { return m.To("carol@example.org") }
		m, err := srv.WaitFor(t.Context(), carol)
		require.NoError(t, err)
		require.Same(t, got[1], m)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = srv.Wait(ctx, 3)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "2 of 3")
		_, err = srv.WaitFor(ctx, func(*smtptest.Received) bool { return false })
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestServerFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault smtptest.Fault
		want  string
		after time.Duration
	}{
		{"drop in the greeting", smtptest.Fault{Kind: smtptest.Drop, At: 5}, "connect: unexpected EOF", 0},
		{"drop in the message", smtptest.Fault{Kind: smtptest.Drop, On: smtptest.ToServer, At: 90}, "unexpected EOF", 0},
		{"garble", smtptest.Fault{Kind: smtptest.Garble, At: 0}, "not an SMTP reply", 0},
		{"stall", smtptest.Fault{Kind: smtptest.Stall, At: 10, Delay: 30 * time.Second}, "", 30 * time.Second},
		{"stall for too long", smtptest.Fault{Kind: smtptest.Stall, At: 10, Delay: time.Hour}, "timeout", 5 * time.Minute},
		{"slow", smtptest.Fault{Kind: smtptest.Slow, On: smtptest.ToServer, At: 0, Delay: time.Second}, "", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := bubble(t, func(s *smtptest.Server) { s.Faults = smtptest.Always(c.fault) })
				start := time.Now()
				err := srv.Send(t.Context(), "alice@example.org", []string{"bob@example.org"}, letter)
				if c.want == "" {
					require.NoError(t, err)
					require.Equal(t, letter, string(srv.Messages()[0].Data))
				} else {
					require.ErrorContains(t, err, c.want)
					require.Empty(t, srv.Messages())
				}
				if c.after >= 0 {
					require.Equal(t, c.after, time.Since(start))
				} else {
					require.Greater(t, time.Since(start), time.Minute)
				}
			})
		})
	}
}

// Whatever breaks, a message that the client believes to be delivered is there, and whole; and the same seed breaks the same.
func TestServerChaos(t *testing.T) {
	t.Parallel()
	outcome := func(t *testing.T, seed uint64) string {
		var b strings.Builder
		srv := bubble(t, func(s *smtptest.Server) { s.Faults = smtptest.Chaos(seed, 0.7, 400, 10*time.Minute) })
		for range 20 {
			before := len(srv.Messages())
			err := srv.Send(t.Context(), "alice@example.org", []string{"bob@example.org"}, letter)
			if err == nil {
				require.Len(t, srv.Messages(), before+1)
				b.WriteByte('+')
			} else {
				e, ok := errors.AsType[*smtp.Error](err)
				require.True(t, ok, "%v", err)
				require.NotContains(t, e.Error(), "panic")
				b.WriteByte('-')
			}
		}
		return b.String()
	}
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			first := outcome(t, seed)
			require.Equal(t, first, outcome(t, seed))
			require.Contains(t, first, "+")
			require.Contains(t, first, "-")
		})
	}
}
