package tlsrpt

import (
	"net/netip"
	"time"
)

// A Result is a result type of a report (RFC 8460 s4.3).
type Result string

const (
	STARTTLSNotSupported    Result = "starttls-not-supported"    // not offered, or refused
	CertificateHostMismatch Result = "certificate-host-mismatch" // for other names
	CertificateExpired      Result = "certificate-expired"       // or not valid yet
	CertificateNotTrusted   Result = "certificate-not-trusted"   // unknown authority, no TLSA record matches, ...
	ValidationFailure       Result = "validation-failure"        // anything else; Reason says what
	TLSAInvalid             Result = "tlsa-invalid"              // TLSA records exist, none is usable
	DNSSECInvalid           Result = "dnssec-invalid"            // TLSA records could not be looked up
	DANERequired            Result = "dane-required"             // demanded by agreement, and there are no TLSA records
	STSPolicyFetchError     Result = "sts-policy-fetch-error"    // the policy could not be fetched
	STSPolicyInvalid        Result = "sts-policy-invalid"        // the policy is not well-formed
	STSWebPKIInvalid        Result = "sts-webpki-invalid"        // the policy host's certificate is not valid
)

// PolicyType is the kind of policy that a session was under.
type PolicyType string

const (
	TLSA     PolicyType = "tlsa"            // DANE
	STS      PolicyType = "sts"             // MTA-STS
	NoPolicy PolicyType = "no-policy-found" // opportunistic TLS
)

// A Policy is what a session was held to.
type Policy struct {
	Type    PolicyType // where it comes from
	Domain  string     // the policy domain, in A-labels
	Strings []string   // the lines of the MTA-STS policy, or the TLSA records (RFC 8460 s4.5)
	MX      []string   // the mx patterns of an MTA-STS policy
}

// An Outcome is how one session went, or one try to have it.
type Outcome struct {
	At          time.Time  // zero: now
	Policy      Policy     // what the session was held to; without a domain the outcome is not counted
	Result      Result     // empty: success
	MX          string     // the host's name in the MX record
	Helo        string     // what it called itself
	SendingIP   netip.Addr // zero: not known
	ReceivingIP netip.Addr // likewise
	Info        string     // a URI with more about it
	Reason      string     // the failure as text or code
}
