package mxresolve

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
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

// tlsa is a TLSA record (RFC 6698 s2.1).
type tlsa struct {
	usage, selector, matching byte
	data                      string
}

const (
	usageTA = 2 // DANE-TA: a trust anchor in the chain
	usageEE = 3 // DANE-EE: the host's own certificate
)

// parseTLSA reads record data, and says whether mail can use it (RFC 7672 s3.1.3).
func parseTLSA(data string) (r tlsa, usable bool) {
	if len(data) < 4 {
		return r, false
	}
	r = tlsa{data[0], data[1], data[2], data[3:]}
	size := map[byte]int{0: len(r.data), 1: sha256.Size, 2: sha512.Size}
	n, ok := size[r.matching]
	return r, (r.usage == usageTA || r.usage == usageEE) && r.selector <= 1 && ok && len(r.data) == n
}

// tlsaText is a record in presentation format (RFC 6698 s2.2).
func tlsaText(data string) string {
	if len(data) < 3 {
		return "malformed"
	}
	return fmt.Sprintf("%d %d %d %x", data[0], data[1], data[2], data[3:])
}

func (r tlsa) String() string {
	h := hex.EncodeToString([]byte(r.data[:min(len(r.data), 6)]))
	return fmt.Sprintf("%d %d %d %s...", r.usage, r.selector, r.matching, h)
}

// matches compares the record with a certificate (RFC 6698 s2.1.2, s2.1.3).
func (r tlsa) matches(c *x509.Certificate) bool {
	got := c.Raw
	if r.selector == 1 {
		got = c.RawSubjectPublicKeyInfo
	}
	switch r.matching {
	case 1:
		h := sha256.Sum256(got)
		got = h[:]
	case 2:
		h := sha512.Sum512(got)
		got = h[:]
	}
	return subtle.ConstantTimeCompare(got, []byte(r.data)) == 1
}

// verify tests what a host presented against its TLSA records; one that matches is enough.
func (d *dane) verify(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return ErrTLSA
	}
	anchors, intermediates := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for _, r := range d.tlsa {
		if r.usage == usageEE {
			if r.matches(chain[0]) {
				return nil // neither names nor dates count (RFC 7672 s3.1.1)
			}
			continue
		}
		for _, c := range chain {
			if r.matches(c) {
				anchors.AddCert(c)
				found = true
			}
		}
		if r.selector == 0 && r.matching == 0 { // the whole anchor is in the record, and may be missing in the chain
			if c, err := x509.ParseCertificate([]byte(r.data)); err == nil {
				anchors.AddCert(c)
				found = true
			}
		}
	}
	if !found {
		return ErrTLSA
	}
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	var err error
	for _, name := range d.names { // RFC 7672 s3.2.2
		if _, err = chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: anchors, Intermediates: intermediates}); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: under its trust anchor: %w", ErrTLSA, err)
}
