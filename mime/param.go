package mime

import (
	"bytes"
	"strings"
)

// Param is one parameter of a header field (RFC 2045 s5.1).
type Param struct {
	Name     string // in lower case
	Value    string
	Language string // as RFC 2231 gives it, or ""
}

// Params are the parameters of a header field in order.
type Params []Param

// Get returns the value of the first parameter with the name, or "".
func (p Params) Get(name string) string {
	for i := range p {
		if strings.EqualFold(p[i].Name, name) {
			return p[i].Value
		}
	}
	return ""
}

// MediaType is the value of a Content-Type field.
type MediaType struct {
	Type, Subtype string // in lower case
	Params        Params
}

// String returns "type/subtype".
func (t MediaType) String() string { return t.Type + "/" + t.Subtype }

// Disposition is the value of a Content-Disposition field (RFC 2183).
type Disposition struct {
	Type   string // "inline", "attachment", ... in lower case
	Params Params
}

// ParseMediaType reads the value of a Content-Type field and never fails: what cannot be read is empty. Parameters are
// decoded by RFC 2231 in any order, and encoded words in them are decoded too, which RFC 2047 forbids and everybody sends.
func ParseMediaType(value string) MediaType {
	return parseMediaType([]byte(value), defaultParams)
}

// ParseDisposition reads the value of a Content-Disposition field. It is as tolerant as [ParseMediaType].
func ParseDisposition(value string) Disposition {
	v := []byte(value)
	head, pos := dispositionHead(v)
	return Disposition{Type: internLower(stripComments(head)), Params: decodeParams(v[pos:], defaultParams)}
}

func parseMediaType(v []byte, limit int) MediaType {
	head, pos := paramHead(v)
	typ, sub := splitMediaType(head)
	if len(typ) == 0 {
		return MediaType{}
	}
	return MediaType{Type: internLower(typ), Subtype: internLower(sub), Params: decodeParams(v[pos:], limit)}
}

// splitMediaType cuts the part of a Content-Type before its parameters.
func splitMediaType(head []byte) (typ, sub []byte) {
	head = stripComments(head)
	typ, sub, _ = bytes.Cut(head, []byte{'/'})
	return bytes.TrimSpace(typ), bytes.TrimSpace(sub)
}

// paramHead returns what stands before the parameters, and where they start. A missing semicolon, as in
// `multipart/mixed boundary=x`, is seen by the equals sign.
func paramHead(v []byte) (head []byte, pos int) {
	word, later := -1, false // where the last word starts, and whether it is not the first
	for i := 0; i < len(v); i++ {
		if v[i] == '=' && later {
			return v[:word], word
		}
		if !isSpace(v[i]) && (i == 0 || isSpace(v[i-1])) {
			word, later = i, word >= 0
		}
		switch v[i] {
		case '(':
			i = skipComment(v, i) - 1
		case ';':
			return v[:i], i + 1
		}
	}
	return v, len(v)
}

// dispositionHead is paramHead of a Content-Disposition. Some programs leave the type out: then there are only parameters.
func dispositionHead(v []byte) (head []byte, pos int) {
	if head, pos = paramHead(v); bytes.IndexByte(head, '=') >= 0 {
		return nil, 0
	}
	return head, pos
}

// rawParam is a parameter as written: the name without space around it, the value unquoted and unfolded.
type rawParam struct {
	name, value []byte
	quoted      bool
}

// nextParam cuts the parameter at or after pos. At the end it returns one without a name.
func nextParam(v []byte, pos int) (p rawParam, next int) {
	for pos < len(v) {
		pos = skipCFWS(v, pos)
		if pos < len(v) && v[pos] == ';' {
			pos++
			continue
		}
		start := pos
		for pos < len(v) && v[pos] != '=' && v[pos] != ';' {
			pos++
		}
		if pos == len(v) {
			break
		}
		if v[pos] == ';' { // a name without a value says nothing
			continue
		}
		p.name = stripComments(v[start:pos])
		pos = skipCFWS(v, pos+1)
		if pos < len(v) && v[pos] == '"' {
			p.quoted = true
			p.value, pos = cutQuotedParam(v, pos)
		} else {
			p.value, pos = cutUnquoted(v, pos)
		}
		if len(p.name) > 0 && (p.quoted || len(p.value) > 0) {
			return p, pos
		}
	}
	return rawParam{}, len(v)
}

