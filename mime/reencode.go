package mime

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// largestQP is how long a text part may be to be held in memory and made quoted-printable; a longer one becomes base64.
const largestQP = 1 << 20

// A ReEncodeError says which part of a message cannot be encoded for a link.
type ReEncodeError struct {
	Part   int // as Message.Part counts
	Reason string
}

func (e *ReEncodeError) Error() string {
	return fmt.Sprintf("mime: part %d cannot be encoded for this link: %s", e.Part, e.Reason)
}

// ReEncode returns the message in a form that a link with these capabilities carries (RFC 6152 s3): the parts that it cannot carry as they are become quoted-printable
// or base64, everything else stays as it is to the octet. A message that needs nothing comes back itself.
//
// A part inside multipart/signed is never changed: that it would have to be is a [*ReEncodeError], and the message cannot go this way. A DKIM signature of
// a message that was changed no longer holds. Raw UTF-8 in headers stays, since nobody may change it (RFC 6531 s3.4).
func ReEncode(c Content, caps Capabilities) (Content, error) {
	rc, err := c.Open()
	if err != nil {
		return nil, err
	}
	whole, err := scan(rc)
	rc.Close()
	if err != nil || whole.fits(caps) {
		return c, err
	}
	if rc, err = c.Open(); err != nil {
		return nil, err
	}
	defer rc.Close()
	spool, err := Spool(rc, SpoolLimits{Size: -1})
	if err != nil {
		return nil, err
	}
	r := reEncoder{m: spool.Message(), src: spool, caps: caps}
	changed, err := r.parts()
	if err != nil || !changed {
		spool.Close()
		return c, err
	}
	r.copy(r.m.Size())
	return &r.out, nil // the spool's file goes with it
}

type reEncoder struct {
	m    *Message
	src  *Spooled
	caps Capabilities
	out  Composed
	pos  int64 // of the source, up to which it was copied
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
				if err := r.header(p, r.identity()); err != nil {
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
	r.out.size += between.n
	r.out.segments = append(r.out.segments, segment{file: &fileBody{name: "message", content: plain{between, r.caps}, size: between.n, raw: true}})
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
		return &ReEncodeError{p.Index(), "its transfer encoding is unknown"}
	case strings.HasPrefix(p.MediaType(), "multipart/") || strings.HasPrefix(p.MediaType(), "message/") && p.MediaType() != "message/global":
		return &ReEncodeError{p.Index(), "a " + p.MediaType() + " may not be encoded"} // RFC 2045 s6.4
	}
	if strings.HasPrefix(p.MediaType(), "text/") && p.Size() <= largestQP {
		text, err := io.ReadAll(p.Decoded())
		if err != nil {
			return err
		}
		if err := r.header(p, "quoted-printable"); err != nil {
			return err
		}
		r.out.add(appendQP(nil, toCRLF(string(text))))
	} else {
		size, err := io.Copy(io.Discard, p.Decoded())
		if err != nil {
			return err
		}
		if err := r.header(p, "base64"); err != nil {
			return err
		}
		r.out.addFile(&fileBody{name: fmt.Sprintf("part %d", p.Index()), content: partContent{p}, size: size, base64: true})
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

func errSigned(p *Part) error { // RFC 1847 s2.1
	return &ReEncodeError{p.Index(), "it is signed, and changing it would break the signature"}
}

// copy takes the source up to an offset as it is.
func (r *reEncoder) copy(to int64) {
	if n := to - r.pos; n > 0 {
		r.out.size += n
		r.out.segments = append(r.out.segments, segment{file: &fileBody{name: "message", content: span{r.src, r.pos, n}, size: n, raw: true}})
	}
	r.pos = to
}

type span struct {
	src    io.ReaderAt
	off, n int64
}

func (s span) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.src, s.off, s.n)), nil
}
func (s span) Size() int64 { return s.n }

// header copies the part's header with another transfer encoding, in the place of the one that it had, else before its first field.
func (r *reEncoder) header(p *Part, encoding string) error {
	h := p.Header()
	start, length := p.HeaderRange()
	if int64(len(h.Bytes())) != length {
		return &ReEncodeError{p.Index(), "its header is too long"}
	}
	field := []byte("Content-Transfer-Encoding: " + encoding + "\r\n")
	if p.Index() == 0 && !h.Has("MIME-Version") {
		field = append(field, "MIME-Version: 1.0\r\n"...)
		if !h.Has("Content-Type") {
			field = append(field, "Content-Type: text/plain; charset=unknown-8bit\r\n"...) // RFC 1428 s3
		}
	}
	at := start
	for f := range h.Fields() {
		at = f.Offset
		break
	}
	written := false
	for f := range h.Fields() {
		if !f.Is("Content-Transfer-Encoding") {
			continue
		}
		if !written {
			r.copy(f.Offset)
			r.out.add(field)
			written = true
		}
		r.copy(f.Offset)
		r.pos = f.Offset + int64(len(f.Raw()))
	}
	if !written {
		r.copy(at)
		r.out.add(field)
	}
	r.copy(start + length)
	if b := h.Bytes(); !bytes.HasSuffix(b, []byte("\n\r\n")) && !bytes.HasSuffix(b, []byte("\n\n")) && string(b) != "\r\n" && string(b) != "\n" {
		r.out.add(crlf) // there was no blank line
	}
	return nil
}
