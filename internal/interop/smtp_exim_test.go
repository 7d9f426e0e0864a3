//go:build unix

package interop

import (
	"net"
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

// Exim hands everything on to one port, by BDAT where the server has it.
const eximConfig = `
exim_path = %[1]s
primary_hostname = exim.test
spool_directory = %[2]s/spool
log_file_path = %[2]s/spool/%%slog
host_lookup =
rfc1413_query_timeout = 0s
disable_ipv6
keep_environment =
trusted_users = root
acl_smtp_mail = accept
acl_smtp_rcpt = ${if eq{$local_part}{refused}{deny}{accept}}
acl_smtp_data = accept
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
pipelining_advertise_hosts = *
dsn_advertise_hosts = *
prdr_enable
tls_advertise_hosts = *
tls_certificate = %[3]s
tls_privatekey = %[4]s
begin routers
all:
  driver = manualroute
  transport = out
  route_list = * 127.0.0.1
  self = send
begin transports
out:
  driver = smtp
  port = %[5]s
  protocol = %[6]s
  hosts_require_tls = *
  hosts_try_chunking = %[7]s
  hosts_try_fastopen =
  tls_verify_certificates = %[8]s
  tls_verify_cert_hostnames =
  dnssec_request_domains =
begin retry
* * F,1h,1s
begin acl
deny:
  deny message = nobody here
accept:
  accept
`

// exim is Exim with a configuration and spool of its own.
type exim struct {
	t    *testing.T
	dir  string
	args []string // the program and its configuration
	id   identity
	sink *smtptest.Server // gets what it relays
}

func startExim(t *testing.T, protocol, chunking string, set func(*smtptest.Server)) *exim {
	t.Helper()
	binary := os.Getenv("MAILROOM_EXIM") // where it was unpacked and not installed, since Debian lets only one mail server be
	if binary == "" {
		for _, binary = range []string{"exim4", "exim"} {
			if _, err := exec.LookPath(binary); err == nil {
				break
			}
		}
		binary = program(t, binary)
	}
	needRoot(t, "exim")
	dir := openDir(t)
	x := &exim{t: t, dir: dir, id: newIdentity(t, dir, "exim.test", "mx.test", "127.0.0.1")}
	x.sink = x.id.sink(t, set)
	spool := filepath.Join(dir, "spool")
	require.NoError(t, os.Mkdir(spool, 0o755))
	conf := write(t, dir, "exim.conf", eximConfig, binary, dir, x.id.cert, x.id.key, portOf(t, x.sink.Addr), protocol, chunking, x.id.authority)
	require.NoError(t, os.Chmod(conf, 0o644))
	x.args = []string{binary, "-C", conf}
	user := strings.TrimSpace(must(t, dir, "", binary, "-C", conf, "-bP", "exim_user").stdout)
	_, user, _ = strings.Cut(user, "= ")
	must(t, dir, "", "chown", "-R", user, spool)
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"mainlog", "paniclog"} {
				b, _ := os.ReadFile(filepath.Join(spool, name))
				t.Logf("Exim's %s:\n%s", name, b)
			}
		}
	})
	return x
}

// submit hands a message to Exim as a local program does, and has it delivered at once.
func (x *exim) submit(message string, args ...string) {
	x.t.Helper()
	args = append(append(x.args[1:], "-odf", "-oi"), args...)
	must(x.t, x.dir, message, x.args[0], args...)
}

// serve has Exim answer connections, each in a process of its own as inetd does it.
func (x *exim) serve() (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(x.t, err)
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() {
				f, err := nc.(*net.TCPConn).File()
				nc.Close()
				if err != nil {
					x.t.Error(err)
					return
				}
				defer f.Close()
				c := exec.Command(x.args[0], append(x.args[1:], "-bs", "-odf")...)
				c.Dir, c.Stdin, c.Stdout = x.dir, f, f
				_ = c.Run() // how a session ended is told by the mail that came
			})
		}
	})
	x.t.Cleanup(func() { l.Close(); sessions.Wait() })
	return l.Addr().String()
}

