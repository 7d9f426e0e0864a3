package mime

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// HTMLText returns the text that an HTML document shows: blocks on lines of their own, lists with marks, quotes with ">", white
// space as browsers have it. It is for reading, searching and judging, not for getting the document back.
func HTMLText(document string) string {
	z := html.NewTokenizer(strings.NewReader(document))
	z.SetMaxBuf(1 << 20)
	var w textWriter
	for {
		switch z.Next() {
		case html.ErrorToken:
			return strings.TrimSpace(w.b.String())
		case html.TextToken:
			if w.hidden == 0 {
				w.text(html.UnescapeString(string(z.Raw())))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			w.start(atom.Lookup(name))
			if tag := atom.Lookup(name); tag == atom.Img {
				w.text(attribute(z, more, "alt"))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			w.end(atom.Lookup(name))
		}
	}
}

func attribute(z *html.Tokenizer, more bool, name string) string {
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		if string(key) == name {
			return string(value)
		}
	}
	return ""
}

// textWriter lays text out in lines.
type textWriter struct {
	b      strings.Builder
	hidden int  // depth of elements whose text is not shown
	pre    int  // depth of preformatted text
	quote  int  // depth of quotes
	space  bool // a space is due before the next word
	breaks int  // line ends are due before the next word
	begun  bool // there is text
}

func isHidden(tag atom.Atom) bool {
	switch tag {
	case atom.Script, atom.Style, atom.Head, atom.Title, atom.Template, atom.Noscript, atom.Object, atom.Svg:
		return true
	}
	return false
}

// blockBreaks returns how many line ends stand around an element.
func blockBreaks(tag atom.Atom) int {
	switch tag {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Dl, atom.Table, atom.Blockquote, atom.Pre, atom.Hr:
		return 2
	case atom.Div, atom.Li, atom.Tr, atom.Dt, atom.Dd, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Center, atom.Address, atom.Body, atom.Form, atom.Main, atom.Nav:
		return 1
	}
	return 0
}

func (w *textWriter) start(tag atom.Atom) {
	if isHidden(tag) {
		w.hidden++
		return
	}
	if tag == atom.Body {
		w.hidden = 0 // a head without an end hides no body
	}
	switch n := blockBreaks(tag); {
	case tag == atom.Br:
		w.breaks++
		w.space = false
	case n > 0:
		w.breaks = max(w.breaks, n)
	case tag == atom.Td || tag == atom.Th:
		w.space = true
	}
	switch tag {
	case atom.Pre:
		w.pre++
	case atom.Blockquote:
		w.quote++
	case atom.Li:
		w.word("-")
		w.space = true
	}
}

func (w *textWriter) end(tag atom.Atom) {
	if isHidden(tag) {
		w.hidden = max(0, w.hidden-1)
		return
	}
	w.breaks = max(w.breaks, blockBreaks(tag))
	switch tag {
	case atom.Pre:
		w.pre = max(0, w.pre-1)
	case atom.Blockquote:
		w.quote = max(0, w.quote-1)
	}
}

func (w *textWriter) text(s string) {
	if w.pre > 0 {
		for line := range strings.Lines(s) {
			text, ended := strings.CutSuffix(line, "\n")
			w.word(strings.TrimSuffix(text, "\r"))
			if ended {
				w.breaks++
			}
		}
		return
	}
	for len(s) > 0 {
		end := strings.IndexAny(s, " \t\r\n")
		if end != 0 {
			word := s
			if end > 0 {
				word = s[:end]
			}
			w.word(word)
		}
		if end < 0 {
			return
		}
		w.space = true
		s = strings.TrimLeft(s[end:], " \t\r\n")
	}
}

// word writes a word after the white space that is due.
func (w *textWriter) word(s string) {
	if s == "" {
		return
	}
	if w.begun && w.breaks > 0 {
		for range min(w.breaks, 2) {
			w.b.WriteByte('\n')
		}
	} else if w.begun && w.space {
		w.b.WriteByte(' ')
	}
	if w.breaks > 0 || !w.begun {
		for range min(w.quote, 16) {
			w.b.WriteString("> ")
		}
	}
	w.begun, w.space, w.breaks = true, false, 0
	w.b.WriteString(strings.ReplaceAll(s, "\u00a0", " "))
}

// textHTML returns plain text as HTML.
func textHTML(s string) string {
	s = html.EscapeString(strings.TrimSuffix(s, "\n"))
	return "<div>" + strings.ReplaceAll(s, "\n", "<br>\n") + "</div>\n"
}

// detectCharset returns the charset of a text whose declared one may be missing or wrong: a byte order mark counts, and what an HTML document says of itself where
// its header says nothing, or ASCII or UTF-8 and it is neither. isUTF8 reports that b is UTF-8 and is to be read as that.
func detectCharset(declared, mediaType string, b []byte) (charset string, isUTF8 bool) {
	if lookupCharset(declared) != nil {
		return declared, false
	}
	if bytes.HasPrefix(b, []byte("\xfe\xff")) || bytes.HasPrefix(b, []byte("\xff\xfe")) {
		return "utf-16", false
	}
	isUTF8 = utf8.Valid(b)
	if mediaType == "text/html" && (declared == "" || !isUTF8) {
		if name := htmlCharset(b); name != "" {
			return name, false
		}
	}
	return declared, isUTF8
}

// htmlCharset returns the charset that an HTML or XHTML document declares for itself, or "".
func htmlCharset(b []byte) string {
	start := b[:min(len(b), 1024)] // as far as browsers look
	if i := bytes.Index(start, []byte("<?xml")); i >= 0 {
		if _, after, ok := bytes.Cut(start[i:], []byte("encoding=")); ok && len(after) > 2 && (after[0] == '"' || after[0] == '\'') {
			if end := bytes.IndexByte(after[1:], after[0]); end > 0 {
				return string(after[1 : 1+end])
			}
		}
	}
	if !bytes.Contains(bytes.ToLower(start), []byte("charset")) {
		return ""
	}
	_, name, certain := charset.DetermineEncoding(start, "")
	if !certain && name == "windows-1252" {
		return ""
	}
	return name
}
