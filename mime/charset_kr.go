package mime

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/transform"
)

// iso2022KR is the charset of RFC 1557: KS X 1001 in seven bits, between SO and SI. Only decoding is offered.
type iso2022KR struct{}

func (iso2022KR) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: &iso2022KRDecoder{euc: korean.EUCKR.NewDecoder()}}
}

func (iso2022KR) NewEncoder() *encoding.Encoder { return encoding.Nop.NewEncoder() }

type iso2022KRDecoder struct {
	euc     *encoding.Decoder
	shifted bool // between SO and SI
}

func (d *iso2022KRDecoder) Reset() { d.shifted = false }

var designation = []byte("\x1b$)C")

func (d *iso2022KRDecoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if nDst+utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		c, rest := src[nSrc], src[nSrc:]
		switch {
		case c == 0x0e || c == 0x0f: // SO, SI
			d.shifted = c == 0x0e
			nSrc++
		case c == 0x1b && bytes.HasPrefix(rest, designation):
			nSrc += len(designation)
		case c == 0x1b && !atEOF && len(rest) < len(designation):
			return nDst, nSrc, transform.ErrShortSrc
		case c == '\n':
			d.shifted = false // RFC 1557 s2: a line starts in ASCII
			dst[nDst] = c
			nDst++
			nSrc++
		case d.shifted && c > ' ' && c < 0x7f:
			if len(rest) < 2 {
				if !atEOF {
					return nDst, nSrc, transform.ErrShortSrc
				}
				nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
				nSrc++
				continue
			}
			s, err := d.euc.Bytes([]byte{c | 0x80, rest[1] | 0x80})
			if err != nil || len(s) > utf8.UTFMax {
				s = []byte("\uFFFD")
			}
			nDst += copy(dst[nDst:], s)
			nSrc += 2
		case c < 0x80:
			dst[nDst] = c
			nDst++
			nSrc++
		default:
			nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
			nSrc++
		}
	}
	return nDst, nSrc, nil
}
