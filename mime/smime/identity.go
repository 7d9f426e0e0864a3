package smime

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/internal/protect"
)

// An Identity is a certificate with its private key.
type Identity struct {
	Certificate *x509.Certificate
	PrivateKey  crypto.PrivateKey   // a crypto.Signer to sign; *rsa.PrivateKey, another crypto.Decrypter for RSA, *ecdsa.PrivateKey or *ecdh.PrivateKey (X25519) to decrypt
	Chain       []*x509.Certificate // intermediate certificates that go with signatures; the root need not
}

// ParseIdentity reads an identity from PEM: a private key (PKCS#8, PKCS#1 or SEC 1), its certificate, and certificates of the chain, in any order.
func ParseIdentity(data []byte) (Identity, error) {
	var id Identity
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		var key any
		var err error
		switch block.Type {
		case "CERTIFICATE":
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil {
				certs = append(certs, c)
			}
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return Identity{}, fail(Unsupported, "the private key is encrypted")
		}
		if err != nil {
			return Identity{}, &Error{Kind: Malformed, Err: err}
		}
		if key != nil {
			id.PrivateKey = key
		}
	}
	private, ok := id.PrivateKey.(interface{ Public() crypto.PublicKey })
	if !ok {
		return Identity{}, fail(NoKey, "there is no private key")
	}
	for _, c := range certs {
		if pub, ok := publicKey(c).(interface{ Equal(crypto.PublicKey) bool }); ok && pub.Equal(private.Public()) && id.Certificate == nil {
			id.Certificate = c
		} else {
			id.Chain = append(id.Chain, c)
		}
	}
	if id.Certificate == nil {
		return Identity{}, fail(NoKey, "there is no certificate of the private key")
	}
	return id, nil
}

// is reports whether a recipient or signer identifier means the certificate.
func (id Identity) is(sid value) bool {
	s := signerInfo{sid: sid}
	return id.Certificate != nil && s.certificate([]*x509.Certificate{id.Certificate}) != nil
}

// Addresses returns the mail addresses that a certificate is for: those of its subjectAltName, or if it has none those of its subject (RFC 8550 s3).
func Addresses(c *x509.Certificate) []string {
	if len(c.EmailAddresses) > 0 {
		return slices.Clone(c.EmailAddresses)
	}
	var all []string
	for _, n := range c.Subject.Names {
		if s, ok := n.Value.(string); ok && n.Type.String() == "1.2.840.113549.1.9.1" {
			all = append(all, s)
		}
	}
	return all
}

// A Lookup finds the certificates of an address to encrypt to: a directory, a database, what signed messages brought. No certificate is no error. Whether to trust what it returns is
// for the Lookup to judge. It is used by several goroutines at once.
type Lookup interface {
	Certificates(ctx context.Context, address string) ([]*x509.Certificate, error)
}

// LookupFunc makes a function a [Lookup].
type LookupFunc func(ctx context.Context, address string) ([]*x509.Certificate, error)

// Certificates calls the function.
func (f LookupFunc) Certificates(ctx context.Context, address string) ([]*x509.Certificate, error) {
	return f(ctx, address)
}

// Store is a list of certificates that are all trusted to belong to the addresses in them.
type Store []*x509.Certificate

// Certificates returns those that are for the address.
func (s Store) Certificates(_ context.Context, address string) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	for _, c := range s {
		if isFor(c, address) {
			found = append(found, c)
		}
	}
	return found, nil
}

func isFor(c *x509.Certificate, address string) bool {
	return slices.ContainsFunc(Addresses(c), func(a string) bool { return protect.SameAddress(a, address) })
}

// Recipients finds a certificate to encrypt to for every address: the newest that can be used now. If there is none for one of them, the error is [NoKey] or [BadKey] with that address,
// and nobody gets the message: it is for people to decide whether it goes in clear.
func Recipients(ctx context.Context, l Lookup, addresses ...string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, address := range addresses {
		certs, err := l.Certificates(ctx, address)
		if err != nil {
			return nil, err
		}
		var best *x509.Certificate
		var why error
		for _, c := range certs {
			if err := CanEncrypt(c); err != nil {
				why = err
			} else if best == nil || c.NotBefore.After(best.NotBefore) {
				best = c
			}
		}
		switch {
		case best != nil:
			all = append(all, best)
		case why != nil:
			return nil, &Error{Kind: BadKey, Address: address, Err: why}
		default:
			return nil, &Error{Kind: NoKey, Address: address}
		}
	}
	return all, nil
}

// publicKey is that of a certificate. Package x509 leaves X25519 to its caller.
func publicKey(c *x509.Certificate) any {
	if c.PublicKey != nil {
		return c.PublicKey
	}
	pub, err := x509.ParsePKIXPublicKey(c.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil
	}
	return pub
}

// CanEncrypt returns why nothing can be encrypted to the certificate now, or nil. Whether it is trusted is another question.
func CanEncrypt(c *x509.Certificate) error {
	if now := time.Now(); now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return fail(BadKey, "the certificate is good from %s to %s", c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
	}
	if !forMail(c) {
		return fail(BadKey, "the certificate is not for mail")
	}
	switch pub := publicKey(c).(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < minRSA {
			return fail(BadKey, "an RSA key of %d bits", pub.N.BitLen())
		}
		if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageKeyEncipherment == 0 { // RFC 8550 s4.4.2
			return fail(BadKey, "the certificate is not for encryption")
		}
	case *ecdsa.PublicKey, *ecdh.PublicKey:
		if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageKeyAgreement == 0 {
			return fail(BadKey, "the certificate is not for encryption")
		}
	case ed25519.PublicKey:
		return fail(BadKey, "an Ed25519 key only signs")
	default:
		return fail(Unsupported, "a key of type %T", pub)
	}
	return nil
}

// forMail reports whether the extended key usage allows mail (RFC 8550 s4.4.4).
func forMail(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// ParseCertificates reads certificates in PEM or DER, or from a certs-only message of S/MIME in DER (RFC 8551 s3.8).
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	if len(data) > maxElement {
		return nil, fail(TooLarge, "more than %d octets of certificates", maxElement)
	}
	var all []*x509.Certificate
	if strings.Contains(string(data), "-----BEGIN CERTIFICATE-----") {
		for {
			var block *pem.Block
			if block, data = pem.Decode(data); block == nil {
				break
			}
			if block.Type != "CERTIFICATE" {
				continue
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, &Error{Kind: Malformed, Err: err}
			}
			all = append(all, c)
		}
		return all, nil
	}
	if c, err := x509.ParseCertificates(data); err == nil && len(c) > 0 {
		return c, nil
	}
	s, err := readSignedData(newBER(bytes.NewReader(data)), nil, nil)
	if err != nil {
		return nil, err
	}
	return s.certs, nil
}

var _ mime.Content = (*Protected)(nil)
