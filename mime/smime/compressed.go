package smime

import (
	"compress/flate"
	"compress/zlib"
	"context"
	"errors"
	"io"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/internal/protect"
)

var (
	oidCompressed = oid(1, 2, 840, 113549, 1, 9, 16, 1, 9)
	oidZlib       = oid(1, 2, 840, 113549, 1, 9, 16, 3, 8)
)

// Decompress opens a message that is only compressed (RFC 8551 s3.6, RFC 3274). Decrypt and Verify open what is compressed inside of what they open, and around a signature.
func (r *Receiver) Decompress(ctx context.Context, c mime.Content) (*Opened, error) {
	s, err := protect.SpoolContent(protect.WithContext(ctx, c), r.Limits.received())
	if err != nil {
		return nil, classify(err)
	}
	o := &Opened{}
	o.j.Owns(s)
	outer := s.Message().Header()
	src, part, err := r.decompress(ctx, o, s, s.Message().Root())
	if err == nil && src == s {
		err = fail(Malformed, "the message is not compressed")
	}
	if err == nil {
		err = o.finish(outer, src, part)
	}
	if err != nil {
		o.Close()
		return nil, classify(err)
	}
	return o, nil
}

// decompress returns what is in a part that is compressed-data, or the part itself.
func (r *Receiver) decompress(ctx context.Context, o *Opened, src *mime.Spooled, part *mime.Part) (*mime.Spooled, *mime.Part, error) {
	if !isPKCS7(part) {
		return src, part, nil
	}
	b := newBER(protect.Reader(ctx, part.Decoded()))
	typ, err := enterContent(b)
	if err != nil || typ != oidCompressed {
		return src, part, nil // others say what is wrong with it
	}
	content, err := enterCompressed(b)
	if err != nil {
		return nil, nil, err
	}
	z, err := zlib.NewReader(content)
	if err == nil {
		src, err = mime.Spool(z, r.Limits.decrypted())
	}
	var corrupt flate.CorruptInputError
	switch {
	case err == nil:
	case errors.As(err, &corrupt), errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrDictionary), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil, &Error{Kind: Malformed, Err: err}
	default:
		return nil, nil, err
	}
	o.j.Owns(src)
	if _, err := io.Copy(io.Discard, content); err != nil {
		return nil, nil, err
	}
	return src, src.Message().Root(), b.finish()
}

// enterCompressed reads CompressedData up to the octets (RFC 3274 s1.1).
func enterCompressed(b *ber) (io.Reader, error) {
	if _, t, err := b.element(); err != nil || t != tagInteger {
		return nil, orBER(err)
	}
	raw, _, err := b.element()
	if err != nil {
		return nil, err
	}
	v, _, err := cut(raw)
	if err != nil {
		return nil, errBER
	}
	if alg, _, err := readAlgorithm(v); err != nil || alg != oidZlib {
		return nil, fail(Unsupported, "compression algorithm %s", dotted(alg))
	}
	if err := b.enter(tagSequence); err != nil {
		return nil, err
	}
	if typ, t, err := b.element(); err != nil || t != tagOID || string(typ) != oidData {
		return nil, orBER(err)
	}
	if err := b.enter(context0 | constructed); err != nil {
		return nil, err
	}
	h, err := b.next()
	if err != nil || h.tag&^constructed != tagOctets {
		return nil, orBER(err)
	}
	return b.octets(h)
}
