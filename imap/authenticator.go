package imap

import (
	"context"
	"crypto/tls"
	"net/netip"
)

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
