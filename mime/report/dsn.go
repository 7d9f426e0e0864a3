package report

import (
	"time"

	"github.com/gomailroom/mailroom/mime"
)

// A DSN is a delivery status notification (RFC 3464): it tells the sender of a message what became of it.
//
// From is the mailer daemon, To the sender of the message, which is the reverse path. It goes out with an empty reverse path (RFC 5321 s4.5.5).
type DSN struct {
	From, To   mime.Address
	Subject    string    // default: by the recipients' actions
	Date       time.Time // default: now
	MessageID  string    // default: random
	InReplyTo  string    // message id of the message that this is about
	Text       string    // what people read; default: made from the recipients
	UTF8       bool      // the way back carries SMTPUTF8: use the forms of RFC 6533, which are not ASCII
	References []string

	EnvelopeID      string // ENVID as the sender gave it, decoded (RFC 3461 s4.4)
	ReportingMTA    string // required: the host name of who reports
	Gateway         string // DSN-Gateway
	ReceivedFromMTA string // the host name that the message came from
	Arrived         time.Time

	Recipients []DSNRecipient // at least one

	Original     mime.Content // the message; nil sends nothing back
	OriginalUTF8 bool         // Original has UTF-8 in its header
	HeadersOnly  bool         // send only its header back (RET=HDRS)
}

// A DSNRecipient is the fate of one recipient (RFC 3464 s2.3).
type DSNRecipient struct {
	Final      string    // required: the address that was tried
	FinalType  string    // what kind of address that is; default rfc822, or utf-8 where it is not ASCII
	Original   string    // ORCPT as "type;address", the address decoded (RFC 3461 s4.2); "" if the sender gave none
	Action     DSNAction // required
	Status     string    // required: enhanced status code, as in "5.1.1"
	RemoteMTA  string    // host name of the server that answered
	Diagnostic string    // the reply of that server, as in "550 5.1.1 no such user"
	DiagType   string    // what kind of diagnostic that is; default "smtp"
	LastTried  time.Time
	RetryUntil time.Time // for delayed: when trying ends
	FinalLogID string
}

// DSNAction is what was done for a recipient (RFC 3464 s2.3.3).
type DSNAction string

// The actions.
const (
	ActionFailed    DSNAction = "failed"
	ActionDelayed   DSNAction = "delayed"
	ActionDelivered DSNAction = "delivered"
	ActionRelayed   DSNAction = "relayed"
	ActionExpanded  DSNAction = "expanded"
)
