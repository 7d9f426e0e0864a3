package smtp

import (
	"crypto/tls"
	"errors"
)

// A Result says what became of a message: for each recipient, and as a whole.
type Result struct {
	Mail       Reply             // the reply to MAIL
	Recipients []RecipientResult // one for each recipient of the envelope, in its order
	Final      Reply             // the reply to the end of the message; the last one of them in LMTP
	Dropped    []string          // parameters that were left out, since the server does not offer them: "RET", "NOTIFY", "MT-PRIORITY"...
	Size       int64             // octets of the message that were sent, after dot-stuffing was left aside
	TLS        TLSInfo           // of the connection
}

// A RecipientResult says what became of a message for one recipient.
type RecipientResult struct {
	Path ForwardPath
	// Reply is the one that decided: that of RCPT or MAIL where they refused, else that of DATA or of the end of the message. It is zero when the conversation
	// failed before, or when the recipient was not offered to the server.
	Reply Reply
	// Err is nil when the server took responsibility for the message for this recipient. Otherwise it is an [*Error], whose
	// Temporary method tells whether to try again.
	Err error

	done bool // nothing changes it any more
}

// Err gives the errors of all recipients that the server did not take the message for, joined; nil if there are none.
func (r *Result) Err() error {
	var errs []error
	for _, rcpt := range r.Recipients {
		if rcpt.Err != nil {
			errs = append(errs, rcpt.Err)
		}
	}
	return errors.Join(errs...)
}

// Accepted counts the recipients for which the server took the message.
func (r *Result) Accepted() int {
	n := 0
	for _, rcpt := range r.Recipients {
		if rcpt.Err == nil {
			n++
		}
	}
	return n
}

// TLSInfo says whether a connection is encrypted, and why or why not.
type TLSInfo struct {
	State    *tls.ConnectionState // nil without TLS
	Implicit bool                 // TLS from the first byte, not by STARTTLS
	Required bool                 // the policy asked for TLS
	Verified bool                 // the server's certificate was checked
	Err      error                // why TLS was tried and not reached; only where the policy let the connection go on without
	Reason   string               // in words: "STARTTLS", "implicit TLS", "not offered", "not wanted", "failed"
}

// The causes of an [*Error] that the client itself makes, for errors.Is. Such an Error has no Code, and always a cause: one of these, or that of the system, such as context.DeadlineExceeded or a *net.OpError.
var (
	ErrMaybeDelivered  = errors.New("the message may have been delivered: the server had all of it when the connection failed") // RFC 5321 s4.5.3.2.6
	ErrMessageTooBig   = errors.New("the message is larger than the server takes")                                              // RFC 1870 s6.2
	ErrNo8BitMIME      = errors.New("the server does not take 8-bit messages")                                                  // RFC 6152 s3
	ErrNoBinaryMIME    = errors.New("the server does not take binary messages")                                                 // RFC 3030 s3
	ErrNoSMTPUTF8      = errors.New("the server does not take internationalized mail")                                          // RFC 6531 s3.2
	ErrNoRequireTLS    = errors.New("the server does not offer REQUIRETLS over TLS")                                            // RFC 8689 s4.2.1
	ErrNoFutureRelease = errors.New("the server does not offer FUTURERELEASE")                                                  // RFC 4865
	ErrNoDeliverBy     = errors.New("the server does not offer DELIVERBY")                                                      // RFC 2852 s4.1.4
	ErrTLSRequired     = errors.New("TLS is required and could not be used")                                                    // the TLS policy
	ErrNoXClient       = errors.New("the server does not take XCLIENT from here")                                               // Dialer.XClient
	ErrNoMechanism     = errors.New("no authentication mechanism that may be used here")                                        // credentials and server have none in common
	ErrTooManyMails    = errors.New("more transactions than the server takes")                                                  // RFC 9422 s4.1; send the rest over another connection
	ErrBadAddress      = errors.New("an address that cannot be written in SMTP")                                                // control characters, too long
	ErrInjection       = errors.New("the server sent data before TLS was negotiated")                                           // RFC 3207 s4.2, response injection
	ErrConnUnusable    = errors.New("the connection cannot be used any more")                                                   // an earlier failure, or Close
)
