package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	netsmtp "net/smtp"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/middleware"
)

// A server that greets late, and takes one message a minute from each client.
func Example() {
	take := smtp.HandlerFunc(func(_ context.Context, _ *smtp.Peer, e *smtp.Envelope, message io.Reader) error {
		_, err := io.Copy(io.Discard, message)
		return err
	})
	srv := &smtp.Server{
		GreetingDelay: 10 * time.Millisecond,
		Handler: middleware.Chain(take,
			middleware.Deny(netip.MustParsePrefix("203.0.113.0/24")),
			middleware.RefuseEarly(),
			middleware.LimitConnections(middleware.ConnectionLimits{PerAddress: 5}),
			middleware.LimitRate(middleware.Rates{Messages: middleware.Rate{Events: 1, Per: time.Minute}}),
			middleware.Tarpit(middleware.Patience{}),
		),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(l)
	defer srv.Close()
	for range 2 {
		text := []byte("From: alice@example.com\r\n\r\nHello, Bob.\r\n")
		fmt.Println(netsmtp.SendMail(l.Addr().String(), nil, "alice@example.com", []string{"bob@example.org"}, text))
	}
	// Output:
	// <nil>
	// 450 "4.7.1 too much mail from you; try again later"
}

// A submission server that completes messages, and holds their domains to the rules.
func ExampleSubmission() {
	srv := &smtp.Server{
		Mode: smtp.Submission,
		Auth: anyone{},
		Handler: middleware.Chain(
			smtp.HandlerFunc(func(_ context.Context, _ *smtp.Peer, _ *smtp.Envelope, message io.Reader) error {
				_, err := io.Copy(io.Discard, message)
				return err
			}),
			middleware.Submission(middleware.SubmissionRules{Domain: "example.com"}),
		),
		InsecureAuth: true, // for this example; leave it out and set TLSConfig
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(l)
	defer srv.Close()
	auth := netsmtp.PlainAuth("", "alice", "secret", "127.0.0.1")
	for _, header := range []string{"From: alice@example.com", "From: alice@laptop", "Subject: hello"} {
		text := []byte(header + "\r\n\r\nHello, Bob.\r\n")
		fmt.Println(netsmtp.SendMail(l.Addr().String(), auth, "alice@example.com", []string{"bob@example.org"}, text))
	}
	// Output:
	// <nil>
	// 554 "5.6.0 a domain in the field from is not fully qualified"
	// 554 "5.6.0 the header has no field From"
}
