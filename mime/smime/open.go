package smime

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"io"
	"slices"
)

// cbcReader decrypts. It gives the last block only once the padding is known to be right.
type cbcReader struct {
	r    io.Reader
	mode cipher.BlockMode
	in   []byte // encrypted, less than what makes a block and one more
	out  []byte
	done bool
}

func (c *cbcReader) Read(b []byte) (int, error) {
	for len(c.out) == 0 {
		if c.done {
			return 0, io.EOF
		}
		had := len(c.in)
		c.in = slices.Grow(c.in, 32<<10)
		n, err := c.r.Read(c.in[had : had+32<<10])
		c.in = c.in[:had+n]
		if err != nil && err != io.EOF {
			return 0, err
		}
		size := c.mode.BlockSize()
		whole := max(0, (len(c.in)-1)/size*size) // the last block stays until more follows
		if err == io.EOF {
			if len(c.in) == 0 || len(c.in)%size != 0 {
				return 0, fail(Tampered, "the encrypted data is no whole number of blocks")
			}
			whole, c.done = len(c.in), true
		}
		c.out = append(c.out[:0], c.in[:whole]...)
		c.mode.CryptBlocks(c.out, c.out)
		c.in = append(c.in[:0], c.in[whole:]...)
		if c.done {
			pad := int(c.out[len(c.out)-1])
			if pad == 0 || pad > size || !bytes.Equal(c.out[len(c.out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
				return 0, fail(Tampered, "the padding is wrong")
			}
			c.out = c.out[:len(c.out)-pad]
		}
	}
	n := copy(b, c.out)
	c.out = c.out[n:]
	return n, nil
}

// decryptKey opens the first recipient info that is for one of the identities. size is that of the key.
func decryptKey(set []byte, ids []Identity, size int) ([]byte, Identity, error) {
	v, _, err := cut(set)
	if err != nil {
		return nil, Identity{}, errBER
	}
	infos, err := values(v.content)
	if err != nil {
		return nil, Identity{}, err
	}
	tried := 0
	last := error(fail(NoKey, "the message is for other keys"))
	for _, info := range infos {
		for _, id := range ids {
			if tried == maxTries {
				return nil, Identity{}, last
			}
			key, ours, err := openInfo(info, id, size)
			switch {
			case !ours && err == nil:
				continue
			case err != nil:
				last = err
			default:
				return key, id, nil
			}
			if ours {
				tried++
			}
		}
	}
	return nil, Identity{}, last
}

func openInfo(info value, id Identity, size int) (key []byte, ours bool, err error) {
	switch info.tag {
	case context1 | constructed:
		key, ours, err := agreedKey(id, info.content)
		if err == nil && ours && len(key) != size {
			err = fail(Malformed, "a key of %d octets", len(key))
		}
		return key, ours, err
	case tagSequence:
	default:
		return nil, false, nil // key encryption keys, passwords, others (RFC 5652 s6.2.3 to 6.2.5)
	}
	parts, err := values(info.content)
	if err != nil || len(parts) != 4 || parts[3].tag != tagOctets {
		return nil, false, errBER
	}
	if !id.is(parts[1]) {
		return nil, false, nil
	}
	private, ok := id.PrivateKey.(crypto.Decrypter)
	if !ok {
		return nil, true, fail(BadKey, "the private key does not decrypt")
	}
	alg, params, err := readAlgorithm(parts[2])
	if err != nil {
		return nil, true, err
	}
	switch alg {
	case oidRSA:
		// What does not decrypt gives a random key, so that nobody learns from the error whether the padding was right (RFC 3218).
		//lint:ignore SA1019 RFC 8551 s2.3 demands it of everybody; the session key makes up for a wrong padding, so nothing can be told apart
		key, err = private.Decrypt(rand.Reader, parts[3].content, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size})
	case oidOAEP:
		var o *rsa.OAEPOptions
		if o, err = readOAEP(params); err != nil {
			return nil, true, err
		}
		key, err = private.Decrypt(rand.Reader, parts[3].content, o)
	default:
		return nil, true, fail(Unsupported, "key encryption algorithm %s", dotted(alg))
	}
	if err == nil && len(key) != size {
		err = errors.New("a key of another size")
	}
	if err != nil {
		return nil, true, &Error{Kind: Tampered, Err: err}
	}
	return key, true, nil
}

// readOAEP reads RSAES-OAEP-params (RFC 8017 A.2.1): SHA-1 everywhere if there are none.
func readOAEP(params value) (*rsa.OAEPOptions, error) {
	o := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	known := func(v value) (crypto.Hash, error) {
		id, _, err := readAlgorithm(v)
		if err != nil {
			return 0, err
		}
		if id == oidSHA1 {
			return crypto.SHA1, nil
		}
		if h := hashes[id]; h != 0 {
			return h, nil
		}
		return 0, fail(Unsupported, "RSAES-OAEP with %s", dotted(id))
	}
	parts, err := values(params.content)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		v, _, err := cut(p.content)
		if err != nil {
			return nil, errBER
		}
		switch p.tag {
		case context0 | constructed:
			if o.Hash, err = known(v); err != nil {
				return nil, err
			}
		case context1 | constructed:
			id, inner, err := readAlgorithm(v)
			if err != nil || id != oidMGF1 {
				return nil, fail(Unsupported, "RSAES-OAEP with mask function %s", dotted(id))
			}
			if o.MGFHash, err = known(inner); err != nil {
				return nil, err
			}
		case context2 | constructed:
			return nil, fail(Unsupported, "RSAES-OAEP with a label")
		}
	}
	return o, nil
}

