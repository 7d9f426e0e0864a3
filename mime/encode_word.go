package mime

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

const (
	maxEncodedWord  = 75 // RFC 2047 s2
	wordOverhead    = len("=?utf-8?q??=")
	minEncodedRoom  = wordOverhead + 12 // less room than this is not worth starting a word in
	longestRawToken = 900               // a longer one is encoded so that it can be folded below 998
)

// qLiteral marks what stands for itself in a Q encoded word at any place, a phrase included (RFC 2047 s5 rule 3).
var qLiteral = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/") {
		t[c] = true
	}
	return t
}()

func qSize(s string) (n int) {
	for i := range len(s) {
		if qLiteral[s[i]] || s[i] == ' ' {
			n++
		} else {
			n += 3
		}
	}
	return n
}

// nextEncodedWord cuts from s what fits an encoded word of at most room octets, never inside a character, and
// appends the word. It always takes at least one character.
func nextEncodedWord(dst []byte, s string, q bool, room int) (_ []byte, rest string) {
	room -= wordOverhead
	if !q {
		room = room / 4 * 3
	}
	n, used := 0, 0
	for n < len(s) {
		_, size := utf8.DecodeRuneInString(s[n:])
		cost := size
		if q {
			cost = qSize(s[n : n+size])
		}
		if used+cost > room && n > 0 {
			break
		}
		used += cost
		n += size
	}
	if !q {
		dst = append(dst, "=?utf-8?b?"...)
		dst = base64.StdEncoding.AppendEncode(dst, []byte(s[:n]))
	} else {
		dst = append(dst, "=?utf-8?q?"...)
		for i := range n {
			switch c := s[i]; {
			case c == ' ':
				dst = append(dst, '_')
			case qLiteral[c]:
				dst = append(dst, c)
			default:
				dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
			}
		}
	}
	return append(dst, "?="...), s[n:]
}

// useQ says whether Q is no longer than B for s.
func useQ(s string) bool { return qSize(s) <= base64.StdEncoding.EncodedLen(len(s)) }

// needsEncodedWord says whether a space-separated token cannot stand as it is in unstructured text or a phrase.
func needsEncodedWord(token string, utf8Allowed bool) bool {
	if strings.Contains(token, "=?") || len(token) > longestRawToken {
		return true // or many, ours among them, would read an encoded word there, although RFC 2047 s5 wants one to stand alone
	}
	for i := range len(token) {
		if c := token[i]; c < ' ' || c == 0x7f || c >= utf8.RuneSelf && !utf8Allowed {
			return true
		}
	}
	return false
}
