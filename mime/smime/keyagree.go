package smime

import (
	"crypto"
	"crypto/aes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	_ "crypto/sha1" // the key derivation that older programs use; nothing is signed with it
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"slices"
)

// Elliptic curve keys are encrypted to by an ephemeral key, whose secret with the recipient's key makes the key that wraps the content's key (RFC 5753 s3.1.1, RFC 8418, RFC 3565, RFC 3394).

var (
	oidECKey  = oid(1, 2, 840, 10045, 2, 1)
	oidX25519 = oid(1, 3, 101, 110)

	schemeX963 = oid(1, 3, 132, 1, 11, 1)
	schemeHKDF = oid(1, 2, 840, 113549, 1, 9, 16, 3, 19)
	schemes    = map[string]keyDerivation{
		oid(1, 3, 133, 16, 840, 63, 0, 2):       {crypto.SHA1, x963},
		schemeX963:                              {crypto.SHA256, x963},
		oid(1, 3, 132, 1, 11, 2):                {crypto.SHA384, x963},
		oid(1, 3, 132, 1, 11, 3):                {crypto.SHA512, x963},
		schemeHKDF:                              {crypto.SHA256, expand},
		oid(1, 2, 840, 113549, 1, 9, 16, 3, 20): {crypto.SHA384, expand},
		oid(1, 2, 840, 113549, 1, 9, 16, 3, 21): {crypto.SHA512, expand},
	}
	wraps = map[string]int{oidAES128KW: 16, oidAES192KW: 24, oidAES256KW: 32}
)

// A keyDerivation makes a key of a secret. salt is what the sender chose, or nil.
type keyDerivation struct {
	hash   crypto.Hash
	derive func(h crypto.Hash, secret, salt, info []byte, size int) ([]byte, error)
}

// agreeKey makes the KeyAgreeRecipientInfo for a certificate.
func agreeKey(cert *x509.Certificate, to *ecdh.PublicKey, key []byte) ([]byte, error) {
	kind, scheme := oidECKey, schemeX963
	if to.Curve() == ecdh.X25519() {
		kind, scheme = oidX25519, schemeHKDF // RFC 8418 s3
	}
	ephemeral, err := to.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	secret, err := ephemeral.ECDH(to)
	if err != nil {
		return nil, &Error{Kind: BadKey, Err: err}
	}
	wrapAlg := algorithm(oidAES256KW)
	kek, err := schemes[scheme].key(secret, wrapAlg, nil, 32)
	if err != nil {
		return nil, err
	}
	wrapped, err := wrapKey(kek, key)
	if err != nil {
		return nil, err
	}
	rid, err := issuerAndSerial(cert)
	if err != nil {
		return nil, err
	}
	point, err := asn1.Marshal(asn1.BitString{Bytes: ephemeral.PublicKey().Bytes(), BitLength: 8 * len(ephemeral.PublicKey().Bytes())})
	if err != nil {
		return nil, err
	}
	originator := tlv(context0|constructed, tlv(context1|constructed, algorithm(kind), point))
	return tlv(context1|constructed, version(3), originator, algorithm(scheme, wrapAlg), tlv(tagSequence, tlv(tagSequence, rid, tlv(tagOctets, wrapped)))), nil
}

// agreedKey opens a KeyAgreeRecipientInfo with our key, if it is for our certificate.
func agreedKey(id Identity, content []byte) (key []byte, ours bool, err error) {
	parts, err := values(content)
	if err != nil || len(parts) < 4 {
		return nil, false, errBER
	}
	originator, parts := parts[1], parts[2:]
	var ukm []byte
	if parts[0].tag == context1|constructed {
		ukm = parts[0].content // the OCTET STRING, with its tag
		parts = parts[1:]
	}
	if len(parts) != 2 {
		return nil, false, errBER
	}
	keys, err := values(parts[1].content)
	if err != nil {
		return nil, false, err
	}
	var wrapped []byte
	for _, k := range keys {
		pair, err := values(k.content)
		if err != nil || len(pair) != 2 {
			return nil, false, errBER
		}
		rid := pair[0]
		if rid.tag == context0|constructed { // RecipientKeyIdentifier: the key identifier comes first
			if v, _, err := cut(rid.content); err == nil {
				rid = value{tag: context0, content: v.content}
			}
		}
		if id.is(rid) {
			wrapped = pair[1].content
		}
	}
	if wrapped == nil {
		return nil, false, nil
	}
	mine, err := id.agreement()
	if err != nil {
		return nil, true, &Error{Kind: BadKey, Err: err}
	}
	scheme, wrapAlg, err := readAlgorithm(parts[0])
	if err != nil {
		return nil, true, err
	}
	derivation, known := schemes[scheme]
	wrapID, _, err := readAlgorithm(wrapAlg)
	if err != nil {
		return nil, true, err
	}
	size := wraps[wrapID]
	if !known || size == 0 {
		return nil, true, fail(Unsupported, "key agreement %s with %s", dotted(scheme), dotted(wrapID))
	}
	point, err := originatorKey(originator)
	if err != nil {
		return nil, true, err
	}
	peer, err := mine.Curve().NewPublicKey(point)
	if err != nil {
		return nil, true, &Error{Kind: Malformed, Err: err}
	}
	secret, err := mine.ECDH(peer)
	if err != nil {
		return nil, true, &Error{Kind: Malformed, Err: err}
	}
	kek, err := derivation.key(secret, wrapAlg.full, ukm, size)
	if err == nil {
		key, err = unwrapKey(kek, wrapped)
	}
	return key, true, err
}

