package mime

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// utf7 is the charset of RFC 2152, which old mail has. Only decoding is offered.
type utf7 struct{}

func (utf7) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: &utf7Decoder{}}
}

func (utf7) NewEncoder() *encoding.Encoder { return encoding.Nop.NewEncoder() }

type utf7Decoder struct {
	inside bool // between "+" and the end of its base64
	fresh  bool // right after "+"
	bits   uint32
	n      int  // bits waiting
	high   rune // a high surrogate that waits for its other half
}

func (d *utf7Decoder) Reset() { *d = utf7Decoder{} }

func (d *utf7Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if nDst+2*utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		c := src[nSrc]
		nSrc++
		if !d.inside {
			switch {
			case c == '+':
				d.inside, d.fresh, d.bits, d.n = true, true, 0, 0
			case c < utf8.RuneSelf:
				dst[nDst] = c
				nDst++
			default: // no UTF-7 at all
				nDst += utf8.EncodeRune(dst[nDst:], rune(c))
			}
			continue
		}
		v := b64[3][c]
		if v&(1<<31) != 0 {
			nDst += d.lost(dst[nDst:])
			d.inside = false
			switch {
			case c == '-' && d.fresh: // "+-" is a plus sign
				dst[nDst] = '+'
				nDst++
			case c == '-':
			case c < utf8.RuneSelf:
				dst[nDst] = c
				nDst++
			default:
				nDst += utf8.EncodeRune(dst[nDst:], rune(c))
			}
			continue
		}
		d.fresh = false
		d.bits = d.bits<<6 | v
		if d.n += 6; d.n >= 16 {
			d.n -= 16
			unit := rune(d.bits >> d.n & 0xffff)
			d.bits &= 1<<d.n - 1
			nDst += d.unit(dst[nDst:], unit)
		}
	}
	if atEOF {
		if nDst+utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += d.lost(dst[nDst:])
	}
	return nDst, nSrc, nil
}

// unit writes a UTF-16 unit, or keeps it until its other half comes.
func (d *utf7Decoder) unit(dst []byte, unit rune) int {
	if d.high != 0 {
		r := utf16.DecodeRune(d.high, unit)
		d.high = 0
		if r != utf8.RuneError {
			return utf8.EncodeRune(dst, r)
		}
		n := utf8.EncodeRune(dst, utf8.RuneError)
		return n + d.unit(dst[n:], unit)
	}
	if 0xd800 <= unit && unit < 0xdc00 {
		d.high = unit
		return 0
	}
	return utf8.EncodeRune(dst, unit)
}

// lost writes what stands for a half surrogate pair.
func (d *utf7Decoder) lost(dst []byte) int {
	if d.high == 0 {
		return 0
	}
	d.high = 0
	return utf8.EncodeRune(dst, utf8.RuneError)
}
