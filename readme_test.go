package mailroom_test

import (
	"context"
	"io"
	"log"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

// The code of the README stands here, so that it compiles and runs.

func receive(l io.Closer, serve func(*smtp.Server) error) {
	server := &smtp.Server{Handler: smtp.HandlerFunc(func(ctx context.Context, p *smtp.Peer, e *smtp.Envelope, message io.Reader) error {
		letter, err := mime.Spool(message, mime.SpoolLimits{})
		if err != nil {
			return err
		}
		defer letter.Close()
		log.Printf("%s to %s: %s", e.From, e.To[0].Path, letter.Message().Header().Text("Subject"))
		return nil // 250
	})}
	log.Print(serve(server))
}

func send(ctx context.Context, dialer *smtp.Dialer, addr string) error {
	letter := mime.Letter{
		From: mime.Addr("Alice", "alice@example.org"), To: []mime.Address{mime.Addr("Bob", "bob@example.net")},
		Subject: "Grüße", Text: "See the picture.", Attachments: []mime.File{mime.OSFile("picture.png")},
	}
	message, err := letter.Compose()
	if err != nil {
		return err
	}
	envelope, err := smtp.NewEnvelope(message.From(), message.Recipients()...)
	if err != nil {
		return err
	}
	_, err = smtp.SendMail(ctx, dialer, addr, envelope, message)
	return err
}

func TestWelcomeMail(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("picture.png", []byte("\x89PNG\r\n\x1a\n"), 0o600))
	srv := smtptest.NewServer(t)                                  // listens on loopback, ends with the test
	require.NoError(t, send(t.Context(), srv.Dialer(), srv.Addr)) // the code under test
	got, err := srv.WaitFor(t.Context(), func(m *smtptest.Received) bool { return m.To("bob@example.net") })
	require.NoError(t, err)
	text, err := got.Message().Text()
	require.NoError(t, err)
	require.Contains(t, text, "See the picture.")
}

// TestReadme holds every Go block of the README against the code above, line by line.
func TestReadme(t *testing.T) {
	t.Parallel()
	_ = receive
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	code, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)
	lines := map[string]bool{}
	for l := range strings.Lines(string(code)) {
		lines[normal(l)] = true
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		for l := range strings.Lines(b[1]) {
			require.True(t, lines[normal(l)], "README.md has a line that is not compiled here: %s", l)
		}
	}
}

// normal is a line without white space.
func normal(l string) string { return strings.Join(strings.Fields(l), "") }
