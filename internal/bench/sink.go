package bench

import (
	"context"
	"io"
	"net"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/gomailroom/mailroom/smtp"
)

// Discard takes every message and drops it.
var Discard = smtp.HandlerFunc(func(_ context.Context, _ *smtp.Peer, _ *smtp.Envelope, message io.Reader) error {
	_, err := io.Copy(io.Discard, message)
	return err
})

// Sinks are SMTP servers by name that take every message and drop it, each with the settings that it comes with.
var Sinks = map[string]func(l net.Listener) error{
	"mailroom": func(l net.Listener) error {
		return (&smtp.Server{Handler: Discard, Hostname: "mx.example"}).Serve(l)
	},
	"go-smtp": func(l net.Listener) error {
		s := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return discardSession{}, nil }))
		s.Domain = "mx.example"
		return s.Serve(l)
	},
}

type discardSession struct{}

func (discardSession) Reset()                                 {}
func (discardSession) Logout() error                          { return nil }
func (discardSession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (discardSession) Rcpt(string, *gosmtp.RcptOptions) error { return nil }
func (discardSession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
