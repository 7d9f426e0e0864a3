//go:build unix

package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// byCertificate knows whoever has a certificate of the server's authority by the first name in it.
type byCertificate struct{}

func (byCertificate) VerifyCertificate(_ context.Context, _ netip.Addr, authzid string, state tls.ConnectionState) (string, error) {
	name := state.VerifiedChains[0][0].DNSNames[0]
	if authzid != "" && authzid != name {
		return "", errors.New("not yours")
	}
	return name, nil
}

// submission is a submission server with every mechanism, and what its clients need.
type submission struct {
	*smtptest.Server
	id                    identity
	dir, port             string
	clientCert, clientKey string
}

const token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"

func startSubmission(t *testing.T, set func(s *smtptest.Server)) *submission {
	t.Helper()
	s := &submission{dir: openDir(t)}
	s.id = newIdentity(t, s.dir, "localhost", "127.0.0.1")
	s.Server = s.id.sink(t, func(srv *smtptest.Server) {
		srv.Config.Mode = smtp.Submission
		srv.Config.Certificates = byCertificate{}
		srv.Config.TLSConfig.ClientCAs = s.id.ca.Pool()
		srv.Config.TLSConfig.ClientAuth = tls.VerifyClientCertIfGiven
		srv.Users = map[string]string{"alice": "wonder land"}
		srv.Tokens = map[string]string{"alice": token}
		if set != nil {
			set(srv)
		}
	})
	s.port = portOf(t, s.Addr)
	pair := s.id.ca.Issue("alice")
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	s.clientCert, s.clientKey = filepath.Join(s.dir, "alice.pem"), filepath.Join(s.dir, "alice.key")
	require.NoError(t, os.WriteFile(s.clientCert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	require.NoError(t, os.WriteFile(s.clientKey, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	return s
}

// one waits for the message that a client sent, and checks who did.
func (s *submission) one(t *testing.T, mechanism string) *smtptest.Received {
	t.Helper()
	messages, err := s.Wait(soon(t), 1)
	require.NoError(t, err)
	s.Reset()
	require.Len(t, messages, 1)
	m := messages[0]
	require.NotNil(t, m.Peer.TLS)
	require.Equal(t, "alice", m.Peer.Identity)
	require.Equal(t, mechanism, m.Peer.Mechanism)
	require.Equal(t, "hello\r\n.dot\r\n", bodyOf(t, m.Data))
	return m
}

const submitted = "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: hi\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n.dot\r\n"

// TestMechanismsOfMsmtp has msmtp authenticate by each mechanism that it shares with the server; channel binding is for gsasl.
func TestMechanismsOfMsmtp(t *testing.T) {
	t.Parallel()
	program(t, "msmtp")
	s := startSubmission(t, nil)
	supported := strings.Fields(must(t, s.dir, "", "msmtp", "--version").stdout)
	for _, mechanism := range []string{"plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256", "oauthbearer", "xoauth2", "external"} {
		t.Run(mechanism, func(t *testing.T) {
			if !slices.Contains(supported, mechanism) {
				t.Skipf("this msmtp has no %s", mechanism)
			}
			password := "wonder land"
			if strings.Contains(mechanism, "oauth") {
				password = token
			}
			config := "account default\nhost localhost\nport " + s.port + "\nfrom alice@example.org\nuser alice\npassword \"" + password + "\"\nauth " + mechanism +
				"\ntls on\ntls_starttls on\ntls_trust_file " + s.id.authority + "\n"
			if mechanism == "external" {
				config += "tls_cert_file " + s.clientCert + "\ntls_key_file " + s.clientKey + "\n"
			}
			file := write(t, t.TempDir(), "msmtprc", "%s", config)
			must(t, s.dir, unix(submitted), "msmtp", "-C", file, "--", "bob@example.net")
			s.one(t, strings.ToUpper(mechanism))
			o := run(t, s.dir, unix(submitted), "msmtp", "-C", write(t, t.TempDir(), "msmtprc", "%s", strings.Replace(strings.Replace(config, password, "guess", 1), s.clientCert, s.id.cert, 1)), "--", "bob@example.net")
			require.NotZero(t, o.code)
			require.Empty(t, s.Messages())
		})
	}
}

// TestMechanismsOfGsasl does the same with gsasl, which has channel binding; swaks has no SCRAM at all, and the msmtp of Debian 12 none with -PLUS.
func TestMechanismsOfGsasl(t *testing.T) {
	t.Parallel()
	program(t, "gsasl")
	s := startSubmission(t, nil)
	for _, mechanism := range []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"} {
		t.Run(mechanism, func(t *testing.T) {
			args := []string{"--smtp", "--connect=localhost:" + s.port, "--starttls", "--x509-ca-file=" + s.id.authority, "--mechanism=" + mechanism, "--authentication-id=alice", "--authorization-id="}
			if !strings.HasSuffix(mechanism, "-PLUS") {
				args = append(args, "--no-cb")
			}
			o := must(t, s.dir, "", "gsasl", append(args, "--password=wonder land")...)
			require.Contains(t, o.stdout, "235 2.7.0")
			require.Contains(t, o.stderr, "server trusted")
			o = run(t, s.dir, "", "gsasl", append(args, "--password=guess")...)
			require.NotZero(t, o.code)
			require.Contains(t, o.stdout, "535 5.7.8")
		})
	}
}

// TestMechanismsOfCurl does the same with curl, which uses XOAUTH2 where there is no OAUTHBEARER.
func TestMechanismsOfCurl(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	s := startSubmission(t, nil)
	file := write(t, s.dir, "letter", "%s", submitted)
	for mechanism, args := range map[string][]string{
		"PLAIN":       {"--user", "alice:wonder land"},
		"LOGIN":       {"--user", "alice:wonder land"},
		"CRAM-MD5":    {"--user", "alice:wonder land"},
		"OAUTHBEARER": {"--user", "alice", "--oauth2-bearer", token},
		"EXTERNAL":    {"--user", "alice:", "--cert", s.clientCert, "--key", s.clientKey},
	} {
		t.Run(mechanism, func(t *testing.T) {
			must(t, s.dir, "", "curl", append(args, "-sS", "--ssl-reqd", "--cacert", s.id.authority, "--login-options", "AUTH="+mechanism, "--mail-from", "alice@example.org",
				"--mail-rcpt", "bob@example.net", "-T", file, "smtp://localhost:"+s.port+"/client.test")...)
			s.one(t, mechanism)
		})
	}
}

// TestMechanismsOfSwaks does the same with swaks.
func TestMechanismsOfSwaks(t *testing.T) {
	t.Parallel()
	program(t, "swaks")
	s := startSubmission(t, nil)
	file := write(t, s.dir, "letter", "%s", strings.TrimSuffix(unix(submitted), "\n")) // swaks ends the last line
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5"} {
		for _, pipeline := range []bool{false, true} {
			t.Run(mechanism, func(t *testing.T) {
				args := []string{"--server", "localhost:" + s.port, "--tls", "--tls-verify", "--tls-ca-path", s.id.authority, "--auth", mechanism, "--auth-user", "alice",
					"--auth-password", "wonder land", "--from", "alice@example.org", "--to", "bob@example.net", "--data", "@" + file}
				if pipeline {
					args = append(args, "--pipeline")
				}
				must(t, s.dir, "", "swaks", args...)
				s.one(t, mechanism)
			})
		}
	}
}

// TestSwaksThroughProxies has swaks be the proxy: the server takes its word for who the client is.
func TestSwaksThroughProxies(t *testing.T) {
	t.Parallel()
	program(t, "swaks")
	dir := openDir(t)
	id := newIdentity(t, dir, "localhost", "127.0.0.1")
	file := write(t, dir, "letter", "%s", unix(submitted))
	proxy := []string{"--proxy-source", "192.0.2.9", "--proxy-source-port", "4711", "--proxy-dest", "192.0.2.25", "--proxy-dest-port", "25"}
	for name, c := range map[string]struct {
		set  func(s *smtptest.Server)
		args []string
	}{
		"XCLIENT": {func(s *smtptest.Server) { s.Config.XClientFrom = loopback },
			[]string{"--xclient-addr", "192.0.2.9", "--xclient-port", "4711", "--xclient-name", "spike.example.org", "--xclient-login", "alice", "--xclient-helo", "hello.example.org"}},
		"XCLIENT, pipelined": {func(s *smtptest.Server) { s.Config.XClientFrom = loopback },
			[]string{"--pipeline", "--xclient-addr", "192.0.2.9", "--xclient-port", "4711", "--xclient-name", "spike.example.org", "--xclient-login", "alice"}},
		"PROXY 1":          {func(s *smtptest.Server) { s.Config.ProxyFrom = loopback }, append([]string{"--proxy-version", "1", "--proxy-family", "TCP4"}, proxy...)},
		"PROXY 2":          {func(s *smtptest.Server) { s.Config.ProxyFrom = loopback }, append([]string{"--proxy-version", "2", "--proxy-family", "AF_INET"}, proxy...)},
		"PROXY 1 and TLS":  {func(s *smtptest.Server) { s.Config.ProxyFrom = loopback }, append([]string{"--tls", "--proxy-version", "1", "--proxy-family", "TCP4"}, proxy...)},
		"PROXY 2 and LMTP": {func(s *smtptest.Server) { s.Config.ProxyFrom = loopback; s.Config.Mode = smtp.LMTP }, append([]string{"--protocol", "LMTP", "--proxy-version", "2", "--proxy-family", "AF_INET"}, proxy...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := id.sink(t, c.set)
			must(t, dir, "", "swaks", append(c.args, "--server", "127.0.0.1:"+portOf(t, s.Addr), "--from", "alice@example.org", "--to", "bob@example.net", "--data", "@"+file)...)
			messages, err := s.Wait(soon(t), 1)
			require.NoError(t, err)
			p := messages[0].Peer
			require.Equal(t, netip.MustParseAddrPort("192.0.2.9:4711"), p.Remote)
			if strings.HasPrefix(name, "XCLIENT") {
				require.Equal(t, "spike.example.org", p.Name)
				require.Equal(t, "alice", p.Identity)
			} else {
				require.Equal(t, netip.MustParseAddrPort("192.0.2.25:25"), p.Local)
			}
		})
	}
	t.Run("from elsewhere", func(t *testing.T) {
		t.Parallel()
		s := id.sink(t, func(s *smtptest.Server) { s.Config.XClientFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
		o := run(t, dir, "", "swaks", "--server", "127.0.0.1:"+portOf(t, s.Addr), "--xclient-addr", "192.0.2.9", "--to", "bob@example.net", "--from", "alice@example.org")
		require.NotZero(t, o.code)
		require.Empty(t, s.Messages())
	})
}

const smtplib = `
import smtplib, ssl, sys
port, ca, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=ca)
letter = sys.stdin.buffer.read()
for mechanism in "PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2":
    with smtplib.SMTP("localhost", port, local_hostname="client.test") as s:
        s.starttls(context=context)
        s.ehlo()
        s.user, s.password = "alice", "wonder land"
        if mechanism == "XOAUTH2":
            s.auth(mechanism, lambda challenge=None: "user=alice\1auth=Bearer %s\1\1" % token)
        else:
            s.auth(mechanism, getattr(s, "auth_" + mechanism.lower().replace("-", "_")))
        s.sendmail("alice@example.org", ["bob@example.net"], letter)
        try:
            s.sendmail("alice@example.org", ["refused@example.net"], letter)
        except smtplib.SMTPRecipientsRefused as e:
            assert e.recipients == {"refused@example.net": (550, b"5.1.1 nobody here")}, e
        else:
            sys.exit("not refused")
with smtplib.SMTP("localhost", port, local_hostname="client.test") as s:
    s.starttls(context=context)
    s.login("alice", "wonder land")
    s.sendmail("jürgen@example.org", ["δοκιμή@example.net"], letter, ["SMTPUTF8", "BODY=8BITMIME"], ["NOTIFY=FAILURE"])
`

// TestSMTPLib has Python's library send over STARTTLS with each of its mechanisms, and to internationalized addresses.
func TestSMTPLib(t *testing.T) {
	t.Parallel()
	program(t, "python3")
	s := startSubmission(t, nil)
	s.Refuse("refused@example.net", 550, "5.1.1 nobody here")
	must(t, s.dir, submitted, "python3", "-c", smtplib, s.port, s.id.authority, token)
	messages, err := s.Wait(soon(t), 5)
	require.NoError(t, err)
	require.Len(t, messages, 5)
	for i, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"} {
		require.Equal(t, mechanism, messages[i].Peer.Mechanism)
		require.Equal(t, "alice", messages[i].Peer.Identity)
		require.Equal(t, submitted, string(messages[i].Data))
	}
	last := messages[4]
	require.Equal(t, "jürgen@example.org", last.Envelope.From.String())
	require.True(t, last.To("δοκιμή@example.net"))
	require.True(t, last.Envelope.Params.UTF8)
	require.Equal(t, smtp.NotifyFailure, last.Envelope.To[0].Params.Notify)
}
