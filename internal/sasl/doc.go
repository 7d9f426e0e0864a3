// Package sasl has both sides of the SASL mechanisms (RFC 4422) that mail
// protocols use. It knows nothing of the protocols: they carry base64, this
// package sees octets.
//
// A server sets the functions of a [Config] that it can answer; [Config.Mechanisms]
// says what follows from them, [Config.Start] begins an exchange, and
// [Config.Login] checks a name and password that came by a command of the protocol.
//
//	s, err := cfg.Start(ctx, "PLAIN", ch)
//	challenge, done, err := s.Next(response) // until done or err
//	s.Identity()
//
// A client lets [Pick] choose among what the server offers.
//
//	PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), EXTERNAL (RFC 4422),
//	SCRAM-SHA-1, SCRAM-SHA-256 and their -PLUS forms (RFC 5802, 7677, 9266, 5929),
//	OAUTHBEARER (RFC 7628), XOAUTH2, CRAM-MD5 (RFC 2195)
//
// Names and passwords are prepared by SASLprep (RFC 4013), see [Prepare].
package sasl
