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

// An Error is a negative reply. A server's handler returns one to choose the reply; a client gets one for each negative reply.
type Error struct {
	Code     int          // the reply code, 400-599
	Enhanced EnhancedCode // RFC 3463; a server that has none sends the general one of the code's class
	Text     string       // the text without codes; lines are separated by "\n"
	Command  string       // client: the command that was answered, without secrets, for example "RCPT TO:<bob@example.org>"
	Err      error        // the cause, never sent to a peer
}

// Error gives the reply as it stood on the wire, headed by the command where that is known.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Command != "" {
		b.WriteString(e.Command + ": ")
	}
	fmt.Fprintf(&b, "%d", e.Code)
	if e.Enhanced != (EnhancedCode{}) {
		b.WriteString(" " + e.Enhanced.String())
	}
	if e.Text != "" {
		b.WriteString(" " + strings.ReplaceAll(e.Text, "\n", " / "))
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary tells whether trying again later may succeed (RFC 5321 s4.2.1).
func (e *Error) Temporary() bool { return e.Code/100 == 4 }
