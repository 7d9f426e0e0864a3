package pop3_test

import (
	"crypto/tls"
	"net"
)

// tlsClient speaks TLS to the test server, and names the protocol.
func tlsClient(c net.Conn, protocol string) *tls.Conn {
	cfg := ca.Client()
	cfg.ServerName = "pop.example.org"
	cfg.NextProtos = []string{protocol}
	return tls.Client(c, cfg)
}
