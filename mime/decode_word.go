package mime

import (
	"bytes"
	"strings"
)

// DecodeText returns the value of an unstructured header field as text to show: folds become one space, encoded words
// (RFC 2047) are decoded wherever they stand, and raw 8-bit text is read as UTF-8 or else windows-1252. It never fails: what
// is no encoded word stays. NUL, and line ends that a word encodes, become spaces.
func DecodeText(value string) string { return decodeText([]byte(value)) }

func decodeText(b []byte) string {
	b = bytes.Trim(b, " \t\r\n")
	if bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 && bytes.IndexByte(b, 0) < 0 && !bytes.Contains(b, []byte("=?")) {
		if isASCII(b) {
			return string(b)
		}
		return decodeCharset("", b)
	}
	return decodeWords(b)
}

// word is an encoded word: =?charset*language?encoding?text?=
type word struct {
	charset []byte
	q       bool
	text    []byte
}

const maxCharsetName = 64

// cutWord reads the encoded word that b starts with and returns its length. It may be folded inside, and longer than RFC 2047
// s2 allows. more is false when no word ends in b.
func cutWord(b []byte) (w word, n int, more bool) {
	i := 2
	for i < len(b) && i < maxCharsetName && b[i] > ' ' && b[i] != '?' {
		i++
	}
	if i == 2 || i+2 >= len(b) || b[i] != '?' || b[i+2] != '?' {
		return w, 0, true
	}
	switch b[i+1] {
	case 'q', 'Q':
		w.q = true
	case 'b', 'B':
	default:
		return w, 0, true
	}
	w.charset = b[2:i]
	if star := bytes.IndexByte(w.charset, '*'); star >= 0 { // language, RFC 2231 s5
		w.charset = w.charset[:star]
	}
	text := b[i+3:]
	end := bytes.Index(text, []byte("?="))
	if end < 0 {
		return w, 0, false
	}
	w.text = text[:end]
	return w, i + 3 + end + 2, true
}

// appendBytes appends the word's bytes, in its own charset.
func (w word) appendBytes(dst []byte) []byte {
	if !w.q {
		at := len(dst)
		dst = append(dst, make([]byte, len(w.text)/4*3+6)...)
		var s base64State
		n := s.decode(dst[at:], w.text)
		n += s.flush(dst[at+n:])
		return dst[:at+n]
	}
	text := w.text
	if i := bytes.IndexByte(text, '\n'); i >= 0 { // a fold inside a word
		clean := make([]byte, 0, len(text))
		for j := 0; j < len(text); j++ {
			if text[j] != '\r' && text[j] != '\n' {
				clean = append(clean, text[j])
				continue
			}
			for j+1 < len(text) && isSpace(text[j+1]) {
				j++
			}
		}
		text = clean
	}
	for { // An escaped underscore is a real one: only where the text has one as it is, it stands for a space (RFC 2047 s4.2).
		i := bytes.IndexByte(text, '_')
		if i < 0 {
			return appendQPDecoded(dst, text)
		}
		dst = append(appendQPDecoded(dst, text[:i]), ' ')
		text = text[i+1:]
	}
}

// withoutControls is noControls on text that mostly has nothing to take out.
func withoutControls(s string) string {
	if strings.IndexByte(s, '\n') < 0 && strings.IndexByte(s, '\r') < 0 && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return noControls.Replace(s)
}

// noControls takes out of decoded words what would be dangerous in a line: a sender may have encoded anything.
var noControls = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ", "\x00", " ")

// decodeWords decodes text with encoded words, folds and raw 8-bit bytes.
func decodeWords(b []byte) string {
	var out strings.Builder
	out.Grow(len(b))
	var pending []byte // bytes of adjoining words of one charset, which may share a character
	var charset []byte
	flush := func() {
		if charset != nil {
			out.WriteString(withoutControls(decodeCharset(string(charset), pending)))
			pending, charset = pending[:0], nil
		}
	}
	plain, more := 0, true
	for i := 0; i < len(b); {
		if !more || b[i] != '=' || i+1 >= len(b) || b[i+1] != '?' {
			if !more {
				break
			}
			next := bytes.Index(b[i+1:], []byte("=?"))
			if next < 0 {
				break
			}
			i += 1 + next
			continue
		}
		w, n, m := cutWord(b[i:])
		more = m
		if n == 0 {
			i += 2
			continue
		}
		// White space between two words is not part of the text (RFC 2047 s6.2).
		between := b[plain:i]
		if charset == nil || len(bytes.TrimSpace(between)) > 0 {
			flush()
			appendPlain(&out, between)
		}
		if charset != nil && !bytes.EqualFold(charset, w.charset) {
			flush()
		}
		charset = w.charset
		pending = w.appendBytes(pending)
		i += n
		plain = i
	}
	flush()
	appendPlain(&out, b[plain:])
	return out.String()
}

// appendPlain writes text that is in no encoded word. A fold becomes one space.
func appendPlain(out *strings.Builder, b []byte) {
	for len(b) > 0 {
		end := bytes.IndexAny(b, "\r\n")
		run := b
		if end >= 0 {
			run = bytes.TrimRight(b[:end], " \t")
		}
		if bytes.IndexByte(run, 0) < 0 && isASCII(run) {
			out.Write(run)
		} else {
			out.WriteString(withoutControls(decodeCharset("", run)))
		}
		if end < 0 {
			return
		}
		b = bytes.TrimLeft(b[end:], " \t\r\n")
		out.WriteByte(' ')
	}
}
