package pop3

import (
	"crypto/tls"
	"strconv"
	"strings"
)

// capa: RFC 2449 s5.
func (s *session) capa(hasArg bool) {
	if hasArg {
		s.badCommand(errSyntax)
		return
	}
	o := &s.out
	o.line("+OK capability list follows")
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

// lang: RFC 6856 s3, with the one language that must be there.
func (s *session) lang(arg string) {
	switch strings.ToLower(arg) {
	case "":
		s.out.line("+OK languages follow")
		s.out.line("i-default")
		s.out.line(".")
	case "*", "i-default":
		s.out.line("+OK i-default language selected")
	default:
		s.fail(&Error{Text: "no such language"})
	}
}

// stls: RFC 2595 s4.
func (s *session) stls(hasArg bool) action {
	switch {
	case hasArg:
		s.badCommand(errSyntax)
	case !s.canStartTLS():
		s.badCommand(errNotNow)
	case s.utf8: // RFC 6856 s2.1
		s.fail(errNotNow)
	default:
		s.out.line("+OK begin TLS")
		return startTLS
	}
	return readMore
}

// dropPlaintext forgets what came before the handshake: commands that
// somebody put there must not run as if they had come under TLS.
func (s *session) dropPlaintext() {
	if n := s.in.Len(); n > 0 {
		s.log.Warn("input after STLS dropped", "octets", n)
	}
	s.in.Reset()
	s.user = ""
}

func (s *session) tlsStarted(state *tls.ConnectionState) {
	s.conn.TLS = state
	s.conn.Certificate = s.cfg.certificate
}

func (s *session) cmdUTF8(_ string, hasArg bool) {
	if hasArg {
		s.badCommand(errSyntax)
		return
	}
	s.utf8 = true
	s.out.line("+OK UTF8 enabled")
}
