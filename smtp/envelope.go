package smtp

import (
	"io"
	"time"
)

// An Envelope is what travels beside a message: whom it is from, whom it is for, and what was asked of its delivery. Its JSON leaves out what is zero.
type Envelope struct {
	From   ReversePath `json:",omitzero"`
	Params MailParams  `json:",omitzero"`
	To     []Recipient `json:",omitzero"`
}

// A Recipient is one forward-path of an [Envelope].
type Recipient struct {
	Path   ForwardPath `json:",omitzero"`
	Params RcptParams  `json:",omitzero"`
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
	Size       int64    `json:",omitzero"` // SIZE, octets (RFC 1870)
	Body       BodyType `json:",omitzero"` // BODY (RFC 6152, RFC 3030)
	UTF8       bool     `json:",omitzero"` // SMTPUTF8 (RFC 6531)
	RequireTLS bool     `json:",omitzero"` // REQUIRETLS (RFC 8689)
	Auth       *string  `json:",omitzero"` // AUTH, decoded; a pointer to "" is AUTH=<> (RFC 4954 s5)

	Return     DSNReturn `json:",omitzero"` // RET (RFC 3461 s4.3)
	EnvelopeID string    `json:",omitzero"` // ENVID, decoded (RFC 3461 s4.4)

	Priority  *int          `json:",omitzero"` // MT-PRIORITY, -9 to 9 (RFC 6710)
	DeliverBy *DeliverBy    `json:",omitzero"` // BY (RFC 2852)
	HoldFor   time.Duration `json:",omitzero"`
	HoldUntil time.Time     `json:",omitzero"` // HOLDFOR, HOLDUNTIL (RFC 4865)
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
	Within time.Duration `json:",omitzero"` // may be zero or negative with Notify
	Return bool          `json:",omitzero"` // mode R: return when the time is over; otherwise mode N: notify
	Trace  bool          `json:",omitzero"` // trace modifier T
}

// RcptParams are the parameters of RCPT. Zero fields were not given.
type RcptParams struct {
	Notify            Notify            `json:",omitzero"` // NOTIFY (RFC 3461 s4.1)
	OriginalRecipient OriginalRecipient `json:",omitzero"`
	RequireSince      time.Time         `json:",omitzero"` // RRVS (RFC 7293)
	RequireContinue   bool              `json:",omitzero"` // RRVS action "C" instead of "R"
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
	Type    string `json:",omitzero"` // "rfc822", "utf-8"
	Address string `json:",omitzero"`
}
