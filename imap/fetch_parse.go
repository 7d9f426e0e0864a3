package imap

import (
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// fetchAtt is a data item of FETCH (RFC 3501 s6.4.5).
type fetchAtt uint8

const (
	attUID fetchAtt = iota
	attFlags
	attInternalDate
	attSize
	attModSeq
	attEnvelope
	attBody
	attBodyStructure
	attSection
)

var fetchAtts = map[string]fetchAtt{
	"UID": attUID, "FLAGS": attFlags, "INTERNALDATE": attInternalDate, "RFC822.SIZE": attSize, "MODSEQ": attModSeq,
	"ENVELOPE": attEnvelope, "BODYSTRUCTURE": attBodyStructure,
}

type fetchItem struct {
	att fetchAtt
	section
}

// A section is BODY[...], or one of its old names.
type section struct {
	label   string // what the response calls it
	path    []int
	what    mime.Specifier
	fields  []string // of HEADER.FIELDS
	not     bool     // HEADER.FIELDS.NOT
	partial bool
	offset  int64
	length  int64
	peek    bool
}

// whole says that the section is the message as it is.
func (s *section) whole() bool { return len(s.path) == 0 && s.what == mime.SectionBody }

type fetchPlan struct {
	items     []fetchItem
	want      Want
	seen      bool // a section sets \Seen
	uid       bool // UID is asked for, or the command is UID FETCH
	flags     bool // FLAGS is asked for
	modseq    bool
	condition bool // CHANGEDSINCE (RFC 7162 s3.1.4.1)
	since     ModSeq
}

func (f *fetchPlan) add(it fetchItem) {
	switch it.att {
	case attFlags:
		f.flags = true
	case attModSeq:
		f.modseq = true
		return
	case attUID:
		f.uid = true
		return // told first
	case attEnvelope, attBody, attBodyStructure:
		f.want.Structure = true
	case attSection:
		f.want.Body = true
		f.want.Structure = f.want.Structure || !it.whole()
		f.seen = f.seen || !it.peek
	}
	f.items = append(f.items, it)
}

func (f *fetchPlan) addAll(atts ...fetchAtt) {
	for _, a := range atts {
		f.add(fetchItem{att: a})
	}
}

// maxFetchItems bounds the items of a FETCH.
const maxFetchItems = 200

func (p *parser) fetch() (set string, f fetchPlan, err error) {
	p.sp()
	set = p.sequence()
	p.sp()
	item := func() {
		if len(f.items) == maxFetchItems {
			p.err = no("LIMIT", "Too many items")
			return
		}
		p.fetchItem(&f)
	}
	if p.peek() == '(' {
		p.list(item)
		if p.err == nil && p.b[p.i-2] == '(' {
			p.fail("a data item of FETCH")
		}
	} else {
		switch p.macro() {
		case "ALL":
			f.addAll(attFlags, attInternalDate, attSize, attEnvelope)
		case "FAST":
			f.addAll(attFlags, attInternalDate, attSize)
		case "FULL":
			f.addAll(attFlags, attInternalDate, attSize, attEnvelope, attBody)
		default:
			item()
		}
	}
	if p.more() {
		p.list(func() {
			if p.word() != "CHANGEDSINCE" {
				p.fail("CHANGEDSINCE")
			}
			p.sp()
			f.condition, f.since, f.modseq = true, ModSeq(p.number()), true
		})
	}
	return set, f, p.end()
}

// macro takes ALL, FAST or FULL, and nothing else.
func (p *parser) macro() string {
	if p.err != nil { // not to be forgotten below
		return ""
	}
	start := p.i
	if w := p.word(); w == "ALL" || w == "FAST" || w == "FULL" {
		return w
	}
	p.i, p.err = start, nil
	return ""
}

func (p *parser) fetchItem(f *fetchPlan) {
	start := p.i
	for p.i < len(p.b) {
		c := p.b[p.i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && c != '.' && (c < '0' || c > '9') {
			break
		}
		p.i++
	}
	name := strings.ToUpper(string(p.b[start:p.i]))
	it := fetchItem{att: attSection}
	switch name {
	case "BODY", "BODY.PEEK":
		it.peek = name == "BODY.PEEK"
		if p.peek() != '[' && !it.peek {
			it.att = attBody
			break
		}
		p.section(&it.section)
	case "RFC822":
		it.label = name
	case "RFC822.HEADER":
		it.label, it.what, it.peek = name, mime.SectionHeader, true
	case "RFC822.TEXT":
		it.label, it.what = name, mime.SectionText
	default:
		att, ok := fetchAtts[name]
		if !ok {
			p.i = start
			p.fail("a data item of FETCH")
			return
		}
		it.att = att
	}
	f.add(it)
}

// maxSectionPath bounds the part numbers of a section; mime nests no deeper by default.
const maxSectionPath = 128

// section reads "[1.2.HEADER.FIELDS (From To)]<0.30>".
func (p *parser) section(s *section) {
	var label strings.Builder
	label.WriteString("BODY[")
	p.expect('[')
	for p.err == nil && '1' <= p.peek() && p.peek() <= '9' {
		start := p.i
		n := p.number()
		if n > 1<<31-1 || len(s.path) == maxSectionPath {
			p.fail("a part number")
			return
		}
		s.path = append(s.path, int(n))
		label.Write(p.b[start:p.i])
		if !p.accept('.') {
			break
		}
		label.WriteByte('.')
		if c := p.peek(); c == ']' {
			p.fail("a section")
		}
	}
	if c := p.peek(); c != ']' && (len(s.path) == 0 || p.b[p.i-1] == '.') {
		start := p.i
		for p.i < len(p.b) && (p.b[p.i]|0x20 >= 'a' && p.b[p.i]|0x20 <= 'z' || p.b[p.i] == '.') {
			p.i++
		}
		text := strings.ToUpper(string(p.b[start:p.i]))
		label.WriteString(text)
		switch text {
		case "HEADER":
			s.what = mime.SectionHeader
		case "TEXT":
			s.what = mime.SectionText
		case "MIME":
			s.what = mime.SectionMIME
			if len(s.path) == 0 { // RFC 3501 s6.4.5
				p.fail("a part number before MIME")
			}
		case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
			s.what, s.not = mime.SectionHeader, text == "HEADER.FIELDS.NOT"
			p.sp()
			s.fields = p.fieldNames(&label)
		default:
			p.i = start
			p.fail("a section")
		}
	}
	p.expect(']')
	label.WriteByte(']')
	if p.accept('<') {
		s.partial = true
		s.offset = p.number()
		p.expect('.')
		s.length = p.number()
		p.expect('>')
		if p.err == nil && s.length == 0 {
			p.fail("a length above 0")
		}
	}
	s.label = label.String()
}

func (p *parser) fieldNames(label *strings.Builder) (names []string) {
	sep := " ("
	p.list(func() {
		name := string(p.astring())
		if len(names) == maxFetchItems || len(name) > 1000 {
			p.err = no("LIMIT", "Too many header fields")
			return
		}
		if p.err == nil && (name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' })) {
			p.fail("a header field name")
			return
		}
		names = append(names, name)
		label.WriteString(sep)
		sep = " "
		if strings.ContainsAny(name, `(){%*"\]`) {
			label.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`)
		} else {
			label.WriteString(name)
		}
	})
	if p.err == nil && len(names) == 0 {
		p.fail("a header field name")
	}
	label.WriteByte(')')
	return names
}
