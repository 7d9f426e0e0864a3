package smtp

import (
	"bytes"
	"strings"
)

// A ServerTrace has hooks for what a [Server] does, to log or count it, as those of imap and pop3. Each may be nil. They are called on the
// connection's goroutine and must be quick. Secrets are struck out: what follows the mechanism in AUTH, the responses, and the challenges.
type ServerTrace struct {
	Connected     func(p *Peer)                // before Handler.Connect
	Authenticated func(p *Peer, a AuthInfo)    // after each attempt to log in
	Command       func(p *Peer, line string)   // a command line, without CRLF
	Reply         func(p *Peer, lines string)  // replies as written, possibly several, with CRLF
	Message       func(p *Peer, m MessageInfo) // a message ended: accepted or refused
	Disconnected  func(p *Peer, err error)     // nil when the peer said QUIT or left between transactions
}

// AuthInfo is an attempt to log in.
type AuthInfo struct {
	Mechanism string // SASL mechanism
	Username  string // as given; empty where it is not known
	Identity  string // canonical; empty after a failure
	Err       error  // why it failed; nil when it did not
}

// MessageInfo is what [ServerTrace] tells of a message.
type MessageInfo struct {
	Size       int64 // octets of content that were read
	Recipients int   // accepted recipients
	Err        error // why it was refused; nil when it was accepted
}

// reply tells of replies, with the challenges of SASL struck out.
func (t *ServerTrace) reply(p *Peer, out []byte) {
	if t.Reply == nil {
		return
	}
	var b strings.Builder
	for line := range bytes.Lines(out) {
		if text := bytes.TrimRight(line, "\r\n"); len(text) > 4 && string(text[:4]) == "334 " {
			line = []byte("334 ***\r\n")
		}
		b.Write(line)
	}
	t.Reply(p, b.String())
}
