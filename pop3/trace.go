package pop3

import (
	"crypto/tls"
	"net/netip"
	"strings"
)

// A Peer is what is known of the other side of a connection. It is an immutable snapshot: the one that a hook gets is current, and does not change later.
type Peer struct {
	ID        string               // of this connection, for logs
	Remote    netip.AddrPort       // as connected, or as a proxy in Server.ProxyFrom said
	Local     netip.AddrPort       // the address that was connected to
	TLS       *tls.ConnectionState // nil without TLS; if a proxy ended it, Version, CipherSuite and ServerName at most
	Identity  string               // who logged in, as the authenticator gave it; empty when nobody did
	Mechanism string               // how: "PASS" and "APOP" are the commands; "PLAIN" and so on
}

// A ServerTrace has hooks for what a [Server] does, to log or count it, as those of smtp and imap. Each may be nil. They are called on the connection's goroutine and must be
// quick. Secrets are struck out: what follows PASS, the name in APOP and the mechanism in AUTH, the responses, and the challenges.
type ServerTrace struct {
	Connected     func(p *Peer)              // before the greeting
	Authenticated func(p *Peer, a AuthInfo)  // after each attempt to log in
	Command       func(p *Peer, line string) // a command line, without CRLF
	Reply         func(p *Peer, line string) // the first line of a reply, without CRLF; what else a multi-line reply has is not shown
	Disconnected  func(p *Peer, err error)   // nil after QUIT, or when the client left between commands
}

// AuthInfo is an attempt to log in.
type AuthInfo struct {
	Mechanism string // as in [Peer]
	Username  string // as given; empty where it is not known
	Identity  string // canonical; empty after a failure
	Err       error  // why it failed; nil when it did not
}

// snapshot is the peer for a hook.
func (s *session) snapshot() *Peer {
	p := s.peer
	return &p
}

// traceCommand tells of a command line.
func (s *session) traceCommand(line []byte) {
	t := s.cfg.trace.Command
	if t == nil {
		return
	}
	// Words are told apart whatever stands between them: a client's mistake is no reason to show its password.
	words := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' })
	verb := ""
	if len(words) > 0 {
		verb = strings.ToUpper(words[0])
	}
	_, known := commands[verb]
	if known {
		s.afterAuth = verb == "AUTH"
	}
	shown := len(words)
	switch {
	case s.auth != nil, s.afterAuth && !known: // a response, perhaps of a client that did not wait to see its mechanism refused
		shown = 0
	case verb == "PASS":
		shown = 1
	case verb == "AUTH", verb == "APOP":
		shown = 2
	}
	if shown >= len(words) && shown > 0 {
		t(s.snapshot(), string(line))
	} else {
		t(s.snapshot(), strings.Join(append(words[:shown:shown], "***"), " "))
	}
}

// traceReply tells of the first line of a reply.
func (s *session) traceReply(status string, parts ...string) {
	if t := s.cfg.trace.Reply; t != nil {
		t(s.snapshot(), status+strings.Join(parts, ""))
	}
}
