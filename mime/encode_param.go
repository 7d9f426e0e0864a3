package mime

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// param writes "; name=value" as RFC 2045 s5.1 has it, or with RFC 2231 percent encoding and continuations when value is not
// ASCII or too long for a line.
func (w *fieldWriter) param(name, value string) {
	value = strings.ToValidUTF8(value, "\uFFFD")
	w.glue(";")
	if isPrintable(value) {
		plain := value
		if !isToken(value) {
			plain = quoteString(value)
		}
		if len(name)+len(plain)+3 <= foldColumn {
			w.token(" ", name+"="+plain)
			return
		}
		w.continuedASCII(name, value)
		return
	}
	w.continued(name, value)
}

const paramRoom = foldColumn - 2 // a space before, a semicolon after

// continuedASCII writes name*0="..."; name*1="..." (RFC 2231 s3).
func (w *fieldWriter) continuedASCII(name, value string) {
	for i := 0; value != ""; i++ {
		if i > 0 {
			w.glue(";")
		}
		head := name + "*" + strconv.Itoa(i) + "="
		n, size := 0, len(head)+2
		for n < len(value) {
			cost := 1
			if value[n] == '"' || value[n] == '\\' {
				cost = 2
			}
			if size+cost > paramRoom {
				break
			}
			size += cost
			n++
		}
		n = max(n, 1)
		w.token(" ", head+quoteString(value[:n]))
		value = value[n:]
	}
}

// continued writes name*=utf-8”..., in as many sections as it takes (RFC 2231 s4.1). No section ends inside a character:
// the RFC would allow it, some readers decode each section by itself.
func (w *fieldWriter) continued(name, value string) {
	const charset = "utf-8''"
	encoded := make([]byte, 0, 3*len(value))
	if size := len(name) + len("*=") + len(charset) + pctSize(value); size <= paramRoom {
		w.token(" ", name+"*="+charset+string(appendPct(encoded, value)))
		return
	}
	for i := 0; value != ""; i++ {
		head := name + "*" + strconv.Itoa(i) + "*="
		if i == 0 {
			head += charset
		} else {
			w.glue(";")
		}
		n, size := 0, len(head)
		for n < len(value) {
			_, r := utf8.DecodeRuneInString(value[n:])
			cost := pctSize(value[n : n+r])
			if size+cost > paramRoom && n > 0 {
				break
			}
			size += cost
			n += r
		}
		w.token(" ", head+string(appendPct(encoded[:0], value[:n])))
		value = value[n:]
	}
}

// oldParam writes a parameter for readers that know no RFC 2231: encoded words inside a quoted string, which RFC 2047 s5
// forbids and everybody reads. It is only used for Content-Type's name, beside a correct Content-Disposition.
func (w *fieldWriter) oldParam(name, value string) {
	value = strings.ToValidUTF8(value, "\uFFFD")
	if isPrintable(value) && len(value) < hardColumn/4 {
		w.glue(";")
		if !isToken(value) {
			value = quoteString(value)
		}
		w.token(" ", name+"="+value)
		return
	}
	w.glue(";")
	q := useQ(value)
	for first := true; value != ""; first = false {
		var word []byte
		word, value = nextEncodedWord(nil, value, q, maxEncodedWord-len(name)-len(`="";`))
		token := string(word)
		if first {
			token = name + `="` + token
		}
		if value == "" {
			token += `"`
		}
		w.token(" ", token)
	}
}

// pctLiteral is RFC 2231's attribute-char, a little narrower.
var pctLiteral = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~") {
		t[c] = true
	}
	return t
}()

func pctSize(s string) (n int) {
	for i := range len(s) {
		if pctLiteral[s[i]] {
			n++
		} else {
			n += 3
		}
	}
	return n
}

func appendPct(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; pctLiteral[c] {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isToken reports RFC 2045 s5.1's token.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
