package mime

import "bytes"

const qpLine = 76 // RFC 2045 s6.7 rule 5, the "=" of a soft break included

const upperHex = "0123456789ABCDEF"

// qpLiteral marks what stands for itself in quoted-printable: printable ASCII but "=" (RFC 2045 s6.7 rule 2).
// Space and tab do too, unless they end a line, which the encoder sees to.
var qpLiteral = func() (t [256]bool) {
	for c := '!'; c <= '~'; c++ {
		t[c] = c != '='
	}
	t[' '], t['\t'] = true, true
	return t
}()

// appendQP appends text in quoted-printable. Lines of text end in CRLF, which stay line ends; any other CR or LF is encoded.
func appendQP(dst, text []byte) []byte {
	for len(text) > 0 {
		line, rest, broken := bytes.Cut(text, crlf)
		dst = appendQPLine(dst, line)
		if broken {
			dst = append(dst, '\r', '\n')
		}
		text = rest
	}
	return dst
}

func appendQPLine(dst, line []byte) []byte {
	col := 0
	for i := 0; i < len(line); i++ {
		// A run of literals is copied at once.
		run := i
		for run < len(line) && qpLiteral[line[run]] {
			run++
		}
		if run == len(line) && run > i && (line[run-1] == ' ' || line[run-1] == '\t') {
			run-- // rule 3: white space at the end of a line is encoded
		}
		if i == 0 && (bytes.HasPrefix(line, fromSpace) || len(line) == 1 && line[0] == '.') {
			run = 0 // RFC 2049 s3: mbox and SMTP implementations mangle these
		}
		for i < run {
			room := qpLine - 1 - col
			if room == 0 {
				dst = append(dst, '=', '\r', '\n')
				col = 0
				continue
			}
			if last := run - i; run == len(line) && last <= room+1 {
				room = last // the end of the line needs no soft break after it
			}
			n := min(room, run-i)
			dst = append(dst, line[i:i+n]...)
			col += n
			i += n
		}
		if i == len(line) {
			break
		}
		room := qpLine - 1
		if i == len(line)-1 {
			room = qpLine
		}
		if col+3 > room {
			dst = append(dst, '=', '\r', '\n')
			col = 0
		}
		c := line[i]
		dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
		col += 3
	}
	return dst
}

var (
	crlf      = []byte("\r\n")
	fromSpace = []byte("From ")
)

// toCRLF returns text with every line ending, CRLF, LF or a lone CR, as CRLF.
func toCRLF(text string) []byte {
	out := make([]byte, 0, len(text)+len(text)/32+2)
	for i := 0; i < len(text); {
		j := i
		for j < len(text) && text[j] != '\r' && text[j] != '\n' {
			j++
		}
		out = append(out, text[i:j]...)
		if j < len(text) {
			out = append(out, '\r', '\n')
			if text[j] == '\r' && j+1 < len(text) && text[j+1] == '\n' {
				j++
			}
			j++
		}
		i = j
	}
	return out
}