// agreement is the private key for the agreement on keys.
func (id Identity) agreement() (*ecdh.PrivateKey, error) {
	switch key := id.PrivateKey.(type) {
	case *ecdh.PrivateKey:
		return key, nil
	case interface {
		ECDH() (*ecdh.PrivateKey, error)
	}:
		return key.ECDH()
	}
	return nil, errors.New("the private key agrees on no keys")
}

func originatorKey(v value) ([]byte, error) {
	inner, _, err := cut(v.content)
	if err != nil || inner.tag != context1|constructed {
		return nil, fail(Unsupported, "key agreement without an ephemeral key")
	}
	parts, err := values(inner.content)
	if err != nil || len(parts) != 2 || len(parts[1].content) < 2 {
		return nil, errBER
	}
	return parts[1].content[1:], nil // after the count of unused bits
}

// key makes the key of size octets that wraps with wrapAlg, of ECC-CMS-SharedInfo (RFC 5753 s7.2). ukm is the OCTET STRING that the sender put in, with its tag, or nil.
func (d keyDerivation) key(secret, wrapAlg, ukm []byte, size int) ([]byte, error) {
	info := slices.Clone(wrapAlg)
	var salt []byte
	if ukm != nil {
		info = append(info, tlv(context0|constructed, ukm)...)
		v, _, err := cut(ukm)
		if err != nil {
			return nil, errBER
		}
		salt = v.content
	}
	bits := binary.BigEndian.AppendUint32(nil, uint32(size*8))
	info = tlv(tagSequence, info, tlv(context2|constructed, tlv(tagOctets, bits)))
	return d.derive(d.hash, secret, salt, info, size)
}

// x963 is the key derivation of ANSI X9.63, which knows no salt.
func x963(h crypto.Hash, secret, _, info []byte, size int) (out []byte, err error) {
	for n := uint32(1); len(out) < size; n++ {
		d := h.New()
		d.Write(secret)
		d.Write(binary.BigEndian.AppendUint32(nil, n))
		d.Write(info)
		out = d.Sum(out)
	}
	return out[:size], nil
}

// expand is HKDF (RFC 8418 s2.2).
func expand(h crypto.Hash, secret, salt, info []byte, size int) ([]byte, error) {
	return hkdf.Key(h.New, secret, salt, string(info), size)
}

var wrapIV = []byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}

// wrapKey is the AES key wrap of RFC 3394 s2.2.1.
func wrapKey(kek, key []byte) ([]byte, error) {
	c, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	n := len(key) / 8
	out := append(slices.Clone(wrapIV), key...)
	var block [16]byte
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(block[:8], out[:8])
			copy(block[8:], out[8*i:])
			c.Encrypt(block[:], block[:])
			t := binary.BigEndian.Uint64(block[:8]) ^ uint64(n*j+i)
			binary.BigEndian.PutUint64(out, t)
			copy(out[8*i:], block[8:])
		}
	}
	return out, nil
}

// unwrapKey is RFC 3394 s2.2.2.
func unwrapKey(kek, wrapped []byte) ([]byte, error) {
	c, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	if len(wrapped) < 24 || len(wrapped)%8 != 0 || len(wrapped) > 72 {
		return nil, fail(Malformed, "a wrapped key of %d octets", len(wrapped))
	}
	n := len(wrapped)/8 - 1
	out := slices.Clone(wrapped)
	var block [16]byte
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			binary.BigEndian.PutUint64(block[:], binary.BigEndian.Uint64(out)^uint64(n*j+i))
			copy(block[8:], out[8*i:8*i+8])
			c.Decrypt(block[:], block[:])
			copy(out, block[:8])
			copy(out[8*i:], block[8:])
		}
	}
	if subtle.ConstantTimeCompare(out[:8], wrapIV) != 1 {
		return nil, fail(Tampered, "the wrapped key is damaged, or for another key")
	}
	return out[8:], nil
}
