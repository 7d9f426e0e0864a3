package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// A signature is a DKIM-Signature field that was read.
type signature struct {
	Result
	field   int // its place in the header
	tags    tags
	hash    []byte // bh=
	sig     []byte // b=
	header  bool   // relaxed canonicalization of the header
	body    bool   // and of the body
	keyName string
	hashed  *bodyHash
}

// A verdict is a status and its reason.
type verdict struct {
	status Status
	err    error
}

func (v *verdict) Error() string { return v.err.Error() }
func (v *verdict) Unwrap() error { return v.err }

func judged(s Status, format string, args ...any) error {
	return &verdict{s, fmt.Errorf("dkim: "+format, args...)}
}

// set records why a signature does not pass.
func (s *signature) set(err error) {
	var v *verdict
	if errors.As(err, &v) {
		s.Status, s.Err = v.status, err
		return
	}
	s.Status, s.Err = Neutral, fmt.Errorf("dkim: %w", err)
}

// parse reads the value of the field (RFC 6376 s3.5, s6.1.1).
func (s *signature) parse(value string) error {
	var err error
	if s.tags, err = parseTags(value); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	s.BodyLength = -1
	s.Domain = strings.ToLower(s.tags.get("d", ""))
	s.Selector = s.tags.get("s", "")
	s.Algorithm = strings.ToLower(s.tags.get("a", ""))
	s.Identifier = decodeQP(s.tags.get("i", ""))
	if s.Identifier == "" {
		s.Identifier = "@" + s.Domain
	}
	for _, name := range []string{"v", "a", "b", "bh", "d", "h", "s"} {
		if _, err := s.tags.required(name); err != nil {
			return judged(PermError, "signature: %w", err)
		}
	}
	if v, _ := s.tags.lookup("v"); v != "1" {
		return judged(PermError, "signature of another version: %.20q", v)
	}
	b, _ := s.tags.lookup("b")
	if s.sig, err = decodeBase64(b); err != nil {
		return fmt.Errorf("signature: b= is not base64")
	}
	s.Signature = strings.Join(strings.Fields(b), "")
	s.Signature = s.Signature[:min(16, len(s.Signature))]
	bh, _ := s.tags.lookup("bh")
	if s.hash, err = decodeBase64(bh); err != nil {
		return fmt.Errorf("signature: bh= is not base64")
	}
	// All are read, so that the result says as much as there is.
	for _, e := range []error{s.parseCanon(), s.parseNames(), s.parseTimes(), s.parseHeaders(), s.parseAlgorithm()} {
		if err == nil {
			err = e
		}
	}
	return err
}

func (s *signature) parseCanon() error {
	header, body, ok := strings.Cut(strings.ToLower(s.tags.get("c", "simple/simple")), "/")
	if !ok {
		body = "simple"
	}
	for _, c := range []struct {
		name    string
		relaxed *bool
	}{{header, &s.header}, {body, &s.body}} {
		if c.name != "relaxed" && c.name != "simple" {
			return fmt.Errorf("signature: unknown canonicalization %.20q", c.name)
		}
		*c.relaxed = c.name == "relaxed"
	}
	var err error
	if s.BodyLength, err = s.tags.number("l", 76); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	return nil
}

func (s *signature) parseNames() error {
	domain, err := dnsName(s.Domain)
	if err != nil {
		return fmt.Errorf("signature: d= is no domain: %.80q", s.Domain)
	}
	s.Domain = domain // A-labels, which everybody can compare (RFC 8616 s4)
	selector, err := dnsName(s.Selector)
	if err != nil {
		return fmt.Errorf("signature: s= is no selector: %.80q", s.Selector)
	}
	if s.keyName = selector + "._domainkey." + domain; len(s.keyName) > 253 {
		return fmt.Errorf("signature: the key's name is too long")
	}
	if q := s.tags.get("q", "dns/txt"); !inList(q, "dns/txt") && !inList(q, "dns") {
		return judged(PermError, "signature: no known way to look the key up: q=%.20s", q)
	}
	// s3.5: i= is in the domain or below it; case says nothing.
	if agent := s.agentDomain(); agent != s.Domain && !strings.HasSuffix(agent, "."+s.Domain) {
		return judged(PermError, "signature: i=%.80s is not in the domain %s", s.Identifier, s.Domain)
	}
	return nil
}

func (s *signature) agentDomain() string { return agentDomain(s.Identifier) }

// agentDomain is the domain of i=, in lower case and as A-labels.
func agentDomain(identifier string) string {
	return strings.ToLower(aLabels(identifier[strings.LastIndexByte(identifier, '@')+1:]))
}

// aLabels returns a name as the DNS has it; what is no name stays.
func aLabels(name string) string {
	if ascii, err := dnsName(name); err == nil {
		return ascii
	}
	return name
}

func (s *signature) parseTimes() error {
	t, err := s.tags.number("t", 12)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	x, err := s.tags.number("x", 12)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if t >= 0 {
		s.Time = time.Unix(t, 0).UTC()
	}
	if x >= 0 {
		s.Expires = time.Unix(x, 0).UTC()
	}
	if t >= 0 && x >= 0 && x <= t {
		return fmt.Errorf("signature: it expires before it was made")
	}
	return nil
}

