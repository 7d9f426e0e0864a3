package pop3

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"
)

// A Backend finds maildrops. It may be called from many goroutines.
type Backend interface {
	// Maildrop opens the maildrop of an identity that has logged in. ErrInUse
	// when another session has it, if the backend allows one at a time.
	Maildrop(ctx context.Context, identity string) (Maildrop, error)
}

// BackendFunc makes a function a Backend.
type BackendFunc func(ctx context.Context, identity string) (Maildrop, error)

func (f BackendFunc) Maildrop(ctx context.Context, identity string) (Maildrop, error) {
	return f(ctx, identity)
}

// A Maildrop is one session's hold on the messages of an account. A session
// calls it from one goroutine at a time. ctx ends with the connection.
type Maildrop interface {
	// Messages lists the messages, oldest first. It is called once.
	Messages(ctx context.Context) ([]Message, error)

	// Open gives the octets of a message: lines that end with CRLF. An error,
	// such as ErrNoMessage for one that has gone meanwhile, concerns this
	// message alone. An error from Read ends the connection.
	Open(ctx context.Context, uid string) (io.ReadCloser, error)

	// Commit removes messages. It is called once at most, when the client says
	// QUIT, with at least one UID. It does as much as it can and reports what it
	// could not; messages that have gone already are no error.
	Commit(ctx context.Context, deleted []string) error

	// Close lets go of the maildrop. It is always called.
	Close() error
}

// Message is an entry of a maildrop.
type Message struct {
	// UID identifies the message in this maildrop for ever: 1 to 70 characters
	// from ! to ~ (RFC 1939 s7). No two messages have the same.
	UID string
	// Size is the number of octets that Open gives, CRLFs included.
	Size int64
	// UTF8 says that the header has characters beyond ASCII (RFC 6532): only
	// clients that have asked for UTF8 get the message (RFC 6856 s2.1).
	UTF8 bool
}

// An Authenticator checks passwords. It uses built-in and standard types only,
// so that one value serves smtp, pop3 and imap. authzid is the identity to act
// as, empty for the user's own. The identity that comes back is the canonical
// name. An error with a method Temporary() bool that returns true is answered
// with [SYS/TEMP], any other with [AUTH] and a fixed text.
type Authenticator interface {
	VerifyPassword(ctx context.Context, remote netip.Addr, authzid, username, password string) (identity string, err error)
}

// SCRAMKeys looks up what SCRAM needs to know of a user (RFC 5802 s3). hash is
// "SHA-256" or "SHA-1". An unknown user is an error; the server goes on with made-up
// keys, so that peers cannot tell.
type SCRAMKeys interface {
	SCRAMKeys(ctx context.Context, remote netip.Addr, authzid, username, hash string) (identity string, salt []byte, iterations int, storedKey, serverKey []byte, err error)
}

// Secrets gives passwords in the clear, which APOP and CRAM-MD5 need. Better
// have none.
type Secrets interface {
	Secret(ctx context.Context, remote netip.Addr, username string) (identity, secret string, err error)
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
