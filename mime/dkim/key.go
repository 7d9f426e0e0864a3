package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// A publicKey is a key record (RFC 6376 s3.6.1).
type publicKey struct {
	key     crypto.PublicKey // *rsa.PublicKey or ed25519.PublicKey
	bits    int
	hashes  string // h=, "" for any
	testing bool   // t=y
	exact   bool   // t=s: i= has to be in the domain itself
}

var (
	errRevoked = errors.New("the key was revoked")
	errNoKey   = errors.New("no key record")
)

// parseKey reads a key record. Tags of old drafts (g=, n=) are ignored.
func parseKey(txt string) (*publicKey, error) {
	list, err := parseTags(txt)
	if err != nil {
		return nil, fmt.Errorf("key record: %w", err)
	}
	if v, ok := list.lookup("v"); ok && (v != "DKIM1" || list[0].name != "v") {
		return nil, fmt.Errorf("key record of another version")
	}
	p, ok := list.lookup("p")
	if !ok {
		return nil, errNoKey
	}
	if p == "" {
		return nil, errRevoked // s3.6.1
	}
	if s := list.get("s", "*"); !inList(s, "*") && !inList(s, "email") {
		return nil, fmt.Errorf("the key is not for email")
	}
	flags := list.get("t", "")
	k := &publicKey{hashes: list.get("h", ""), testing: inList(flags, "y"), exact: inList(flags, "s")}
	der, err := decodeBase64(p)
	if err != nil {
		return nil, fmt.Errorf("key record: p= is not base64")
	}
	switch kind := list.get("k", "rsa"); strings.ToLower(kind) {
	case "rsa":
		// The RFC's errata settled on SubjectPublicKeyInfo; bare PKCS#1 keys are out there.
		key, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			key, err = x509.ParsePKCS1PublicKey(der)
		}
		pub, ok := key.(*rsa.PublicKey)
		if err != nil || !ok {
			return nil, fmt.Errorf("key record: p= is no RSA key")
		}
		k.key, k.bits = pub, pub.N.BitLen()
	case "ed25519":
		if len(der) != ed25519.PublicKeySize { // RFC 8463 s4.2: the key alone
			return nil, fmt.Errorf("key record: p= is no Ed25519 key")
		}
		k.key, k.bits = ed25519.PublicKey(der), 256
	default:
		return nil, fmt.Errorf("key record: unknown kind of key %.20q", kind)
	}
	return k, nil
}

// selectKey takes the first of a name's TXT records that is a key; s3.6.2.2 leaves open what several mean.
func selectKey(records []string) (key *publicKey, err error) {
	err = errNoKey
	for _, txt := range records {
		k, kerr := parseKey(txt)
		if kerr == nil {
			return k, nil
		}
		if err == errNoKey {
			err = kerr
		}
	}
	return nil, err
}

// ParseKey reads a private key for signing from PEM: RSA or Ed25519 in PKCS#8, or RSA in PKCS#1.
func ParseKey(data []byte) (crypto.Signer, error) {
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return nil, errors.New("dkim: no PEM block with a private key")
		}
		switch b.Type {
		case "RSA PRIVATE KEY":
			key, err := x509.ParsePKCS1PrivateKey(b.Bytes)
			if err != nil {
				return nil, fmt.Errorf("dkim: private key: %w", err)
			}
			return key, nil
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(b.Bytes)
			if err != nil {
				return nil, fmt.Errorf("dkim: private key: %w", err)
			}
			switch key := key.(type) {
			case *rsa.PrivateKey:
				return key, nil
			case ed25519.PrivateKey:
				return key, nil
			}
			return nil, fmt.Errorf("dkim: private key of a kind that DKIM has not: %T", key)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("dkim: the private key is encrypted: decrypt it first")
		}
	}
}

// Record returns the text of the TXT record that publishes a key, to be put at selector._domainkey.domain. It may be longer
// than the 255 octets of one character string: zone files want it cut into several.
func Record(pub crypto.PublicKey) (string, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return "", fmt.Errorf("dkim: public key: %w", err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub), nil
	}
	return "", fmt.Errorf("dkim: public key of a kind that DKIM has not: %T", pub)
}
