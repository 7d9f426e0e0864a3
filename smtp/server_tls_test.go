package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/internal/sasl"
)

func TestStartTLS(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	var peers []*Peer
	srv := &Server{TLSConfig: ca.Server("mx.example.org"), Auth: fileAuth{}, RequireTLS: true, Offer: ExtRequireTLS}
	srv.Handler = HandlerFunc(func(_ context.Context, p *Peer, e *Envelope, _ io.Reader) error {
		peers = append(peers, p)
		return nil
	})
	w := serve(t, srv)
	w.reply("220 ")
	offer := w.ask("EHLO client.example", "250 ")
	require.Contains(t, offer, "STARTTLS")
	require.NotContains(t, offer, "AUTH")
	require.NotContains(t, offer, "REQUIRETLS")
	w.ask("MAIL FROM:<a@example.org>", "530 5.7.0")
	w.ask("STARTTLS now", "501 5.5.4")
	w.ask("STARTTLS", "220 2.0.0")
	cfg := ca.Client()
	cfg.ServerName = "mx.example.org"
	w.startTLS(cfg)
	w.ask("MAIL FROM:<a@example.org>", "503 5.5.1") // RFC 3207 s4.2: EHLO again
	offer = w.ask("EHLO other.example", "250 ")
	require.NotContains(t, offer, "STARTTLS")
	require.Contains(t, offer, "AUTH PLAIN LOGIN")
	require.Contains(t, offer, "REQUIRETLS")
	w.ask("STARTTLS", "503 5.5.1")
	w.ask("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00alice\x00secret")), "235 2.7.0")
	w.ask("MAIL FROM:<a@example.org> REQUIRETLS", "250 ")
	w.ask("RCPT TO:<b@example.org>", "250 ")
	w.ask("DATA", "354 ")
	w.ask(".", "250 ")
	w.quit()
	require.Len(t, peers, 1)
	p := peers[0]
	require.NotNil(t, p.TLS)
	require.Equal(t, "other.example", p.Hello)
	require.Equal(t, "alice@example.org", p.Identity)
	require.Equal(t, "PLAIN", p.Mechanism)
}

// CVE-2011-0411 and its many heirs: what stands behind STARTTLS in the clear must not run under TLS.
func TestStartTLSInjection(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	r := &recorder{}
	w := serve(t, &Server{Handler: r, TLSConfig: ca.Server("mx.example.org")}).hello()
	w.send("STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@example.org>\r\n")
	w.reply("421 4.7.0")
	require.ErrorContains(t, w.closed(), "data behind STARTTLS")
	require.Empty(t, r.log())
}

func TestStartTLSAbortsTransaction(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	r := &recorder{}
	w := serve(t, &Server{Handler: r, TLSConfig: ca.Server("mx.example.org")}).hello().mail()
	w.ask("STARTTLS", "220 ")
	cfg := ca.Client()
	cfg.ServerName = "mx.example.org"
	w.startTLS(cfg)
	w.ask("EHLO client.example", "250 ")
	w.ask("RCPT TO:<b@example.org>", "503 ")
	w.ask("DATA", "503 ")
	w.quit()
	require.Equal(t, "begin <a@example.org>\nrcpt <b@example.org>\nabort", r.log())
}

func TestStartTLSHandshakeFails(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	w := serve(t, &Server{TLSConfig: ca.Server("mx.example.org")}).hello()
	w.ask("STARTTLS", "220 ")
	w.send("EHLO client.example\r\n")
	require.ErrorContains(t, <-w.done, "TLS handshake")
}

// SCRAM-SHA-256-PLUS over implicit TLS, on a submission server that has SCRAM keys only.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	r := &recorder{}
	srv := &Server{TLSConfig: ca.Server("mx.example.org"), Handler: r, Mode: Submission, SCRAM: scramKeys{}, Limits: Limits{FailDelay: -1}}
	var n memnet.Network
	l, err := n.Listen("tcp", "192.0.2.1:465")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(l) }()
	raw, err := n.DialContext(context.Background(), "tcp", "192.0.2.1:465")
	require.NoError(t, err)
	cfg := ca.Client()
	cfg.ServerName = "mx.example.org"
	c := tls.Client(raw, cfg)
	w := &wire{t: t, conn: c, r: bufio.NewReader(c)}
	w.reply("220 ")
	offer := w.ask("EHLO client.example", "250 ")
	require.Contains(t, offer, "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256\r\n")
	require.NotContains(t, offer, "STARTTLS")
	w.ask("MAIL FROM:<a@example.org>", "530 5.7.0")
	w.ask("AUTH PLAIN AGFsaWNlAHNlY3JldA==", "504 5.5.4")
	require.Equal(t, "535", scram(t, w, c, "alice", "wrong")[:3])
	require.Equal(t, "535", scram(t, w, c, "mallory", "secret")[:3])
	require.Equal(t, "235", scram(t, w, c, "alice", "secret")[:3])
	w.mail()
	w.ask("QUIT", "221 ")
	require.NoError(t, srv.Shutdown(context.Background()))
	require.ErrorIs(t, <-done, ErrServerClosed)
}

// scram goes through the exchange and gives the last reply.
func scram(t *testing.T, w *wire, c *tls.Conn, username, password string) string {
	state := c.ConnectionState()
	client, err := sasl.NewClient("SCRAM-SHA-256-PLUS", sasl.Credentials{Username: username, Password: password}, sasl.Channel{TLS: &state})
	require.NoError(t, err)
	response, err := client.Start()
	require.NoError(t, err)
	reply := w.ask("AUTH SCRAM-SHA-256-PLUS "+sasl.EncodeInitial(response), "")
	for strings.HasPrefix(reply, "334 ") {
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(reply[4:]))
		require.NoError(t, err)
		response, err = client.Next(challenge)
		require.NoError(t, err)
		reply = w.ask(base64.StdEncoding.EncodeToString(response), "")
	}
	return reply
}

type scramKeys struct{}

func (scramKeys) SCRAMKeys(_ context.Context, _ netip.Addr, _, username, hash string) (string, []byte, int, []byte, []byte, error) {
	if username != "alice" {
		return "", nil, 0, nil, nil, errors.New("unknown")
	}
	salt := []byte("0123456789abcdef")
	stored, key, err := sasl.DeriveSCRAM(hash, "secret", salt, 4096)
	return "alice@example.org", salt, 4096, stored, key, err
}
