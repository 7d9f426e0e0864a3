package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
)

// fileSecrets has a password in the clear.
type fileSecrets struct{}

func (fileSecrets) Secret(_ context.Context, _ netip.Addr, username string) (string, string, error) {
	if username != "alice" {
		return "", "", errors.New("unknown")
	}
	return "alice@example.org", "secret", nil
}

// fileCertificates believes names of certificates.
type fileCertificates struct{}

func (fileCertificates) VerifyCertificate(_ context.Context, _ netip.Addr, authzid string, state tls.ConnectionState) (string, error) {
	name := state.VerifiedChains[0][0].Subject.CommonName
	if authzid != "" && authzid != name {
		return "", errors.New("may not act as " + authzid)
	}
	return name, nil
}

// identities is a handler that tells who authenticated, and how.
type identities struct {
	seen chan *Peer
}

func (r *identities) Connect(context.Context, *Peer) (Session, error) { return r, nil }

func (r *identities) Begin(_ context.Context, p *Peer, _ ReversePath, _ MailParams) (Transaction, error) {
	r.seen <- p
	return nil, &Error{Code: 550, Text: "enough"}
}

func TestAuthMechanisms(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	config := ca.Server("mx.example.org")
	config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, ca.Pool()
	withCertificate := ca.Client()
	withCertificate.Certificates = []tls.Certificate{ca.Issue("alice@example.org")}
	token := func(s string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return s, nil }
	}
	const goodToken = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
	const all = "EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 CRAM-MD5 PLAIN LOGIN"
	for mechanism := range strings.FieldsSeq(all) {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &identities{seen: make(chan *Peer, 1)}
				srv := &Server{Handler: h, Hostname: "mx.example.org", TLSConfig: config, Auth: fileAuth{}, SCRAM: scramKeys{}, SCRAMHashes: []string{"SHA-256", "SHA-1"},
					Tokens: fileTokens{}, Certificates: fileCertificates{}, Secrets: fileSecrets{}}
				good := Credentials{Username: "alice", Password: "secret", Mechanisms: []string{mechanism}}
				wrong := Credentials{Username: "alice", Password: "wrong", Mechanisms: []string{mechanism}}
				switch mechanism {
				case "OAUTHBEARER", "XOAUTH2":
					good.Username, wrong.Username = "alice@example.org", "alice@example.org"
					good.Token, wrong.Token = token(goodToken), token("wrong")
				case "EXTERNAL":
					good = Credentials{External: true, Mechanisms: []string{mechanism}}
					wrong = good
					wrong.Identity = "bob@example.org"
				}
				login := func(c Credentials) (*Conn, time.Duration, error) {
					client, server := memnet.Pipe()
					go srv.ServeConn(context.Background(), server)
					d := &Dialer{TLSConfig: withCertificate, Auth: &c}
					start := time.Now()
					conn, err := d.NewConn(t.Context(), client, "mx.example.org")
					return conn, time.Since(start), err
				}
				conn, _, err := login(good)
				require.NoError(t, err)
				e, _ := NewEnvelope("alice@example.org", "bob@example.net")
				conn.Send(t.Context(), e, StringContent("x"))
				p := <-h.seen
				require.Equal(t, "alice@example.org", p.Identity)
				require.Equal(t, mechanism, p.Mechanism)
				conn.Close()

				_, took, err := login(wrong)
				require.ErrorContains(t, err, "535 5.7.8 authentication failed")
				require.Equal(t, 500*time.Millisecond, took)
				synctest.Wait()
			})
		})
	}

	t.Run("offered", func(t *testing.T) {
		t.Parallel()
		offer := func(srv *Server) string {
			w := serve(t, srv)
			w.reply("220 ")
			w.ask("EHLO x", "250")
			if srv.TLSConfig != nil {
				w.ask("STARTTLS", "220")
				client := ca.Client()
				client.ServerName = "mx.example.org"
				w.startTLS(client)
			}
			reply := w.ask("EHLO x", "250")
			w.quit()
			_, list, _ := strings.Cut(reply, "AUTH ")
			list, _, _ = strings.Cut(list, "\r\n")
			return list
		}
		require.Equal(t, "", offer(&Server{Auth: fileAuth{}, Tokens: fileTokens{}, SCRAM: scramKeys{}}))
		require.Equal(t, "", offer(&Server{Certificates: fileCertificates{}, TLSConfig: config}), "no certificate was shown")
		require.Equal(t, "CRAM-MD5", offer(&Server{Secrets: fileSecrets{}, InsecureAuth: true}))
		require.Equal(t, "SCRAM-SHA-256", offer(&Server{SCRAM: scramKeys{}, InsecureAuth: true}))
		require.Equal(t, "SCRAM-SHA-1", offer(&Server{SCRAM: scramKeys{}, SCRAMHashes: []string{"SHA-1"}, InsecureAuth: true}))
		require.Equal(t, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN", offer(&Server{SCRAM: scramKeys{}, Auth: fileAuth{}, TLSConfig: config}))
		require.Equal(t, "OAUTHBEARER XOAUTH2", offer(&Server{Tokens: fileTokens{}, TLSConfig: config}))
	})
}

// TestAuthLimits: the limits of failures are the server's to set.
func TestAuthLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits Limits
		want   string // the reply to the sixth attempt
	}{
		"default":     {Limits{}, "535"},
		"per address": {Limits{AddressFailures: 5}, "454 4.7.0"},
		"per account": {Limits{AccountFailures: 5}, "454 4.7.0"},
		"none":        {Limits{AddressFailures: -1, AccountFailures: -1}, "535"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.limits.AuthFailures, c.limits.BadCommands, c.limits.FailDelay = -1, -1, -1
			w := serve(t, &Server{Auth: fileAuth{}, InsecureAuth: true, Limits: c.limits}).hello()
			for range 5 {
				w.ask("AUTH PLAIN AGFsaWNlAHdyb25n", "535 5.7.8")
			}
			w.ask("AUTH PLAIN AGFsaWNlAHdyb25n", c.want)
		})
	}
}

// What is sent along with AUTH is obeyed in turn, after it: a client should wait (RFC 2920 s3.1), but there is no security layer that could begin in between.
func TestPipelinedBehindAuth(t *testing.T) {
	t.Parallel()
	for _, auth := range []string{"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", "AUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n"} {
		w := serve(t, &Server{Mode: Submission, Auth: fileAuth{}, InsecureAuth: true}).hello()
		w.send("MAIL FROM:<a@example.org>\r\n" + auth + "MAIL FROM:<a@example.org>\r\nQUIT\r\n")
		w.reply("530 ")
		if strings.Count(auth, "\n") > 1 {
			w.reply("334 ")
		}
		w.reply("235 ")
		w.reply("250 2.1.0")
		w.reply("221 ")
		require.NoError(t, w.closed())
	}
}
