package mta

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/spam/auth"
)

// dateFormat is the date-time of RFC 5322 s3.3.
const dateFormat = "Mon, 2 Jan 2006 15:04:05 -0700"

// newID names a message in trace fields and replies.
func newID() string { return strings.ToLower(rand.Text()[:16]) }

// returnPath gives the field of final delivery (RFC 5321 s4.4).
func returnPath(from smtp.ReversePath) []byte {
	return fmt.Appendf(nil, "Return-Path: %s\r\n", angle(from.Mailbox))
}

// deliveredTo names the address that led to an account, so that filters can tell aliases apart.
func (l *letter) deliveredTo(account string) []byte {
	for i, list := range l.accounts {
		for _, a := range list {
			if a == account {
				return fmt.Appendf(nil, "Delivered-To: %s\r\n", l.envelope.To[i].Path.Mailbox)
			}
		}
	}
	return nil
}

// sharedPrefix gives the trace fields that are the same for all mailboxes.
func (l *letter) sharedPrefix() []byte {
	prefix := l.received()
	if l.peer.Identity == "" && !l.lmtp && l.mail != nil {
		prefix = append(auth.ResultsHeader(l.m.hostname(), l.mail), prefix...)
	}
	return prefix
}

// received gives the trace field of RFC 5321 s4.4. For a user who authenticated it tells neither address nor name of the user's machine.
func (l *letter) received() []byte {
	var b strings.Builder
	b.WriteString("Received: ")
	if l.peer.Identity == "" {
		fmt.Fprintf(&b, "from %s (%s)\r\n\t", word(l.peer.Hello), literal(l.peer))
	}
	fmt.Fprintf(&b, "by %s with %s id %s", l.m.hostname(), l.with(), l.id)
	if state := l.peer.TLS; state != nil && state.Version != 0 { // a proxy that ended TLS may not have told
		fmt.Fprintf(&b, "\r\n\t(%s %s)", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
	}
	if len(l.envelope.To) == 1 { // more would tell the blind ones
		fmt.Fprintf(&b, "\r\n\tfor %s", angle(l.envelope.To[0].Path.Mailbox))
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", time.Now().Format(dateFormat))
	return []byte(b.String())
}

// with gives the protocol as registered (RFC 3848, RFC 6531 s4.3).
func (l *letter) with() string {
	name := "SMTP"
	if l.lmtp {
		name = "LMTP"
	} else if l.peer.Extended {
		name = "ESMTP"
	}
	if l.envelope.Params.UTF8 {
		name = "UTF8" + strings.TrimPrefix(name, "E")
	}
	if l.peer.TLS != nil {
		name += "S"
	}
	if l.peer.Identity != "" {
		name += "A"
	}
	return name
}

func angle(m smtp.Mailbox) string {
	if m.Local == "" && m.Domain == "" {
		return "<>"
	}
	return "<" + m.String() + ">"
}

func literal(p *smtp.Peer) string {
	addr := p.Remote.Addr().Unmap()
	switch {
	case !addr.IsValid():
		return "local"
	case addr.Is6():
		return "[IPv6:" + addr.WithZone("").String() + "]"
	}
	return "[" + addr.String() + "]"
}

// word keeps what a peer said of itself from breaking the field.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>;,"\`, r) {
			return -1
		}
		return r
	}, s)
	return cmp.Or(s, "unknown")
}

func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
