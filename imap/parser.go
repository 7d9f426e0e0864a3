package imap

import (
	"bytes"
	"fmt"
	"strings"
)

// A parser reads one whole command (RFC 3501 s9). The first error sticks: after it every method gives a zero value, and loops end because more gives false.
type parser struct {
	b   []byte
	i   int
	err error
}

func (p *parser) fail(what string) {
	if p.err == nil {
		p.err = bad(fmt.Sprintf("Expected %s at octet %d", what, p.i))
	}
}

// peek gives the next octet, or 0 at the end.
func (p *parser) peek() byte {
	if p.err != nil || p.i >= len(p.b) {
		return 0
	}
	return p.b[p.i]
}

// accept takes c if it comes next.
func (p *parser) accept(c byte) bool {
	if p.peek() != c || p.err != nil || p.i >= len(p.b) {
		return false
	}
	p.i++
	return true
}

func (p *parser) expect(c byte) {
	if !p.accept(c) {
		p.fail(fmt.Sprintf("%q", c))
	}
}

func (p *parser) sp() { p.expect(' ') }

// end takes what may follow the last argument: nothing but blanks, which some clients send.
func (p *parser) end() error {
	p.blanks()
	if p.err == nil && p.i < len(p.b) {
		p.fail("the end of the command")
	}
	return p.err
}

// more tells whether another argument follows, and takes the space before it.
func (p *parser) more() bool {
	if p.peek() != ' ' || p.i+1 >= len(p.b) || p.b[p.i+1] == ' ' {
		return false
	}
	p.i++
	return true
}

// class of octets (RFC 3501 s9).
const (
	isAtomChar uint8 = 1 << iota
	isTagChar
	isAStringChar
	isListChar
)

var charClass = func() (t [256]uint8) {
	for c := 0x21; c < 0x7f; c++ {
		t[c] = isAtomChar | isTagChar | isAStringChar | isListChar
	}
	for _, c := range `(){%*"\` {
		t[c] = 0
	}
	t['%'], t['*'] = isListChar, isListChar
	t[']'] = isAStringChar | isTagChar | isListChar
	t['+'] &^= isTagChar
	return t
}()

func (p *parser) run(class uint8, what string) []byte {
	if p.err != nil {
		return nil
	}
	start := p.i
	for p.i < len(p.b) && charClass[p.b[p.i]]&class != 0 {
		p.i++
	}
	if p.i == start {
		p.fail(what)
		return nil
	}
	return p.b[start:p.i]
}

func (p *parser) tag() string  { return string(p.run(isTagChar, "a tag")) }
func (p *parser) atom() string { return string(p.run(isAtomChar, "an atom")) }

// word gives an atom in capitals.
func (p *parser) word() string { return strings.ToUpper(p.atom()) }

// astring is an atom that may have "]", or a string. The slice belongs to the command.
func (p *parser) astring() []byte {
	switch p.peek() {
	case '"', '{', '~':
		return p.string()
	}
	return p.run(isAStringChar, "a string")
}

// string is a quoted string or a literal.
func (p *parser) string() []byte {
	switch p.peek() {
	case '"':
		return p.quoted()
	case '{':
		return p.literal()
	}
	p.fail("a string")
	return nil
}

func (p *parser) quoted() []byte {
	p.i++
	rest := p.b[p.i:]
	end := bytes.IndexByte(rest, '"')
	if end >= 0 && bytes.IndexByte(rest[:end], '\\') < 0 {
		return p.checked(rest[:end], end+1)
	}
	var out []byte
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case '"':
			return p.checked(out, i+1)
		case '\\':
			if i++; i == len(rest) || rest[i] != '"' && rest[i] != '\\' {
				p.fail(`'"' or '\' after '\'`)
				return nil
			}
			out = append(out, rest[i])
		default:
			out = append(out, c)
		}
	}
	p.fail("the end of a quoted string")
	return nil
}

func (p *parser) checked(s []byte, n int) []byte {
	if bytes.ContainsAny(s, "\x00\r\n") {
		p.fail("no line end in a quoted string")
		return nil
	}
	p.i += n
	return s
}

