package smtp

import "bytes"

// A verb is a command's name.
type verb uint8

const (
	verbUnknown verb = iota
	verbHELO
	verbEHLO
	verbLHLO
	verbMAIL
	verbRCPT
	verbDATA
	verbBDAT
	verbRSET
	verbNOOP
	verbQUIT
	verbVRFY
	verbEXPN
	verbHELP
	verbAUTH
	verbSTARTTLS
	verbXCLIENT
	verbHTTP // a method of HTTP: a browser or a proxy that was sent here (RFC 9110 s9)
)

// parseCommand splits a line, which has no line ending any more, into verb and argument. Spaces and tabs at the end are dropped (RFC 5321
// s4.1.1). The slices are those of the line.
func parseCommand(line []byte) (v verb, arg []byte) {
	name, arg, _ := bytes.Cut(line, []byte(" "))
	return lookupVerb(name), trimSpace(arg)
}

func lookupVerb(name []byte) verb {
	var up [8]byte
	if len(name) < 3 || len(name) > len(up) {
		return verbUnknown
	}
	for i, c := range name {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up[i] = c
	}
	switch string(up[:len(name)]) {
	case "HELO":
		return verbHELO
	case "EHLO":
		return verbEHLO
	case "LHLO":
		return verbLHLO
	case "MAIL":
		return verbMAIL
	case "RCPT":
		return verbRCPT
	case "DATA":
		return verbDATA
	case "BDAT":
		return verbBDAT
	case "RSET":
		return verbRSET
	case "NOOP":
		return verbNOOP
	case "QUIT":
		return verbQUIT
	case "VRFY":
		return verbVRFY
	case "EXPN":
		return verbEXPN
	case "HELP":
		return verbHELP
	case "AUTH":
		return verbAUTH
	case "STARTTLS":
		return verbSTARTTLS
	case "XCLIENT":
		return verbXCLIENT
	case "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE":
		return verbHTTP
	}
	return verbUnknown
}

// isBDAT tells whether a line begins as BDAT does, whatever follows: octets that are no commands may come behind it.
func isBDAT(line []byte) bool {
	return len(line) >= 4 && bytes.EqualFold(line[:4], []byte("BDAT")) && (len(line) == 4 || !isAlnum(line[4]))
}

// trimSpace drops spaces and tabs at both ends.
func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// cutKeyword takes the "FROM:" of MAIL or the "TO:" of RCPT off the argument. Spaces after the colon, which RFC 5321 s3.3
// forbids and common clients send, are dropped.
func cutKeyword(arg []byte, keyword string) ([]byte, bool) {
	if len(arg) < len(keyword) || !bytes.EqualFold(arg[:len(keyword)], []byte(keyword)) {
		return nil, false
	}
	return bytes.TrimLeft(arg[len(keyword):], " "), true
}

// cutPath splits "<path> parameters". It knows quoted strings, so that an angle bracket or space inside quotes ends
// nothing.
func cutPath(b []byte) (inner, rest []byte, err *Error) {
	if len(b) == 0 || b[0] != '<' {
		return nil, nil, replyPathSyntax
	}
	quoted := false
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			if rest = b[i+1:]; len(rest) > 0 && rest[0] != ' ' {
				return nil, nil, replyPathSyntax
			}
			return b[1:i], rest, nil
		}
	}
	return nil, nil, replyPathSyntax
}

// parseSize is a decimal number of octets, at most 18 digits, so that sums of two fit. RFC 3030 s2, RFC 1870 s4
func parseSize(b []byte) (n int64, ok bool) {
	if len(b) > 18 || !isNumber(b) {
		return 0, false
	}
	for _, c := range b {
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// isNumber tells whether b is digits, at least one.
func isNumber(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// validHello checks the argument of EHLO: the characters of a domain or address literal, and no others, so that
// the name can stand in a Received field and in logs. Names that are no domains, as many clients send, pass. RFC 5321 s4.1.3, s4.1.4
func validHello(arg []byte) bool {
	if len(arg) == 0 || len(arg) > maxDomain {
		return false
	}
	for _, c := range arg {
		if !isAlnum(c) && bytes.IndexByte([]byte("-._:[]"), c) < 0 {
			return false
		}
	}
	return true
}
