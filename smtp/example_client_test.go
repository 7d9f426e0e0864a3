package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
)

// A program that sends now and then needs nothing but SendMail.
func ExampleSendMail() {
	srv := smtptest.NewServer(nil) // a server to send to
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	e, err := smtp.NewEnvelope("alice@example.org", "bob@example.org")
	if err != nil {
		log.Fatal(err)
	}
	dialer := &smtp.Dialer{
		Hostname:  "client.example.org",
		TLS:       smtp.TLSRequired,
		TLSConfig: srv.ClientTLS(), // a real server needs none
	}
	result, err := smtp.SendMail(ctx, dialer, srv.Addr, e, smtp.StringContent("Subject: hello\n\nHello Bob\n"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Final.Code, result.TLS.Reason)
	// Output: 250 STARTTLS
}

// With a password TLS is required, and the strongest mechanism is used.
func ExampleDialer_submission() {
	dialer := &smtp.Dialer{
		ImplicitTLS: true, // port 465; without it STARTTLS, as on port 587
		Auth:        &smtp.Credentials{Username: "alice", Password: "correct horse"},
	}
	e, _ := smtp.NewEnvelope("alice@example.org", "bob@example.net")
	_, err := smtp.SendMail(context.Background(), dialer, "submission.example.org:465", e, smtp.StringContent("..."))
	fmt.Println(err == nil)
}

// Each recipient has a result of its own. What failed for now is tried again later; what failed for good is reported to the sender.
func ExampleConn_Send() {
	srv := smtptest.NewServer(nil)
	defer srv.Close()
	srv.Refuse("full@example.org", 452, "4.2.2 mailbox full")
	srv.Refuse("nobody@example.org", 550, "5.1.1 no such user")

	ctx := context.Background()
	conn, err := srv.Dialer().Dial(ctx, srv.Addr)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Quit(ctx)
	e, _ := smtp.NewEnvelope("alice@example.org", "bob@example.org", "full@example.org", "nobody@example.org")
	result, err := conn.Send(ctx, e, smtp.StringContent("Subject: hello\n\nHello\n"))
	if err != nil {
		log.Fatal(err) // nobody has it
	}
	for _, r := range result.Recipients {
		var refusal *smtp.Error
		switch {
		case r.Err == nil:
			fmt.Println(r.Path, "has it")
		case errors.As(r.Err, &refusal) && refusal.Temporary():
			fmt.Println(r.Path, "later:", refusal.Enhanced, refusal.Text)
		default:
			fmt.Println(r.Path, "never:", r.Err)
		}
	}
	// Output:
	// bob@example.org has it
	// full@example.org later: 4.2.2 mailbox full
	// nobody@example.org never: RCPT TO:<nobody@example.org>: 550 5.1.1 no such user
}

// Code tells what a server said from what went wrong on the way to it.
func ExampleError() {
	srv := smtptest.NewServer(nil)
	defer srv.Close()
	srv.Refuse("nobody@example.org", 550, "5.1.1 no such user")
	srv.Script(smtptest.Rule{On: smtptest.OnMessage, Address: "bob@example.org", Drop: true})

	ctx := context.Background()
	for _, to := range []string{"nobody@example.org", "bob@example.org", "jörg@example.org\r\n"} {
		e, err := smtp.NewEnvelope("alice@example.org", "carol@example.org")
		if err != nil {
			log.Fatal(err)
		}
		local, domain, _ := strings.Cut(to, "@")
		e.To[0].Path.Mailbox = smtp.Mailbox{Local: local, Domain: domain}
		_, err = smtp.SendMail(ctx, srv.Dialer(), srv.Addr, e, smtp.StringContent("Subject: hello\n\nHello\n"))
		var failure *smtp.Error
		switch {
		case !errors.As(err, &failure):
			fmt.Println("sent")
		case failure.Code != 0:
			fmt.Println("the server:", failure.Code, failure.Enhanced, failure.Text)
		case errors.Is(err, smtp.ErrMaybeDelivered):
			fmt.Println("perhaps sent; temporary:", failure.Temporary())
		default:
			fmt.Println("not sent; temporary:", failure.Temporary(), errors.Is(err, smtp.ErrBadAddress))
		}
	}
	// Output:
	// the server: 550 5.1.1 no such user
	// perhaps sent; temporary: true
	// not sent; temporary: false true
}

// A Pool keeps connections for the messages to come.
func ExamplePool() {
	srv := smtptest.NewServer(nil)
	defer srv.Close()
	pool := &smtp.Pool{Dialer: srv.Dialer(), MaxConns: 4}
	defer pool.Close()
	for i := range 3 {
		e, _ := smtp.NewEnvelope("alice@example.org", "bob@example.org")
		if _, err := pool.Send(context.Background(), srv.Addr, e, smtp.StringContent(fmt.Sprintf("Subject: number %d\n\nHello\n", i))); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(len(srv.Messages()), "messages,", srv.Connections(), "connection")
	// Output: 3 messages, 1 connection
}

// A trace shows the dialog. Passwords and messages are not in it.
func ExampleClientTrace() {
	srv := smtptest.NewUnstartedServer(nil)
	srv.Users = map[string]string{"alice": "correct horse"}
	srv.Start()
	defer srv.Close()
	dialer := srv.Dialer()
	dialer.Auth.Mechanisms = []string{"PLAIN"}
	dialer.Trace = &smtp.ClientTrace{Sent: func(line string) { fmt.Println("C:", line) }}
	conn, err := dialer.Dial(context.Background(), srv.Addr)
	if err != nil {
		log.Fatal(err)
	}
	conn.Quit(context.Background())
	// Output:
	// C: EHLO client.test
	// C: STARTTLS
	// C: EHLO client.test
	// C: AUTH PLAIN *
	// C: QUIT
}
