package mxresolve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// LookupTLSReporting finds out where a domain wants TLS reports (RFC 8460 s3). Nil without error: nowhere.
func (r *Resolver) LookupTLSReporting(ctx context.Context, domain string) (*tlsrpt.Record, error) {
	ascii, literal, e := parseDomain(domain)
	switch {
	case e != nil:
		return nil, e
	case literal.IsValid():
		return nil, nil
	}
	name := "_smtp._tls." + ascii
	txt := r.start().ask(ctx, question{name, typeTXT})
	if txt.outcome == failed {
		return nil, lookupError(name, txt)
	}
	record, err := tlsrpt.ParseRecord(txt.texts())
	if err != nil {
		return nil, nil
	}
	return record, nil
}

// policy is what the host is held to, in the terms of TLS reports.
func (t TLSRequirement) policy() tlsrpt.Policy {
	switch {
	case t.dane != nil:
		return tlsrpt.Policy{Type: tlsrpt.TLSA, Domain: t.domain, Strings: t.dane.all}
	case t.sts != nil:
		return t.sts.report
	}
	return tlsrpt.Policy{Type: tlsrpt.NoPolicy, Domain: t.domain}
}

// Outcome makes of the error of STARTTLS or Check what a TLS report tells about the session; nil is success. False: it
// is not to be reported, since no TLS was tried or the network failed (RFC 8460 s4.3.4). A host that does not offer
// STARTTLS must be reported by the caller: set Result to tlsrpt.STARTTLSNotSupported. Addresses are the caller's to set.
func (t TLSRequirement) Outcome(err error) (o tlsrpt.Outcome, ok bool) {
	o = tlsrpt.Outcome{Policy: t.policy(), MX: t.mx}
	if err == nil {
		return o, t.domain != ""
	}
	o.Reason = err.Error()
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unverified *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var netErr net.Error
	switch {
	case errors.As(err, &name):
		o.Result = tlsrpt.CertificateHostMismatch
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired: // also: not yet valid
		o.Result = tlsrpt.CertificateExpired
	case errors.As(err, &invalid), errors.As(err, &authority), errors.As(err, &unverified), errors.Is(err, ErrTLSA):
		o.Result = tlsrpt.CertificateNotTrusted
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return o, false
	default:
		o.Result = tlsrpt.ValidationFailure
	}
	return o, t.domain != ""
}