// TestEximClient has Exim send to the server, by BDAT and by DATA, over SMTP and LMTP.
func TestEximClient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		protocol, chunking string
		mode               smtp.Mode
	}{
		"BDAT": {"smtp", "*", smtp.Transfer},
		"DATA": {"smtp", "", smtp.Transfer},
		"LMTP": {"lmtp", "*", smtp.LMTP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var commands strings.Builder
			x := startExim(t, c.protocol, c.chunking, func(s *smtptest.Server) {
				s.Config.Mode = c.mode
				s.Config.Trace = &smtp.ServerTrace{Command: func(_ *smtp.Peer, line string) {
					mu.Lock()
					defer mu.Unlock()
					commands.WriteString(line + "\n")
				}}
			})
			for _, m := range []struct{ subject, body string }{
				{"short", "hello\r\n.dot\r\n..\r\n"},
				{"empty", ""},
				{"large", strings.Repeat(strings.Repeat("x", 70)+"\r\n.\r\n", 30_000)},
			} {
				x.submit("Subject: "+m.subject+"\n\n"+unix(m.body), "-f", "alice@example.org", "bob@example.net", "carol@example.net")
				got, err := x.sink.WaitFor(soon(t), withSubject(m.subject))
				require.NoError(t, err)
				require.True(t, m.body == bodyOf(t, got.Data), m.subject)
				require.NotNil(t, got.Peer.TLS)
				require.Len(t, got.Envelope.To, 2)
			}
			mu.Lock()
			defer mu.Unlock()
			require.Equal(t, name != "DATA", strings.Contains(commands.String(), "\nBDAT "))
		})
	}
}

// TestExim sends from the client to Exim, which relays to the server.
func TestExim(t *testing.T) {
	t.Parallel()
	x := startExim(t, "smtp", "*", nil)
	addr := x.serve()
	dialer := &smtp.Dialer{Hostname: "client.test", TLS: smtp.TLSRequired, TLSConfig: x.id.ca.Client()}
	dialer.TLSConfig.ServerName = "exim.test"
	for name, c := range map[string]struct {
		ignore   []string
		from, to string
	}{
		"BDAT":              {nil, "alice@example.org", "bob@example.net"},
		"DATA":              {[]string{"CHUNKING"}, "alice@example.org", "bob@example.net"},
		"one-by-one":        {[]string{"PIPELINING"}, "alice@example.org", "bob@example.net"},
		"internationalized": {nil, "jürgen@example.org", "δοκιμή@example.net"},
	} {
		t.Run(name, func(t *testing.T) {
			d := *dialer
			d.Ignore = c.ignore
			e := newEnvelope(t, c.from, c.to, "refused@example.net")
			e.Params.Return, e.Params.EnvelopeID = smtp.ReturnFull, "id"+name
			e.To[0].Params.Notify = smtp.NotifyFailure | smtp.NotifyDelay
			body := strings.Repeat("Grüße\r\n.\r\n", 20_000)
			r, err := smtp.SendMail(t.Context(), &d, addr, e, smtp.StringContent("From: a@example.org\r\nSubject: "+name+"\r\n\r\n"+body))
			require.ErrorContains(t, err, "RCPT TO:<refused@example.net>: 550 nobody here")
			require.Equal(t, 1, r.Accepted())
			require.Equal(t, "STARTTLS", r.TLS.Reason)
			got, err := x.sink.WaitFor(soon(t), withSubject(name))
			require.NoError(t, err)
			require.True(t, body == bodyOf(t, got.Data))
			require.Equal(t, c.from, got.Envelope.From.String())
			require.True(t, got.To(c.to))
			require.Equal(t, c.from != "alice@example.org", got.Envelope.Params.UTF8)
			require.Equal(t, "id"+name, got.Envelope.Params.EnvelopeID)
			require.Equal(t, smtp.NotifyFailure|smtp.NotifyDelay, got.Envelope.To[0].Params.Notify)
		})
	}
}
