package imapclient

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ErrProtocol is wrapped by the errors that report what no server may send.
var ErrProtocol = errors.New("imapclient: protocol violation")

const (
	maxLine     = 1 << 20 // octets of a response without its literals
	maxResponse = 512 << 20
	maxDepth    = 200
)

// parser reads responses (RFC 3501 s9, RFC 9051 s9). Its methods panic with
// violation or ioError; response recovers them.
type parser struct {
	r    *bufio.Reader
	line int64 // octets of this response, without literals
	all  int64
	text strings.Builder // the response without literals, for traces
	code bool            // inside brackets, where ] ends an atom
}

type violation struct{ err error }
type ioError struct{ err error }

func (p *parser) fail(format string, args ...any) {
	panic(violation{fmt.Errorf("%w: %s after %q", ErrProtocol, fmt.Sprintf(format, args...), clip(p.text.String()))})
}

func (p *parser) peek() byte {
	b, err := p.r.Peek(1)
	if err != nil {
		panic(ioError{err})
	}
	return b[0]
}

func (p *parser) next() byte {
	c, err := p.r.ReadByte()
	if err != nil {
		panic(ioError{err})
	}
	if p.line++; p.line > maxLine {
		p.fail("line too long")
	}
	p.text.WriteByte(c)
	return c
}

func (p *parser) expect(s string) {
	for i := range len(s) {
		if c := p.next(); c != s[i] {
			p.fail("%q where %q should be", c, s)
		}
	}
}

// raw is a response before it is told apart.
type raw struct {
	tag string // "*", "+", or a tag
	Untagged
}

// response reads one response.
func (p *parser) response() (r raw, err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case violation:
			err = e.err
		case ioError:
			err = e.err
			if err == io.EOF && p.line > 0 {
				err = io.ErrUnexpectedEOF
			}
		default:
			panic(e)
		}
	}()
	p.line, p.all, p.code = 0, 0, false
	p.text.Reset()
	r.tag = p.word("tag")
	if r.tag == "+" { // some servers leave out the space, which is wrong
		p.expect(" ")
		r.Text = p.rest()
		return r, nil
	}
	p.expect(" ")
	r.Name = strings.ToUpper(p.word("response name"))
	if n, ok := p.number(r.Name); ok {
		r.Number = n
		p.expect(" ")
		r.Name = strings.ToUpper(p.word("response name"))
	}
	switch r.Name {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		p.expect(" ")
		if p.peek() == '[' {
			r.Code = p.readCode()
			if p.peek() == '\r' { // RFC 9051 allows no text after the code
				p.expect("\r\n")
				return r, nil
			}
			p.expect(" ")
		}
		r.Text = p.rest()
		return r, nil
	}
	for p.peek() == ' ' {
		p.next()
		if (r.Name == "SEARCH" || r.Name == "SORT") && p.peek() == '\r' {
			break // widespread, and harmless
		}
		r.Values = append(r.Values, p.value(0))
	}
	p.expect("\r\n")
	return r, nil
}

func (p *parser) number(s string) (uint32, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		p.fail("number %q", s)
	}
	return uint32(n), true
}

// word reads an atom of letters, digits and such.
func (p *parser) word(what string) string {
	var b strings.Builder
	for {
		c := p.peek()
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%"\]`, c) >= 0 {
			break
		}
		b.WriteByte(p.next())
	}
	if b.Len() == 0 {
		p.fail("%q where a %s should be", p.peek(), what)
	}
	return b.String()
}

// rest reads text up to the end of the line.
func (p *parser) rest() string {
	var b strings.Builder
	for {
		switch c := p.next(); c {
		case '\r':
			p.expect("\n")
			return b.String()
		case '\n', 0:
			p.fail("%q in text", c)
		default:
			b.WriteByte(c)
		}
	}
}

func (p *parser) readCode() Code {
	p.expect("[")
	p.code = true
	c := Code{Name: strings.ToUpper(p.word("response code"))}
	for p.peek() == ' ' {
		p.next()
		c.Args = append(c.Args, p.value(0))
	}
	p.expect("]")
	p.code = false
	return c
}

func (p *parser) value(depth int) Value {
	if depth > maxDepth {
		p.fail("lists too deep")
	}
	switch p.peek() {
	case '(':
		return p.list(depth)
	case '"':
		return p.quoted()
	case '{', '~':
		return p.literal()
	}
	return p.atom()
}

func (p *parser) list(depth int) Value {
	p.expect("(")
	v := Value{Kind: List, List: []Value{}}
	for {
		switch p.peek() {
		case ')':
			p.next()
			return v
		case ' ':
			if len(v.List) == 0 {
				p.fail("space after (")
			}
			p.next()
		case '(': // bodies and addresses stand without a space between
		default:
			if len(v.List) > 0 {
				p.fail("no space between elements")
			}
		}
		v.List = append(v.List, p.value(depth+1))
	}
}

func (p *parser) quoted() Value {
	p.expect(`"`)
	var b strings.Builder
	for {
		c := p.next()
		switch c {
		case '"':
			return Value{Kind: Quoted, Text: b.String()}
		case '\\':
			if c = p.next(); c != '"' && c != '\\' {
				p.fail("quoted %q", c)
			}
		case '\r', '\n', 0:
			p.fail("%q in a quoted string", c)
		}
		b.WriteByte(c)
	}
}

func (p *parser) literal() Value {
	if p.peek() == '~' {
		p.next()
	}
	p.expect("{")
	digits := ""
	for c := p.next(); c != '}'; c = p.next() {
		digits += string(rune(c))
	}
	n, err := strconv.ParseUint(digits, 10, 62)
	if err != nil {
		p.fail("literal of %q octets", digits)
	}
	p.expect("\r\n")
	if p.all += int64(n); p.all > maxResponse {
		p.fail("response too long")
	}
	var b strings.Builder
	if _, err := io.CopyN(&b, p.r, int64(n)); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		panic(ioError{err})
	}
	return Value{Kind: Literal, Text: b.String()}
}

// atom reads an atom, flag, number, or NIL; also BODY[...]<n> and the like.
func (p *parser) atom() Value {
	var b strings.Builder
	if p.peek() == '\\' {
		b.WriteByte(p.next())
	}
	brackets := 0
	for {
		c := p.peek()
		if brackets > 0 {
			if c < ' ' {
				p.fail("%q in a section", c)
			}
			if c == '[' {
				p.fail("bracket in a section")
			}
		} else if c <= ' ' || c >= 0x7f || c == ']' && p.code || strings.IndexByte(`(){"\`, c) >= 0 {
			break
		}
		switch c {
		case '[':
			if name := strings.ToUpper(b.String()); name == "BODY" || name == "BINARY" || name == "BINARY.SIZE" {
				brackets++
			}
		case ']':
			brackets--
		}
		b.WriteByte(p.next())
	}
	switch s := b.String(); {
	case s == "" || s == `\`:
		p.fail("%q where a value should be", p.peek())
	case strings.EqualFold(s, "NIL"):
		return Value{}
	default:
		return Value{Kind: Atom, Text: s}
	}
	panic("unreachable")
}

func clip(s string) string { return s[:min(len(s), 200)] }
