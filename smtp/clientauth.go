package smtp

import (
	"context"
)

// Credentials are what a client authenticates with. The strongest mechanism that both sides have is used: SCRAM before bearer tokens before CRAM-MD5 before PLAIN and LOGIN. The last two, and
// tokens, show the secret to the server, and are used under TLS and over loopback only.
type Credentials struct {
	Username  string
	Password  string
	Authorize string // the identity to act as; empty: the user's own

	// Token gives a bearer token for OAUTHBEARER (RFC 7628) and XOAUTH2. It is called for each authentication, so that it can refresh the token.
	Token func(ctx context.Context) (string, error)

	// Mechanisms are those that may be used, the best first. Empty: all for which there is a Password or a Token. EXTERNAL, which
	// takes the identity from the TLS certificate, is used only when it is named here.
	Mechanisms []string

	Plaintext bool // shows the secret to the server without TLS as well
}

func (c *Conn) authenticate(ctx context.Context) error { return ErrNoMechanism }
