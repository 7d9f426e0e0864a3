package mxresolve

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// A TLSRequirement says how TLS must be used with a host. The zero value is opportunistic TLS: used when offered, with
// any certificate (RFC 7435). Where both DANE and MTA-STS apply, DANE decides (RFC 8461 s2).
type TLSRequirement struct {
	domain string // of the recipients
	mx     string // the host's name in the MX record, for SNI
	dane   *dane  // TLSA records exist: TLS is mandatory
	sts    *stsRule
}

// dane is what the TLSA records of a host demand.
type dane struct {
	base  string   // the TLSA base domain, for SNI (RFC 7672 s8.1)
	tlsa  []tlsa   // the usable ones; none: any certificate will do (RFC 7672 s2.2)
	all   []string // all of them, as text
	names []string // that a certificate under a trust anchor may be for
}

// stsRule is what an MTA-STS policy in the mode enforce or testing demands of its hosts.
type stsRule struct {
	policy *STSPolicy
	roots  *x509.CertPool
	report tlsrpt.Policy
}

// ErrTLSA is the error of a handshake in which no TLSA record of the host matches its certificates (RFC 7672 s2.2): the
// host must not be used. It is found with errors.Is.
var ErrTLSA = errors.New("mxresolve: no TLSA record matches the host's certificates")

// matching says that there are TLSA records to compare certificates with.
func (t TLSRequirement) matching() bool { return t.dane != nil && len(t.dane.tlsa) > 0 }

// enforced says that certificates must be verified as MTA-STS wants it.
func (t TLSRequirement) enforced() bool {
	return t.sts != nil && t.sts.policy.Mode == STSEnforce && !t.matching()
}

// Config derives from base, which may be nil, the configuration for a connection to the host, and says whether
// delivery without TLS is forbidden. base itself is not changed.
func (t TLSRequirement) Config(base *tls.Config) (cfg *tls.Config, required bool) {
	cfg = &tls.Config{}
	if base != nil {
		cfg = base.Clone()
	}
	// Whoever would refuse a bad certificate without being told to would go on in clear text, which is worse (RFC 7435
	// s3). What DANE demands is tested below.
	cfg.InsecureSkipVerify = true
	switch {
	case t.enforced(): // RFC 8461 s4.2
		cfg.ServerName, cfg.InsecureSkipVerify = t.mx, false
		if cfg.RootCAs == nil {
			cfg.RootCAs = t.sts.roots
		}
	case t.dane != nil:
		cfg.ServerName = t.dane.base
	case cfg.ServerName == "":
		cfg.ServerName = t.mx
	}
	if t.matching() {
		also := cfg.VerifyConnection
		cfg.VerifyConnection = func(cs tls.ConnectionState) error {
			if err := t.dane.verify(cs.PeerCertificates); err != nil || also == nil {
				return err
			}
			return also(cs)
		}
	}
	return cfg, t.dane != nil || t.enforced()
}

// Check says whether a connection to the host satisfies its policy, also where the policy is in the mode testing and the
// handshake did not care. Its error is for Outcome; under a policy in the mode testing mail is sent nevertheless.
func (t TLSRequirement) Check(cs tls.ConnectionState) error {
	switch {
	case len(cs.PeerCertificates) == 0 && (t.dane != nil || t.sts != nil):
		return errors.New("mxresolve: no TLS, or no certificate")
	case t.matching():
		return t.dane.verify(cs.PeerCertificates)
	case t.sts != nil:
		pool := x509.NewCertPool()
		for _, c := range cs.PeerCertificates[1:] {
			pool.AddCert(c)
		}
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: t.mx, Roots: t.sts.roots, Intermediates: pool})
		return err
	}
	return nil
}

// String describes the requirement for people: "opportunistic", "DANE 3 1 1 0123456789ab...", "DANE, no usable record:
// mandatory with any certificate", "MTA-STS: mandatory with a valid certificate for mx.example.org".
func (t TLSRequirement) String() string {
	switch {
	case t.enforced():
		return "MTA-STS: mandatory with a valid certificate for " + t.mx
	case t.dane == nil && t.sts != nil:
		return "opportunistic (MTA-STS: testing)"
	case t.dane == nil:
		return "opportunistic"
	case len(t.dane.tlsa) == 0:
		return "DANE, no usable record: mandatory with any certificate"
	}
	var parts []string
	for _, r := range t.dane.tlsa {
		parts = append(parts, r.String())
	}
	return "DANE " + strings.Join(parts, ", ")
}

// TLSA lists the TLSA records of the host, usable or not, in presentation format. Empty: DANE does not apply.
func (t TLSRequirement) TLSA() []string { return slices.Clone(t.tlsaTexts()) }

func (t TLSRequirement) tlsaTexts() []string {
	if t.dane == nil {
		return nil
	}
	return t.dane.all
}
