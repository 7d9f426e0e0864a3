package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Canonicalization says which changes on the way a signature survives (RFC 6376 s3.4).
type Canonicalization uint8

// The canonicalizations.
const (
	Relaxed Canonicalization = iota // white space may change
	Simple                          // nothing may change
)

func (c Canonicalization) String() string {
	if c == Simple {
		return "simple"
	}
	return "relaxed"
}

// A Signer is a key and how to sign with it. Domain, Selector and Key are required.
type Signer struct {
	Domain   string        // d=
	Selector string        // s=: the public key is at Selector._domainkey.Domain
	Key      crypto.Signer // RSA of at least 1024 bits, better 2048, or Ed25519

	Identifier string // i=: user or agent, as "user@sub.domain"; default: not said

	// Headers names the fields to sign. Default: those of RFC 6376 s5.4.1, [DefaultHeaders]. Each is signed as often as the message has it.
	Headers []string
	// Oversign names fields that are signed once more than the message has them, so that nobody can add one. Default: From whether there or not, and of
	// the other fields that people see or that change the body's meaning, those that are there. An empty slice that is not nil is none.
	Oversign []string

	HeaderCanonicalization Canonicalization // default Relaxed
	BodyCanonicalization   Canonicalization // default Relaxed

	Expiry time.Duration // x=: how long after Time the signature holds; default: for ever
	Time   time.Time     // t=; default: now
}

// DefaultHeaders are the fields that are signed where a Signer names none (RFC 6376 s5.4.1).
func DefaultHeaders() []string { return slices.Clone(defaultHeaders) }

var (
	defaultHeaders = []string{"From", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "To", "Cc", "MIME-Version",
		"Content-Type", "Content-Transfer-Encoding", "Content-ID", "Content-Description", "Resent-Date", "Resent-From",
		"Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Message-ID", "In-Reply-To", "References", "List-Id", "List-Help",
		"List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive", "Auto-Submitted"}
	defaultOversign = []string{"From", "Reply-To", "Subject", "Date", "Message-ID", "To", "Cc", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
)

// Sign returns a DKIM-Signature field for each signer, to be put before the message. The message is read once. It has to have a From, and in its header
// nothing but fields: see [ErrMalformed].
func Sign(ctx context.Context, msg Content, signers ...Signer) ([]byte, error) {
	for i := range signers {
		if err := signers[i].check(); err != nil {
			return nil, err
		}
	}
	m, err := open(msg)
	if err != nil {
		return nil, err
	}
	defer m.close()
	if m.count("from") == 0 {
		return nil, errors.New("dkim: the message has no From, which a signature has to cover")
	}
	if m.malformed(false) {
		return nil, ErrMalformed
	}
	var hashes []*bodyHash
	bodies := make([]*bodyHash, len(signers))
	for i, s := range signers {
		bodies[i], hashes = shared(hashes, s.BodyCanonicalization == Relaxed, -1)
	}
	if err := m.hashBody(hashes); err != nil {
		return nil, err
	}
	sums := map[*bodyHash]string{}
	for _, h := range hashes {
		sums[h] = base64.StdEncoding.EncodeToString(h.sum())
	}
	var out []byte
	for i := range signers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		field, err := signers[i].sign(m, sums[bodies[i]])
		if err != nil {
			return nil, fmt.Errorf("dkim: signing for %s: %w", signers[i].Domain, err)
		}
		out = append(out, field...)
	}
	return out, nil
}

func (s *Signer) check() error {
	for _, name := range []struct{ what, value string }{{"Domain", s.Domain}, {"Selector", s.Selector}} {
		if _, err := dnsName(name.value); err != nil {
			return fmt.Errorf("dkim: Signer.%s is no name: %q", name.what, name.value)
		}
	}
	if s.Identifier != "" {
		domain, of := agentDomain(s.Identifier), agentDomain(s.Domain)
		if !strings.Contains(s.Identifier, "@") || domain != of && !strings.HasSuffix(domain, "."+of) {
			return fmt.Errorf("dkim: Signer.Identifier %q is not in the domain %s", s.Identifier, s.Domain)
		}
	}
	for _, name := range slices.Concat(s.Headers, s.Oversign) {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' || r == ';' }) {
			return fmt.Errorf("dkim: Signer names something that is no field name: %q", name)
		}
		if strings.EqualFold(name, "DKIM-Signature") {
			return errors.New("dkim: Signer names DKIM-Signature, which other signers add later")
		}
	}
	if s.Key == nil {
		return errors.New("dkim: Signer.Key is nil")
	}
	switch pub := s.Key.Public().(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < 1024 {
			return fmt.Errorf("dkim: RSA key of %d bits; 1024 is the least (RFC 8301 s3.2)", pub.N.BitLen())
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("dkim: Signer.Key is of a kind that DKIM has not: %T", pub)
	}
	return nil
}

