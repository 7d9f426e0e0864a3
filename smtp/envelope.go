package smtp

import (
	"io"
	"time"
)

// An Envelope is what travels beside a message: whom it is from, whom it is for, and what was asked of its delivery.
type Envelope struct {
	From   ReversePath
	Params MailParams
	To     []Recipient
}

// A Recipient is one forward-path of an [Envelope].
type Recipient struct {
	Path   ForwardPath
	Params RcptParams
}

// Content is a message that can be read again and again, so that sending it can be retried, and whose size in octets is known
// (RFC 1870) before it is sent. Open may be called concurrently. A size below 0 means unknown.
type Content interface {
	Open() (io.ReadCloser, error)
	Size() int64
}

// BodyType is the BODY parameter of MAIL (RFC 6152, RFC 3030).
type BodyType string

// The body types. The empty one is 7BIT by default.
const (
	Body7Bit       BodyType = "7BIT"
	Body8BitMIME   BodyType = "8BITMIME"
	BodyBinaryMIME BodyType = "BINARYMIME"
)

// MailParams are the parameters of MAIL. Zero fields were not given.
type MailParams struct {
	Size       int64    // SIZE, octets (RFC 1870)
	Body       BodyType // BODY (RFC 6152, RFC 3030)
	UTF8       bool     // SMTPUTF8 (RFC 6531)
	RequireTLS bool     // REQUIRETLS (RFC 8689)
	Auth       *string  // AUTH, decoded; a pointer to "" is AUTH=<> (RFC 4954 s5)

	Return     DSNReturn // RET (RFC 3461 s4.3)
	EnvelopeID string    // ENVID, decoded (RFC 3461 s4.4)

	Priority  *int       // MT-PRIORITY, -9 to 9 (RFC 6710)
	DeliverBy *DeliverBy // BY (RFC 2852)
	HoldFor   time.Duration
	HoldUntil time.Time // HOLDFOR, HOLDUNTIL (RFC 4865)
}

// DSNReturn is the RET parameter: how much of the message a failure notification gives back.
type DSNReturn string

// The values of RET.
const (
	ReturnFull    DSNReturn = "FULL"
	ReturnHeaders DSNReturn = "HDRS"
)

// DeliverBy is the BY parameter of MAIL (RFC 2852 s4).
type DeliverBy struct {
	Within time.Duration // may be zero or negative with Notify
	Return bool          // mode R: return when the time is over; otherwise mode N: notify
	Trace  bool          // trace modifier T
}

// RcptParams are the parameters of RCPT. Zero fields were not given.
type RcptParams struct {
	Notify            Notify // NOTIFY (RFC 3461 s4.1)
	OriginalRecipient OriginalRecipient
	RequireSince      time.Time // RRVS (RFC 7293)
	RequireContinue   bool      // RRVS action "C" instead of "R"
}

// Notify is the set of NOTIFY keywords. Zero means that none was given, which is failure and delay at the server's
// discretion.
type Notify uint8

// The NOTIFY keywords. NotifyNever excludes the others.
const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	NotifyNever
)

// OriginalRecipient is the ORCPT parameter of RCPT, decoded (RFC 3461 s4.2).
type OriginalRecipient struct {
	Type    string // "rfc822", "utf-8"
	Address string
}
