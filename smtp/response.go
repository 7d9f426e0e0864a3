package smtp

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Replies with fixed texts. They are never changed.
var (
	replyUnknown        = &Error{Code: 500, Enhanced: EnhancedCode{5, 5, 2}, Text: "command not recognized"}
	replySyntax         = &Error{Code: 500, Enhanced: EnhancedCode{5, 5, 2}, Text: "line holds control characters"}
	replyLineLong       = &Error{Code: 500, Enhanced: EnhancedCode{5, 5, 2}, Text: "line too long"} // RFC 5321 s4.5.3.1.4
	replyLineEndless    = &Error{Code: 421, Enhanced: EnhancedCode{4, 5, 2}, Text: "line far too long; closing connection"}
	replyBareLF         = &Error{Code: 421, Enhanced: EnhancedCode{4, 5, 2}, Text: "bare LF received, lines end in CRLF; closing connection"}
	replyNotSMTP        = &Error{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Text: "this is a mail server; closing connection"}
	replyNoArgument     = &Error{Code: 501, Enhanced: EnhancedCode{5, 5, 4}, Text: "command takes no argument"}
	replySyntaxArgument = &Error{Code: 501, Enhanced: EnhancedCode{5, 5, 4}, Text: "command needs an argument"}
	replyHello          = &Error{Code: 501, Enhanced: EnhancedCode{5, 5, 4}, Text: "a domain or address literal is needed"}
	replyPathSyntax     = &Error{Code: 501, Enhanced: EnhancedCode{5, 5, 4}, Text: "a path in angle brackets is needed"}
	replySenderSyntax   = &Error{Code: 553, Enhanced: EnhancedCode{5, 1, 7}, Text: "sender address is malformed"}
	replyRcptSyntax     = &Error{Code: 553, Enhanced: EnhancedCode{5, 1, 3}, Text: "recipient address is malformed"}
	replySenderUTF8     = &Error{Code: 550, Enhanced: EnhancedCode{5, 6, 7}, Text: "address needs SMTPUTF8"} // RFC 6531 s3.5
	replyRcptUTF8       = &Error{Code: 553, Enhanced: EnhancedCode{5, 6, 7}, Text: "address needs SMTPUTF8"} // RFC 6531 s3.5
	replyNotNow         = &Error{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Text: "command out of sequence"}
	replyNeedHello      = &Error{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Text: "EHLO first"}
	replyNeedMail       = &Error{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Text: "MAIL first"}
	replyNoSuchUser     = &Error{Code: 550, Enhanced: EnhancedCode{5, 1, 1}, Text: "no such user"}
	replyAmbiguous      = &Error{Code: 553, Enhanced: EnhancedCode{5, 1, 4}, Text: "ambiguous name"}
	replyHoldLong       = &Error{Code: 501, Enhanced: EnhancedCode{5, 5, 4}, Text: "release is too far in the future"}
	replyNested         = &Error{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Text: "a mail transaction is open"}
	replyNoRcpt         = &Error{Code: 554, Enhanced: EnhancedCode{5, 5, 1}, Text: "no valid recipients"} // RFC 5321 s3.3, RFC 2920 s3.1
	replyNoRcptLMTP     = &Error{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Text: "no valid recipients"} // RFC 2033 s4.2
	replyBinaryData     = &Error{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Text: "BINARYMIME needs BDAT"}
	replyChunkFailed    = &Error{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Text: "an earlier chunk failed, RSET first"}
	replyChunkSyntax    = &Error{Code: 421, Enhanced: EnhancedCode{4, 5, 4}, Text: "chunk size not understood; closing connection"}
	replyNotOffered     = &Error{Code: 502, Enhanced: EnhancedCode{5, 5, 1}, Text: "command not offered"}
	replyMustTLS        = &Error{Code: 530, Enhanced: EnhancedCode{5, 7, 0}, Text: "STARTTLS first"}          // RFC 3207 s4
	replyMustAuth       = &Error{Code: 530, Enhanced: EnhancedCode{5, 7, 0}, Text: "authentication required"} // RFC 4954 s6
	replyAuthTLS        = &Error{Code: 538, Enhanced: EnhancedCode{5, 7, 11}, Text: "encryption required for authentication"}
	replyAuthMechanism  = &Error{Code: 504, Enhanced: EnhancedCode{5, 5, 4}, Text: "mechanism not offered"}
	replyAuthBase64     = &Error{Code: 501, Enhanced: EnhancedCode{5, 5, 2}, Text: "not valid base64"}
	replyAuthInitial    = &Error{Code: 501, Enhanced: EnhancedCode{5, 7, 0}, Text: "the mechanism has no initial response"} // RFC 4954 s4
	replyAuthCancelled  = &Error{Code: 501, Enhanced: EnhancedCode{5, 7, 0}, Text: "authentication cancelled"}
	replyAuthLong       = &Error{Code: 500, Enhanced: EnhancedCode{5, 5, 6}, Text: "authentication exchange line too long"}
	replyAuthFailed     = &Error{Code: 535, Enhanced: EnhancedCode{5, 7, 8}, Text: "authentication failed"}
	replyAuthTemporary  = &Error{Code: 454, Enhanced: EnhancedCode{4, 7, 0}, Text: "authentication is not possible at the moment"}
	replyAuthTooMany    = &Error{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Text: "too many failed authentications; closing connection"}
	replyPipelinedTLS   = &Error{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Text: "data behind STARTTLS; closing connection"}
	replyTooLarge       = &Error{Code: 552, Enhanced: EnhancedCode{5, 3, 4}, Text: "message too large"} // RFC 1870 s6
	replyTooLargeClose  = &Error{Code: 552, Enhanced: EnhancedCode{5, 3, 4}, Text: "message far too large; closing connection"}
	replyBareCR         = &Error{Code: 554, Enhanced: EnhancedCode{5, 6, 0}, Text: "message holds a bare CR"} // RFC 5321 s2.3.8
	replyBareLFData     = &Error{Code: 554, Enhanced: EnhancedCode{5, 6, 0}, Text: "message holds a bare LF"}
	replyNUL            = &Error{Code: 554, Enhanced: EnhancedCode{5, 6, 0}, Text: "message holds a NUL"}
	replyTooManyRcpt    = &Error{Code: 452, Enhanced: EnhancedCode{4, 5, 3}, Text: "too many recipients"} // RFC 5321 s4.5.3.1.10
	replyTooManyErrors  = &Error{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Text: "too many errors; closing connection"}
	replyTooManyCmds    = &Error{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Text: "too many commands without a message; closing connection"}
	replyTooManyRefuse  = &Error{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Text: "too many refused addresses; closing connection"}
	replyTooManyConns   = &Error{Code: 421, Enhanced: EnhancedCode{4, 3, 2}, Text: "too many connections; try again later"}
	replyTimeout        = &Error{Code: 421, Enhanced: EnhancedCode{4, 4, 2}, Text: "timeout; closing connection"}
	replyTooManyFrom    = &Error{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Text: "too many connections from your address; try again later"}
	replyShutdown       = &Error{Code: 421, Enhanced: EnhancedCode{4, 3, 2}, Text: "server is shutting down; closing connection"}
	replyInternalClose  = &Error{Code: 421, Enhanced: EnhancedCode{4, 3, 0}, Text: "internal error; closing connection"}
	replyInternal       = &Error{Code: 451, Enhanced: EnhancedCode{4, 3, 0}, Text: "internal error; try again later"}
)

