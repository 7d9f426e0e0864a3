package mime

import (
	"bytes"
	"slices"
)

// ParseAddressList reads the value of an address field (RFC 5322 s3.4 and the obsolete forms of s4.4), and never fails: one
// bad member never loses the others. Names are decoded. Routes and comments are dropped; a comment is the name of a
// mailbox that has no other. Semicolons between mailboxes, missing brackets and words without an address are understood.
func ParseAddressList(value string) AddressList {
	return parseAddressList([]byte(value), defaultAddresses, false)
}

// parseAddressList reads at most limit mailboxes. With raw, encoded words in names stay.
func parseAddressList(b []byte, limit int, raw bool) AddressList {
	p := addressParser{b: b, limit: limit, raw: raw, words: true, phrase: make([]addressWord, 0, 4)}
	p.run()
	return p.list
}

// addressWord is a piece of a phrase or of an address without brackets.
type addressWord struct {
	text   []byte
	quoted bool
	spaced bool // white space stands before it
}

type addressParser struct {
	b     []byte
	pos   int
	limit int
	raw   bool
	words bool // whether further encoded words may end
	open  bool // a comment has no end: parentheses say nothing
	quote bool // a quoted string has no end: quotes say nothing

	list    AddressList
	inGroup bool

	// The mailbox being read.
	phrase   []addressWord
	comment  []byte
	angle    []byte
	hasAngle bool
	named    int // words of the phrase that came before the angle brackets
}

func (p *addressParser) run() {
	spaced := false
	for p.pos < len(p.b) && p.limit > 0 {
		c := p.b[p.pos]
		switch {
		case isSpace(c):
			p.pos++
			spaced = true
			continue
		case c == '"' && (p.quote || quotedEnd(p.b, p.pos+1) == len(p.b)): // it has no end, nor have those that it escapes
			p.quote = true
			p.pos++
			continue
		case c == '"':
			text, next := cutQuoted(p.b, p.pos)
			p.pos = next
			p.phrase = append(p.phrase, addressWord{text, true, spaced})
		case c == '(' && p.open:
			p.pos++
			continue
		case c == '(':
			end := skipComment(p.b, p.pos)
			if p.b[end-1] != ')' { // it has no end, nor have those inside
				p.open = true
				continue
			}
			if p.comment == nil {
				p.comment = commentText(p.b[p.pos:end])
			}
			p.pos = end
			spaced = true
			continue
		case c == '<':
			if p.hasAngle && len(p.angle) > 0 {
				p.splitMailbox(p.named) // the comma is missing
			}
			p.named = len(p.phrase)
			p.cutAngle()
		case c == ',':
			p.pos++
			p.endMailbox()
		case c == ';':
			p.pos++
			p.endMailbox()
			p.inGroup = false
		case c == ':' && p.startsGroup():
			p.pos++
			p.beginGroup()
		default:
			word := addressWord{p.cutWord(), false, spaced}
			if spaced && !p.hasAngle && isAddrSpec(word) && slices.ContainsFunc(p.phrase, isAddrSpec) {
				p.splitMailbox(len(p.phrase)) // likewise
			}
			p.phrase = append(p.phrase, word)
		}
		spaced = false
	}
	if p.limit > 0 {
		p.endMailbox()
	}
}

// cutWord takes the atom at pos: all up to a special, or an encoded word whole, since many senders put specials into them.
func (p *addressParser) cutWord() []byte {
	start := p.pos
	if p.words && bytes.HasPrefix(p.b[start:], []byte("=?")) {
		_, n, more := cutWord(p.b[start:])
		p.words = more
		if n > 0 {
			p.pos += n
			return p.b[start:p.pos]
		}
	}
	for p.pos++; p.pos < len(p.b); p.pos++ {
		switch c := p.b[p.pos]; c {
		case ' ', '\t', '\r', '\n', '"', '(', '<', ',', ';', ':':
			return p.b[start:p.pos]
		case '[': // a domain literal has colons
			if end := bytes.IndexAny(p.b[p.pos:min(len(p.b), p.pos+64)], "] \t\r\n"); end > 0 && p.b[p.pos-1] == '@' && p.b[p.pos+end] == ']' {
				p.pos += end
			}
		case '=':
			if p.words && p.b[p.pos-1] != '?' && bytes.HasPrefix(p.b[p.pos:], []byte("=?")) {
				return p.b[start:p.pos] // an encoded word that is glued to what is before it
			}
		}
	}
	return p.b[start:p.pos]
}

