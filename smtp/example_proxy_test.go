package smtp_test

import (
	"context"
	"fmt"
	"net"

	"github.com/gomailroom/mailroom/smtp"
	"golang.org/x/net/proxy"
)

// A SOCKS proxy is a way to connect, and so an injected NetDial.
func ExampleDialer_socks() {
	socks, err := proxy.SOCKS5("tcp", "127.0.0.1:1080", &proxy.Auth{User: "me", Password: "secret"}, proxy.Direct)
	if err != nil {
		fmt.Println(err)
		return
	}
	dialer := &smtp.Dialer{NetDial: socks.(proxy.ContextDialer).DialContext}
	fmt.Println(dialer.NetDial != nil)
	// Output: true
}

// Mail goes out from one of the addresses of this machine, say the one that the sender's policy names.
func ExampleDialer_localAddress() {
	dialer := &smtp.Dialer{Hostname: "mail.example.org", LocalAddr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 25)}}
	fmt.Println(dialer.LocalAddr)
	// Output: 192.0.2.25:0
}

// LMTP over a Unix socket hands mail to a message store on this machine, which answers for each recipient.
func ExampleDialer_lmtp() {
	dialer := &smtp.Dialer{LMTP: true}
	_, err := dialer.Dial(context.Background(), "/nonexistent/lmtp")
	fmt.Println(err)
	// Output: connect to /nonexistent/lmtp: dial unix /nonexistent/lmtp: connect: no such file or directory
}
