package smtp

import (
	"fmt"
	"strings"
)

// An EnhancedCode is an enhanced mail system status code (RFC 3463). The zero value means none.
type EnhancedCode [3]int

// String gives "5.1.1", or "" for the zero value.
func (e EnhancedCode) String() string {
	if e == (EnhancedCode{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
}

// An Error is a negative reply, or, on the client's side, a failure without one. A server's handler returns one to choose the reply.
//
// A client gets one for each negative reply of the server, with its Code, and one without Code for whatever else went wrong: no connection, no TLS, a
// deadline, a message that the server could not take. Err has the cause then. Enhanced classifies these as well, so that a queue may report all of
// them in one way. A handler that is a proxy may return both: what has no Code its client is told as 451 or 554, without the cause.
type Error struct {
	Code     int          // the reply code, 400-599; 0 when no server said this
	Enhanced EnhancedCode // RFC 3463; a server that has none sends the general one of the code's class
	Text     string       // the text without codes; lines are separated by "\n"
	Command  string       // client: where it happened, without secrets: "RCPT TO:<bob@example.org>", "connect to mx.example.org:25", "end of data"
	Err      error        // the cause, never sent to a peer
}

// Error gives the reply as it stood on the wire, headed by the command where that is known. What is no reply has no codes.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Command != "" {
		b.WriteString(e.Command + ": ")
	}
	text := strings.ReplaceAll(e.Text, "\n", " / ")
	if e.Code != 0 {
		text = strings.TrimRight(fmt.Sprintf("%d %s", e.Code, strings.TrimLeft(e.Enhanced.String()+" "+text, " ")), " ")
	}
	b.WriteString(text)
	if e.Err != nil {
		if text != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary tells whether trying again later may succeed: so says a code of 4xx (RFC 5321 s4.2.1), or without a code an enhanced code that is not of class 5.
func (e *Error) Temporary() bool {
	if e.Code == 0 {
		return e.Enhanced[0] != 5
	}
	return e.Code/100 == 4
}