// cutAngle takes what is between angle brackets. A missing end is seen by the comma, or else is the end.
func (p *addressParser) cutAngle() {
	p.pos++
	start, quoted, comma := p.pos, false, -1
	for ; p.pos < len(p.b); p.pos++ {
		switch c := p.b[p.pos]; {
		case c == '\\' && quoted:
			p.pos++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			p.setAngle(p.b[start:p.pos])
			for p.pos < len(p.b) && p.b[p.pos] == '>' {
				p.pos++
			}
			return
		case c == ',' && !quoted && comma < 0:
			comma = p.pos
		case c == '<' && !quoted && comma < 0 && p.pos == start: // "<<a@b>>"
			start++
		case c == '<' && !quoted && comma >= 0:
			// "<a@b, <c@d>": the first has no end. A comma alone may belong to a route.
			p.setAngle(p.b[start:comma])
			p.pos = comma
			return
		}
	}
	end := len(p.b)
	if comma >= 0 {
		end = comma
	}
	p.setAngle(p.b[start:end])
	p.pos = end
}

func (p *addressParser) setAngle(b []byte) {
	if !p.hasAngle || len(p.angle) == 0 {
		p.angle, p.hasAngle = b, true
	}
}

// startsGroup reports whether the colon at pos ends the name of a group.
func (p *addressParser) startsGroup() bool {
	if p.inGroup || p.hasAngle || len(p.phrase) == 0 {
		return false
	}
	for _, w := range p.phrase {
		if !w.quoted && bytes.IndexByte(w.text, '@') >= 0 {
			return false
		}
	}
	return true
}

func (p *addressParser) beginGroup() {
	p.list = append(p.list, AddressGroup{Name: p.name(p.phrase), IsGroup: true})
	p.inGroup = true
	p.reset()
}

func (p *addressParser) reset() {
	p.phrase, p.comment, p.angle, p.hasAngle = p.phrase[:0], nil, nil, false
}

// splitMailbox ends the mailbox being read before the words of the phrase from n on, which belong to the next one.
func (p *addressParser) splitMailbox(n int) {
	rest := slices.Clone(p.phrase[n:])
	p.phrase = p.phrase[:n]
	p.endMailbox()
	p.phrase = append(p.phrase, rest...)
}

// isAddrSpec reports whether a word is an address by itself.
func isAddrSpec(w addressWord) bool {
	at := bytes.IndexByte(w.text, '@')
	return !w.quoted && at > 0 && at < len(w.text)-1 && !bytes.HasPrefix(w.text, []byte("=?"))
}

// endMailbox adds the mailbox that was read, if any.
func (p *addressParser) endMailbox() {
	a, ok := p.mailbox()
	p.reset()
	if !ok {
		return
	}
	if n := len(p.list); n == 0 || p.list[n-1].IsGroup && !p.inGroup {
		p.list = append(p.list, AddressGroup{})
	}
	g := &p.list[len(p.list)-1]
	g.Members = append(g.Members, a)
	p.limit--
}

func (p *addressParser) mailbox() (a Address, ok bool) {
	phrase := p.phrase
	switch {
	case p.hasAngle:
		a.Addr = cleanAddrSpec(p.angle)
	case len(phrase) == 0:
		return a, false // nothing, or a comment alone
	default:
		from, to := findAddrSpec(phrase)
		if from == to {
			break
		}
		a.Addr = joinAddrSpec(phrase[from:to])
		phrase = append(phrase[:from:from], phrase[to:]...)
	}
	a.Name = p.name(phrase)
	if a.Name == "" && p.comment != nil {
		a.Name = string(p.comment)
		if !p.raw {
			a.Name = decodeText(p.comment)
		}
	}
	return a, a != Address{}
}

