package smime

import (
	"crypto"
	"crypto/x509"
	"hash"
	"io"
)

// readSigned is what was read of a SignedData.
type readSigned struct {
	typ     string // of the content
	opaque  bool   // the content is inside
	digests map[crypto.Hash][]byte
	certs   []*x509.Certificate
	signers []*signerInfo
}

// enterContent opens a ContentInfo, and the SEQUENCE inside, and returns its type.
func enterContent(b *ber) (string, error) {
	if err := b.enter(tagSequence); err != nil {
		return "", err
	}
	id, t, err := b.element()
	if err != nil {
		return "", err
	}
	if t != tagOID {
		return "", errBER
	}
	if err := b.enter(context0 | constructed); err != nil {
		return "", err
	}
	return string(id), b.enter(tagSequence)
}

// readSignedData reads a ContentInfo with SignedData from b. keep is called with the content if it is inside; without keep it is skipped.
func readSignedData(b *ber, keep func(io.Reader) error, id *string) (*readSigned, error) {
	typ, err := enterContent(b)
	if err != nil {
		return nil, err
	}
	if id != nil {
		*id = typ
	}
	if typ != oidSigned {
		return nil, fail(NotSigned, "content type %s", dotted(typ))
	}
	return readSignedContent(b, keep)
}

// readSignedContent reads the SignedData that b is in.
func readSignedContent(b *ber, keep func(io.Reader) error) (*readSigned, error) {
	s := &readSigned{digests: map[crypto.Hash][]byte{}}
	if _, t, err := b.element(); err != nil || t != tagInteger {
		return nil, orBER(err)
	}
	algorithms, t, err := b.element()
	if err != nil || t != tagSet {
		return nil, orBER(err)
	}
	running, writers, err := announced(algorithms)
	if err != nil {
		return nil, err
	}
	if err := b.enter(tagSequence); err != nil {
		return nil, err
	}
	typ, t, err := b.element()
	if err != nil || t != tagOID {
		return nil, orBER(err)
	}
	s.typ = string(typ)
	end, err := b.end()
	if err != nil {
		return nil, err
	}
	if !end {
		s.opaque = true
		if err := b.enter(context0 | constructed); err != nil {
			return nil, err
		}
		h, err := b.next()
		if err != nil || h.tag&^constructed != tagOctets {
			return nil, orBER(err)
		}
		content, err := b.octets(h)
		if err != nil {
			return nil, err
		}
		content = io.TeeReader(content, io.MultiWriter(writers...))
		if keep != nil {
			err = keep(content)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, content)
		}
		if err != nil {
			return nil, err
		}
		if err := b.leave(); err != nil {
			return nil, err
		}
		for h, r := range running {
			s.digests[h] = r.Sum(nil)
		}
	}
	if err := b.leave(); err != nil {
		return nil, err
	}
	return s, s.readRest(b)
}

// readRest reads what stands after the content, to the end of the ContentInfo.
func (s *readSigned) readRest(b *ber) error {
	for {
		end, err := b.end()
		if err != nil {
			return err
		}
		if end {
			return b.close()
		}
		e, t, err := b.element()
		if err != nil {
			return err
		}
		v, _, err := cut(e)
		if err != nil {
			return errBER
		}
		switch t {
		case context0 | constructed:
			s.certs = readCertificates(v.content)
		case tagSet:
			if s.signers, err = readSigners(v.content); err != nil {
				return err
			}
		}
	}
}

// close leaves every value that is open.
func (b *ber) close() error {
	for len(b.ends) > 0 {
		if err := b.leave(); err != nil {
			return err
		}
	}
	return nil
}

func orBER(err error) error {
	if err == nil {
		return errBER
	}
	return err
}

// announced returns the hashes of a SET OF DigestAlgorithmIdentifier that are known.
func announced(set []byte) (map[crypto.Hash]hash.Hash, []io.Writer, error) {
	v, _, err := cut(set)
	if err != nil {
		return nil, nil, errBER
	}
	all, err := values(v.content)
	if err != nil {
		return nil, nil, err
	}
	running := map[crypto.Hash]hash.Hash{}
	var writers []io.Writer
	for _, a := range all {
		id, _, err := readAlgorithm(a)
		if err != nil {
			return nil, nil, err
		}
		if h := hashes[id]; h != 0 && running[h] == nil {
			running[h] = h.New()
			writers = append(writers, running[h])
		}
	}
	return running, writers, nil
}

// digestAll hashes a detached content with what its signers use.
func (s *readSigned) digestAll(write func(io.Writer) error) error {
	var writers []io.Writer
	running := map[crypto.Hash]hash.Hash{}
	for _, i := range s.signers {
		if i.hash != 0 && running[i.hash] == nil {
			running[i.hash] = i.hash.New()
			writers = append(writers, running[i.hash])
		}
	}
	if err := write(io.MultiWriter(writers...)); err != nil {
		return err
	}
	for h, r := range running {
		s.digests[h] = r.Sum(nil)
	}
	return nil
}
