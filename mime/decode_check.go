package mime

import (
	"cmp"
	"errors"
	"io"
	"slices"
)

// Check reads all bodies and returns everything that is wrong with the message, by place: Defects, and what is wrong with transfer encodings. There are at most
// Limits.Defects. The error is that of the source.
func (m *Message) Check() ([]Defect, error) {
	all := slices.Clone(m.defects)
	for p := range m.Parts() {
		if !p.IsLeaf() || p.multipart || len(all) >= m.limits.Defects {
			continue
		}
		found, err := p.Check()
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b Defect) int { return cmp.Compare(a.Offset, b.Offset) })
	return all, nil
}

// Check reads the body and returns what is wrong with its transfer encoding, at most one defect of a kind: the first. Parsing does
// not look into bodies, so that these are not among Message.Defects. The error is that of the source.
func (p *Part) Check() ([]Defect, error) {
	c := p.encodingCheck()
	if c.look == nil {
		return nil, nil
	}
	buf := copyBuffers.Get().(*[copyChunk]byte)
	defer copyBuffers.Put(buf)
	for r := p.Raw(); !c.bad; {
		n, err := r.Read(buf[:])
		c.Write(buf[:n]) // never fails
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if d, bad := c.defect(); bad {
		return []Defect{d}, nil
	}
	return nil, nil
}

// DecodedStrict is [Part.Decoded] for those who must not take a damaged file for a whole one. It gives the same bytes; but where these end, Read returns a
// [*DefectError] instead of [io.EOF] if the transfer encoding was broken anywhere.
func (p *Part) DecodedStrict() io.Reader {
	c := p.encodingCheck()
	if c.look == nil {
		return p.Decoded()
	}
	return &strictReader{r: NewDecoder(p.encoding, io.TeeReader(p.Raw(), c)), check: c}
}

// A DefectError says that a body could be read, but not as its sender wrote it.
type DefectError struct{ Defect Defect }

func (e *DefectError) Error() string { return "mime: " + e.Defect.String() }

type strictReader struct {
	r     io.Reader
	check *encodingCheck
}

func (s *strictReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err == io.EOF {
		if d, bad := s.check.defect(); bad {
			err = &DefectError{d}
		}
	}
	return n, err
}

// encodingCheck looks for the first mistake in what is written to it.
type encodingCheck struct {
	look func(b []byte) int // index of the first byte that is wrong, or -1; nil: nothing can be
	kind DefectKind
	part int
	off  int64 // of what was looked at, or of the mistake
	bad  bool
	base base64Check
	qp   qpCheck
}

func (p *Part) encodingCheck() *encodingCheck {
	c := &encodingCheck{part: int(p.index), off: p.bodyStart}
	switch p.encoding {
	case EncodingBase64:
		c.kind, c.look = DefectBase64, c.base.look
	case EncodingQuotedPrintable:
		c.kind, c.look = DefectQuotedPrintable, c.qp.look
	}
	return c
}

func (c *encodingCheck) Write(b []byte) (int, error) {
	if c.bad {
		return len(b), nil
	}
	if i := c.look(b); i >= 0 {
		c.off += int64(i)
		c.bad = true
	} else {
		c.off += int64(len(b))
	}
	return len(b), nil
}

// defect returns what was wrong, and whether anything was, after all was written.
func (c *encodingCheck) defect() (Defect, bool) {
	bad := c.bad || c.base.letters%4 != 0 || c.qp.state == qpDigit
	return Defect{Kind: c.kind, Offset: c.off, Part: c.part}, bad
}

// base64Check counts letters and padding.
type base64Check struct{ letters, padding int }

func (c *base64Check) look(b []byte) int {
	for i, ch := range b {
		switch {
		case b64[0][ch]&(1<<31) == 0:
			if c.padding > 0 {
				return i // text goes on after its end
			}
			c.letters++
		case ch == '=':
			if c.letters++; c.letters%4 == 1 || c.letters%4 == 2 || c.padding == 2 {
				return i
			}
			c.padding++
		case !isSpace(ch):
			return i
		}
	}
	return -1
}

// qpCheck follows escapes over the pieces.
type qpCheck struct{ state qpState }

type qpState uint8

const (
	qpText   qpState = iota
	qpEscape         // after an equals sign
	qpBreak          // in white space after an equals sign
	qpDigit          // after its first digit
)

func (c *qpCheck) look(b []byte) int {
	for i, ch := range b {
		switch c.state {
		case qpText:
			if ch == '=' {
				c.state = qpEscape
			} else if ch >= 0x7f || ch < ' ' && !isSpace(ch) {
				return i
			}
		case qpEscape:
			switch {
			case unhex(ch) >= 0:
				c.state = qpDigit
			case ch == '\n':
				c.state = qpText
			case isSpace(ch):
				c.state = qpBreak
			default:
				return i
			}
		case qpBreak:
			if ch == '\n' {
				c.state = qpText
			} else if !isSpace(ch) {
				return i
			}
		case qpDigit:
			if unhex(ch) < 0 {
				return i
			}
			c.state = qpText
		}
	}
	return -1
}
