package mime

import (
	"strings"
	"unicode/utf8"
)

const (
	foldColumn = 78  // RFC 5322 s2.1.1: should
	hardColumn = 998 // and must
)

// A fieldWriter writes header fields, folded. With utf8 set, text goes out raw as RFC 6532 allows.
type fieldWriter struct {
	buf  []byte
	col  int // of the line being written
	utf8 bool
	n    int // tokens written to the field
}

func (w *fieldWriter) begin(name string) {
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, ':')
	w.col, w.n = len(name)+1, 0
}

func (w *fieldWriter) end() { w.buf = append(w.buf, '\r', '\n') }

// room is how much of the line is left for a token that follows one space.
func (w *fieldWriter) room() int { return foldColumn - w.col - 1 }

// fold begins a new line; the caller's space then makes it a continuation.
func (w *fieldWriter) fold() {
	w.buf = append(w.buf, '\r', '\n')
	w.col = 0
}

// token writes spaces (at least one) and then a token that cannot be broken, on a new line where the line would
// grow too long. The first token stays beside the field's name unless that would break the hard limit: a first line without
// content is legal but badly read.
func (w *fieldWriter) token(spaces, token string) {
	size := len(spaces) + len(token)
	if w.col > 0 && w.col+size > foldColumn && (w.n > 0 || w.col+size > hardColumn) {
		w.fold()
	}
	w.buf = append(w.buf, spaces...)
	w.buf = append(w.buf, token...)
	w.col += size
	w.n++
}

// glue appends to the last token, as the comma after an address.
func (w *fieldWriter) glue(s string) {
	w.buf = append(w.buf, s...)
	w.col += len(s)
}

// encoded writes text as encoded words.
func (w *fieldWriter) encoded(text string) {
	q := useQ(text)
	for text != "" {
		if w.room() < minEncodedRoom {
			w.fold()
		}
		w.buf = append(w.buf, ' ')
		before := len(w.buf)
		w.buf, text = nextEncodedWord(w.buf, text, q, min(maxEncodedWord, w.room()))
		w.col += len(w.buf) - before + 1
		w.n++
	}
}

// text writes unstructured text (RFC 5322 s2.2.1): tokens as they are where they can be, encoded words where not.
func (w *fieldWriter) text(s string) {
	s = strings.Trim(strings.ToValidUTF8(s, "\uFFFD"), " ")
	spaces, afterWord := " ", false
	for s != "" {
		if s[0] == ' ' {
			n := len(s) - len(strings.TrimLeft(s, " "))
			spaces, s = s[:n], s[n:]
			continue
		}
		token, _, _ := strings.Cut(s, " ")
		run := encodedRun(s, w.utf8)
		if run == 0 && len(spaces) > foldColumn {
			run = len(token) // so much white space would make an overlong line
		}
		if run > 0 {
			// One space stays outside as the separator. Between two encoded words it vanishes when they are read.
			inside := spaces[1:]
			if afterWord {
				inside = spaces
			}
			w.encoded(inside + s[:run])
			s, afterWord = s[run:], true
			continue
		}
		w.token(spaces, token)
		s, afterWord = s[len(token):], false
	}
}

// encodedRun is the length of the longest start of s, in whole tokens, whose first and last need encoding
// and whose tokens all do.
func encodedRun(s string, utf8Allowed bool) (n int) {
	for i := 0; i < len(s); {
		token, _, _ := strings.Cut(s[i:], " ")
		if token != "" {
			if !needsEncodedWord(token, utf8Allowed) {
				break
			}
			n = i + len(token)
		}
		i += len(token) + 1
	}
	return n
}

// phrase writes a display name: atoms, else a quoted string, else encoded words (RFC 5322 s3.2.5, RFC 2047 s5).
func (w *fieldWriter) phrase(name string) {
	name = strings.Trim(strings.ToValidUTF8(name, "\uFFFD"), " ")
	atoms := name != ""
	for i, token := range strings.Split(name, " ") {
		if needsEncodedWord(token, w.utf8) && (i == 0 || token != "") {
			w.encoded(name)
			return
		}
		atoms = atoms && isAtom(token)
	}
	if atoms {
		for token := range strings.SplitSeq(name, " ") {
			w.token(" ", token)
		}
		return
	}
	if quoted := quoteString(name); len(quoted) < foldColumn {
		w.token(" ", quoted)
	} else {
		w.encoded(name) // a quoted string cannot be folded without changing it
	}
}

// isAtom reports RFC 5322 s3.2.3 atext, with RFC 6532 s3.2 UTF-8.
func isAtom(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			continue
		}
		if strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func quoteString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}
