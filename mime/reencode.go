package mime

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// largestQP is how long a text part may be to be held in memory and made quoted-printable; a longer one becomes base64.
const largestQP = 1 << 20

// ErrNeedsSMTPUTF8 is inside the [*PartError] of a message that has UTF-8 in a header and has to go over a link without SMTPUTF8: nobody may
// change that on the way (RFC 6531 s3.2).
var ErrNeedsSMTPUTF8 = errors.New("mime: a header has UTF-8, and the link has no SMTPUTF8")

// ErrSigned is inside the [*PartError] of a part whose signature would break (RFC 1847 s2.1).
var ErrSigned = errors.New("mime: the part is signed, and changing it would break the signature")

// Encoded is a message in a form that a link carries. Close it when nobody reads it any more.
type Encoded struct {
	Content
	spool *Spooled // what the message was copied to, or nil
}

// Changed reports whether the message differs from what was given.
func (e *Encoded) Changed() bool { return e.spool != nil }

// Close frees what was kept. The content that was given stays open.
func (e *Encoded) Close() error {
	if e.spool == nil {
		return nil
	}
	return e.spool.Close()
}

// ReEncode returns the message in a form that a link with these capabilities carries (RFC 6152 s3): the parts that it cannot carry as they are become quoted-printable
// or base64, everything else stays as it is to the octet. A message that needs nothing comes back itself. One that does is copied to a [Spool], which the
// result holds until it is closed.
//
// A part inside multipart/signed is never changed: that it would have to be is a [*PartError] with [ErrSigned], and the message cannot go this way. A DKIM
// signature of a message that was changed no longer holds. UTF-8 in a header without Capabilities.UTF8 is a [*PartError] with [ErrNeedsSMTPUTF8]; octets that are no
// UTF-8 are mistakes of the sender, which nothing can put right, and stay.
func ReEncode(c Content, caps Capabilities) (*Encoded, error) {
	rc, err := c.Open()
	if err != nil {
		return nil, err
	}
	parser := NewParser(Limits{})
	whole, err := scan(io.TeeReader(rc, parser))
	rc.Close()
	if err != nil {
		return nil, err
	}
	if whole.eightBit && !caps.UTF8 {
		if err := parser.Close().needsUTF8(); err != nil {
			return nil, err
		}
	}
	if whole.fits(caps) {
		return &Encoded{Content: c}, nil
	}
	if rc, err = c.Open(); err != nil {
		return nil, err
	}
	defer rc.Close()
	spool, err := Spool(rc, SpoolLimits{Size: -1})
	if err != nil {
		return nil, err
	}
	r := reEncoder{newPatch(spool.Message(), spool), caps}
	changed, err := r.parts()
	if err != nil || !changed {
		spool.Close()
		if err != nil {
			return nil, err
		}
		return &Encoded{Content: c}, nil
	}
	r.copy(r.m.Size())
	return &Encoded{&r.out, spool}, nil
}

// needsUTF8 returns an error if a header has UTF-8.
func (m *Message) needsUTF8() error {
	for p := range m.Parts() {
		if b := p.Header().Bytes(); !isASCII(b) && utf8.Valid(b) {
			return &PartError{Part: p.Index(), Reason: "its header has UTF-8, and the link has no SMTPUTF8", Err: ErrNeedsSMTPUTF8}
		}
	}
	return nil
}

type reEncoder struct {
	patch
	caps Capabilities
}

// parts writes everything up to the last part that changes, and reports whether one did. Containers come before what they contain.
func (r *reEncoder) parts() (changed bool, err error) {
	end := int64(0) // of the last part, or of a container's header
	for p := range r.m.Parts() {
		start, _ := p.HeaderRange()
		dropped, err := r.gap(end, start)
		if err != nil {
			return false, err
		}
		if in := p.Parent(); dropped && in != nil && signed(in) {
			return false, errSigned(in)
		}
		changed = changed || dropped
		offset, length := p.BodyRange()
		if end = offset; p.IsLeaf() {
			end += length
		}
		if !p.IsLeaf() {
			// RFC 2045 s6.4: a container says the most that its parts need, and now they need less.
			e := ParseEncoding(p.Header().Get("Content-Transfer-Encoding"))
			if e == EncodingBinary || e == Encoding8Bit && !r.caps.EightBit {
				if err := r.encoding(p, r.identity()); err != nil {
					return false, err
				}
			}
			continue
		}
		s, err := scan(p.Raw())
		if err != nil {
			return false, err
		}
		if s.fits(r.caps) {
			continue
		}
		if err := r.leaf(p); err != nil {
			return false, err
		}
		changed = true
	}
	dropped, err := r.gap(end, r.m.Size())
	return changed || dropped, err
}