// names is h=: each field as often as it is there, and once more where that is wanted.
func (s *Signer) names(m *message) (names []string) {
	headers, oversign := s.Headers, s.Oversign
	if headers == nil {
		headers = defaultHeaders
	}
	if !containsFold(headers, "From") {
		headers = append([]string{"From"}, headers...) // RFC 6376 s5.4
	}
	for _, name := range headers {
		for range m.count(name) {
			names = append(names, name)
		}
		if oversign == nil && containsFold(defaultOversign, name) && m.count(name) > 0 {
			names = append(names, name)
		}
	}
	for _, name := range oversign {
		if !containsFold(headers, name) {
			for range m.count(name) {
				names = append(names, name)
			}
		}
		names = append(names, name)
	}
	return names
}

func containsFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}

func (s *Signer) sign(m *message, bodyHash string) ([]byte, error) {
	names := s.names(m)
	if len(names) > maxSignedHeaders {
		return nil, fmt.Errorf("more than %d fields to sign", maxSignedHeaders)
	}
	algorithm, opts := "rsa-sha256", crypto.Hash(crypto.SHA256)
	if _, ok := s.Key.Public().(ed25519.PublicKey); ok {
		algorithm, opts = "ed25519-sha256", crypto.Hash(0)
	}
	at := s.Time
	if at.IsZero() {
		at = time.Now()
	}
	w := tagWriter{buf: []byte("DKIM-Signature:"), col: len("DKIM-Signature:")}
	w.tag("v=1")
	w.tag("a=" + algorithm)
	w.tag("c=" + s.HeaderCanonicalization.String() + "/" + s.BodyCanonicalization.String())
	w.tag("d=" + aLabels(s.Domain)) // RFC 8616 s4: U-labels only where the whole message is internationalized
	w.tag("s=" + aLabels(s.Selector))
	if s.Identifier != "" {
		w.tag("i=" + encodeQP(s.Identifier))
	}
	w.tag("t=" + strconv.FormatInt(at.Unix(), 10))
	if s.Expiry > 0 {
		w.tag("x=" + strconv.FormatInt(at.Add(s.Expiry).Unix(), 10))
	}
	w.tag("h=" + names[0])
	for _, name := range names[1:] {
		w.glue(":")
		w.word(name)
	}
	w.tag("bh=" + bodyHash)
	w.tag("b=")

	relaxed := s.HeaderCanonicalization == Relaxed
	lowered := make([]string, len(names))
	for i, name := range names {
		lowered[i] = strings.ToLower(name)
	}
	signed := m.appendSigned(nil, lowered, relaxed, -1)
	signed = bytes.TrimSuffix(appendHeader(signed, w.buf, relaxed), crlfs[:2])
	digest := sha256Sum(signed)
	sig, err := s.Key.Sign(rand.Reader, digest[:], opts)
	if err != nil {
		return nil, err
	}
	for text := base64.StdEncoding.EncodeToString(sig); text != ""; {
		n := min(len(text), tagColumn-w.col)
		if n <= 0 {
			w.fold()
			continue
		}
		w.glue(text[:n])
		text = text[n:]
	}
	return append(w.buf, '\r', '\n'), nil
}

const tagColumn = 76

// A tagWriter writes a folded tag list.
type tagWriter struct {
	buf  []byte
	col  int
	more bool
}

func (w *tagWriter) glue(s string) {
	w.buf = append(w.buf, s...)
	w.col += len(s)
}

func (w *tagWriter) fold() {
	w.buf = append(w.buf, "\r\n\t"...)
	w.col = 8
}

func (w *tagWriter) tag(s string) {
	if w.more {
		w.glue(";")
	}
	w.more = true
	if w.col+1+len(s)+1 > tagColumn {
		w.fold()
	} else {
		w.glue(" ")
	}
	w.glue(s)
}

// word writes a member of a list, which may stand on a line of its own.
func (w *tagWriter) word(s string) {
	if w.col+len(s)+1 > tagColumn {
		w.fold()
	}
	w.glue(s)
}

// encodeQP is RFC 6376 s2.11.
func encodeQP(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != ';' && c != '=' {
			b.WriteByte(c)
		} else {
			b.WriteString(string([]byte{'=', hex[c>>4], hex[c&15]}))
		}
	}
	return b.String()
}
