package smime

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"io"
	"slices"
)

// A Cipher says how a message is encrypted.
type Cipher uint8

// The ciphers.
const (
	AES256CBC Cipher = iota // enveloped-data, which every program reads; changes on the way may go unseen, unless the message is signed too
	AES256GCM               // authenticated-enveloped-data (RFC 5083), which programs of RFC 8551 read; nothing can be changed
	AES128GCM
)

// An RSAPadding says how RSA keys sign and are encrypted to.
type RSAPadding uint8

// The paddings.
const (
	PKCS1      RSAPadding = iota // PKCS #1 v1.5, which every program reads
	PSSAndOAEP                   // RSASSA-PSS and RSAES-OAEP with SHA-256, which programs of RFC 8551 read
)

// maxGCM is how much is encrypted with GCM: all of it is in memory until its tag is known.
const maxGCM = 64 << 20

// cbc and gcm have the key sizes of what we decrypt.
var (
	cbc = map[string]int{oidAES128CBC: 16, oidAES192CBC: 24, oidAES256CBC: 32, oid3DES: 24}
	gcm = map[string]int{oidAES128GCM: 16, oidAES192GCM: 24, oidAES256GCM: 32}
)

// envelope writes a ContentInfo with the n octets that write writes, encrypted for To.
func (s *Sender) envelope(w io.Writer, n int64, write func(io.Writer) error) error {
	c := s.Cipher
	id, size := oidAES256CBC, 32
	switch c {
	case AES256GCM:
		id = oidAES256GCM
	case AES128GCM:
		id, size = oidAES128GCM, 16
	}
	key := make([]byte, size)
	rand.Read(key) // never fails
	v, infos := byte(0), make([][]byte, 0, len(s.To))
	for _, cert := range s.To {
		info, agreed, err := recipientInfo(cert, s.RSA, key)
		if err != nil {
			return err
		}
		if agreed && c == AES256CBC {
			v = 2 // RFC 5652 s6.1
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, bytes.Compare)
	head := slices.Concat(version(v), tlv(tagSet, infos...))
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	put := func(typ string, alg []byte, n int64, content func(io.Writer) error, tail []byte) error {
		inner := slices.Concat([]byte(oidData), alg, lead(context0, n))
		before := slices.Concat(head, lead(tagSequence, int64(len(inner))+n), inner)
		before, after := contentInfo(typ, before, n, tail)
		if _, err := w.Write(before); err != nil {
			return err
		}
		if err := content(w); err != nil {
			return err
		}
		_, err := w.Write(after)
		return err
	}
	if c == AES256CBC {
		iv := make([]byte, aes.BlockSize)
		rand.Read(iv)
		return put(oidEnveloped, algorithm(id, tlv(tagOctets, iv)), n-n%aes.BlockSize+aes.BlockSize, func(w io.Writer) error {
			e := &cbcWriter{w: w, mode: cipher.NewCBCEncrypter(block, iv)}
			if err := write(e); err != nil {
				return err
			}
			return e.Close()
		}, nil)
	}
	if n > maxGCM {
		return fail(TooLarge, "GCM encrypts at most %d octets: use AES256CBC", maxGCM)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	text := bytes.NewBuffer(make([]byte, 0, n+int64(aead.Overhead())))
	if err := write(text); err != nil {
		return err
	}
	sealed := aead.Seal(text.Bytes()[:0], nonce, text.Bytes(), nil)
	tagAt := len(sealed) - aead.Overhead()
	params := tlv(tagSequence, tlv(tagOctets, nonce), version(byte(aead.Overhead()))) // RFC 5084 s3.2
	return put(oidAuthEnveloped, algorithm(id, params), int64(tagAt), func(w io.Writer) error {
		_, err := w.Write(sealed[:tagAt])
		return err
	}, tlv(tagOctets, sealed[tagAt:]))
}

// recipientInfo encrypts the key of the content to a certificate.
func recipientInfo(cert *x509.Certificate, padding RSAPadding, key []byte) (info []byte, agreed bool, err error) {
	switch pub := publicKey(cert).(type) {
	case *rsa.PublicKey:
		alg, encrypted, err := encryptRSA(pub, padding, key)
		if err != nil {
			return nil, false, &Error{Kind: BadKey, Err: err}
		}
		rid, err := issuerAndSerial(cert)
		return tlv(tagSequence, version(0), rid, alg, tlv(tagOctets, encrypted)), false, err
	case *ecdsa.PublicKey:
		to, err := pub.ECDH()
		if err != nil {
			return nil, true, &Error{Kind: BadKey, Err: err}
		}
		info, err := agreeKey(cert, to, key)
		return info, true, err
	case *ecdh.PublicKey:
		info, err := agreeKey(cert, pub, key)
		return info, true, err
	}
	return nil, false, fail(BadKey, "a key of type %T is not encrypted to", publicKey(cert))
}

func encryptRSA(pub *rsa.PublicKey, padding RSAPadding, key []byte) (alg, encrypted []byte, err error) {
	if padding == PSSAndOAEP {
		encrypted, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, pub, key, nil)
		return algorithm(oidOAEP, tlv(tagSequence, sha256AndMGF1()...)), encrypted, err
	}
	//lint:ignore SA1019 RFC 8551 s2.3 demands it of everybody, and few can do OAEP
	encrypted, err = rsa.EncryptPKCS1v15(rand.Reader, pub, key)
	return algorithm(oidRSA, null), encrypted, err
}

// cbcWriter encrypts with the padding of RFC 5652 s6.3.
type cbcWriter struct {
	w    io.Writer
	mode cipher.BlockMode
	buf  []byte
}

func (c *cbcWriter) Write(b []byte) (int, error) {
	c.buf = append(c.buf, b...)
	n := len(c.buf) - len(c.buf)%c.mode.BlockSize()
	c.mode.CryptBlocks(c.buf[:n], c.buf[:n])
	if _, err := c.w.Write(c.buf[:n]); err != nil {
		return 0, err
	}
	c.buf = append(c.buf[:0], c.buf[n:]...)
	return len(b), nil
}

func (c *cbcWriter) Close() error {
	pad := c.mode.BlockSize() - len(c.buf)
	_, err := c.Write(bytes.Repeat([]byte{byte(pad)}, pad))
	return err
}
