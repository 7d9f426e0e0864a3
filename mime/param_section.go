package mime

import (
	"bytes"
	"sort"
)

// paramSection is one piece of a parameter by RFC 2231: `name*1*=value`.
type paramSection struct {
	name    string
	number  int
	encoded bool
	value   []byte
}

func cutSection(p rawParam) paramSection {
	base, rest, _ := bytes.Cut(p.name, []byte{'*'})
	s := paramSection{name: internLower(bytes.TrimSpace(base)), value: p.value}
	rest = bytes.TrimSpace(rest)
	if n := len(rest); n == 0 {
		s.encoded = true // name*=
	} else if rest[n-1] == '*' {
		s.encoded = true
	}
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		s.number = min(s.number*10+int(c-'0'), 1<<20)
	}
	return s
}

// joinSections puts the pieces together, whatever order they came in, and lets them stand in for plain parameters of the
// same name, which senders add for old readers.
func joinSections(params Params, sections []paramSection) Params {
	sort.SliceStable(sections, func(i, j int) bool {
		if sections[i].name != sections[j].name {
			return sections[i].name < sections[j].name
		}
		return sections[i].number < sections[j].number
	})
	for i := 0; i < len(sections); {
		name := sections[i].name
		var buf []byte
		var charset, language string
		for first := true; i < len(sections) && sections[i].name == name; i++ {
			value := sections[i].value
			if !sections[i].encoded {
				buf = append(buf, value...)
				first = false
				continue
			}
			if first {
				if a, rest, ok := bytes.Cut(value, []byte{'\''}); ok {
					if l, text, ok := bytes.Cut(rest, []byte{'\''}); ok {
						charset, language, value = string(a), string(l), text
					}
				}
				first = false
			} else if len(charset) > 0 && len(value) > len(charset) && equalFold(value[:len(charset)], charset) && value[len(charset)] == '\'' {
				value = value[len(charset)+1:] // the charset again, which only the first piece should have
			}
			buf = appendPercentDecoded(buf, value)
		}
		if name == "" {
			continue
		}
		p := Param{Name: name, Value: decodeCharset(charset, buf), Language: language}
		if charset == "" && bytes.Contains(buf, []byte("=?")) {
			p.Value = decodeWords(buf)
		}
		if at := indexParam(params, name); at >= 0 {
			params[at] = p
		} else {
			params = append(params, p)
		}
	}
	return params
}

func indexParam(params Params, name string) int {
	for i := range params {
		if params[i].Name == name {
			return i
		}
	}
	return -1
}

// appendPercentDecoded undoes the percent encoding of RFC 2231 s7. A percent sign without two digits stays.
func appendPercentDecoded(dst, src []byte) []byte {
	for i := 0; i < len(src); i++ {
		if src[i] == '%' && i+2 < len(src) {
			if hi, lo := unhex(src[i+1]), unhex(src[i+2]); hi >= 0 && lo >= 0 {
				dst = append(dst, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		dst = append(dst, src[i])
	}
	return dst
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int { return int(hexDigits[c]) }

var hexDigits = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i := range 16 {
		t["0123456789abcdef"[i]], t["0123456789ABCDEF"[i]] = int8(i), int8(i)
	}
	return t
}()