func (p *parser) literal() []byte {
	rest := p.b[p.i:]
	end := bytes.IndexByte(rest, '\n')
	if end < 0 {
		p.fail("a literal")
		return nil
	}
	size, _, ok := literalAtEnd(trimCR(rest[:end]))
	if !ok || rest[0] != '{' || bytes.IndexByte(rest[1:end], '{') >= 0 || size > int64(len(rest)-end-1) {
		p.fail("a literal")
		return nil
	}
	s := rest[end+1 : end+1+int(size)]
	if bytes.IndexByte(s, 0) >= 0 { // CHAR8
		p.fail("a literal without NUL")
		return nil
	}
	p.i += end + 1 + int(size)
	return s
}

// isNil takes NIL.
func (p *parser) isNil() bool {
	if p.err == nil && len(p.b)-p.i >= 3 && bytes.EqualFold(p.b[p.i:p.i+3], []byte("NIL")) &&
		(p.i+3 == len(p.b) || charClass[p.b[p.i+3]]&isAtomChar == 0) {
		p.i += 3
		return true
	}
	return false
}

func (p *parser) digits() []byte {
	start := p.i
	for p.i < len(p.b) && '0' <= p.b[p.i] && p.b[p.i] <= '9' {
		p.i++
	}
	return p.b[start:p.i]
}

// number is a number of up to 63 bits.
func (p *parser) number() int64 {
	if p.err != nil {
		return 0
	}
	n, ok := parseNumber(p.digits())
	if !ok {
		p.fail("a number")
	}
	return n
}

// list takes "(", items and ")", with spaces between. Spaces within the parentheses are taken too: dsync writes "( $Forwarded)".
func (p *parser) list(item func()) {
	p.expect('(')
	p.blanks()
	if p.accept(')') {
		return
	}
	for p.err == nil {
		item()
		if p.accept(')') {
			return
		}
		p.sp()
		p.blanks()
		if p.accept(')') {
			return
		}
	}
}

func (p *parser) blanks() {
	for p.accept(' ') {
	}
}

// mailbox is a mailbox name, as UTF-8.
func (p *parser) mailbox() string {
	raw := p.astring()
	if p.err != nil {
		return ""
	}
	name, err := decodeMailbox(string(raw))
	if err != nil {
		p.err = err
	}
	return name
}

// pattern is a mailbox name with wildcards.
func (p *parser) pattern() string {
	var raw []byte
	if c := p.peek(); c == '"' || c == '{' {
		raw = p.string()
	} else {
		raw = p.run(isListChar, "a mailbox pattern")
	}
	if p.err != nil {
		return ""
	}
	name, err := decodeUTF7(string(raw))
	if err != nil {
		p.err = err
	}
	return name
}

// flagList is a list of flags in parentheses.
func (p *parser) flagList() (f flagSet) {
	p.list(func() { p.flag(&f) })
	return f
}

// flagSet is what a client says of flags.
type flagSet struct {
	system   Flags
	keywords []string
}

var systemFlags = [...]struct {
	name string
	flag Flags
}{
	{`\Answered`, FlagAnswered}, {`\Flagged`, FlagFlagged}, {`\Deleted`, FlagDeleted}, {`\Seen`, FlagSeen}, {`\Draft`, FlagDraft},
}

func (p *parser) flag(f *flagSet) {
	if !p.accept('\\') {
		if k := p.atom(); k != "" {
			if len(k) > 255 {
				p.err = no("LIMIT", "Keyword too long")
			}
			f.keywords = append(f.keywords, k)
		}
		return
	}
	name := `\` + p.atom()
	for _, s := range systemFlags {
		if strings.EqualFold(name, s.name) {
			f.system |= s.flag
			return
		}
	}
	if strings.EqualFold(name, `\Recent`) {
		p.err = bad(`\Recent cannot be changed`) // RFC 3501 s2.3.2
	} else if p.err == nil {
		p.err = bad("Unknown system flag") // flag-extension is for the future only
	}
}

// sequence is a sequence set, kept as written, since what "*" stands for is not known yet.
func (p *parser) sequence() string {
	if p.err != nil {
		return ""
	}
	start := p.i
	for p.i < len(p.b) {
		if c := p.b[p.i]; (c < '0' || c > '9') && c != ':' && c != ',' && c != '*' {
			break
		}
		p.i++
	}
	set := string(p.b[start:p.i])
	if _, err := ParseUIDSet(set, 1, maxSetRanges); err != nil {
		p.i = start
		p.fail("a sequence set")
	}
	return set
}

// maxSetRanges bounds the ranges of a sequence set.
const maxSetRanges = 100_000
