package mime

import (
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// charsetAliases are names that mail has and the indexes of x/text do not know.
var charsetAliases = map[string]string{
	"ansi":              "windows-1252",
	"cp932":             "shift_jis",
	"cp936":             "gbk",
	"cp949":             "euc-kr",
	"cp950":             "big5",
	"cp50220":           "iso-2022-jp",
	"cp50221":           "iso-2022-jp",
	"cp51932":           "euc-jp",
	"euc-cn":            "gbk",
	"euc_jp":            "euc-jp",
	"euc_kr":            "euc-kr",
	"eucjp":             "euc-jp",
	"euckr":             "euc-kr",
	"gb-2312":           "gbk",
	"iso-10646-ucs-2":   "utf-16be",
	"iso-2022-jp-2":     "iso-2022-jp",
	"iso-2022-jp-ms":    "iso-2022-jp",
	"ks_c_5601":         "euc-kr",
	"latin-1":           "windows-1252",
	"mac-cyrillic":      "x-mac-cyrillic",
	"macroman":          "macintosh",
	"ucs-2":             "utf-16be",
	"unicode":           "utf-16",
	"utf":               "utf-8",
	"utf_8":             "utf-8",
	"utf8mb4":           "utf-8",
	"x-user-defined":    "windows-1252",
	"x-windows-949":     "euc-kr",
	"x-windows-iso2022": "iso-2022-jp",
}

// lookupCharset returns the encoding with the name, or nil for ASCII, UTF-8 and names that nobody knows. ISO-8859-1 is
// read as windows-1252, of which it is a part but for control characters; browsers do the same.
func lookupCharset(name string) encoding.Encoding {
	if name == "" || strings.EqualFold(name, "utf-8") { // as of most mail
		return nil
	}
	name = strings.ToLower(strings.Trim(name, " \t\"';,"))
	if alias, ok := charsetAliases[name]; ok {
		name = alias
	}
	switch name {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "utf-8", "utf8", "unknown-8bit", "x-unknown", "unknown", "default", "binary", "7bit", "8bit":
		return nil
	case "utf-7", "utf7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7":
		return utf7{}
	case "hz-gb-2312", "hz":
		return simplifiedchinese.HZGB2312
	case "iso-2022-kr", "csiso2022kr":
		return iso2022KR{}
	case "utf-16":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case "cp437", "ibm437":
		return charmap.CodePage437
	}
	if e, err := htmlindex.Get(name); err == nil {
		if n, _ := htmlindex.Name(e); n != "replacement" && n != "utf-8" {
			return e
		} else if n == "utf-8" {
			return nil
		}
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return e
	}
	if e, err := ianaindex.IANA.Encoding(name); err == nil && e != nil {
		return e
	}
	// "win1251", "cp-1251", "8859-2", "iso8859_2"
	for number, family := range map[string]string{"125": "windows-125", "8859": "iso-8859-"} {
		if _, rest, ok := strings.Cut(name, number); ok {
			if e, err := htmlindex.Get(family + strings.TrimLeft(rest, "-_")); err == nil {
				return e
			}
		}
	}
	return nil
}

// decodeCharset returns b as UTF-8. Where the charset is UTF-8, ASCII, missing or not known, UTF-8 is tried first; what is
// none is windows-1252, the charset of most mail that says nothing. Text that says it is UTF-8 keeps what of it is.
func decodeCharset(charset string, b []byte) string {
	switch e := lookupCharset(charset).(type) {
	case nil:
	case *charmap.Charmap:
		return decodeCharmap(e, b)
	default:
		if s, err := e.NewDecoder().Bytes(b); err == nil {
			return string(s)
		}
	}
	if utf8.Valid(b) {
		return string(b)
	}
	if c := strings.ToLower(charset); c == "utf-8" || c == "utf8" {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return decodeCharmap(charmap.Windows1252, b) // in which every byte has a meaning
}

// decodeCharmap decodes text of a charset of single bytes.
func decodeCharmap(m *charmap.Charmap, b []byte) string {
	var s strings.Builder
	s.Grow(len(b) + len(b)/8)
	ascii := m.DecodeByte('A') == 'A' // it is not on mainframes
	for len(b) > 0 {
		n := 0
		for ascii && n < len(b) && b[n] < utf8.RuneSelf {
			n++
		}
		s.Write(b[:n])
		if b = b[n:]; len(b) > 0 {
			s.WriteRune(m.DecodeByte(b[0]))
			b = b[1:]
		}
	}
	return s.String()
}

// NewCharsetReader returns a reader of r's text as UTF-8. Every charset of x/text is known, and UTF-7. For UTF-8, ASCII and
// names that nobody knows, bytes that are no UTF-8 are read as windows-1252.
func NewCharsetReader(charset string, r io.Reader) io.Reader {
	e := lookupCharset(charset)
	if e == nil {
		return transform.NewReader(r, utf8OrWindows1252{})
	}
	return transform.NewReader(r, e.NewDecoder())
}

// utf8OrWindows1252 keeps what is UTF-8 and reads every other byte as windows-1252.
type utf8OrWindows1252 struct{ transform.NopResetter }

func (utf8OrWindows1252) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if c := src[nSrc]; c < utf8.RuneSelf {
			n := 1
			for nSrc+n < len(src) && src[nSrc+n] < utf8.RuneSelf {
				n++
			}
			n = copy(dst[nDst:], src[nSrc:nSrc+n])
			if n == 0 {
				return nDst, nSrc, transform.ErrShortDst
			}
			nDst += n
			nSrc += n
			continue
		}
		r, size := utf8.DecodeRune(src[nSrc:])
		if r == utf8.RuneError && size == 1 {
			if !atEOF && !utf8.FullRune(src[nSrc:]) {
				return nDst, nSrc, transform.ErrShortSrc
			}
			r = charmap.Windows1252.DecodeByte(src[nSrc])
		}
		if nDst+utf8.RuneLen(r) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += size
	}
	return nDst, nSrc, nil
}

// DecodeCharset returns b as UTF-8, in the way of [NewCharsetReader].
func DecodeCharset(charset string, b []byte) string { return decodeCharset(charset, b) }
