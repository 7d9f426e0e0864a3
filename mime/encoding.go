package mime

import "io"

// Encoding is a content transfer encoding (RFC 2045 s6).
type Encoding uint8

// The transfer encodings.
const (
	Encoding7Bit Encoding = iota // also what a part has that names none
	Encoding8Bit
	EncodingBinary
	EncodingQuotedPrintable
	EncodingBase64
	EncodingUU      // x-uuencode, which old mail has
	EncodingUnknown // any other: the body is opaque (RFC 2045 s6.4)
)

// String returns the encoding as a header has it.
func (e Encoding) String() string {
	switch e {
	case Encoding7Bit:
		return "7bit"
	case Encoding8Bit:
		return "8bit"
	case EncodingBinary:
		return "binary"
	case EncodingQuotedPrintable:
		return "quoted-printable"
	case EncodingBase64:
		return "base64"
	case EncodingUU:
		return "x-uuencode"
	}
	return "unknown"
}

// ParseEncoding reads the value of a Content-Transfer-Encoding field. Common misspellings are understood.
func ParseEncoding(value string) Encoding { return parseEncoding([]byte(value)) }

func parseEncoding(v []byte) Encoding {
	v = stripComments(v)
	for i, c := range v { // "base64; charset=x" and `"base64"` are seen
		if c == ';' || c == ',' {
			v = v[:i]
			break
		}
	}
	for len(v) > 0 && (isSpace(v[0]) || v[0] == '"' || v[0] == '\'') {
		v = v[1:]
	}
	for n := len(v); n > 0 && (isSpace(v[n-1]) || v[n-1] == '"' || v[n-1] == '\'' || v[n-1] == '.'); n = len(v) {
		v = v[:n-1]
	}
	switch internLower(v) {
	case "", "7bit", "7-bit", "7bits", "7 bit", "none", "ascii", "us-ascii":
		return Encoding7Bit
	case "8bit", "8-bit", "8bits", "8 bit", "utf-8", "utf8":
		return Encoding8Bit
	case "binary":
		return EncodingBinary
	case "quoted-printable", "quotedprintable", "quoted printable", "quoted_printable", "qp":
		return EncodingQuotedPrintable
	case "base64", "base-64", "base 64", "b64":
		return EncodingBase64
	case "x-uuencode", "uuencode", "x-uue", "uue":
		return EncodingUU
	}
	return EncodingUnknown
}

// NewDecoder returns a reader of what r holds, without the transfer encoding e. The identity encodings, and those that are
// not known, are read as they are. It never fails on broken encoding: bytes that are no base64 are left out, and
// what is no quoted-printable stays as it is.
func NewDecoder(e Encoding, r io.Reader) io.Reader {
	switch e {
	case EncodingBase64:
		return &base64Decoder{src: r}
	case EncodingQuotedPrintable:
		return &qpDecoder{src: r}
	case EncodingUU:
		return &uuDecoder{src: r}
	}
	return r
}
