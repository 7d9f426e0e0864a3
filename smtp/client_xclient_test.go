package smtp_test

import (
	"net/netip"
	"testing"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

func TestXClientRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		want   string
		cause  error
	}{
		"not offered": {hello("SIZE"), "XCLIENT: the server does not take XCLIENT from here", smtp.ErrNoXClient},
		"refused":     {hello("XCLIENT NAME") + "C: XCLIENT NAME=a.test\nS: 550 5.7.0 insufficient authorization\n", "XCLIENT: 550 5.7.0 insufficient authorization", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := client()
			d.XClient = &smtp.XClient{Name: "a.test"}
			_, err := d.NewConn(t.Context(), peer(t, script(c.script)), "mx.test")
			require.EqualError(t, err, c.want)
			if c.cause != nil {
				require.ErrorIs(t, err, c.cause)
			}
		})
	}
}

// What a client tells by XCLIENT is what the server's handler sees.
func TestXClientToServer(t *testing.T) {
	t.Parallel()
	srv := smtptest.NewUnstartedServer(t)
	srv.Config.XClientFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	srv.Start()
	for _, remote := range []string{"192.0.2.9:4711", "[2001:db8::9]:4711"} {
		d := srv.Dialer()
		d.XClient = &smtp.XClient{Name: "spike.example.org", Addr: netip.MustParseAddrPort(remote), Hello: "hello.example.org", Proto: "ESMTP", Login: "alice=+@example.org",
			Destination: netip.MustParseAddrPort("192.0.2.25:25")}
		srv.Reset()
		_, err := smtp.SendMail(t.Context(), d, srv.Addr, envelope(t, "alice@a.test", "bob@b.test"), letter)
		require.NoError(t, err)
		p := srv.Messages()[0].Peer
		require.Equal(t, remote, p.Remote.String())
		require.Equal(t, "192.0.2.25:25", p.Local.String())
		require.Equal(t, "spike.example.org", p.Name)
		require.Equal(t, "alice=+@example.org", p.Identity)
		require.NotNil(t, p.TLS)
	}
}