// open decrypts the EnvelopedData or AuthEnvelopedData that b is in. keep is called with the plaintext.
func open(b *ber, typ string, ids []Identity, limit int64, keep func(io.Reader) error) (Identity, error) {
	none := Identity{}
	if _, t, err := b.element(); err != nil || t != tagInteger {
		return none, orBER(err)
	}
	infos, t, err := b.element()
	if err == nil && t == context0|constructed { // originatorInfo
		infos, t, err = b.element()
	}
	if err != nil || t != tagSet {
		return none, orBER(err)
	}
	if err := b.enter(tagSequence); err != nil {
		return none, err
	}
	if _, t, err := b.element(); err != nil || t != tagOID {
		return none, orBER(err)
	}
	raw, _, err := b.element()
	if err != nil {
		return none, err
	}
	algValue, _, err := cut(raw)
	if err != nil {
		return none, errBER
	}
	alg, params, err := readAlgorithm(algValue)
	if err != nil {
		return none, err
	}
	sizes := cbc
	if typ == oidAuthEnveloped {
		sizes = gcm
	}
	size := sizes[alg]
	if size == 0 {
		return none, fail(Unsupported, "cipher %s", dotted(alg))
	}
	key, id, err := decryptKey(infos, ids, size)
	if err != nil {
		return none, err
	}
	h, err := b.next()
	if err != nil || h.tag&^constructed != context0 {
		return none, orBER(err)
	}
	content, err := b.octets(h)
	if err != nil {
		return none, err
	}
	if typ == oidAuthEnveloped {
		return id, openGCM(b, content, key, params, limit, keep)
	}
	newBlock := aes.NewCipher
	if alg == oid3DES {
		newBlock = des.NewTripleDESCipher
	}
	block, err := newBlock(key)
	if err != nil {
		return none, err
	}
	if params.tag != tagOctets || len(params.content) != block.BlockSize() {
		return none, fail(Malformed, "the initialization vector is of another size")
	}
	if err := keep(&cbcReader{r: content, mode: cipher.NewCBCDecrypter(block, params.content)}); err != nil {
		return none, err
	}
	return id, b.finish()
}

// finish reads over what may stand after the content, to the end.
func (b *ber) finish() error {
	for len(b.ends) > 0 {
		end, err := b.end()
		if err != nil {
			return err
		}
		if end {
			err = b.leave()
		} else {
			_, _, err = b.element()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func openGCM(b *ber, content io.Reader, key []byte, params value, limit int64, keep func(io.Reader) error) error {
	var p struct {
		Nonce []byte
		Tag   int `asn1:"optional,default:12"`
	}
	if _, err := asn1.Unmarshal(params.full, &p); err != nil {
		return &Error{Kind: Malformed, Err: err}
	}
	if len(p.Nonce) == 0 || len(p.Nonce) > 64 || p.Tag < 12 || p.Tag > 16 {
		return fail(Unsupported, "GCM with a nonce of %d and a tag of %d octets", len(p.Nonce), p.Tag)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	var aead cipher.AEAD
	if len(p.Nonce) == 12 {
		aead, err = cipher.NewGCMWithTagSize(block, p.Tag)
	} else if p.Tag == 16 {
		aead, err = cipher.NewGCMWithNonceSize(block, len(p.Nonce))
	} else {
		err = fail(Unsupported, "GCM with a nonce of %d and a tag of %d octets", len(p.Nonce), p.Tag)
	}
	if err != nil {
		return err
	}
	if limit < 0 || limit > maxGCM {
		limit = maxGCM
	}
	text, err := io.ReadAll(io.LimitReader(content, limit+1))
	if err != nil {
		return err
	}
	if int64(len(text)) > limit {
		return fail(TooLarge, "more than %d octets", limit)
	}
	if err := b.leave(); err != nil { // EncryptedContentInfo
		return err
	}
	e, t, err := b.element()
	var aad []byte
	if err == nil && t == context1|constructed { // authAttrs, as a SET OF (RFC 5083 s2.2)
		v, _, cutErr := cut(e)
		if cutErr != nil {
			return errBER
		}
		aad = tlv(tagSet, v.content)
		e, t, err = b.element()
	}
	if err != nil || t != tagOctets {
		return orBER(err)
	}
	mac, _, err := cut(e)
	if err != nil {
		return errBER
	}
	text, err = aead.Open(text[:0], p.Nonce, append(text, mac.content...), aad)
	if err != nil {
		return &Error{Kind: Tampered, Err: err}
	}
	if err := b.finish(); err != nil {
		return err
	}
	return keep(bytes.NewReader(text))
}