func (s *signature) parseHeaders() error {
	h, _ := s.tags.lookup("h")
	s.Headers = splitList(strings.ToLower(h))
	if len(s.Headers) > maxSignedHeaders {
		return judged(Policy, "signature: more than %d signed fields", maxSignedHeaders)
	}
	for _, name := range s.Headers {
		if name == "" || strings.ContainsAny(name, " \t\r\n") {
			return fmt.Errorf("signature: h= has something that is no field name: %.40q", name)
		}
	}
	if !slices.Contains(s.Headers, "from") {
		return judged(PermError, "signature: From is not signed") // s3.5, s6.1.1
	}
	return nil
}

func (s *signature) parseAlgorithm() error {
	switch s.Algorithm {
	case "rsa-sha256", "ed25519-sha256":
	case "rsa-sha1":
		return judged(Policy, "rsa-sha1 is no longer acceptable (RFC 8301 s3.1)")
	default:
		return judged(PermError, "unknown algorithm %.20q", s.Algorithm)
	}
	if len(s.hash) != crypto.SHA256.Size() {
		return fmt.Errorf("signature: bh= is no SHA-256 hash")
	}
	return nil
}

// dnsName returns a domain or selector as the DNS has it (RFC 8616 s4), and refuses what is no name.
func dnsName(s string) (string, error) {
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(s)
			if err != nil {
				return "", err
			}
			s = ascii
			break
		}
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return "", errors.New("not a name")
		}
		for i := range len(label) {
			c := lower(label[i])
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return "", errors.New("not a name")
			}
		}
	}
	return s, nil
}

// check judges what needs no body and no key.
func (s *signature) check(m *message, now time.Time) error {
	signed := 0
	for _, name := range s.Headers {
		if name == "from" {
			signed++
		}
	}
	switch in := m.count("from"); {
	case in == 0:
		return judged(PermError, "the message has no From")
	case in > signed:
		// s8.15: somebody added a From, which people would see.
		return judged(Policy, "the message has %d From fields, of which %d are signed", in, signed)
	}
	if m.malformed(true) {
		return &verdict{PermError, ErrMalformed} // s6.1: a message that is not well-formed; s8.15
	}
	if !s.Expires.IsZero() && now.After(s.Expires) {
		return judged(Policy, "the signature expired at %s", s.Expires.Format(time.RFC3339))
	}
	return nil
}

// verify judges the signature with its key (RFC 6376 s6.1.3). buf is room for the header as it was signed; it comes back grown.
func (s *signature) verify(m *message, key *publicKey, minBits int, buf []byte) ([]byte, error) {
	s.Testing, s.KeyBits = key.testing, key.bits
	algorithm, hashName, _ := strings.Cut(s.Algorithm, "-")
	if key.hashes != "" && !inList(key.hashes, hashName) {
		return buf, judged(PermError, "the key is not for %s", hashName)
	}
	if key.exact && s.agentDomain() != s.Domain {
		return buf, judged(PermError, "the key is only for the domain itself, not for %.80s", s.Identifier)
	}
	buf = m.appendSigned(buf[:0], s.Headers, s.header, s.field)
	buf = appendHeader(buf, withoutSignature(m.fields[s.field].raw), s.header)
	buf = bytes.TrimSuffix(buf, crlfs[:2])
	digest := sha256Sum(buf)
	switch pub := key.key.(type) {
	case *rsa.PublicKey:
		if algorithm != "rsa" {
			return buf, judged(PermError, "the key is for another algorithm")
		}
		if key.bits < minBits || key.bits > maxRSABits {
			return buf, judged(Policy, "RSA key of %d bits; %d to %d are acceptable", key.bits, minBits, maxRSABits) // RFC 8301 s3.2
		}
		if rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], s.sig) != nil {
			return buf, &verdict{Fail, ErrSignature}
		}
	case ed25519.PublicKey:
		if algorithm != "ed25519" {
			return buf, judged(PermError, "the key is for another algorithm")
		}
		if !ed25519.Verify(pub, digest[:], s.sig) { // RFC 8463 s3: the signature of the hash
			return buf, &verdict{Fail, ErrSignature}
		}
	}
	return buf, nil
}

// withoutSignature returns the field with an empty b= (RFC 6376 s3.7), as a copy.
func withoutSignature(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	start := bytes.IndexByte(raw, ':') + 1
	for start < len(raw) {
		end := len(raw)
		if i := bytes.IndexByte(raw[start:], ';'); i >= 0 {
			end = start + i
		}
		if eq := bytes.IndexByte(raw[start:end], '='); eq >= 0 && string(bytes.Trim(raw[start:start+eq], fws)) == "b" {
			out = append(out, raw[:start+eq+1]...)
			return append(out, raw[end:]...)
		}
		start = end + 1
	}
	return append(out, raw...)
}
