package smtp

import (
	"crypto/tls"
	"net/netip"
)

// A Peer is what is known of the other side of a connection. It is an immutable snapshot: the one that a handler gets with
// each call is current, and earlier ones do not change.
type Peer struct {
	ID        string               // of this connection, for logs
	Remote    netip.AddrPort       // as connected, or as a trusted proxy said
	Local     netip.AddrPort       // the address that was connected to
	Name      string               // of Remote, as a proxy said by XCLIENT; the server itself looks up nothing
	Early     bool                 // it spoke before the greeting, see Server.GreetingDelay
	Hello     string               // the argument of EHLO, HELO or LHLO; empty before
	Extended  bool                 // EHLO or LHLO, not HELO
	TLS       *tls.ConnectionState // nil without TLS; if a proxy ended it, Version, CipherSuite and ServerName at most
	Identity  string               // who authenticated, as the authenticator gave it; empty when nobody did
	Mechanism string               // the SASL mechanism of Identity, or "XCLIENT" for who authenticated to a proxy
}
