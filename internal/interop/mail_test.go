//go:build unix

package interop

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/imapclient"
)

// letters are messages that come through as they are: complete headers, so that nothing has to be added below what the server puts on top.
func letters() map[string]string {
	header := func(id string, more ...string) string {
		return "From: Carol <carol@other.test>\r\nTo: Alice <" + alice + ">\r\nSubject: " + id + "\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
			"Message-ID: <" + id + "@other.test>" + "\r\n" + strings.Join(append(more, "", ""), "\r\n")
	}
	attachment := make([]byte, 150_000)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(attachment); i++ {
		attachment[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[r.IntN(64)]
	}
	var wrapped strings.Builder
	for i := 0; i < len(attachment); i += 76 {
		wrapped.Write(attachment[i:min(i+76, len(attachment))])
		wrapped.WriteString("\r\n")
	}
	return map[string]string{
		"plain": header("plain") + "Hello,\r\n\r\nworld.\r\n",
		"dots":  header("dots") + ".\r\n..\r\n.one\r\n\r\n. \r\n...\r\nend\r\n.\r\n",
		"empty": header("empty"),
		"blank": header("blank") + "\r\n\r\n  \r\n\r\n",
		"long":  header("long", "X-Folded: a", "\tb", " c") + strings.Repeat("x", 998) + "\r\n" + strings.Repeat("y", 997) + "\r\n",
		"eight": header("eight", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit") + "Grüße aus Zürich ☃\r\n",
		"parts": header("parts", "MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="=b="`) +
			"preamble\r\n--=b=\r\nContent-Type: text/plain\r\n\r\nsee attachment\r\n--=b=\r\nContent-Type: application/octet-stream\r\n" +
			"Content-Disposition: attachment; filename=\"a.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped.String() + "--=b=--\r\nepilogue\r\n",
	}
}

// noDate leaves the date to the server.
var noDate time.Time

func unix(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func crlf(s string) string { return strings.ReplaceAll(unix(s), "\n", "\r\n") }

// tlsConfig is for clients of this package's own.
func tlsConfig() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(common.authorityCert)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// dialIMAP opens an IMAP session of the strict client, over TLS.
func (s *server) dialIMAP(user string) (*imapclient.Client, error) {
	nc, err := (&tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: tlsConfig()}).DialContext(s.t.Context(), "tcp", s.addr["imaps"])
	if err != nil {
		return nil, err
	}
	c, err := imapclient.New(s.t.Context(), nc, nil)
	if err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	password := alicePassword
	if user != "alice" {
		password = bobPassword
	}
	if err := c.Login(user, password); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// imap is dialIMAP for a session that has to begin.
func (s *server) imap(user string) *imapclient.Client {
	s.t.Helper()
	c, err := s.dialIMAP(user)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { c.Close() })
	return c
}

// kept is a message in a mailbox.
type kept struct {
	uid   uint32
	flags string
	body  string
}

// mailbox reads a whole mailbox with the strict client.
func (s *server) mailbox(user, name string) []kept {
	s.t.Helper()
	c := s.imap(user)
	box, err := c.Select(name, true)
	require.NoError(s.t, err)
	require.NotZero(s.t, box.UIDValidity)
	var all []kept
	if c.Exists() > 0 {
		messages, err := c.Fetch(false, "1:*", "(UID FLAGS BODY.PEEK[])")
		require.NoError(s.t, err)
		for _, m := range messages {
			all = append(all, keptOf(s.t, m))
		}
	}
	require.NoError(s.t, c.Logout())
	return all
}

// arrived requires that mailbox holds a message that ends in exactly these octets; what is above was added on the way.
func (s *server) arrived(user, name, message string) {
	s.t.Helper()
	all := s.mailbox(user, name)
	for _, m := range all {
		if above, ok := strings.CutSuffix(m.body, message); ok {
			requireTrace(s.t, above)
			return
		}
	}
	for _, m := range all {
		s.t.Logf("%.200q", m.body)
	}
	s.t.Fatalf("no message in %s of %s ends in %.200q", name, user, message)
}

// requireTrace requires that only fields that servers add stand above a message.
func requireTrace(t *testing.T, above string) {
	t.Helper()
	if strings.Contains(above, "Return-Path: ") {
		require.True(t, strings.HasPrefix(above, "Return-Path: "), "RFC 5321 s4.4: it begins the message: %s", above)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(above, "\r\n"), "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		if line != "" && line[0] != ' ' && line[0] != '\t' && name != "Received" && name != "Return-Path" && name != "Delivered-To" && name != "Authentication-Results" && !strings.HasPrefix(name, "X-") &&
			name != "Received-SPF" {
			t.Errorf("the server put %q above a message", line)
		}
	}
}

// write makes a file in a folder and gives its path.
func write(t *testing.T, dir, name, format string, args ...any) string {
	t.Helper()
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	name = filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func keptOf(t *testing.T, m imapclient.Message) kept {
	t.Helper()
	require.NotZero(t, m.UID())
	require.Contains(t, m.Items, "BODY[]")
	return kept{uid: m.UID(), flags: strings.Join(m.Items["FLAGS"].Strings(), " "), body: keptText(m)}
}

func keptText(m imapclient.Message) string { return m.Items["BODY[]"].Text }

func decodeBase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(s))
	require.NoError(t, err)
	return b
}
