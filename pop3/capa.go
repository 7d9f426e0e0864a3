package pop3

import (
	"crypto/tls"
	"strconv"
	"strings"
)

// cmdCapa: RFC 2449 s5.
func (s *session) cmdCapa(_ string, hasArg bool) {
	if hasArg {
		s.badCommand(errSyntax)
		return
	}
	s.ok("capability list follows")
	o := &s.out
	if s.canStartTLS() {
		o.line("STLS")
	}
	if s.plaintext() {
		o.line("USER")
	}
	if names := s.cfg.sasl.Mechanisms(s.conn); len(names) > 0 {
		o.line("SASL ", strings.Join(names, " "))
	}
	o.str(capaFixed)
	switch days := s.cfg.expireDays; {
	case days > 0:
		o.line("EXPIRE ", strconv.Itoa(days))
	case days < 0:
		o.line("EXPIRE NEVER")
	}
	if s.cfg.loginDelay > 0 {
		o.line("LOGIN-DELAY ", strconv.Itoa(s.cfg.delaySeconds()))
	}
	if s.cfg.implementation != "" {
		o.line("IMPLEMENTATION ", s.cfg.implementation)
	}
	o.line(".")
}

const capaFixed = "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\nLANG\r\n"

// plaintext reports whether USER and PASS are taken.
func (s *session) plaintext() bool {
	return s.cfg.sasl.VerifyPassword != nil && (s.conn.TLS != nil || s.conn.Private || s.cfg.sasl.AllowPlaintext)
}

func (s *session) canStartTLS() bool {
	return s.cfg.tls != nil && s.conn.TLS == nil && !s.conn.Private && s.state == authorization
}

// cmdLang: RFC 6856 s3, with the one language that must be there.
func (s *session) cmdLang(arg string, _ bool) {
	switch strings.ToLower(arg) {
	case "":
		s.ok("languages follow")
		s.out.line("i-default")
		s.out.line(".")
	case "*", "i-default":
		s.ok("i-default language selected")
	default:
		s.fail(&Error{Text: "no such language"})
	}
}

// cmdStls: RFC 2595 s4.
func (s *session) cmdStls(_ string, hasArg bool) {
	switch {
	case hasArg:
		s.badCommand(errSyntax)
	case !s.canStartTLS():
		s.badCommand(errNotNow)
	case s.utf8: // RFC 6856 s2.1
		s.fail(errNotNow)
	case s.in.Len() > 0: // not written by whom the handshake will prove
		s.fail(errPipelinedTLS)
		s.end(errPipelinedTLS)
	default:
		s.ok("begin TLS")
		s.wantTLS = true
	}
}

func (s *session) tlsStarted(state *tls.ConnectionState) {
	s.conn.TLS, s.peer.TLS = state, state
	s.user = ""
	s.conn.Certificate = s.cfg.certificate
}

func (s *session) cmdUTF8(_ string, hasArg bool) {
	if hasArg {
		s.badCommand(errSyntax)
		return
	}
	s.utf8 = true
	s.ok("UTF8 enabled")
}
