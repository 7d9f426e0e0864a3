package smtptest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

// A rule for commands leaves everything else as it is, whatever is sent and however it is cut.
func TestServerCommandsPassThrough(t *testing.T) {
	t.Parallel()
	body := "Subject: x\r\n\r\nDATA\r\n.\r\nNOOP\r\n" + strings.Repeat("x", 10000) + "\r\nNOOP\r\n"
	for name, set := range map[string]func(*smtptest.Server){
		"BDAT":     func(s *smtptest.Server) {},
		"DATA":     func(s *smtptest.Server) { s.Config.Withhold = smtp.ExtChunking },
		"STARTTLS": func(s *smtptest.Server) { s.Config.TLSConfig = smtptest.NewUnstartedServer(t).Config.TLSConfig },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := bubble(t, set)
				srv.Script(smtptest.Rule{On: smtptest.OnCommand, Address: "NOOP", Reply: smtptest.Reply(450, "4.5.0 no noop")})
				d := srv.Dialer()
				d.TLS = nil
				c, err := d.Dial(t.Context(), srv.Addr)
				require.NoError(t, err)
				defer c.Close()
				for range 2 {
					e, err := smtp.NewEnvelope("alice@example.org", "bob@example.org")
					require.NoError(t, err)
					_, err = c.Send(t.Context(), e, smtp.StringContent(body))
					require.NoError(t, err)
					require.ErrorContains(t, c.Noop(t.Context()), "450 4.5.0 no noop")
				}
				require.Len(t, srv.Messages(), 2)
				require.Equal(t, body, string(srv.Messages()[1].Data))
			})
		})
	}
}

// Under TLS the rules hold as well, and for connections that were there before them. A chunk that is refused is taken out of the stream.
func TestServerCommandsUnderTLS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := bubble(t, func(s *smtptest.Server) { s.Config.TLSConfig = smtptest.NewUnstartedServer(t).Config.TLSConfig })
		d := srv.Dialer()
		d.TLSConfig.InsecureSkipVerify = true // the certificate is another server's
		c, err := d.Dial(t.Context(), srv.Addr)
		require.NoError(t, err)
		defer c.Close()
		require.NotNil(t, c.TLS().State)
		e, err := smtp.NewEnvelope("alice@example.org", "bob@example.org")
		require.NoError(t, err)
		srv.Script(
			smtptest.Rule{On: smtptest.OnCommand, Address: "BDAT", Times: 1, Reply: smtptest.Reply(452, "4.3.1 no room")},
			smtptest.Rule{On: smtptest.OnCommand, Address: "MAIL", Skip: 1, Times: 1, Delay: time.Minute, Reply: smtptest.Reply(451, "4.7.1 later")},
			smtptest.Rule{On: smtptest.OnCommand, Address: "RCPT", Skip: 2, Times: 1, Reply: smtptest.Reply(550, "5.1.1 nobody")},
			smtptest.Rule{On: smtptest.OnCommand, Address: "NOOP", Times: 1, Drop: true},
		)
		start := time.Now()
		for _, want := range []string{"end of data: 452 4.3.1 no room", "MAIL FROM:<alice@example.org>: 451 4.7.1 later", "RCPT TO:<bob@example.org>: 550 5.1.1 nobody"} {
			_, err = c.Send(t.Context(), e, smtp.StringContent("Subject: x\n\nRSET\n"))
			require.ErrorContains(t, err, want)
		}
		require.Equal(t, time.Minute, time.Since(start))
		require.ErrorContains(t, c.Noop(t.Context()), "NOOP: unexpected EOF")
		require.Empty(t, srv.Messages())
	})
}
