package smtp

import (
	"bytes"
	"errors"
	"strings"
)

// A Reply is what a server said to one command (RFC 5321 s4.2).
type Reply struct {
	Code     int          // 200-599; 0 when there was no reply
	Enhanced EnhancedCode // RFC 3463; zero when the server gave none
	Text     string       // without codes; lines are separated by "\n"
}

// OK tells whether the reply is positive: 2xx, or 3xx where more is asked for.
func (r Reply) OK() bool { return r.Code/100 == 2 || r.Code/100 == 3 }

// Temporary tells whether the reply is 4xx.
func (r Reply) Temporary() bool { return r.Code/100 == 4 }

// Permanent tells whether the reply is 5xx.
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// Err gives nil for a positive reply and an [*Error] for any other.
func (r Reply) Err() error {
	if r.OK() {
		return nil
	}
	return r.asError("")
}

// asError gives the reply as the error of a command.
func (r Reply) asError(command string) *Error {
	return &Error{Code: r.Code, Enhanced: r.Enhanced, Text: r.Text, Command: command}
}

// String gives the reply on one line, as for a log.
func (r Reply) String() string { return r.asError("").Error() }

// What a reply may be at most. RFC 5321 s4.5.3.1.5 has 512 octets for a line; some servers send more.
const (
	maxReplyLine  = 4096
	maxReplyLines = 256
	maxReplyBytes = 64 << 10
)

// ErrBadReply is the cause of an [*Error] when the server sent something that is no reply: garbage, a line of more than 4096 octets, a
// reply of more than 256 lines or 64 KiB, lines of one reply with different codes, a code that does not fit the command, or a reply that nobody asked for. The connection is given up.
var ErrBadReply = errors.New("the server sent something that is not an SMTP reply")

// A replyParser cuts a stream of bytes into replies, wherever the stream is split. It does no I/O and is bounded.
type replyParser struct {
	line  []byte // the beginning of a line whose end has not come
	text  []byte // the lines before this one
	code  int
	enh   EnhancedCode
	lines int
	size  int
	seen  func(line string) // told each line; may be nil
}

// next takes bytes up to the end of a reply. It gives the number of bytes taken, and whether the reply is complete. After
// an error the parser is of no further use.
func (p *replyParser) next(b []byte) (n int, r Reply, done bool, err error) {
	for n < len(b) {
		end := bytes.IndexByte(b[n:], '\n')
		if end < 0 {
			if len(p.line)+len(b)-n > maxReplyLine {
				return n, r, false, ErrBadReply
			}
			p.line = append(p.line, b[n:]...)
			return len(b), r, false, nil
		}
		line := b[n : n+end]
		n += end + 1
		if len(p.line) > 0 {
			p.line = append(p.line, line...)
			line = p.line
		}
		last, err := p.take(line)
		p.line = p.line[:0]
		if err != nil {
			return n, r, false, err
		}
		if last {
			r = Reply{Code: p.code, Enhanced: p.enh, Text: string(p.text)}
			*p = replyParser{line: p.line, text: p.text[:0], seen: p.seen}
			return n, r, true, nil
		}
	}
	return n, r, false, nil
}

// partial tells whether a reply has begun and not ended.
func (p *replyParser) partial() bool { return len(p.line) > 0 || p.lines > 0 }

// take adds one line, without its LF. RFC 5321 s4.2: three digits, then a hyphen where more lines follow, a space or the end of the line on the last.
func (p *replyParser) take(line []byte) (last bool, err error) {
	if len(line) > maxReplyLine {
		return false, ErrBadReply
	}
	line = bytes.TrimSuffix(line, []byte{'\r'}) // a lone LF is understood too: nothing hangs on it in this direction
	if p.seen != nil {
		p.seen(shown(line))
	}
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return false, ErrBadReply
	}
	code := int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	last = true
	text := line[3:]
	if len(text) > 0 {
		if text[0] != ' ' && text[0] != '-' {
			return false, ErrBadReply
		}
		last = text[0] == ' '
		text = text[1:]
	}
	p.lines++
	p.size += len(line)
	if p.lines > 1 && code != p.code || p.lines > maxReplyLines || p.size > maxReplyBytes {
		return false, ErrBadReply
	}
	// RFC 2034 s4: the enhanced code stands on every line of a reply, and its class is that of the reply.
	if enh, rest, ok := cutEnhanced(text); ok && enh[0] == code/100 && (p.lines == 1 || enh == p.enh) {
		p.enh, text = enh, rest
	}
	if p.lines > 1 {
		p.text = append(p.text, '\n')
	}
	p.code = code
	p.text = append(p.text, cleanText(text)...)
	return last, nil
}

// shown is a line as a trace shows it: the challenges of SASL (RFC 4954 s4) are struck out, since with the answers struck out too some would still tell about a password.
func shown(line []byte) string {
	if len(line) > 4 && string(line[:3]) == "334" {
		return string(line[:4]) + "*"
	}
	return string(cleanText(line))
}

// cutEnhanced cuts an enhanced status code from the beginning of a reply's text (RFC 3463 s2).
func cutEnhanced(text []byte) (e EnhancedCode, rest []byte, ok bool) {
	i := 0
	for part := range e {
		start := i
		for i < len(text) && i-start < 3 && isDigit(text[i]) {
			e[part] = e[part]*10 + int(text[i]-'0')
			i++
		}
		if i == start {
			return EnhancedCode{}, text, false
		}
		if part < 2 {
			if i == len(text) || text[i] != '.' {
				return EnhancedCode{}, text, false
			}
			i++
		}
	}
	if i < len(text) {
		if text[i] != ' ' {
			return EnhancedCode{}, text, false
		}
		i++
	}
	return e, text[i:], true
}

// cleanText gives the text with question marks for control characters and for what is not UTF-8: it goes into logs, into notifications, and on to other peers.
func cleanText(b []byte) []byte {
	clean := true
	for _, c := range b {
		if c < ' ' && c != '\t' || c >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return b
	}
	return []byte(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0xfffd {
			return '?'
		}
		return r
	}, string(b)))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