// findAddrSpec returns the words that are an address without brackets: those around an at sign, or one word alone.
func findAddrSpec(words []addressWord) (from, to int) {
	for i, w := range words {
		at := bytes.IndexByte(w.text, '@')
		if w.quoted || at < 0 {
			continue
		}
		// Old mail has space around at signs and dots, and quoted strings stand before them.
		from, to = i, i+1
		for from > 0 && (startsWith(words[from], '@') || startsWith(words[from], '.') || endsIn(words[from-1], '.') || words[from-1].quoted && !words[from].spaced) {
			from--
		}
		for to < len(words) && !words[to].quoted && (startsWith(words[to], '.') || endsIn(words[to-1], '@') || endsIn(words[to-1], '.') || !words[to].spaced) {
			to++
		}
		return from, to
	}
	if len(words) == 1 && !words[0].quoted && !bytes.HasPrefix(words[0].text, []byte("=?")) {
		return 0, 1
	}
	return 0, 0
}

func startsWith(w addressWord, c byte) bool { return !w.quoted && w.text[0] == c } // only quoted words are ever empty

func endsIn(w addressWord, c byte) bool { return !w.quoted && w.text[len(w.text)-1] == c }

func joinAddrSpec(words []addressWord) string {
	if len(words) == 1 {
		return string(unfoldBytes(bytes.TrimRight(words[0].text, ">"))) // an encoded word may be folded
	}
	var b []byte
	for _, w := range words {
		if w.quoted {
			b = append(b, quoteLocal(w.text)...)
		} else {
			b = append(b, unfoldBytes(w.text)...)
		}
	}
	return string(b)
}

// quoteLocal returns a quoted string for a local part.
func quoteLocal(text []byte) []byte {
	b := append(make([]byte, 0, len(text)+2), '"')
	for _, c := range text {
		if c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}

// cleanAddrSpec returns an addr-spec without comments, white space and route (RFC 5322 s4.4).
func cleanAddrSpec(b []byte) string {
	if i := bytes.IndexAny(b, " \t\r\n("); i < 0 && (len(b) == 0 || b[0] != '@') {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case isSpace(c):
			i++
		case c == '(':
			i = skipComment(b, i)
		case c == '"':
			text, next := cutQuoted(b, i)
			out = append(out, quoteLocal(text)...)
			i = next
		default:
			out = append(out, c)
			i++
		}
	}
	if len(out) > 0 && out[0] == '@' {
		if colon := bytes.IndexByte(out, ':'); colon >= 0 {
			out = out[colon+1:]
		}
	}
	return string(out)
}

// name joins the words of a phrase.
func (p *addressParser) name(words []addressWord) string {
	var b []byte
	switch len(words) {
	case 0:
		return ""
	case 1:
		b = words[0].text
	default:
		for i, w := range words {
			if i > 0 && w.spaced {
				b = append(b, ' ')
			}
			b = append(b, w.text...)
		}
	}
	if p.raw {
		return string(unfoldBytes(b))
	}
	if bytes.Contains(b, []byte("=?")) || !isASCII(b) || bytes.IndexByte(b, '\n') >= 0 {
		return decodeWords(b)
	}
	return string(b)
}

// commentText returns the text of a comment without its parentheses, quoted pairs undone, folds made one space.
func commentText(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte{'('})
	b = bytes.TrimSuffix(b, []byte{')'})
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\\' && i+1 < len(b):
			i++
			out = append(out, b[i])
		case b[i] == '\r' || b[i] == '\n':
		default:
			out = append(out, b[i])
		}
	}
	return bytes.TrimSpace(out)
}
