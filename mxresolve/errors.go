package mxresolve

import (
	"strings"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// Kind is what went wrong.
type Kind int

const (
	KindLookupFailed   Kind = iota + 1 // DNS did not answer, or with a failure: defer, 4.4.3
	KindCanceled                       // the caller's context ended: defer, 4.4.3
	KindInvalidDomain                  // not a domain name or address literal: bounce, 5.1.2 or 5.1.3
	KindNoSuchDomain                   // NXDOMAIN: bounce, 5.1.2
	KindNoRecord                       // the name exists without such records; only from the Lookup methods
	KindNullMX                         // the domain takes no mail (RFC 7505): bounce, 556 5.1.10
	KindNoAddress                      // no host of the domain has a usable address: bounce, 5.4.4
	KindLoop                           // this host is the best MX, and yet does not take the domain: bounce, 5.4.6
	KindPrimaryMissing                 // only better hosts than this one may be used, none has an address now: defer, 4.4.4
	KindPolicy                         // no host of the domain is in its own MTA-STS policy: defer, 4.7.0
	KindNoDANE                         // no host can be authenticated by DANE, where Resolver.RequireDANE demands it: defer, 4.7.5
)

var kindTexts = [...]string{
	KindLookupFailed:   "DNS lookup failed",
	KindCanceled:       "lookup was canceled",
	KindInvalidDomain:  "invalid domain",
	KindNoSuchDomain:   "no such domain",
	KindNoRecord:       "no such record",
	KindNullMX:         "domain does not accept mail (null MX)",
	KindNoAddress:      "no mail host with a usable address",
	KindLoop:           "mail loops back to this host",
	KindPrimaryMissing: "no primary mail host can be found",
	KindPolicy:         "no mail host is in the domain's MTA-STS policy",
	KindNoDANE:         "no mail host can be authenticated by DANE, which is required",
}

func (k Kind) String() string {
	if k <= 0 || int(k) >= len(kindTexts) {
		return "unknown"
	}
	return kindTexts[k]
}

// Error is the error of every method of Resolver. Where it comes from DNS its cause is a *net.DNSError (errors.As), with
// IsNotFound, IsTimeout and IsTemporary set.
type Error struct {
	Domain    string           // what was asked for
	Kind      Kind             // what went wrong; a queue that bounces or defers needs only Temporary and the codes
	Code      int              // SMTP reply code for the bounce or delay: 550, 556 or 451
	Enhanced  string           // enhanced status code (RFC 3463), such as "5.1.2"
	Temporary bool             // try again later; otherwise bounce
	Extended  string           // text of the Extended DNS Error that the name server gave (RFC 8914)
	Detail    string           // what to know beyond the kind: which name, which server, what it said
	Skipped   []SkippedHost    // from Resolve: the MX records, none of which is usable, and why; read only
	Failures  []tlsrpt.Outcome // what TLS reports should tell, as in Plan
	Err       error            // cause, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("mxresolve: ")
	b.WriteString(e.Domain)
	b.WriteString(": ")
	b.WriteString(e.Kind.String())
	if e.Detail != "" {
		b.WriteString(": ")
		b.WriteString(e.Detail)
	}
	if e.Extended != "" {
		b.WriteString(" (")
		b.WriteString(e.Extended)
		b.WriteString(")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// newError fills in the codes that belong to a kind.
func newError(domain string, k Kind) *Error {
	e := &Error{Domain: domain, Kind: k, Code: 550}
	switch k {
	case KindInvalidDomain, KindNoSuchDomain:
		e.Enhanced = "5.1.2" // RFC 3463 s3.2, bad destination system address
	case KindNullMX:
		e.Code, e.Enhanced = 556, "5.1.10" // RFC 7505 s4
	case KindNoAddress, KindNoRecord:
		e.Enhanced = "5.4.4" // RFC 3463 s3.5, unable to route
	case KindLoop:
		e.Enhanced = "5.4.6" // RFC 3463 s3.5, routing loop detected
	case KindPrimaryMissing:
		e.Code, e.Enhanced, e.Temporary = 451, "4.4.4", true
	case KindPolicy: // RFC 8461 s5: treat such failures as transient errors
		e.Code, e.Enhanced, e.Temporary = 451, "4.7.0", true // RFC 3463 s3.8, other security status
	case KindNoDANE: // RFC 7672 s6: mail is delayed
		e.Code, e.Enhanced, e.Temporary = 451, "4.7.5", true // RFC 3463 s3.8, cryptographic failure
	default:
		e.Code, e.Enhanced, e.Temporary = 451, "4.4.3", true // RFC 3463 s3.5, directory server failure
	}
	return e
}
