package pop3

import (
	"errors"
	"strings"
)

// Error is a negative reply. A backend may return one, also wrapped: its code
// and text are sent to the client.
type Error struct {
	Code string // response code without brackets, such as "IN-USE" (RFC 2449 s8); may be empty
	Text string // for people, one line
	Err  error  // cause; not sent
}

func (e *Error) Error() string {
	s := "pop3: " + e.reply()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes errors with the same code equal for errors.Is.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e.Code == t.Code && (t.Text == "" || e.Text == t.Text)
}

// Temporary reports whether trying again later may help.
func (e *Error) Temporary() bool {
	return e.Code == "SYS/TEMP" || e.Code == "IN-USE" || e.Code == "LOGIN-DELAY"
}

// reply is the line without "-ERR " and CRLF. It fits in 512 octets (RFC 1939 s3).
func (e *Error) reply() string {
	text := printable(e.Text, 400)
	if e.Code != "" {
		return "[" + strings.ReplaceAll(printable(e.Code, 60), "]", "?") + "] " + text
	}
	if strings.HasPrefix(text, "[") { // only codes may begin so (RFC 2449 s6.4)
		text = " " + text
	}
	return text
}

// printable gives at most n characters, with what cannot stand in a reply replaced.
func printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), n)]
}

var (
	// ErrInUse says that another session has the maildrop (RFC 2449 s8.1.2).
	ErrInUse = &Error{Code: "IN-USE", Text: "maildrop is in use by another session"}
	// ErrNoMessage says that there is no such message, or no longer.
	ErrNoMessage = &Error{Text: "no such message"}
	// ErrServerClosed is what Serve returns after Shutdown or Close.
	ErrServerClosed = errors.New("pop3: server closed")
)

var (
	errSyntax       = &Error{Text: "wrong arguments"}
	errUnknown      = &Error{Text: "unknown command"}
	errNotNow       = &Error{Text: "command not allowed now"}
	errTooLong      = &Error{Text: "line too long"}
	errAuth         = &Error{Code: "AUTH", Text: "wrong name or password"}
	errNeedTLS      = &Error{Text: "plaintext passwords only under TLS"}
	errNoPassword   = &Error{Text: "USER and PASS not offered"}
	errTempAuth     = &Error{Code: "SYS/TEMP", Text: "cannot check credentials now, try again later"}
	errLoginDelay   = &Error{Code: "LOGIN-DELAY", Text: "too soon after the last login"}
	errNeedUTF8     = &Error{Code: "UTF8", Text: "message needs UTF8 mode"}
	errTempStore    = &Error{Code: "SYS/TEMP", Text: "cannot read the maildrop now, try again later"}
	errTempUpdate   = &Error{Code: "SYS/TEMP", Text: "some deleted messages not removed"}
	errBrokenStore  = &Error{Code: "SYS/PERM", Text: "maildrop has entries that POP3 cannot show"}
	errTooMany      = &Error{Code: "SYS/TEMP", Text: "too many connections, try again later"}
	errTooManyFrom  = &Error{Code: "SYS/TEMP", Text: "too many connections from your address, try again later"}
	errPipelinedTLS = &Error{Text: "commands after STLS must wait for the handshake"}
	errShutdown     = &Error{Code: "SYS/TEMP", Text: "server is shutting down"}
)

// Why the server ends a session.
var (
	errForeign       = errors.New("pop3: the client speaks another protocol")
	errTooManyBad    = errors.New("pop3: too many bad commands")
	errTooManyFailed = errors.New("pop3: too many failed authentications")
)

// replyError turns what a backend returned into what the client is told.
func replyError(err error, byDefault *Error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return byDefault
}
