//go:build unix

package interop

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
)

// postfix is an instance of Postfix with a configuration, queue and port of its own. It hands everything on to a sink.
type postfix struct {
	addr   string
	id     identity
	sink   *smtptest.Server // gets the mail for all domains but lmtp.test
	lmtp   *smtptest.Server // gets that
	log    func() string
	client *smtp.Dialer
}

// The services of Postfix that receiving and relaying need. The queue manager is woken every second: a message that it finds still locked by the attempt
// before goes back to the incoming queue, and lies there until the next wake-up.
const postfixServices = `
127.0.0.1:%s inet n - n - - smtpd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 1 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
tlsmgr    unix - - n 1000? 1 tlsmgr
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
lmtp      unix - - n - - lmtp
error     unix - - n - - error
retry     unix - - n - - error
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
`

const postfixConfig = `
compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = postfix.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access inline:{ {refused@example.net = 550 5.1.1 nobody here} }
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_tls_security_level = may
smtpd_tls_chain_files = %[2]s, %[3]s
smtpd_client_connection_count_limit = 0
message_size_limit = 20000000
smtp_tls_security_level = secure
smtp_tls_verify_cert_match = mx.test
smtp_tls_secure_cert_match = mx.test
lmtp_tls_security_level = secure
lmtp_tls_secure_cert_match = mx.test
smtp_tls_CAfile = %[4]s
lmtp_tls_CAfile = %[4]s
relayhost = [127.0.0.1]:%[5]s
transport_maps = inline:{ {lmtp.test = lmtp:inet:127.0.0.1:%[6]s} }
smtp_dns_support_level = disabled
lmtp_host_lookup = native
smtp_host_lookup = native
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
`

// startPostfix starts an instance. config and services are added to its main.cf and master.cf.
func startPostfix(t *testing.T, config, services string) *postfix {
	t.Helper()
	program(t, "postfix")
	needRoot(t, "postfix")
	dir := openDir(t)
	id := newIdentity(t, dir, "postfix.test", "mx.test", "127.0.0.1")
	p := &postfix{id: id, sink: id.sink(t, nil), lmtp: id.sink(t, func(s *smtptest.Server) { s.Config.Mode = smtp.LMTP })}
	port := freePort(t)
	p.addr = "127.0.0.1:" + port
	for _, name := range []string{"conf", "queue", "data"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	conf := filepath.Join(dir, "conf")
	write(t, conf, "main.cf", postfixConfig+config, dir, id.key, id.cert, id.authority, portOf(t, p.sink.Addr), portOf(t, p.lmtp.Addr))
	write(t, conf, "master.cf", postfixServices+services, port)
	must(t, dir, "", "chown", "postfix", filepath.Join(dir, "data"))
	p.log = func() string {
		b, _ := os.ReadFile(filepath.Join(dir, "log"))
		return string(b)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix's log:\n%s", p.log())
		}
	})
	must(t, dir, "", "postfix", "-c", conf, "start")
	t.Cleanup(func() {
		if out, err := exec.Command("postfix", "-c", conf, "stop").CombinedOutput(); err != nil {
			t.Errorf("postfix stop: %v\n%s", err, out)
		}
	})
	p.client = &smtp.Dialer{Hostname: "client.test", TLS: smtp.TLSRequired, TLSConfig: id.ca.Client()}
	p.client.TLSConfig.ServerName = "postfix.test"
	return p
}

