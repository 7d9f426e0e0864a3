package smtp

import "strings"

// Extensions is a set of service extensions (RFC 5321 s2.2).
type Extensions uint32

// The extensions that a [Server] can offer.
const (
	ExtPipelining          Extensions = 1 << iota // PIPELINING (RFC 2920)
	ExtSize                                       // SIZE (RFC 1870)
	Ext8BitMIME                                   // 8BITMIME (RFC 6152)
	ExtSMTPUTF8                                   // SMTPUTF8 (RFC 6531); needs Ext8BitMIME
	ExtEnhancedStatusCodes                        // ENHANCEDSTATUSCODES (RFC 2034)
	ExtChunking                                   // CHUNKING (RFC 3030)
	ExtBinaryMIME                                 // BINARYMIME (RFC 3030); needs ExtChunking
	ExtDSN                                        // DSN (RFC 3461)
	ExtStartTLS                                   // STARTTLS (RFC 3207); needs Server.TLSConfig
	ExtAuth                                       // AUTH (RFC 4954); needs Server.Auth or another source of identities
	ExtLimits                                     // LIMITS (RFC 9422)
	ExtRequireTLS                                 // REQUIRETLS (RFC 8689); offered under TLS only
	ExtPriority                                   // MT-PRIORITY (RFC 6710)
	ExtDeliverBy                                  // DELIVERBY (RFC 2852)
	ExtFutureRelease                              // FUTURERELEASE (RFC 4865)
	ExtRRVS                                       // RRVS (RFC 7293)
	ExtVerify                                     // VRFY (RFC 5321 s3.5.2); needs Server.Verify
	ExtExpand                                     // EXPN (RFC 5321 s3.5.2); needs Server.Expand
	ExtHelp                                       // HELP (RFC 5321 s4.1.1.8)
	ExtXClient                                    // XCLIENT (Postfix's XCLIENT_README); needs Server.XClientFrom
)

// extDefault is what a server offers without being asked to: what it keeps itself, and DSN, whose parameters the handler gets. BINARYMIME is not among them: what takes such messages must be able to keep lines that
// end in anything.
const extDefault = ExtPipelining | ExtSize | Ext8BitMIME | ExtSMTPUTF8 | ExtEnhancedStatusCodes | ExtChunking |
	ExtDSN | ExtStartTLS | ExtAuth | ExtLimits | ExtVerify | ExtExpand | ExtHelp | ExtXClient

var extNames = [...]string{
	"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME", "DSN",
	"STARTTLS", "AUTH", "LIMITS", "REQUIRETLS", "MT-PRIORITY", "DELIVERBY", "FUTURERELEASE", "RRVS",
	"VRFY", "EXPN", "HELP", "XCLIENT",
}

// Has tells whether all of x are in the set.
func (e Extensions) Has(x Extensions) bool { return e&x == x }

// String gives the EHLO keywords, separated by spaces.
func (e Extensions) String() string {
	var names []string
	for i, name := range extNames {
		if e.Has(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}
