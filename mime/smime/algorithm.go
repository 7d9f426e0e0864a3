package smime

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // hashes of signatures
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// The identifiers of RFC 5652, 5083, 5084, 3565, 8017, 5754, 8419 and 5753, encoded.
var (
	oidData          = oid(1, 2, 840, 113549, 1, 7, 1)
	oidSigned        = oid(1, 2, 840, 113549, 1, 7, 2)
	oidEnveloped     = oid(1, 2, 840, 113549, 1, 7, 3)
	oidAuthEnveloped = oid(1, 2, 840, 113549, 1, 9, 16, 1, 23)

	oidContentType  = oid(1, 2, 840, 113549, 1, 9, 3)
	oidDigest       = oid(1, 2, 840, 113549, 1, 9, 4)
	oidSigningTime  = oid(1, 2, 840, 113549, 1, 9, 5)
	oidCapabilities = oid(1, 2, 840, 113549, 1, 9, 15)

	oidSHA1   = oid(1, 3, 14, 3, 2, 26)
	oidSHA256 = oid(2, 16, 840, 1, 101, 3, 4, 2, 1)
	oidSHA384 = oid(2, 16, 840, 1, 101, 3, 4, 2, 2)
	oidSHA512 = oid(2, 16, 840, 1, 101, 3, 4, 2, 3)

	oidRSA       = oid(1, 2, 840, 113549, 1, 1, 1)
	oidOAEP      = oid(1, 2, 840, 113549, 1, 1, 7)
	oidMGF1      = oid(1, 2, 840, 113549, 1, 1, 8)
	oidPSS       = oid(1, 2, 840, 113549, 1, 1, 10)
	oidRSASHA256 = oid(1, 2, 840, 113549, 1, 1, 11)
	oidRSASHA384 = oid(1, 2, 840, 113549, 1, 1, 12)
	oidRSASHA512 = oid(1, 2, 840, 113549, 1, 1, 13)
	oidECDSA256  = oid(1, 2, 840, 10045, 4, 3, 2)
	oidECDSA384  = oid(1, 2, 840, 10045, 4, 3, 3)
	oidECDSA512  = oid(1, 2, 840, 10045, 4, 3, 4)
	oidEd25519   = oid(1, 3, 101, 112)

	oidAES128CBC = oid(2, 16, 840, 1, 101, 3, 4, 1, 2)
	oidAES192CBC = oid(2, 16, 840, 1, 101, 3, 4, 1, 22)
	oidAES256CBC = oid(2, 16, 840, 1, 101, 3, 4, 1, 42)
	oidAES128GCM = oid(2, 16, 840, 1, 101, 3, 4, 1, 6)
	oidAES192GCM = oid(2, 16, 840, 1, 101, 3, 4, 1, 26)
	oidAES256GCM = oid(2, 16, 840, 1, 101, 3, 4, 1, 46)
	oid3DES      = oid(1, 2, 840, 113549, 3, 7)
	oidAES128KW  = oid(2, 16, 840, 1, 101, 3, 4, 1, 5)
	oidAES192KW  = oid(2, 16, 840, 1, 101, 3, 4, 1, 25)
	oidAES256KW  = oid(2, 16, 840, 1, 101, 3, 4, 1, 45)
)

var null = []byte{5, 0}

// oid encodes an object identifier with its tag.
func oid(n ...int) string {
	b, err := asn1.Marshal(asn1.ObjectIdentifier(n))
	if err != nil {
		panic(err) // only constants are given
	}
	return string(b)
}

// dotted is an encoded identifier as people write it.
func dotted(id string) string {
	var o asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal([]byte(id), &o); err != nil {
		return hex.EncodeToString([]byte(id))
	}
	return o.String()
}

func algorithm(id string, params ...[]byte) []byte {
	return tlv(tagSequence, append([][]byte{[]byte(id)}, params...)...)
}

// readAlgorithm returns the identifier of an AlgorithmIdentifier and its parameters.
func readAlgorithm(v value) (id string, params value, err error) {
	parts, err := values(v.content)
	if err != nil || v.tag != tagSequence || len(parts) == 0 || len(parts) > 2 || parts[0].tag != tagOID {
		return "", value{}, errBER
	}
	if len(parts) == 2 {
		params = parts[1]
	}
	return string(parts[0].full), params, nil
}

// hashes are those that signatures may be made with: SHA-1 and MD5 are not any more (RFC 8551 s2.1).
var hashes = map[string]crypto.Hash{oidSHA256: crypto.SHA256, oidSHA384: crypto.SHA384, oidSHA512: crypto.SHA512}

var hashOIDs = map[crypto.Hash]string{crypto.SHA256: oidSHA256, crypto.SHA384: oidSHA384, crypto.SHA512: oidSHA512}

func hashName(h crypto.Hash) string { return strings.ToLower(h.String()) } // RFC 8551 s3.5.3.2: "sha-256"