// maxResponseText keeps reply lines within 512 octets with code and CRLF (RFC 5321 s4.5.3.1.5); maxResponseLines bounds what a
// handler's text can make of a reply.
const (
	maxResponseText  = 480
	maxResponseLines = 50
)

// appendReply writes a reply. The text may have several lines, separated by "\n"; what cannot stand in a reply is replaced.
func appendReply(b []byte, code int, enhanced EnhancedCode, text string, utf8OK bool) []byte {
	for n := 1; ; n++ {
		line, rest, more := strings.Cut(text, "\n")
		if len(line) > maxResponseText {
			cut := maxResponseText
			for cut > maxResponseText-utf8.UTFMax && !utf8.RuneStart(line[cut]) {
				cut--
			}
			line, rest, more = text[:cut], text[cut:], true
		}
		more = more && n < maxResponseLines
		if b = appendReplyLine(b, code, enhanced, line, more, utf8OK); !more {
			return b
		}
		text = rest
	}
}

// appendReplyLine writes one line of a reply; more tells that it is not the last.
func appendReplyLine(b []byte, code int, enhanced EnhancedCode, text string, more, utf8OK bool) []byte {
	b = strconv.AppendInt(b, int64(code), 10)
	if more {
		b = append(b, '-')
	} else {
		b = append(b, ' ')
	}
	if enhanced != (EnhancedCode{}) { // RFC 2034 s4: on every line
		b = strconv.AppendInt(b, int64(enhanced[0]), 10)
		b = strconv.AppendInt(append(b, '.'), int64(enhanced[1]), 10)
		b = strconv.AppendInt(append(b, '.'), int64(enhanced[2]), 10)
		b = append(b, ' ')
	}
	return append(appendText(b, text, utf8OK), '\r', '\n')
}

// appendText writes one line of reply text: printable ASCII, and UTF-8 where the client allowed it (RFC 6531 s3.7.4).
func appendText(b []byte, s string, utf8OK bool) []byte {
	s = strings.TrimRight(s, "\r")
	for i, r := range s {
		switch {
		case r == '\t':
			b = append(b, ' ')
		case r < ' ' || r == 0x7f, r >= utf8.RuneSelf && (!utf8OK || !isText(s[i:], r)):
			b = append(b, '?')
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}
