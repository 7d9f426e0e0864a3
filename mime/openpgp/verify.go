package openpgp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/internal/protect"
)

// Verify checks a message that is multipart/signed as a whole (RFC 3156 s5), and returns what was signed. The error is nil only if there is a good signature by the author in From.
// If there is none, the error says why, and the message comes with it all the same: it can be shown like any message that nobody signed. It is nil if the message has
// no signature of OpenPGP, or cannot be read.
func (r *Receiver) Verify(ctx context.Context, c mime.Content) (_ *Opened, err error) {
	s, err := protect.SpoolContent(protect.WithContext(ctx, c), r.Limits.received())
	if err != nil {
		return nil, classify(err, 0)
	}
	o := &Opened{}
	o.j.Owns(s)
	if err := r.verify(ctx, o, s); err != nil {
		o.Close()
		return nil, err
	}
	if _, ok := o.Signer(); !ok {
		return o, o.Signatures[0].Err
	}
	return o, nil
}

func (r *Receiver) verify(ctx context.Context, o *Opened, s *mime.Spooled) error {
	outer := s.Message().Header()
	authors, err := r.authors(ctx, outer)
	if err != nil {
		return err
	}
	signed, sig := signedParts(s.Message().Root())
	if signed == nil {
		return &Error{Kind: NotSigned}
	}
	if err := verifyPart(ctx, o, s, signed, sig, authors); err != nil {
		return err
	}
	return o.finish(outer, s, signed)
}

// signedParts returns the two parts of a multipart/signed of OpenPGP.
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
	// RFC 3156 s5: exactly two parts. What stood in a third would look as if it were signed.
	if n != 2 || sig.MediaType() != "application/pgp-signature" {
		return nil, nil
	}
	return signed, sig
}

// verifyPart checks the signatures over a part. The error is for what cannot be checked at all.
func verifyPart(ctx context.Context, o *Opened, src io.ReaderAt, signed, sig *mime.Part, authors []Key) (err error) {
	defer guard(&err)
	binary, err := readSignature(sig)
	if err != nil {
		o.Signatures = append(o.Signatures, Signature{Err: err})
		return nil
	}
	ring, err := newRing(authors, nil)
	if err != nil {
		return err
	}
	start, _ := signed.HeaderRange()
	offset, length := signed.BodyRange()
	text := protect.Pipe(func(w io.Writer) error {
		// RFC 3156 s5: line ends are CRLF again, whatever they became on the way.
		return buffered(w, func(w io.Writer) error {
			return protect.Canonical(w, protect.Reader(ctx, io.NewSectionReader(src, start, offset+length-start)))
		})
	})
	defer text.Close()
	md, err := pgp.VerifyDetachedSignatureReader(ring, text, bytes.NewReader(binary), config())
	if err != nil {
		o.Signatures = append(o.Signatures, Signature{Err: classify(err, Malformed)})
		return nil
	}
	if _, err := io.Copy(io.Discard, md.UnverifiedBody); err != nil {
		return classify(err, 0)
	}
	o.addSignatures(md, ring)
	return nil
}

// readSignature returns the packets of a detached signature.
func readSignature(p *mime.Part) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(p.Decoded(), maxSignatureBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSignatureBytes {
		return nil, fail(TooLarge, "more than %d octets of signatures", maxSignatureBytes)
	}
	r, err := dearmor(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	data, err = io.ReadAll(r)
	return data, classify(err, Malformed)
}

// dearmor returns the packets in r, which may be armored or not.
func dearmor(r io.Reader) (io.Reader, error) {
	br := bufio.NewReader(r)
	if first, err := br.Peek(1); err == nil && first[0]&0x80 != 0 { // RFC 9580 s4.2
		return br, nil
	}
	block, err := armor.Decode(br)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = fail(Malformed, "there is no armored block")
		}
		return nil, classify(err, Malformed)
	}
	return block.Body, nil
}

// addSignatures takes the signatures of a message that was read to its end.
func (o *Opened) addSignatures(md *pgp.MessageDetails, ring *ring) {
	for _, c := range md.SignatureCandidates {
		s := Signature{KeyID: fmt.Sprintf("%016X", c.IssuerKeyId), Hash: hashName(c.HashAlgorithm)}
		if c.CorrespondingSig != nil {
			s.Time = c.CorrespondingSig.CreationTime
		}
		key, author := ring.author(c.SignedByEntity)
		switch {
		case !author:
			s.Err = &Error{Kind: NoKey, KeyIDs: []string{s.KeyID}, Err: errors.New("it is not one of the author's keys")}
		case c.SignatureError != nil:
			s.Err = classify(c.SignatureError, BadSignature)
		case !md.IsVerified || c.SignedBy == nil:
			s.Err = &Error{Kind: BadSignature, Err: errors.New("the signature was not reached")}
		case s.Time.After(time.Now().Add(clockSkew)):
			s.Err = &Error{Kind: BadSignature, Err: errors.New("it was made in the future")}
		}
		if author {
			s.Key = key
		}
		o.Signatures = append(o.Signatures, s)
	}
	if len(md.SignatureCandidates) == 0 && md.IsSigned {
		o.Signatures = append(o.Signatures, Signature{Err: &Error{Kind: Malformed, Err: errors.New("no signature")}})
	}
}

const clockSkew = 24 * time.Hour // how wrong the clock of an author may be
