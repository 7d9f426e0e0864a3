package mime

import (
	"fmt"
	"time"
)

// A Letter is what somebody wants to send. Every field may stay empty but From.
//
// Values are Unicode text. A CR, LF or NUL in a value that goes into a header is refused with a [*FieldError]; in Text and HTML any
// kind of line end becomes CRLF.
type Letter struct {
	From    Address   // required
	Sender  Address   // who sent it, where that is not From (RFC 5322 s3.6.2)
	ReplyTo []Address // where answers go, where that is not From
	To      []Address
	Cc      []Address
	Bcc     []Address // recipients that are never written into the message

	ToGroups []AddressGroup // named groups (RFC 5322 s3.4), written after To; their members are recipients

	Subject    string
	Date       time.Time // default: now
	MessageID  string    // with or without angle brackets; default: random, in the domain of From
	InReplyTo  []string  // message ids that this answers
	References []string  // message ids of the conversation, oldest first

	Text        string // plain text
	Flowed      bool   // Text is wrapped and marked format=flowed (RFC 3676), so that readers may wrap it anew
	HTML        string // the same as HTML; both are sent as alternatives
	Inline      []File // what HTML shows by cid: URLs
	Attachments []File
	Calendar    *Calendar // an invitation, its answer or cancellation

	List          *List        // the mailing list that this went to
	Unsubscribe   *Unsubscribe // how to leave the list that this went to
	AutoSubmitted string       // RFC 3834 s5: "auto-generated" or "auto-replied"; default: a person wrote it

	Extra []ExtraField // more fields, written in order
}

// An ExtraField is a header field for which [Letter] has no field of its own.
type ExtraField struct{ Name, Value string }

// Calendar is an iCalendar object (RFC 5545) that travels as RFC 6047 says: as an alternative of the text, where clients look for
// it, and as an attached file for those that do not know it.
type Calendar struct {
	Method string // default: the METHOD that Data states, else REQUEST
	Data   []byte
	Name   string // of the attached file; default invite.ics
}

// Unsubscribe makes the List-Unsubscribe field (RFC 2369 s3.2).
type Unsubscribe struct {
	Post  string   // https URL that unsubscribes by one POST (RFC 8058); "" if there is none
	Links []string // mailto: and https: URLs, in the order of preference
}

// Capabilities say what the way to the recipients can carry.
type Capabilities struct {
	EightBit bool // octets above 127 in bodies: 8BITMIME (RFC 6152)
	UTF8     bool // UTF-8 in headers: SMTPUTF8 (RFC 6531)
	Binary   bool // any octets in bodies: BINARYMIME (RFC 3030)
}

// A FieldError says which field of a letter cannot be written, and why.
type FieldError struct {
	Field  string // as in "To" or "Attachments[2].Name"
	Reason string
}

func (e *FieldError) Error() string { return "mime: " + e.Field + " " + e.Reason }

// A FileError says which file could not be read, or was not of the size that it had when the letter was composed.
type FileError struct {
	Name      string
	Composed  int64 // octets that were announced
	Delivered int64 // octets that came
	Err       error // nil if only the sizes differ
}

func (e *FileError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("mime: file %q: %v", e.Name, e.Err)
	}
	if e.Delivered > e.Composed {
		return fmt.Sprintf("mime: file %q grew after the letter was composed: it had %d octets", e.Name, e.Composed)
	}
	return fmt.Sprintf("mime: file %q shrank after the letter was composed: %d of %d octets", e.Name, e.Delivered, e.Composed)
}

func (e *FileError) Unwrap() error { return e.Err }
