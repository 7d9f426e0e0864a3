package smtptest_test

import (
	"context"
	"fmt"
	"testing"

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
