package smtp

import (
	"context"
	"crypto/tls"
	"net/netip"
)

// An Authenticator checks passwords. It uses built-in and standard types only, so that one value serves smtp, pop3 and
// imap. authzid is the identity to act as, empty for the user's own. The identity that comes back is the canonical
// name. An error with a method Temporary() bool that returns true is answered with 454 4.7.0; any other with 535 5.7.8 and a fixed text.
type Authenticator interface {
	VerifyPassword(ctx context.Context, remote netip.Addr, authzid, username, password string) (identity string, err error)
}

// SCRAMKeys looks up what SCRAM needs to know of a user (RFC 5802 s3). hash is "SHA-1" or "SHA-256". An unknown user is an error; the server goes on with made-up
// keys, so that peers cannot tell.
type SCRAMKeys interface {
	SCRAMKeys(ctx context.Context, remote netip.Addr, authzid, username, hash string) (identity string, salt []byte, iterations int, storedKey, serverKey []byte, err error)
}

// Tokens checks the bearer tokens of OAUTHBEARER (RFC 7628) and XOAUTH2. authzid is the identity to act as; XOAUTH2 gives the user's name there.
// Identity and errors are those of [Authenticator].
type Tokens interface {
	VerifyToken(ctx context.Context, remote netip.Addr, authzid, token string) (identity string, err error)
}

// Certificates tells who the owner of a client certificate is, for EXTERNAL (RFC 4422 appendix A). It is asked when state.VerifiedChains is not empty, that is when
// TLSConfig.ClientAuth is tls.VerifyClientCertIfGiven or stricter, and the client has shown a certificate that ClientCAs vouch for. authzid is the identity to act as, empty for the certificate's own.
type Certificates interface {
	VerifyCertificate(ctx context.Context, remote netip.Addr, authzid string, state tls.ConnectionState) (identity string, err error)
}

// Secrets gives passwords in the clear, which CRAM-MD5 needs (RFC 2195). Better have none.
type Secrets interface {
	Secret(ctx context.Context, remote netip.Addr, username string) (identity, secret string, err error)
}