// TestPostfix sends from the client to Postfix, and Postfix relays to the server: each is peer to the other in both roles.
func TestPostfix(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "", "")
	letter := func(subject, body string) smtp.StringContent {
		return smtp.StringContent("From: alice@example.org\r\nTo: bob@example.net\r\nSubject: " + subject + "\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <" + subject + "@example.org>\r\n\r\n" + body)
	}
	send := func(t *testing.T, d *smtp.Dialer, e *smtp.Envelope, c smtp.Content) *smtp.Result {
		t.Helper()
		r, err := smtp.SendMail(t.Context(), d, p.addr, e, c)
		require.NoError(t, err)
		return r
	}

	t.Run("BDAT and DSN over STARTTLS", func(t *testing.T) {
		body := strings.Repeat(".dot\r\n..dots\r\nand a line\r\n", 3)
		e := newEnvelope(t, "alice@example.org", "bob@example.net")
		e.Params.Return, e.Params.EnvelopeID = smtp.ReturnHeaders, "id+4711"
		e.To[0].Params = smtp.RcptParams{Notify: smtp.NotifySuccess | smtp.NotifyDelay, OriginalRecipient: smtp.OriginalRecipient{Type: "rfc822", Address: "bob+list@example.net"}}
		r := send(t, p.client, e, letter("dsn", body))
		require.Equal(t, "STARTTLS", r.TLS.Reason)
		require.True(t, r.TLS.Verified)
		require.Empty(t, r.Dropped)
		require.Equal(t, smtp.EnhancedCode{2, 0, 0}, r.Final.Enhanced)
		require.Contains(t, r.Final.Text, "queued as")
		got, err := p.sink.WaitFor(soon(t), withSubject("dsn"))
		require.NoError(t, err)
		require.Equal(t, body, bodyOf(t, got.Data))
		require.NotNil(t, got.Peer.TLS)
		require.Equal(t, smtp.ReturnHeaders, got.Envelope.Params.Return)
		require.Equal(t, "id+4711", got.Envelope.Params.EnvelopeID)
		require.Equal(t, e.To[0].Params, got.Envelope.To[0].Params)
		require.Contains(t, string(got.Data), "with ESMTPS")
	})

	for name, ignore := range map[string][]string{"BDAT": nil, "DATA": {"CHUNKING"}, "without pipelining": {"CHUNKING", "PIPELINING"}, "BDAT one by one": {"PIPELINING"}} {
		t.Run("large, "+name, func(t *testing.T) {
			d := *p.client
			d.Ignore = ignore
			body := strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n.\r\n", 40_000)
			id := strings.ReplaceAll("large-"+name, " ", "-")
			send(t, &d, newEnvelope(t, "alice@example.org", "bob@example.net"), letter(id, body))
			got, err := p.sink.WaitFor(soon(t), withSubject(id))
			require.NoError(t, err)
			require.True(t, body == bodyOf(t, got.Data))
		})
	}

	t.Run("internationalized", func(t *testing.T) {
		send(t, p.client, newEnvelope(t, "jürgen@example.org", "δοκιμή@example.net"), letter("utf8", "Grüße\r\n"))
		got, err := p.sink.WaitFor(soon(t), withSubject("utf8"))
		require.NoError(t, err)
		require.True(t, got.Envelope.Params.UTF8)
		require.Equal(t, smtp.Body8BitMIME, got.Envelope.Params.Body)
		require.Equal(t, "jürgen@example.org", got.Envelope.From.String())
		require.True(t, got.To("δοκιμή@example.net"))
		require.Equal(t, "Grüße\r\n", bodyOf(t, got.Data))
	})

	t.Run("many recipients, some refused", func(t *testing.T) {
		to := []string{"refused@example.net"}
		for i := range 120 {
			to = append(to, fmt.Sprintf("user%d@example.net", i))
		}
		r, err := smtp.SendMail(t.Context(), p.client, p.addr, newEnvelope(t, "alice@example.org", to...), letter("many", "many\r\n"))
		require.EqualError(t, err, "RCPT TO:<refused@example.net>: 550 5.1.1 <refused@example.net>: Recipient address rejected: nobody here")
		require.Equal(t, 120, r.Accepted())
		ctx := soon(t)
		left := map[string]bool{}
		for _, a := range to[1:] {
			left[a] = true
		}
		for n := 1; len(left) > 0; n++ {
			messages, err := p.sink.Wait(ctx, n)
			require.NoError(t, err)
			for _, m := range messages {
				if withSubject("many")(m) {
					for _, rcpt := range m.Envelope.To {
						delete(left, rcpt.Path.String())
					}
				}
			}
		}
	})

	t.Run("too large", func(t *testing.T) {
		_, err := smtp.SendMail(t.Context(), p.client, p.addr, newEnvelope(t, "alice@example.org", "bob@example.net"), letter("huge", strings.Repeat("x\r\n", 7_000_000)))
		require.ErrorIs(t, err, smtp.ErrMessageTooBig)
	})

	t.Run("pool", func(t *testing.T) {
		pool := &smtp.Pool{Dialer: p.client, MaxConns: 3}
		defer pool.Close()
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				_, err := pool.Send(t.Context(), p.addr, newEnvelope(t, "alice@example.org", "bob@example.net"), letter(fmt.Sprintf("pool-%d", i), "hi\r\n"))
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i := range 60 {
			_, err := p.sink.WaitFor(soon(t), withSubject(fmt.Sprintf("pool-%d", i)))
			require.NoError(t, err)
		}
	})

	t.Run("LMTP", func(t *testing.T) {
		p.lmtp.Script(smtptest.Rule{On: smtptest.OnMessage, Address: "full@lmtp.test", Times: 1, Reply: smtptest.Reply(452, "4.2.2 full")})
		send(t, p.client, newEnvelope(t, "alice@example.org", "bob@lmtp.test", "full@lmtp.test"), letter("lmtp", "hi\r\n"))
		got, err := p.lmtp.WaitFor(soon(t), withSubject("lmtp"))
		require.NoError(t, err)
		require.True(t, got.To("bob@lmtp.test"))
		_, err = p.lmtp.WaitFor(soon(t), func(m *smtptest.Received) bool {
			return withSubject("lmtp")(m) && m.To("full@lmtp.test") && !m.To("bob@lmtp.test")
		})
		require.NoError(t, err, "the one that was full has it at the second attempt")
	})

	t.Run("put off", func(t *testing.T) {
		p.sink.Script(smtptest.Rule{On: smtptest.OnRcpt, Address: "grey@example.net", Times: 1, Reply: smtptest.Reply(451, "4.7.1 greylisted")})
		send(t, p.client, newEnvelope(t, "alice@example.org", "grey@example.net"), letter("grey", "hi\r\n"))
		_, err := p.sink.WaitFor(soon(t), withSubject("grey"))
		require.NoError(t, err)
		require.Contains(t, p.log(), "451 4.7.1 greylisted")
	})

	t.Run("bounce", func(t *testing.T) {
		p.sink.Refuse("gone@example.net", 550, "5.1.6 moved away")
		send(t, p.client, newEnvelope(t, "alice@example.org", "gone@example.net"), letter("gone", "hi\r\n"))
		got, err := p.sink.WaitFor(soon(t), func(m *smtptest.Received) bool { return m.Envelope.From.IsNull() && m.To("alice@example.org") })
		require.NoError(t, err)
		require.Contains(t, string(got.Data), "5.1.6 moved away")
	})

	t.Run("XCLIENT", func(t *testing.T) {
		d := *p.client
		d.XClient = &smtp.XClient{Name: "spike.example.org", Addr: netip.MustParseAddrPort("127.9.9.9:4711"), Hello: "hello.example.org", Proto: "ESMTP", Login: "alice"}
		send(t, &d, newEnvelope(t, "alice@example.org", "bob@example.net"), letter("xclient", "hi\r\n"))
		got, err := p.sink.WaitFor(soon(t), withSubject("xclient"))
		require.NoError(t, err)
		require.Contains(t, string(got.Data), "(spike.example.org [127.9.9.9])")
	})

	t.Run("a kept connection that Postfix ends", func(t *testing.T) {
		c, err := p.client.Dial(t.Context(), p.addr)
		require.NoError(t, err)
		require.NoError(t, c.Noop(t.Context()))
		require.NoError(t, c.Quit(t.Context()))
		_, err = c.Send(t.Context(), newEnvelope(t, "alice@example.org", "bob@example.net"), letter("quit", "hi\r\n"))
		require.ErrorIs(t, err, smtp.ErrConnUnusable)
	})
}
