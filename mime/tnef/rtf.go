package tnef

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

const maxRTF = 16 << 20

// rtfDictionary is what the window of every compressed text starts with ([MS-OXRTFCP] s2.1.2.1).
const rtfDictionary = "{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"

// unpackRTF unpacks a compressed text. It returns what could be unpacked, and whether that is all.
func unpackRTF(b []byte) (out []byte, ok bool) {
	if len(b) < 16 {
		return nil, false
	}
	size, kind := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
	b = b[16:]
	switch kind {
	case 0x414c454d: // MELA: not compressed
		n := min(int64(size), int64(len(b)))
		return b[:n:n], n == int64(size)
	case 0x75465a4c: // LZFu
	default:
		return nil, false
	}
	if size > maxRTF {
		return nil, false
	}
	var window [4096]byte
	at := copy(window[:], rtfDictionary)
	put := func(c byte) {
		out = append(out, c)
		window[at] = c
		at = (at + 1) & 4095
	}
	for len(b) > 0 && len(out) < int(size) {
		control := b[0]
		b = b[1:]
		for bit := 0; bit < 8; bit++ {
			if control>>bit&1 == 0 {
				if len(b) == 0 {
					return out, len(out) == int(size)
				}
				put(b[0])
				b = b[1:]
				continue
			}
			if len(b) < 2 {
				return out, len(out) == int(size)
			}
			ref := int(b[0])<<8 | int(b[1])
			b = b[2:]
			from, n := ref>>4, ref&15+2
			if from == at { // the end
				return out, len(out) == int(size)
			}
			for range n {
				put(window[from])
				from = (from + 1) & 4095
			}
			if len(out) > maxRTF {
				return out, false
			}
		}
	}
	return out, len(out) >= int(size)
}

// rtfReader takes the text out of RTF, and the HTML that [MS-OXRTFEX] keeps inside of it.
type rtfReader struct {
	out      strings.Builder
	html     bool
	charset  string
	bytes    []byte // of the code page, which wait to be decoded
	state    rtfState
	stack    []rtfState
	skipped  int // characters that stand for one in \u
	pendingU rune
}

// rtfState is what a group inherits.
type rtfState struct {
	hidden  bool // text is not shown
	off     bool // between \htmlrtf and \htmlrtf0
	unicode int  // how many characters follow a \u
}

const maxGroups = 1000

// readRTF returns the text, or if the document was made of HTML, the HTML.
func readRTF(b []byte) (text, html string) {
	r := rtfReader{charset: "windows-1252", state: rtfState{unicode: 1}}
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '{':
			i++
			if len(r.stack) < maxGroups {
				r.stack = append(r.stack, r.state)
			}
			if i+1 < len(b) && b[i] == '\\' && b[i+1] == '*' {
				i += 2
				r.state.hidden = true // unless it is one that is known
			}
		case '}':
			i++
			if n := len(r.stack); n > 0 {
				r.flush()
				r.state, r.stack = r.stack[n-1], r.stack[:n-1]
			}
		case '\\':
			i = r.control(b, i+1)
		case '\r', '\n':
			i++
		default:
			i++
			r.byte(c)
		}
	}
	r.flush()
	s := strings.TrimRight(r.out.String(), "\x00")
	if r.html {
		return "", s
	}
	return s, ""
}

// control takes the control word or symbol at i.
func (r *rtfReader) control(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	c := b[i]
	if c == '\'' && i+2 < len(b) {
		if v, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8); err == nil {
			r.byte(byte(v))
			return i + 3
		}
	}
	if c|0x20 < 'a' || c|0x20 > 'z' {
		switch c {
		case '\\', '{', '}':
			r.byte(c)
		case '~':
			r.text("\u00a0")
		case '_':
			r.text("-")
		case '\r', '\n':
			r.text("\n")
		}
		return i + 1
	}
	start := i
	for i < len(b) && b[i]|0x20 >= 'a' && b[i]|0x20 <= 'z' {
		i++
	}
	word, digits := string(b[start:i]), i
	if i < len(b) && b[i] == '-' {
		i++
	}
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	n, err := strconv.Atoi(string(b[digits:i]))
	if i < len(b) && b[i] == ' ' {
		i++
	}
	r.word(word, n, err == nil)
	return i
}

func (r *rtfReader) word(word string, n int, numbered bool) {
	switch word {
	case "fromhtml":
		r.html = true
	case "ansicpg":
		if n > 0 {
			r.charset = codepage(uint32(n))
		}
	case "htmltag":
		r.state.hidden = false
	case "htmlrtf":
		r.flush()
		r.state.off = !numbered || n != 0
	case "par", "line", "sect", "page", "row":
		r.text("\n")
	case "tab", "cell":
		r.text("\t")
	case "lquote", "rquote":
		r.text(map[string]string{"lquote": "\u2018", "rquote": "\u2019"}[word])
	case "ldblquote", "rdblquote":
		r.text(map[string]string{"ldblquote": "\u201c", "rdblquote": "\u201d"}[word])
	case "bullet":
		r.text("\u2022")
	case "endash":
		r.text("\u2013")
	case "emdash":
		r.text("\u2014")
	case "uc":
		r.state.unicode = max(0, min(n, 16))
	case "u":
		r.unicode(rune(uint16(n)))
	case "fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "header", "footer", "generator", "listtable":
		r.state.hidden = true
	}
}

func (r *rtfReader) shown() bool { return !r.state.hidden && !r.state.off }

// byte takes an octet of the code page.
func (r *rtfReader) byte(c byte) {
	if r.skipped > 0 {
		r.skipped--
		return
	}
	if r.shown() {
		r.bytes = append(r.bytes, c)
	}
}

func (r *rtfReader) text(s string) {
	if r.shown() {
		r.flush()
		r.out.WriteString(s)
	}
}

// unicode takes a \u, which may be half of a pair.
func (r *rtfReader) unicode(c rune) {
	r.skipped = r.state.unicode
	switch {
	case c >= 0xd800 && c < 0xdc00:
		r.pendingU = c
		return
	case c >= 0xdc00 && c < 0xe000 && r.pendingU != 0:
		c = (r.pendingU-0xd800)<<10 + (c - 0xdc00) + 0x10000
	}
	r.pendingU = 0
	r.text(string(c))
}

// flush decodes the octets that wait.
func (r *rtfReader) flush() {
	if len(r.bytes) == 0 {
		return
	}
	if ascii(r.bytes) {
		r.out.Write(r.bytes)
	} else {
		r.out.WriteString(mime.DecodeCharset(r.charset, r.bytes))
	}
	r.bytes = r.bytes[:0]
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
