package imap_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
)

// oneUser is the smallest Authenticator.
type oneUser struct{}

func (oneUser) VerifyPassword(_ context.Context, _ netip.Addr, _, username, password string) (string, error) {
	if username != "alice" || password != "correct horse" {
		return "", fmt.Errorf("wrong name or password")
	}
	return username, nil
}

// A server over a store in memory. InsecureAuth is for this example: set TLSConfig in its place.
func ExampleServer() {
	store := &memstore.Store{}
	if err := store.CreateAccount(context.Background(), "alice", mailstore.Limits{}); err != nil {
		log.Fatal(err)
	}
	srv := &imap.Server{Backend: store, Auth: oneUser{}, InsecureAuth: true}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Shutdown(context.Background())

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "a LOGIN alice \"correct horse\"\r\nb STATUS INBOX (MESSAGES)\r\nc LOGOUT\r\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if line := lines.Text(); len(line) < 60 { // not the long lists of capabilities
			fmt.Println(line)
		}
	}
	// Output:
	// * STATUS "INBOX" (MESSAGES 0)
	// b OK STATUS completed
	// * BYE Good-bye
	// c OK LOGOUT completed
}

// Hooks see each command, for metrics and audits.
func ExampleServerTrace() {
	srv := &imap.Server{Backend: &memstore.Store{}, Auth: oneUser{}, InsecureAuth: true}
	srv.Trace = &imap.ServerTrace{
		Authenticated: func(_ *imap.Peer, i imap.AuthInfo) { fmt.Println(i.Mechanism, i.Username, i.Err) },
		Command:       func(_ *imap.Peer, i imap.CommandInfo) { fmt.Println(i.Name, i.Status, i.Code) },
	}
	client, server := net.Pipe()
	go func() {
		defer client.Close()
		r := bufio.NewReader(client)
		for _, cmd := range []string{"a LOGIN alice 12345\r\n", "b LOGOUT\r\n"} {
			r.ReadString('\n')
			fmt.Fprint(client, cmd)
		}
		io.Copy(io.Discard, r)
	}()
	if err := srv.ServeConn(context.Background(), server); err != nil {
		fmt.Println(err)
	}
	// Output:
	// LOGIN alice sasl: authentication failed
	// LOGIN NO AUTHENTICATIONFAILED
	// LOGOUT OK
}
