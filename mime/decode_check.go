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
	var look func(b []byte) int // index of the first byte that is wrong, or -1
	kind := DefectBase64
	var base base64Check
	var qp qpCheck
	switch p.encoding {
	case EncodingBase64:
		look = base.look
	case EncodingQuotedPrintable:
		kind, look = DefectQuotedPrintable, qp.look
	default:
		return nil, nil
	}
	buf := copyBuffers.Get().(*[copyChunk]byte)
	defer copyBuffers.Put(buf)
	off := p.bodyStart
	found := func(at int64) []Defect { return []Defect{{Kind: kind, Offset: at, Part: int(p.index)}} }
	for r := p.Raw(); ; {
		n, err := r.Read(buf[:])
		if i := look(buf[:n]); i >= 0 {
			return found(off + int64(i)), nil
		}
		off += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if base.letters%4 != 0 || qp.state == qpDigit {
		return found(off), nil
	}
	return nil, nil
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
