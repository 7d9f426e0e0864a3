package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificate gives the one from the flags, or the self-signed one of -dir, which is made when it is missing, is about to expire or is for
// another domain.
func certificate(c *config, given *tls.Certificate, log *slog.Logger) (tls.Certificate, error) {
	if given != nil {
		if now := time.Now(); now.After(given.Leaf.NotAfter) || now.Before(given.Leaf.NotBefore) {
			log.Warn("the certificate is not valid now", "file", c.cert, "from", given.Leaf.NotBefore, "until", given.Leaf.NotAfter)
		}
		return *given, nil
	}
	if c.dir == memory {
		certPEM, keyPEM, err := selfSigned(c.domain)
		if err != nil {
			return tls.Certificate{}, err
		}
		return tls.X509KeyPair(certPEM, keyPEM)
	}
	name := filepath.Join(c.dir, "certificate.pem") // certificate and key in one file: they are never out of step
	pair, err := tls.LoadX509KeyPair(name, name)
	switch {
	case err == nil && time.Now().Before(pair.Leaf.NotAfter.AddDate(0, -1, 0)) && pair.Leaf.VerifyHostname(c.domain) == nil:
		return pair, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return pair, fmt.Errorf("certificate %s: %w", name, err)
	}
	certPEM, keyPEM, err := selfSigned(c.domain)
	if err != nil {
		return pair, err
	}
	if err := writeFile(name, append(certPEM, keyPEM...)); err != nil {
		return pair, fmt.Errorf("certificate: %w", err)
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// writeFile makes a file that is there whole or not at all.
func writeFile(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*") // readable by the owner only
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func selfSigned(domain string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: domain}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(2, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
		DNSNames: []string{domain, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}
