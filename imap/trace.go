package imap

import (
	"net/netip"
	"time"
)

// ServerTrace has hooks that a [Server] calls as things happen, in the manner of net/http/httptrace. Any of them may be nil. They are called from the goroutine of the
// connection, which waits for them, and never see passwords or text of messages.
type ServerTrace struct {
	Connected     func(remote netip.Addr)
	Authenticated func(AuthInfo)    // after each attempt to log in
	Command       func(CommandInfo) // after each command
	Disconnected  func(remote netip.Addr, identity string, err error)
}

// AuthInfo is an attempt to log in.
type AuthInfo struct {
	Remote    netip.Addr
	Mechanism string // "LOGIN" is the command; "PLAIN" and so on
	Username  string // as given; empty where it is not known
	Identity  string // canonical; empty after a failure
	TLS       bool
	Err       error
}

// CommandInfo is a command that was carried out or refused.
type CommandInfo struct {
	Remote   netip.Addr
	Identity string // empty before login
	Mailbox  string // the one selected
	Name     string // in capitals, such as "UID FETCH"; "?" where it is unknown
	Status   string // OK, NO, BAD or BYE
	Code     string // response code such as "OVERQUOTA"
	Duration time.Duration
}
