package dkim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"time"
)

// A Verifier judges the signatures of messages. Its zero value works.
type Verifier struct {
	Resolver      Resolver      // default: net.DefaultResolver
	Signatures    int           // judged in one message, those at the top; default 10
	MinRSABits    int           // of an RSA key; default 1024 (RFC 8301 s3.2)
	PartialBody   bool          // accept l= signatures that leave a part of the body unsigned; anybody can add what people then see
	LookupTimeout time.Duration // for all keys together; default 20 s
	At            time.Time     // when to judge; default: now. The time of arrival, for a message that was stored
}

const maxRSABits = 8192 // larger keys only cost time

// Verify judges the signatures of a message with a zero [Verifier] and the resolver.
func Verify(ctx context.Context, msg Content, resolver Resolver) ([]Result, error) {
	return (&Verifier{Resolver: resolver}).Verify(ctx, msg)
}

func sha256Sum(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

// Verify judges each signature of a message by itself, and gives a result for each, in the order of the header. The message is read once; keys are looked
// up meanwhile. An error means that the message could not be read, never that a signature is bad. More
// signatures than the Verifier judges add one result that says so.
func (v *Verifier) Verify(ctx context.Context, msg Content) ([]Result, error) {
	m, err := open(msg)
	if err != nil {
		return nil, err
	}
	defer m.close()
	signatures, more := v.signatures(m)
	var hashes []*bodyHash
	keys := lookups{}
	for _, s := range signatures {
		if s.Status != None {
			continue
		}
		s.hashed, hashes = shared(hashes, s.body, s.BodyLength)
		if keys.pending == nil {
			timeout := v.LookupTimeout
			if timeout <= 0 {
				timeout = 20 * time.Second
			}
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		keys.start(ctx, v.Resolver, s.keyName)
	}
	if len(hashes) > 0 {
		if err := m.hashBody(hashes); err != nil {
			return nil, err
		}
		sums := make([][]byte, len(hashes))
		for i, h := range hashes {
			sums[i] = h.sum()
		}
		var buf []byte
		for _, s := range signatures {
			if s.Status != None {
				continue
			}
			for i, h := range hashes {
				if h == s.hashed {
					buf, err = v.judge(ctx, s, m, &keys, sums[i], buf)
				}
			}
			if err != nil {
				s.set(err)
			} else {
				s.Status = Pass
			}
		}
	}
	results := make([]Result, 0, len(signatures)+1)
	for _, s := range signatures {
		results = append(results, s.Result)
	}
	if more {
		results = append(results, Result{Status: Policy, BodyLength: -1,
			Err: judged(Policy, "more than %d signatures: the others were not judged", len(signatures))})
	}
	return results, nil
}

// signatures reads the DKIM-Signature fields. One that cannot be read does not hide the others.
func (v *Verifier) signatures(m *message) (list []*signature, more bool) {
	limit := v.Signatures
	if limit <= 0 {
		limit = defaultSignatures
	}
	now := v.At
	if now.IsZero() {
		now = time.Now()
	}
	for i, f := range m.fields {
		if !equalFold(f.name, "dkim-signature") {
			continue
		}
		if len(list) == limit {
			return list, true
		}
		s := &signature{field: i, Result: Result{Status: None, BodyLength: -1}}
		err := s.parse(string(f.raw[bytes.IndexByte(f.raw, ':')+1:]))
		if err == nil {
			err = s.check(m, now)
		}
		if err != nil {
			s.set(err)
		}
		list = append(list, s)
	}
	return list, false
}

// judge decides about one signature: body hash, key, header. buf is scratch space.
func (v *Verifier) judge(ctx context.Context, s *signature, m *message, keys *lookups, sum, buf []byte) ([]byte, error) {
	key, err := keys.wait(ctx, s.keyName)
	if err != nil {
		return buf, err
	}
	minBits := v.MinRSABits
	if minBits <= 0 {
		minBits = 1024
	}
	if buf, err = s.verify(m, key, minBits, buf); err != nil {
		return buf, err
	}
	if !bytes.Equal(sum, s.hash) {
		return buf, &verdict{Fail, ErrBodyHash}
	}
	switch {
	case s.BodyLength > s.hashed.total:
		return buf, judged(PermError, "l=%d is more than the body's %d octets", s.BodyLength, s.hashed.total) // RFC 6376 s3.5
	case s.BodyLength >= 0 && s.BodyLength < s.hashed.total && !v.PartialBody:
		return buf, judged(Policy, "l=%d leaves %d octets of the body unsigned", s.BodyLength, s.hashed.total-s.BodyLength) // s8.2
	}
	return buf, nil
}

// shared returns the hash of a body in a canonical form, which signatures that want the same share.
func shared(hashes []*bodyHash, relaxed bool, limit int64) (*bodyHash, []*bodyHash) {
	for _, h := range hashes {
		if h.relaxed == relaxed && h.limit == limit {
			return h, hashes
		}
	}
	h := newBodyHash(relaxed, limit, sha256.New())
	return h, append(hashes, h)
}

// lookups are the key records that were asked for, each once.
type lookups struct{ pending map[string]*lookup }

type lookup struct {
	done chan struct{}
	key  *publicKey
	err  error
}

func (l *lookups) start(ctx context.Context, r Resolver, name string) {
	if l.pending == nil {
		l.pending = map[string]*lookup{}
	}
	if l.pending[name] != nil {
		return
	}
	if r == nil {
		r = net.DefaultResolver
	}
	p := &lookup{done: make(chan struct{})}
	l.pending[name] = p
	go func() {
		defer close(p.done)
		records, err := r.LookupTXT(ctx, name)
		var dns *net.DNSError
		switch {
		case err != nil && errors.As(err, &dns) && dns.IsNotFound:
			p.err = judged(PermError, "no key at %s", name)
		case err != nil:
			p.err = judged(TempError, "key at %s: %w", name, err)
		default:
			if p.key, err = selectKey(records); err != nil {
				p.err = judged(PermError, "key at %s: %w", name, err)
			}
		}
	}()
}

// wait gives the key, or up with ctx, for resolvers that do not.
func (l *lookups) wait(ctx context.Context, name string) (*publicKey, error) {
	p := l.pending[name]
	select {
	case <-p.done:
		return p.key, p.err
	case <-ctx.Done():
		return nil, judged(TempError, "key at %s: %w", name, context.Cause(ctx))
	}
}
