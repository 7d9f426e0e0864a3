package smime

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"
)

// version is an INTEGER of one octet.
func version(n byte) []byte { return tlv(tagInteger, []byte{n}) }

func issuerAndSerial(c *x509.Certificate) ([]byte, error) {
	serial, err := asn1.Marshal(c.SerialNumber)
	return tlv(tagSequence, c.RawIssuer, serial), err
}

func attribute(id string, v []byte) []byte {
	return tlv(tagSequence, []byte(id), tlv(tagSet, v))
}

// capabilities says what we decrypt, the best first (RFC 8551 s2.5.2).
func capabilities() []byte {
	return attribute(oidCapabilities, tlv(tagSequence, algorithm(oidAES256GCM), algorithm(oidAES128GCM), algorithm(oidAES256CBC), algorithm(oidAES128CBC)))
}

// signedData makes a SignedData over content of n octets with a digest, in two pieces between which the content stands. A detached one is all in the first.
func (s *Sender) signedData(h crypto.Hash, digest []byte, now time.Time, n int64, detached bool) (before, after []byte, err error) {
	id := s.Identity
	key, ok := id.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, nil, fail(BadKey, "the private key does not sign")
	}
	_, alg, err := signAlgorithm(key, s.RSA)
	if err != nil {
		return nil, nil, err
	}
	when, err := asn1.Marshal(now.UTC().Truncate(time.Second)) // UTCTime up to 2049, as RFC 5652 s11.3 has it
	if err != nil {
		return nil, nil, err
	}
	attrs := [][]byte{attribute(oidContentType, []byte(oidData)), attribute(oidDigest, tlv(tagOctets, digest)), attribute(oidSigningTime, when), capabilities()}
	slices.SortFunc(attrs, bytes.Compare) // a SET OF in DER
	sig, err := sign(key, s.RSA, h, tlv(tagSet, attrs...))
	if err != nil {
		return nil, nil, &Error{Kind: BadKey, Err: err}
	}
	issuer, err := issuerAndSerial(id.Certificate)
	if err != nil {
		return nil, nil, err
	}
	digestAlg := algorithm(hashOIDs[h]) // no parameters: RFC 5754 s2
	info := tlv(tagSequence, version(1), issuer, digestAlg, tlv(context0|constructed, attrs...), alg, tlv(tagOctets, sig))
	certs := [][]byte{id.Certificate.Raw}
	for _, c := range id.Chain {
		certs = append(certs, c.Raw)
	}
	head := slices.Concat(version(1), tlv(tagSet, digestAlg))
	tail := slices.Concat(tlv(context0|constructed, certs...), tlv(tagSet, info))
	if detached {
		data := tlv(tagSequence, head, tlv(tagSequence, []byte(oidData)), tail)
		return tlv(tagSequence, []byte(oidSigned), tlv(context0|constructed, data)), nil, nil
	}
	before = lead(tagOctets, n)
	before = slices.Concat(lead(context0|constructed, int64(len(before))+n), before)
	before = slices.Concat([]byte(oidData), before)
	before = slices.Concat(head, lead(tagSequence, int64(len(before))+n), before)
	before, after = contentInfo(oidSigned, before, n, tail)
	return before, after, nil
}

// contentInfo puts the content of a SEQUENCE into a ContentInfo (RFC 5652 s3); n octets of it stand between before and after.
func contentInfo(id string, before []byte, n int64, after []byte) ([]byte, []byte) {
	before = slices.Concat(lead(tagSequence, int64(len(before)+len(after))+n), before)
	before = slices.Concat(lead(context0|constructed, int64(len(before)+len(after))+n), before)
	before = slices.Concat([]byte(id), before)
	return slices.Concat(lead(tagSequence, int64(len(before)+len(after))+n), before), after
}

// A signerInfo is one signature of a SignedData.
type signerInfo struct {
	sid    value
	hash   crypto.Hash
	attrs  []byte // signed attributes as a SET OF, nil if there are none
	alg    value
	sig    []byte
	digest []byte    // that the attributes say
	typ    string    // content type that they say
	time   time.Time // that they say
	err    error
}