// cutUnquoted returns the value at pos: up to the semicolon, the next `name=`, or a comment.
func cutUnquoted(v []byte, pos int) (value []byte, next int) {
	for i := pos; i < len(v); i++ {
		switch c := v[i]; {
		case c == ';':
			return unfoldBytes(bytes.TrimSpace(v[pos:i])), i
		case c == '(' && i > pos && isSpace(v[i-1]):
			return unfoldBytes(bytes.TrimSpace(v[pos:i])), i
		case isSpace(c):
			// A following `name=` starts a parameter whose semicolon is missing.
			j := i
			for j < len(v) && isSpace(v[j]) {
				j++
			}
			k := j
			for k < len(v) && (isAtext(v[k]) && v[k] != '=' || v[k] == '.') {
				k++
			}
			if k > j && k < len(v) && v[k] == '=' && i > pos {
				return unfoldBytes(v[pos:i]), j
			}
			i = j - 1
		}
	}
	return unfoldBytes(bytes.TrimSpace(v[pos:])), len(v)
}

// cutQuoted returns the text of the quoted string at pos, which starts with its quote, and where it ends. A missing end
// quote is taken to stand at the end.
func cutQuoted(v []byte, pos int) (value []byte, next int) {
	end := quotedEnd(v, pos+1)
	return unquote(v[pos+1 : end]), min(end+1, len(v))
}

// maxInnerQuotes is the number of quotes that may stand inside a quoted parameter without a backslash.
const maxInnerQuotes = 8

// cutQuotedParam is cutQuoted where a quote that nothing follows but more of the value is part of it, as in name="the "new" plan.pdf".
func cutQuotedParam(v []byte, pos int) (value []byte, next int) {
	end := quotedEnd(v, pos+1)
	for n := 0; n < maxInnerQuotes && !endsParam(v, end+1); n++ {
		another := bytes.IndexAny(v[end+1:], "\";")
		if another < 0 || v[end+1+another] == ';' {
			break
		}
		end += 1 + another
	}
	return unquote(v[pos+1 : end]), min(end+1, len(v))
}

// endsParam reports whether a parameter can end before pos: at the end, a semicolon, a comment, or the name of the next one or of the next field.
func endsParam(v []byte, pos int) bool {
	for pos < len(v) && isSpace(v[pos]) {
		pos++
	}
	if pos >= len(v) || v[pos] == ';' || v[pos] == '(' {
		return true
	}
	start := pos
	for pos < len(v) && isAtext(v[pos]) && v[pos] != '=' {
		pos++
	}
	return pos > start && pos < len(v) && (v[pos] == '=' || v[pos] == ':')
}

// quotedEnd returns where the quote stands that ends the text at pos, or the length of v.
func quotedEnd(v []byte, pos int) int {
	for pos < len(v) && v[pos] != '"' {
		if v[pos] == '\\' && pos+1 < len(v) {
			pos++
		}
		pos++
	}
	return min(pos, len(v))
}

// unquote returns the text between quotes.
func unquote(value []byte) []byte {
	if bytes.IndexByte(value, '\\') >= 0 {
		out := make([]byte, 0, len(value))
		for j := 0; j < len(value); j++ {
			// Windows paths are sent with single backslashes: before a letter or digit one is taken for itself.
			if value[j] == '\\' && j+1 < len(value) && !isAlnum(value[j+1]) {
				j++
			}
			out = append(out, value[j])
		}
		value = out
	}
	return unfoldBytes(value)
}

// unfoldBytes removes line ends. It copies only if there are any.
func unfoldBytes(b []byte) []byte {
	if bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c != '\r' && c != '\n' {
			out = append(out, c)
		}
	}
	return out
}

// rawParams returns the parameters as written, names in lower case, as IMAP's BODYSTRUCTURE has them.
func rawParams(v []byte, limit int) Params {
	var params Params
	for pos := 0; len(params) < limit; {
		var p rawParam
		if p, pos = nextParam(v, pos); len(p.name) == 0 {
			break
		}
		params = append(params, Param{Name: internLower(p.name), Value: string(p.value)})
	}
	return params
}

// decodeParams returns the parameters of v, decoded: RFC 2231, encoded words, and raw 8-bit text.
func decodeParams(v []byte, limit int) Params {
	var params Params
	var sections []paramSection
	for pos, n := 0, 0; n < limit; n++ {
		var p rawParam
		if p, pos = nextParam(v, pos); len(p.name) == 0 {
			break
		}
		if bytes.IndexByte(p.name, '*') >= 0 {
			sections = append(sections, cutSection(p))
			continue
		}
		if params.has(p.name) { // the first one counts
			continue
		}
		value := string(p.value)
		if bytes.Contains(p.value, []byte("=?")) || !isASCII(p.value) {
			value = decodeWords(p.value)
		}
		params = append(params, Param{Name: internLower(p.name), Value: value})
	}
	if len(sections) > 0 {
		params = joinSections(params, sections)
	}
	return params
}

func (p Params) has(name []byte) bool {
	for i := range p {
		if equalFold(name, p[i].Name) {
			return true
		}
	}
	return false
}
