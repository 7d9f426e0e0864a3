package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	netsmtp "net/smtp"
	"strings"

	"github.com/gomailroom/mailroom/smtp"
)

// A server that takes every message.
func ExampleHandlerFunc() {
	received := make(chan string, 1)
	srv := &smtp.Server{
		Hostname: "mx.example.org",
		Handler: smtp.HandlerFunc(func(_ context.Context, p *smtp.Peer, e *smtp.Envelope, message io.Reader) error {
			text, err := io.ReadAll(message)
			if err != nil {
				return err
			}
			received <- fmt.Sprintf("%s: <%s> to <%s>: %q", p.Hello, e.From, e.To[0].Path, text)
			return nil
		}),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(l)
	defer srv.Close()

	err = netsmtp.SendMail(l.Addr().String(), nil, "alice@example.com", []string{"bob@example.org"}, []byte("Subject: hello\r\n\r\nHello, Bob.\r\n"))
	fmt.Println(err)
	fmt.Println(<-received)
	// Output:
	// <nil>
	// localhost: <alice@example.com> to <bob@example.org>: "Subject: hello\r\n\r\nHello, Bob.\r\n"
}

// gate decides about recipients before a message comes.
type gate struct{ domain string }

func (g gate) Connect(context.Context, *smtp.Peer) (smtp.Session, error) { return g, nil }

func (g gate) Begin(context.Context, *smtp.Peer, smtp.ReversePath, smtp.MailParams) (smtp.Transaction, error) {
	return &inbound{gate: g}, nil
}

type inbound struct {
	gate
	to []smtp.ForwardPath
}

func (t *inbound) Rcpt(_ context.Context, to smtp.ForwardPath, _ smtp.RcptParams) error {
	if !strings.EqualFold(to.Domain, t.domain) {
		return &smtp.Error{Code: 550, Enhanced: smtp.EnhancedCode{5, 7, 1}, Text: "no relaying"}
	}
	t.to = append(t.to, to)
	return nil
}

func (t *inbound) Data(_ context.Context, message io.Reader) (smtp.Receipt, error) {
	n, err := io.Copy(io.Discard, message)
	if err != nil {
		return smtp.Receipt{}, err
	}
	return smtp.Receipt{Text: fmt.Sprintf("%d octets for %d recipients", n, len(t.to))}, nil
}

func (t *inbound) Abort() {}

// A server that takes mail for one domain only, over a connection that did not come from a listener.
func ExampleServer_ServeConn() {
	client, server := net.Pipe()
	go func() {
		io.WriteString(client, "EHLO client.example\r\n")
		io.WriteString(client, "MAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@example.org>\r\nRCPT TO:<eve@example.net>\r\nDATA\r\n")
		io.WriteString(client, "Hello, Bob.\r\n.\r\nQUIT\r\n")
	}()
	srv := &smtp.Server{Hostname: "mx.example.org", Handler: gate{"example.org"}, Withhold: ^smtp.Extensions(0)}
	go srv.ServeConn(context.Background(), server)
	replies, _ := io.ReadAll(client)
	fmt.Print(strings.ReplaceAll(string(replies), "\r\n", "\n"))
	// Output:
	// 220 mx.example.org ESMTP
	// 250 mx.example.org
	// 250 sender OK
	// 250 recipient OK
	// 550 no relaying
	// 354 start mail input, end with <CRLF>.<CRLF>
	// 250 13 octets for 1 recipients
	// 221 closing connection
}

type users map[string]string

// VerifyPassword implements smtp.Authenticator.
func (u users) VerifyPassword(_ context.Context, _ netip.Addr, authzid, username, password string) (string, error) {
	if want, ok := u[username]; ok && want == password && (authzid == "" || authzid == username) {
		return username, nil // a real one compares hashes
	}
	return "", errors.New("wrong name or password")
}

// A submission server, which takes mail from its users only. With TLSConfig it offers STARTTLS, and AUTH after it.
func ExampleServer_submission() {
	srv := &smtp.Server{
		Mode: smtp.Submission,
		Auth: users{"alice": "secret"},
		Handler: smtp.HandlerFunc(func(_ context.Context, p *smtp.Peer, e *smtp.Envelope, message io.Reader) error {
			fmt.Println(p.Identity, "sends as", e.From)
			_, err := io.Copy(io.Discard, message)
			return err
		}),
		InsecureAuth: true, // for this example; leave it out and set TLSConfig
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(l)
	defer srv.Close()

	text := []byte("Subject: hello\r\n\r\nHello, Bob.\r\n")
	fmt.Println(netsmtp.SendMail(l.Addr().String(), nil, "alice@example.com", []string{"bob@example.org"}, text))
	auth := netsmtp.PlainAuth("", "alice", "secret", "127.0.0.1")
	fmt.Println(netsmtp.SendMail(l.Addr().String(), auth, "alice@example.com", []string{"bob@example.org"}, text))
	// Output:
	// 530 "5.7.0 authentication required"
	// alice sends as alice@example.com
	// <nil>
}
