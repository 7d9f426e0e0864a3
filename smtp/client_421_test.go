package smtp_test

import (
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

// A server may hang up with 421 whenever it likes (RFC 5321 s3.8): the client says so in the server's words, at once, and the next attempt is a new one. Where the
// connection is cut without a word instead, it is the client who says it.
func TestClientHangUp(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]smtptest.Rule{
		"connect":        {On: smtptest.OnConnect},
		"EHLO":           {On: smtptest.OnCommand, Address: "EHLO"},
		"STARTTLS":       {On: smtptest.OnCommand, Address: "STARTTLS"},
		"EHLO under TLS": {On: smtptest.OnCommand, Address: "EHLO", Skip: 1},
		"AUTH":           {On: smtptest.OnCommand, Address: "AUTH"},
		"MAIL":           {On: smtptest.OnCommand, Address: "MAIL"},
		"RCPT":           {On: smtptest.OnCommand, Address: "RCPT"},
		"DATA":           {On: smtptest.OnCommand, Address: "DATA"},
		"BDAT":           {On: smtptest.OnCommand, Address: "BDAT"},
		"message":        {On: smtptest.OnMessage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, drop := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					var n memnet.Network
					l, err := n.Listen("tcp", "192.0.2.1:25")
					require.NoError(t, err)
					srv := smtptest.NewUnstartedServer(t)
					srv.Listener, srv.NetDial = l, n.DialContext
					srv.Users = map[string]string{"alice": "secret"}
					if name == "DATA" {
						srv.Config.Withhold = smtp.ExtChunking
					}
					srv.Start()
					rule := rule
					rule.Times, rule.Drop = 1, drop
					if !drop {
						rule.Reply = smtptest.Reply(421, "4.3.2 going down")
					}
					srv.Script(rule)
					e := envelope(t, "alice@a.test", "bob@b.test")
					r, err := smtp.SendMail(t.Context(), srv.Dialer(), srv.Addr, e, letter)
					for _, err := range []error{err, r.Recipients[0].Err} {
						var failure *smtp.Error
						require.ErrorAs(t, err, &failure)
						require.True(t, failure.Temporary())
						require.NotEmpty(t, failure.Command)
						if drop {
							require.Zero(t, failure.Code)
							require.Error(t, failure.Err)
							require.Contains(t, []string{"4.4.2", "4.7.5"}, failure.Enhanced.String())
						} else {
							require.Equal(t, 421, failure.Code)
							require.Equal(t, "going down", failure.Text)
							require.NoError(t, failure.Err)
						}
					}
					require.Empty(t, srv.Messages())
					_, err = smtp.SendMail(t.Context(), srv.Dialer(), srv.Addr, e, letter)
					require.NoError(t, err)
					require.Len(t, srv.Messages(), 1)
				})
			}
		})
	}
}
