package heuristics

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/gomailroom/mailroom/mime"
)

// gtubeText is the generic test for unsolicited bulk mail, which every filter knows.
const gtubeText = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

func gtube(s *subject) {
	if strings.Contains(s.body.Text, gtubeText) || strings.Contains(s.body.HTML.Text, gtubeText) {
		s.add("GTUBE", "")
	}
}

func htmlOnly(s *subject) {
	if !s.body.HasHTML {
		return
	}
	if !s.body.HasText {
		s.add("HTML_ONLY", "")
	}
	if n := words(s.body.HTML.Text); n < 20 && s.body.HTML.Images > 0 && len(s.links) > 0 {
		s.add("HTML_IMAGE_ONLY", fmt.Sprintf("%d words, %d images", n, s.body.HTML.Images))
	}
}

func words(text string) int {
	n := 0
	for range strings.FieldsSeq(limit(text, 4096)) {
		n++
	}
	return n
}

// mismatch: both sides of multipart/alternative ought to say the same (RFC 2046 s5.1.4).
func mismatch(s *subject) {
	if !s.body.HasText || !s.body.HasHTML || s.body.CutShort {
		return
	}
	plain, shown := vocabulary(s.body.Text), vocabulary(s.body.HTML.Text)
	if len(plain) < 20 || len(shown) < 20 {
		return
	}
	common := 0
	for w := range plain {
		if shown[w] {
			common++
		}
	}
	if common*5 < min(len(plain), len(shown)) {
		s.add("TEXT_HTML_DIFFER", fmt.Sprintf("%d of %d and %d words in common", common, len(plain), len(shown)))
	}
}

// vocabulary gives the different longer words of a text, at most 2,000.
func vocabulary(text string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if len(w) >= 4 && len(w) < 40 {
			set[strings.ToLower(w)] = true
		}
		if len(set) == 2000 {
			break
		}
	}
	return set
}

// hiddenText finds more of it than the preview line that newsletters hide.
func hiddenText(s *subject) {
	if n := s.body.HTML.Hidden; n > 250 {
		s.add("HTML_HIDDEN_TEXT", fmt.Sprintf("%d letters", n))
	}
}

func activeHTML(s *subject) {
	if s.body.HTML.Forms > 0 {
		s.add("HTML_FORM", "")
	}
	if s.body.HTML.Scripts > 0 {
		s.add("HTML_SCRIPT", "")
	}
}

// defects: what honest programs do not get wrong.
func defects(s *subject) {
	for _, d := range s.mail.Message.Defects() {
		switch d.Kind {
		case mime.DefectNoBoundary, mime.DefectNoParts, mime.DefectContentType, mime.DefectDuplicateContentType, mime.DefectMultipartEncoding, mime.DefectEncoding:
			s.add("MIME_BROKEN", d.String())
		case mime.DefectHeaderLine, mime.DefectNUL, mime.DefectBareCR:
			s.add("HEADER_BROKEN", d.String())
		case mime.DefectLimitDepth, mime.DefectLimitParts, mime.DefectLimitFields, mime.DefectLimitHeaderBytes:
			s.add("MIME_EXCESSIVE", d.String())
		default:
			continue
		}
		return
	}
	n := 0
	for p := range s.mail.Message.Parts() {
		if n++; n > maxParts {
			return
		}
		if p.Encoding() == mime.EncodingBase64 && p.IsLeaf() && !base64ish(p) {
			s.add("MIME_BAD_BASE64", p.MediaType())
			return
		}
	}
}

// base64ish looks at the beginning of a part.
func base64ish(p *mime.Part) bool {
	var b [2048]byte
	n, _ := p.Raw().Read(b[:])
	bad := 0
	for _, c := range b[:n] {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '+', c == '/', c == '=', c == '\r', c == '\n', c == ' ', c == '\t':
		default:
			bad++
		}
	}
	return bad*50 <= n // a footer that a list appended is no more than that in a longer part
}

// charsets: names that no program writes.
func charsets(s *subject) {
	n := 0
	for p := range s.mail.Message.Parts() {
		if n++; n > maxParts {
			return
		}
		if c := p.ContentType().Params.Get("charset"); c != "" && strings.ContainsFunc(c, func(r rune) bool {
			return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.:+()", r)
		}) {
			s.add("CHARSET_ODD", c)
			return
		}
	}
}

// raw8Bit: a header with bytes that are not UTF-8 (RFC 5322 s2.2, RFC 6532).
func raw8Bit(s *subject) {
	for _, d := range s.mail.Message.Defects() {
		if d.Kind == mime.DefectRaw8Bit {
			s.add("HEADER_RAW_8BIT", "")
			return
		}
	}
}

const maxParts = 100