// signAlgorithm chooses how a key signs.
func signAlgorithm(key crypto.Signer, padding RSAPadding) (crypto.Hash, []byte, error) {
	switch pub := key.Public().(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < minRSA {
			return 0, nil, fail(BadKey, "an RSA key of %d bits", pub.N.BitLen())
		}
		if padding == PSSAndOAEP {
			params := append(sha256AndMGF1(), tlv(context2|constructed, version(sha256.Size))) // RFC 4056 s3: the salt is as long as the hash
			return crypto.SHA256, algorithm(oidPSS, tlv(tagSequence, params...)), nil
		}
		return crypto.SHA256, algorithm(oidRSASHA256, null), nil
	case *ecdsa.PublicKey:
		switch bits := pub.Params().BitSize; {
		case bits > 384:
			return crypto.SHA512, algorithm(oidECDSA512), nil
		case bits > 256:
			return crypto.SHA384, algorithm(oidECDSA384), nil
		default:
			return crypto.SHA256, algorithm(oidECDSA256), nil
		}
	case ed25519.PublicKey:
		return crypto.SHA512, algorithm(oidEd25519), nil // RFC 8419 s2.3
	}
	return 0, nil, fail(BadKey, "a key of type %T does not sign", key.Public())
}

// sha256AndMGF1 is how the parameters of PSS and OAEP begin (RFC 8017 A.2): the hash, and the mask function with the same hash.
func sha256AndMGF1() [][]byte {
	hash := algorithm(oidSHA256)
	return [][]byte{tlv(context0|constructed, hash), tlv(context1|constructed, algorithm(oidMGF1, hash))}
}

const minRSA = 2048 // bits of keys that sign and that are encrypted to (RFC 8551 s4.2 and s4.4)

func sign(key crypto.Signer, padding RSAPadding, h crypto.Hash, text []byte) ([]byte, error) {
	d := h.New()
	d.Write(text)
	switch key.Public().(type) {
	case ed25519.PublicKey:
		return key.Sign(rand.Reader, text, crypto.Hash(0))
	case *rsa.PublicKey:
		if padding == PSSAndOAEP {
			return key.Sign(rand.Reader, d.Sum(nil), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h})
		}
	}
	return key.Sign(rand.Reader, d.Sum(nil), h)
}

// verify checks a signature over text, whose hash is digest; text is nil if only the hash is known.
func verify(cert *x509.Certificate, alg value, h crypto.Hash, text, digest, sig []byte) error {
	id, params, err := readAlgorithm(alg)
	if err != nil {
		return err
	}
	implied := map[string]crypto.Hash{oidRSASHA256: crypto.SHA256, oidRSASHA384: crypto.SHA384, oidRSASHA512: crypto.SHA512, oidECDSA256: crypto.SHA256, oidECDSA384: crypto.SHA384, oidECDSA512: crypto.SHA512}
	if want, ok := implied[id]; ok && want != h {
		return fail(BadSignature, "the hash of the signature is not that of the text")
	}
	if text != nil {
		d := h.New()
		d.Write(text)
		digest = d.Sum(nil)
	}
	good := false
	switch pub := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < minVerifyRSA {
			return fail(Unsupported, "an RSA key of %d bits", pub.N.BitLen())
		}
		switch {
		case id == oidPSS:
			if err := checkPSS(params, h); err != nil {
				return err
			}
			good = rsa.VerifyPSS(pub, h, digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
		case id == oidRSA || slices.Contains([]string{oidRSASHA256, oidRSASHA384, oidRSASHA512}, id):
			good = rsa.VerifyPKCS1v15(pub, h, digest, sig) == nil
		default:
			return fail(Unsupported, "signature algorithm %s", dotted(id))
		}
	case *ecdsa.PublicKey:
		if !slices.Contains([]string{oidECDSA256, oidECDSA384, oidECDSA512}, id) {
			return fail(Unsupported, "signature algorithm %s", dotted(id))
		}
		good = ecdsa.VerifyASN1(pub, digest, sig)
	case ed25519.PublicKey:
		if id != oidEd25519 || text == nil {
			return fail(Unsupported, "signature algorithm %s", dotted(id))
		}
		good = ed25519.Verify(pub, text, sig)
	default:
		return fail(Unsupported, "a key of type %T", pub)
	}
	if !good {
		return &Error{Kind: BadSignature, Err: errors.New("it is not one of this text by this key")}
	}
	return nil
}

const minVerifyRSA = 2048 // RFC 8551 s4.3: signatures with smaller ones are of historic mail

// checkPSS reads RSASSA-PSS-params (RFC 4056): the hash is that of the text, and MGF1 has the same.
func checkPSS(params value, h crypto.Hash) error {
	parts, err := values(params.content)
	if err != nil {
		return err
	}
	found := false
	for _, p := range parts {
		if p.tag != context0|constructed && p.tag != context1|constructed {
			continue
		}
		alg, _, err := cut(p.content)
		if err != nil {
			return errBER
		}
		id, inner, err := readAlgorithm(alg)
		if err != nil {
			return err
		}
		if p.tag == context1|constructed {
			if id != oidMGF1 {
				return fail(Unsupported, "mask function %s", dotted(id))
			}
			if id, _, err = readAlgorithm(inner); err != nil {
				return err
			}
		} else {
			found = true
		}
		if hashes[id] != h {
			return fail(Unsupported, "RSASSA-PSS with hashes that differ")
		}
	}
	if !found {
		return fail(Unsupported, "RSASSA-PSS with SHA-1")
	}
	return nil
}
