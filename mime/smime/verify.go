package smime

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/internal/protect"
)

// verifyPart checks the signatures of a part, and returns what they sign, decompressed. The error is for what cannot be checked at all; NotSigned
// comes with the part, decompressed.
func (r *Receiver) verifyPart(ctx context.Context, o *Opened, src *mime.Spooled, part *mime.Part, from []string) (*mime.Spooled, *mime.Part, error) {
	src, part, err := r.decompress(ctx, o, src, part)
	if err == nil {
		src, part, err = r.verifySigned(ctx, o, src, part, from)
	}
	if err == nil {
		src, part, err = r.decompress(ctx, o, src, part)
	}
	return src, part, err
}

func (r *Receiver) verifySigned(ctx context.Context, o *Opened, src *mime.Spooled, part *mime.Part, from []string) (*mime.Spooled, *mime.Part, error) {
	if isPKCS7(part) {
		text, root, err := r.verifyOpaque(ctx, o, part, from)
		if errors.Is(err, NotSigned) {
			text, root = src, part
		}
		return text, root, err
	}
	signed, sig := signedParts(part)
	if signed == nil {
		return src, part, &Error{Kind: NotSigned}
	}
	data, err := readSignedData(newBER(sig.Decoded()), nil, nil)
	switch {
	case err == nil && data.opaque:
		err = fail(Malformed, "the signature has a text of its own")
	case err == nil && len(data.signers) == 0:
		err = fail(Malformed, "nobody signed")
	}
	if err != nil {
		o.Signatures = append(o.Signatures, Signature{Err: err})
		return src, signed, nil
	}
	start, _ := signed.HeaderRange()
	offset, length := signed.BodyRange()
	err = data.digestAll(func(w io.Writer) error {
		// RFC 8551 s3.1.1: line ends are CRLF again, whatever they became on the way.
		return buffered(w, func(w io.Writer) error {
			return protect.Canonical(w, protect.Reader(ctx, io.NewSectionReader(src, start, offset+length-start)))
		})
	})
	if err != nil {
		return nil, nil, err
	}
	return src, signed, r.judge(ctx, o, data, from)
}

// signedParts returns the two parts of a multipart/signed of S/MIME.
func signedParts(root *mime.Part) (signed, sig *mime.Part) {
	if root.MediaType() != "multipart/signed" {
		return nil, nil
	}
	n := 0
	for p := range root.Children() {
		switch n++; n {
		case 1:
			signed = p
		case 2:
			sig = p
		}
	}
	// RFC 1847 s2.1: exactly two parts. What stood in a third would look as if it were signed.
	if n != 2 || sig.MediaType() != "application/pkcs7-signature" && sig.MediaType() != "application/x-pkcs7-signature" {
		return nil, nil
	}
	return signed, sig
}

func (r *Receiver) verifyOpaque(ctx context.Context, o *Opened, part *mime.Part, from []string) (*mime.Spooled, *mime.Part, error) {
	var text *mime.Spooled
	var typ string
	data, err := readSignedData(newBER(protect.Reader(ctx, part.Decoded())), func(content io.Reader) (err error) {
		text, err = mime.Spool(content, r.Limits.decrypted())
		return err
	}, &typ)
	if text != nil {
		o.j.Owns(text)
	}
	switch {
	case err != nil:
		return nil, nil, err
	case text == nil:
		return nil, nil, fail(NotSigned, "there is no text, only certificates") // certs-only, RFC 8551 s3.8
	case len(data.signers) == 0:
		o.Signatures = append(o.Signatures, Signature{Err: fail(Malformed, "nobody signed")})
		return text, text.Message().Root(), nil
	}
	return text, text.Message().Root(), r.judge(ctx, o, data, from)
}

// judge adds what became of each signature.
func (r *Receiver) judge(ctx context.Context, o *Opened, data *readSigned, from []string) error {
	for _, i := range data.signers {
		s := Signature{Time: i.time}
		if i.hash != 0 {
			s.Hash = hashName(i.hash)
		}
		if s.Certificate = i.certificate(append(data.certs, r.Intermediates...)); s.Certificate == nil {
			s.Err = i.err
			if s.Err == nil {
				s.Err = fail(NoKey, "the certificate of the signer is missing")
			}
		} else if s.Err = i.check(s.Certificate, data.typ, data.digests); s.Err == nil {
			s.Chain, s.Err = r.trust(ctx, s.Certificate, data.certs, from, i.time)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		o.Signatures = append(o.Signatures, s)
	}
	return nil
}

// trust judges the certificate of a signer (RFC 8550 s4).
func (r *Receiver) trust(ctx context.Context, cert *x509.Certificate, others []*x509.Certificate, from []string, signed time.Time) ([]*x509.Certificate, error) {
	now := time.Now()
	if r.Time != nil {
		now = r.Time()
	}
	pool := x509.NewCertPool()
	for _, c := range slices.Concat(others, r.Intermediates) {
		pool.AddCert(c)
	}
	chains, err := cert.Verify(x509.VerifyOptions{Roots: r.Roots, Intermediates: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}})
	switch {
	case err != nil:
		return nil, &Error{Kind: Untrusted, Err: err}
	case cert.KeyUsage != 0 && cert.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0: // RFC 8550 s4.4.2
		return nil, fail(Untrusted, "the certificate is not for signatures")
	case !signed.IsZero() && signed.After(now.Add(clockSkew)):
		return nil, fail(BadSignature, "it was made in the future")
	case !slices.ContainsFunc(from, func(a string) bool { return isFor(cert, a) }):
		// RFC 8550 s3: the address in From must be one of the certificate's.
		e := &Error{Kind: WrongAddress, Err: errors.New("the certificate is not for the author")}
		if all := Addresses(cert); len(all) > 0 {
			e.Address = all[0]
		}
		return nil, e
	}
	if r.Check != nil {
		if err := r.Check(ctx, chains[0]); err != nil {
			return nil, &Error{Kind: Untrusted, Err: err}
		}
	}
	return chains[0], nil
}
