package imap

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// A Peer is what is known of the other side of a connection. It is an immutable snapshot: the one that a hook gets is current, and does not change later.
type Peer struct {
	ID        string               // of this connection, for logs
	Remote    netip.AddrPort       // as connected, or as a proxy in Server.ProxyFrom said
	Local     netip.AddrPort       // the address that was connected to
	TLS       *tls.ConnectionState // nil without TLS; if a proxy ended it, Version, CipherSuite and ServerName at most
	Identity  string               // who logged in, as the authenticator gave it; empty when nobody did
	Mechanism string               // how: "LOGIN" is the command; "PLAIN" and so on
}

// A ServerTrace has hooks for what a [Server] does, to log or count it, as those of smtp and pop3. Each may be nil. They are called on the connection's goroutine and must be
// quick. They never see passwords or text of messages.
type ServerTrace struct {
	Connected     func(p *Peer)                // before the greeting
	Authenticated func(p *Peer, a AuthInfo)    // after each attempt to log in
	Command       func(p *Peer, c CommandInfo) // after each command
	Disconnected  func(p *Peer, err error)     // nil after LOGOUT, or when the client left between commands
}

// AuthInfo is an attempt to log in.
type AuthInfo struct {
	Mechanism string // as in [Peer]
	Username  string // as given; empty where it is not known
	Identity  string // canonical; empty after a failure
	Err       error  // why it failed; nil when it did not
}

// CommandInfo is a command that was carried out or refused. It stands for the line, which may be long and have literals in it.
type CommandInfo struct {
	Mailbox  string // the one selected
	Name     string // in capitals, such as "UID FETCH"; "?" where it is unknown
	Status   string // OK, NO, BAD or BYE
	Code     string // response code such as "OVERQUOTA"
	Duration time.Duration
}

// snapshot is the peer for a hook.
func (s *session) snapshot() *Peer {
	p := &Peer{ID: s.id, Remote: s.link.Remote, Local: s.link.Local, Identity: s.identity, Mechanism: s.mechanism}
	if c, ok := s.conn.(*tls.Conn); ok {
		state := c.ConnectionState()
		p.TLS = &state
	} else if s.tls {
		p.TLS = s.link.Proxy.TLS
	}
	return p
}