// readSigners reads the SET OF SignerInfo. What is wrong with one is its own error.
func readSigners(set []byte) ([]*signerInfo, error) {
	all, err := values(set)
	if err != nil {
		return nil, err
	}
	var infos []*signerInfo
	for _, v := range all[:min(len(all), maxSignatures)] {
		s := new(signerInfo)
		s.err = s.read(v)
		infos = append(infos, s)
	}
	return infos, nil
}

func (s *signerInfo) read(v value) error {
	parts, err := values(v.content)
	if err != nil {
		return err
	}
	if len(parts) < 5 || parts[0].tag != tagInteger {
		return errBER
	}
	s.sid = parts[1]
	id, _, err := readAlgorithm(parts[2])
	if err != nil {
		return err
	}
	parts = parts[3:]
	if parts[0].tag == context0|constructed {
		// They are signed as a SET OF (RFC 5652 s5.4).
		s.attrs = tlv(tagSet, parts[0].content)
		if err := s.readAttributes(parts[0].content); err != nil {
			return err
		}
		parts = parts[1:]
	}
	if len(parts) < 2 || parts[1].tag != tagOctets {
		return errBER
	}
	s.alg, s.sig = parts[0], parts[1].content
	if s.hash = hashes[id]; s.hash == 0 {
		if id == oidSHA1 {
			return fail(Unsupported, "a signature with SHA-1")
		}
		return fail(Unsupported, "digest algorithm %s", dotted(id))
	}
	return nil
}

func (s *signerInfo) readAttributes(set []byte) error {
	attrs, err := values(set)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, a := range attrs {
		parts, err := values(a.content)
		if err != nil || len(parts) != 2 || parts[1].tag != tagSet {
			return errBER
		}
		id := string(parts[0].full)
		if id != oidContentType && id != oidDigest && id != oidSigningTime {
			continue
		}
		one, err := values(parts[1].content)
		if err != nil || len(one) != 1 || seen[id] { // RFC 5652 s11: exactly one, with one value
			return errBER
		}
		seen[id] = true
		switch id {
		case oidContentType:
			s.typ = string(one[0].full)
		case oidDigest:
			s.digest = one[0].content
		case oidSigningTime:
			if _, err := asn1.Unmarshal(one[0].full, &s.time); err != nil {
				return &Error{Kind: Malformed, Err: err}
			}
		}
	}
	if !seen[oidContentType] || !seen[oidDigest] {
		return fail(Malformed, "signed attributes without content type or digest")
	}
	return nil
}

// certificate finds the certificate of the signer, by issuer and serial number or by key identifier (RFC 5652 s5.3).
func (s *signerInfo) certificate(certs []*x509.Certificate) *x509.Certificate {
	for _, c := range certs {
		if s.sid.tag == context0 {
			if len(c.SubjectKeyId) > 0 && bytes.Equal(c.SubjectKeyId, s.sid.content) {
				return c
			}
			continue
		}
		if is, err := issuerAndSerial(c); err == nil && bytes.Equal(is, s.sid.full) {
			return c
		}
	}
	return nil
}

// check checks the signature over a text of which only the digest is known.
func (s *signerInfo) check(cert *x509.Certificate, contentType string, digests map[crypto.Hash][]byte) error {
	if s.err != nil {
		return s.err
	}
	digest := digests[s.hash]
	if digest == nil {
		return fail(Malformed, "the digest algorithm was not announced")
	}
	if s.attrs == nil {
		if contentType != oidData {
			return fail(Malformed, "no signed attributes") // RFC 5652 s5.3
		}
		return verify(cert, s.alg, s.hash, nil, digest, s.sig)
	}
	if s.typ != contentType {
		return &Error{Kind: BadSignature, Err: errors.New("it is one of another type of content")}
	}
	if !bytes.Equal(s.digest, digest) {
		return &Error{Kind: BadSignature, Err: errors.New("the text is not the one that was signed")}
	}
	return verify(cert, s.alg, s.hash, s.attrs, nil, s.sig)
}

// readCertificates reads a set of certificates. Those that cannot be read are left out.
func readCertificates(set []byte) (certs []*x509.Certificate) {
	for n := 0; len(set) > 0 && n < maxCertificates; n++ {
		v, rest, err := cut(set)
		if err != nil {
			break
		}
		set = rest
		if v.tag != tagSequence {
			continue // attribute certificates and the like
		}
		if c, err := x509.ParseCertificate(v.full); err == nil {
			certs = append(certs, c)
		}
	}
	return certs
}
