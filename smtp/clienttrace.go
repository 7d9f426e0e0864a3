package smtp

import "crypto/tls"

// A ClientTrace is a set of hooks that see what a [Conn] does, in the manner of net/http/httptrace. Any of them may be
// nil. They are called in the goroutine that uses the connection, and must not block.
//
// Secrets are struck out: of an AUTH command only the mechanism is shown, and nothing of the challenges and responses that follow it. The message
// itself is not shown, only its size.
type ClientTrace struct {
	Connected func(network, addr string, err error)      // after each attempt to connect
	Sent      func(line string)                          // each line of a command, without CRLF
	Received  func(line string)                          // each line of a reply, without CRLF
	TLS       func(state tls.ConnectionState, err error) // after each handshake
	Message   func(octets int64)                         // after a message was written, before its reply
}
