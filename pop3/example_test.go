package pop3_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"time"

	"github.com/gomailroom/mailroom/pop3"
	"github.com/gomailroom/mailroom/pop3/pop3test"
)

// A server on the ports for STLS and implicit TLS, and how it ends.
func ExampleServer() {
	var (
		store     pop3.Backend       // such as a view of an imap store
		directory pop3.Authenticator // such as a password file
		tlsConfig *tls.Config
	)
	srv := &pop3.Server{
		Backend:    store,
		Auth:       directory,
		TLSConfig:  tlsConfig,
		ExpireDays: pop3.NeverExpires,
		Logger:     slog.Default(),
	}
	serve := func(address string, serve func(net.Listener) error) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			log.Fatal(err)
		}
		if err := serve(l); err != pop3.ErrServerClosed {
			log.Fatal(err)
		}
	}
	go serve(":110", srv.Serve)
	go serve(":995", srv.ServeTLS)

	// ... later: no new connections; sessions have a minute to say QUIT.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		srv.Close()
	}
}

// One connection, without a listener.
func ExampleServer_ServeConn() {
	store := new(pop3test.Memory)
	store.Deliver("alice", []byte("Subject: hello\r\n\r\n.\r\n"))
	srv := &pop3.Server{
		Backend:      store,
		Auth:         pop3test.Users{"alice": "secret"},
		InsecureAuth: true, // there is no TLS here
	}
	client, server := net.Pipe()
	go srv.ServeConn(context.Background(), server)
	go io.WriteString(client, "USER alice\r\nPASS secret\r\nRETR 1\r\nQUIT\r\n")
	for lines := bufio.NewScanner(client); lines.Scan(); {
		fmt.Println(lines.Text())
	}
	// Output:
	// +OK POP3 server ready
	// +OK send PASS
	// +OK 1 21
	// +OK 21 octets
	// Subject: hello
	//
	// ..
	// .
	// +OK bye
}
