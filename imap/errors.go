package imap

import (
	"context"
	"errors"
	"strings"
)

// What a backend answers. They may be wrapped.
var (
	ErrNotFound  = errors.New("imap: no such mailbox")             // NO [NONEXISTENT], or [TRYCREATE]
	ErrExists    = errors.New("imap: mailbox exists already")      // NO [ALREADYEXISTS]
	ErrGone      = errors.New("imap: mailbox was deleted")         // the session is closed
	ErrOverQuota = errors.New("imap: over quota")                  // NO [OVERQUOTA]
	ErrTooLarge  = errors.New("imap: message too large")           // NO [TOOBIG]
	ErrLimit     = errors.New("imap: limit reached")               // NO [LIMIT]
	ErrCannot    = errors.New("imap: operation not possible here") // NO [CANNOT]
	ErrReadOnly  = errors.New("imap: mailbox is read-only")        // NO [READ-ONLY]
)

// ErrServerClosed is what [Server.Serve] gives after [Server.Shutdown] or [Server.Close].
var ErrServerClosed = errors.New("imap: server closed")

// Status is the condition of a status response (RFC 3501 s7.1).
type Status string

// The conditions that an [Error] can have.
const (
	StatusNo  Status = "NO"  // the command was understood and failed
	StatusBad Status = "BAD" // the command was not understood
	StatusBye Status = "BYE" // the connection ends
)

// Error is a failed command as it is told to the client: "tag NO [CODE] text". A backend may return one to choose
// what is sent; anything else but the sentinels above is answered with NO [SERVERBUG] and a fixed text.
type Error struct {
	Status  Status // empty: NO
	Code    string // response code without brackets, such as "OVERQUOTA" (RFC 5530); empty: none
	Text    string // one line for the user
	Command string // the command that failed, in capitals; filled in by the server
	Err     error  // the cause, logged and not sent; may be nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("imap: ")
	if e.Command != "" {
		b.WriteString(e.Command + ": ")
	}
	b.WriteString(string(e.status()))
	if e.Code != "" {
		b.WriteString(" [" + e.Code + "]")
	}
	b.WriteString(" " + e.Text)
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Temporary tells whether the same command may work later.
func (e *Error) Temporary() bool {
	switch e.Code {
	case "UNAVAILABLE", "INUSE", "LIMIT", "OVERQUOTA", "SERVERBUG":
		return true
	}
	return false
}

func (e *Error) status() Status {
	if e.Status == "" {
		return StatusNo
	}
	return e.Status
}

// no and bad build the answers of the server itself.
func no(code, text string) error  { return &Error{Status: StatusNo, Code: code, Text: text} }
func bad(text string) error       { return &Error{Status: StatusBad, Text: text} }
func bye(code, text string) error { return &Error{Status: StatusBye, Code: code, Text: text} }

// answer turns whatever a backend returned into what the client is told (RFC 5530).
func answer(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		c := *e
		return &c
	}
	for _, m := range [...]struct {
		is         error
		code, text string
	}{
		{ErrNotFound, "NONEXISTENT", "No such mailbox"},
		{ErrExists, "ALREADYEXISTS", "A mailbox of that name exists already"},
		{ErrOverQuota, "OVERQUOTA", "Over quota"},
		{ErrTooLarge, "TOOBIG", "Message too large"},
		{ErrLimit, "LIMIT", "A limit is reached"},
		{ErrCannot, "CANNOT", "This is not possible here"},
		{ErrReadOnly, "READ-ONLY", "Mailbox is read-only"},
		{errors.ErrUnsupported, "CANNOT", "Not supported"},
	} {
		if errors.Is(err, m.is) {
			return &Error{Code: m.code, Text: m.text, Err: err}
		}
	}
	if errors.Is(err, ErrGone) {
		return &Error{Status: StatusBye, Text: "The mailbox was deleted", Err: err}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || isTemporary(err) {
		return &Error{Code: "UNAVAILABLE", Text: "Temporarily unavailable", Err: err}
	}
	return &Error{Code: "SERVERBUG", Text: "Internal error", Err: err}
}

func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}
