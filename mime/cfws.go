package mime

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// skipCFWS returns the position after comments and folding white space (RFC 5322 s3.2.2).
func skipCFWS(b []byte, pos int) int {
	for pos < len(b) {
		switch {
		case isSpace(b[pos]):
			pos++
		case b[pos] == '(':
			pos = skipComment(b, pos)
		default:
			return pos
		}
	}
	return pos
}

// skipComment returns the position after the comment at pos, with comments nested in it. A comment without an end goes to
// the end of b.
func skipComment(b []byte, pos int) int {
	depth := 0
	for pos < len(b) {
		switch b[pos] {
		case '\\':
			pos++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return pos + 1
			}
		}
		pos++
	}
	return len(b)
}

// stripComments returns b without comments and without white space around it. It copies only if there are comments.
func stripComments(b []byte) []byte {
	if bytes.IndexByte(b, '(') < 0 {
		return bytes.TrimSpace(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] == '(' {
			i = skipComment(b, i)
			continue
		}
		out = append(out, b[i])
		i++
	}
	return bytes.TrimSpace(out)
}

func isASCII[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// known are words that nearly every message has: as such they cost no allocation.
var known = func() map[string]string {
	m := map[string]string{}
	for _, s := range strings.Fields(`text plain html calendar csv multipart mixed alternative related signed encrypted report
		digest parallel message rfc822 global delivery-status disposition-notification feedback-report partial external-body
		rfc822-headers image jpeg png gif svg+xml application octet-stream pdf zip pgp-signature pgp-encrypted pkcs7-signature
		pkcs7-mime x-pkcs7-signature msword json xml audio video mpeg mp4 boundary charset name filename format delsp type
		start protocol micalg report-type method size creation-date modification-date read-date inline attachment
		text/plain text/html text/calendar multipart/mixed multipart/alternative multipart/related multipart/signed
		multipart/report multipart/digest multipart/encrypted message/rfc822 message/delivery-status message/global
		application/octet-stream application/pdf application/pgp-signature image/jpeg image/png image/gif`) {
		m[s] = s
	}
	return m
}()

// internLower returns b in lower case, without an allocation for the words of [known] unless they are long.
func internLower(b []byte) string {
	var buf [48]byte
	if len(b) > len(buf) {
		return strings.ToLower(string(b))
	}
	for i, c := range b {
		buf[i] = lower(c)
	}
	if s, ok := known[string(buf[:len(b)])]; ok {
		return s
	}
	return string(buf[:len(b)])
}
