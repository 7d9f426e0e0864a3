package smtptest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

// app stands for a program that sends mail.
type app struct {
	dialer *smtp.Dialer
	addr   string
}

func (a app) register(ctx context.Context, email string) error {
	e, err := smtp.NewEnvelope("noreply@example.org", email)
	if err != nil {
		return err
	}
	_, err = smtp.SendMail(ctx, a.dialer, a.addr, e, smtp.StringContent("Subject: Welcome\n\nWelcome, Bob\n"))
	return err
}

// A test of a program that sends mail, in ten lines.
func TestWelcomeMail(t *testing.T) {
	srv := smtptest.NewServer(t) // closed when the test ends
	app := app{srv.Dialer(), srv.Addr}
	require.NoError(t, app.register(t.Context(), "bob@example.org"))

	got, err := srv.WaitFor(t.Context(), func(m *smtptest.Received) bool { return m.To("bob@example.org") })
	require.NoError(t, err)
	text, err := got.Message().Text()
	require.NoError(t, err)
	require.Contains(t, text, "Welcome, Bob")
}

// A test waits for what its program sends; there is no need to sleep.
func ExampleServer_Wait() {
	srv := smtptest.NewServer(nil) // in a test: NewServer(t), which also closes it
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go app{srv.Dialer(), srv.Addr}.register(ctx, "bob@example.org")

	messages, err := srv.Wait(ctx, 1)
	if err != nil {
		fmt.Println(err) // "0 of 1 messages were received: context deadline exceeded"
		return
	}
	m := messages[0]
	fmt.Println(m.Envelope.From, m.Envelope.To[0].Path, m.Message().Header().Text("Subject"))
	// Output: noreply@example.org bob@example.org Welcome
}

// One recipient is refused; the others get their mail.
func ExampleServer_Refuse() {
	srv := smtptest.NewServer(nil)
	defer srv.Close()
	srv.Refuse("nobody@example.org", 550, "5.1.1 no such user")
	fmt.Println(srv.Send(context.Background(), "alice@example.org", []string{"bob@example.org", "nobody@example.org"}, "Subject: hi\n\nhi\n"))
	fmt.Println(srv.Messages()[0].To("bob@example.org"), srv.Messages()[0].To("nobody@example.org"))
	// Output:
	// RCPT TO:<nobody@example.org>: 550 5.1.1 no such user
	// true false
}

// Greylisting: the first attempt is put off, the second goes through.
func ExampleServer_Script() {
	srv := smtptest.NewServer(nil)
	defer srv.Close()
	srv.Script(smtptest.Rule{On: smtptest.OnRcpt, Times: 1, Reply: smtptest.Reply(451, "4.7.1 try again later")})
	for range 2 {
		fmt.Println(srv.Send(context.Background(), "alice@example.org", []string{"bob@example.org"}, "Subject: hi\n\nhi\n"))
	}
	fmt.Println(len(srv.Messages()))
	// Output:
	// RCPT TO:<bob@example.org>: 451 4.7.1 try again later
	// <nil>
	// 1
}

// The connection breaks in the middle of the first message. A program has to send it again, since nobody has it.
func ExampleServer_Script_drop() {
	srv := smtptest.NewServer(nil)
	defer srv.Close()
	srv.Script(smtptest.Rule{On: smtptest.OnData, Octets: 12, Times: 1, Drop: true})
	for range 2 {
		err := srv.Send(context.Background(), "alice@example.org", []string{"bob@example.org"}, "Subject: hi\n\nhi\n")
		var e *smtp.Error
		fmt.Println(errors.As(err, &e) && e.Temporary(), len(srv.Messages()))
	}
	// Output:
	// true 0
	// false 1
}

// The same at any octet of either stream, for the first connection only.
func ExampleServer_faults() {
	srv := smtptest.NewUnstartedServer(nil)
	srv.Faults = func(conn int) []smtptest.Fault {
		if conn > 1 {
			return nil
		}
		return []smtptest.Fault{{Kind: smtptest.Drop, On: smtptest.ToClient, At: 3}} // after "220"
	}
	srv.Start()
	defer srv.Close()
	for range 2 {
		fmt.Println(srv.Send(context.Background(), "alice@example.org", []string{"bob@example.org"}, "Subject: hi\n\nhi\n") == nil)
	}
	// Output:
	// false
	// true
}

// A server that takes no mail without TLS.
func ExampleServer_requireTLS() {
	srv := smtptest.NewUnstartedServer(nil)
	srv.Config.RequireTLS = true
	srv.Start()
	defer srv.Close()
	app := app{&smtp.Dialer{Hostname: "client.test", TLS: smtp.TLSNever}, srv.Addr}
	fmt.Println(app.register(context.Background(), "bob@example.org"))
	app.dialer = &smtp.Dialer{Hostname: "client.test", TLS: smtp.TLSRequired, TLSConfig: srv.ClientTLS()}
	fmt.Println(app.register(context.Background(), "bob@example.org"))
	// Output:
	// MAIL FROM:<noreply@example.org>: 530 5.7.0 STARTTLS first
	// <nil>
}

// A submission server with accounts.
func ExampleServer_users() {
	srv := smtptest.NewUnstartedServer(nil)
	srv.Config.Mode = smtp.Submission
	srv.Users = map[string]string{"alice": "correct horse"}
	srv.Start()
	defer srv.Close()
	app := app{&smtp.Dialer{Hostname: "client.test", TLSConfig: srv.ClientTLS()}, srv.Addr}
	for _, password := range []string{"guess", "correct horse"} {
		app.dialer.Auth = &smtp.Credentials{Username: "alice", Password: password}
		fmt.Println(app.register(context.Background(), "bob@example.org"))
	}
	p := srv.Messages()[0].Peer
	fmt.Println(p.Identity, p.Mechanism)
	// Output:
	// AUTH SCRAM-SHA-256-PLUS: 535 5.7.8 authentication failed
	// <nil>
	// alice SCRAM-SHA-256-PLUS
}
