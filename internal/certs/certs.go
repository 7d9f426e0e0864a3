// Package certs makes certificates for tests: an authority of one's own, and
// what it issues. Keys are ECDSA P-256. Everything is valid from 1999 to 2100,
// so that the clock of testing/synctest, which starts in 2000, is inside.
//
//	ca := certs.NewCA()
//	srv := &smtp.Server{TLSConfig: ca.Server("mx.example.org")}
//	client := tls.Client(conn, ca.Client()) // set ServerName
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// CA is a certificate authority.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var (
	notBefore = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// NewCA makes an authority. It panics when the system has no randomness.
func NewCA() *CA {
	ca := &CA{key: newKey()}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "Test authority"},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, ca.key.Public(), ca.key)
	must(err)
	ca.cert, err = x509.ParseCertificate(der)
	must(err)
	return ca
}

// Issue makes a certificate for DNS names, IP addresses and, where a name has
// an "@", mail addresses. It serves for servers and for clients.
func (ca *CA) Issue(names ...string) tls.Certificate {
	return ca.issue(notBefore, notAfter, names)
}

// IssueExpired makes one whose validity ended in 1999.
func (ca *CA) IssueExpired(names ...string) tls.Certificate {
	return ca.issue(notBefore, notBefore.AddDate(0, 6, 0), names)
}

func (ca *CA) issue(from, to time.Time, names []string) tls.Certificate {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber: serial(),
		NotBefore:    from,
		NotAfter:     to,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if len(names) > 0 {
		template.Subject.CommonName = names[0]
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if strings.Contains(name, "@") {
			template.EmailAddresses = append(template.EmailAddresses, name)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	must(err)
	leaf, err := x509.ParseCertificate(der)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key, Leaf: leaf}
}

// Certificate returns the authority's own certificate.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// Pool returns a pool with the authority's certificate.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Server returns the configuration of a server with these names. It accepts
// client certificates of this authority.
func (ca *CA) Server(names ...string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(names...)},
		ClientCAs:    ca.Pool(),
		ClientAuth:   tls.VerifyClientCertIfGiven,
	}
}

// Client returns the configuration of a client that trusts this authority
// alone. The caller sets ServerName.
func (ca *CA) Client() *tls.Config {
	return &tls.Config{RootCAs: ca.Pool()}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return key
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(err)
	return n
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("certs: %v", err))
	}
}