// gap looks at what stands between parts: delimiters, and text that nobody reads (RFC 2046 s5.1.1), whose octets the link cannot carry become "?".
func (r *reEncoder) gap(from, to int64) (changed bool, err error) {
	if to <= from {
		return false, nil
	}
	between := span{r.src, from, to - from}
	rc, err := between.Open()
	if err != nil {
		return false, err
	}
	s, err := scan(rc)
	if s.long = false; err != nil || s.fits(r.caps) {
		return false, err
	}
	r.copy(from)
	r.span(plain{between, r.caps})
	r.pos = to
	return true, nil
}

// plain is a span without the octets that the link cannot carry.
type plain struct {
	span
	caps Capabilities
}

func (p plain) Open() (io.ReadCloser, error) {
	rc, err := p.span.Open()
	return readCloser{plainReader{rc, p.caps}, rc}, err
}

type plainReader struct {
	r    io.Reader
	caps Capabilities
}

func (p plainReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	for i, c := range b[:n] {
		if c == 0 || c >= 0x80 && !p.caps.EightBit {
			b[i] = '?'
		}
	}
	return n, err
}

func (r *reEncoder) identity() string {
	if r.caps.EightBit {
		return "8bit"
	}
	return "7bit"
}

func (r *reEncoder) leaf(p *Part) error {
	switch {
	case signed(p):
		return errSigned(p)
	case p.Encoding() == EncodingUnknown:
		return &PartError{Part: p.Index(), Reason: "its transfer encoding is unknown"}
	case strings.HasPrefix(p.MediaType(), "multipart/") || strings.HasPrefix(p.MediaType(), "message/") && p.MediaType() != "message/global":
		return &PartError{Part: p.Index(), Reason: "a " + p.MediaType() + " may not be encoded"} // RFC 2045 s6.4
	}
	if strings.HasPrefix(p.MediaType(), "text/") && p.Size() <= largestQP {
		text, err := io.ReadAll(p.Decoded())
		if err != nil {
			return err
		}
		if err := r.encoding(p, "quoted-printable"); err != nil {
			return err
		}
		r.add(appendQP(nil, toCRLF(string(text))))
	} else {
		size, err := io.Copy(io.Discard, p.Decoded())
		if err != nil {
			return err
		}
		if err := r.encoding(p, "base64"); err != nil {
			return err
		}
		c := &Composed{}
		c.addFile(&fileBody{name: fmt.Sprintf("part %d", p.Index()), content: partContent{p}, size: size, base64: true})
		if err := r.addAll(c); err != nil {
			return err
		}
	}
	offset, length := p.BodyRange()
	r.pos = offset + length
	return nil
}

// signed reports whether p is inside multipart/signed.
func signed(p *Part) bool {
	for p = p.Parent(); p != nil; p = p.Parent() {
		if p.MediaType() == "multipart/signed" {
			return true
		}
	}
	return false
}

func errSigned(p *Part) error {
	return &PartError{Part: p.Index(), Reason: "it is signed, and changing it would break the signature", Err: ErrSigned}
}

// encoding copies the part's header with another transfer encoding.
func (r *reEncoder) encoding(p *Part, encoding string) error {
	h := p.Header()
	field := []byte("Content-Transfer-Encoding: " + encoding + "\r\n")
	if p.Index() == 0 && !h.Has("MIME-Version") {
		field = append(field, "MIME-Version: 1.0\r\n"...)
		if !h.Has("Content-Type") {
			field = append(field, "Content-Type: text/plain; charset=unknown-8bit\r\n"...) // RFC 1428 s3
		}
	}
	return r.header(p, fieldChange{"Content-Transfer-Encoding", field})
}
