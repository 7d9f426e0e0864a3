package report

import (
	"strings"
	"time"
)

const (
	foldColumn = 78  // RFC 5322 s2.1.1
	longToken  = 900 // no line grows beyond 998 octets
)

// A writer writes the fields of a part for programs. It never fails: what a field cannot hold is replaced, since a report
// must not be lost because of what it reports.
type writer struct {
	buf  []byte
	utf8 bool
}

// field writes a field, folded, unless value is empty.
func (w *writer) field(name, value string) {
	value = w.oneLine(value)
	if value == "" {
		return
	}
	w.buf = append(append(w.buf, name...), ':')
	col := len(name) + 1
	for token := range strings.SplitSeq(value, " ") {
		for token != "" {
			piece := token[:min(len(token), longToken)]
			token = token[len(piece):]
			if col > len(name)+1 && col+1+len(piece) > foldColumn {
				w.buf = append(w.buf, "\r\n"...)
				col = 0
			}
			w.buf = append(append(w.buf, ' '), piece...)
			col += 1 + len(piece)
		}
	}
	w.blank()
}

// blank ends a line, or a group of fields.
func (w *writer) blank() { w.buf = append(w.buf, "\r\n"...) }

func (w *writer) oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(w.fit, strings.ToValidUTF8(s, "?"))), " ")
}

func (w *writer) fit(c rune) rune {
	switch {
	case c < ' ' || c == 0x7f:
		return ' '
	case c >= 0x80 && !w.utf8:
		return '?'
	}
	return c
}

// oneLine makes what others wrote safe to show in a line.
func oneLine(s string) string { return (&writer{utf8: true}).oneLine(s) }

// dateLayout is RFC 5322 s3.3.
const dateLayout = "Mon, 02 Jan 2006 15:04:05 -0700"

func (w *writer) date(name string, t time.Time) {
	if !t.IsZero() {
		w.field(name, t.Format(dateLayout))
	}
}

func (w *writer) typed(name, kind, value string) {
	if value != "" {
		w.field(name, kind+"; "+value)
	}
}

// address writes an address with its type (RFC 3464 s2.3.2, RFC 6533 s3).
func (w *writer) address(name, kind, addr string) {
	switch {
	case kind != "" && isToken(kind):
		w.typed(name, kind, addr)
	case isASCII(addr):
		w.typed(name, "rfc822", addr)
	case w.utf8:
		w.typed(name, "utf-8", addr)
	default:
		w.typed(name, "utf-8", xtext8(addr))
	}
}

// xtext8 is RFC 6533 s3's utf-8-addr-xtext.
func xtext8(addr string) string {
	var b strings.Builder
	for _, c := range addr {
		if c <= ' ' || c == '\\' || c == '+' || c == '=' || c >= 0x7f {
			b.WriteString(`\x{`)
			const hex = "0123456789ABCDEF"
			started := false
			for shift := 20; shift >= 0; shift -= 4 {
				d := c >> shift & 15
				if started = started || d != 0 || shift <= 4; started {
					b.WriteByte(hex[d])
				}
			}
			b.WriteByte('}')
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
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
