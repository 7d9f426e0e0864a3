package mxresolve

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"fmt"
)

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
