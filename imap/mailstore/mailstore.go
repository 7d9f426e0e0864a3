package mailstore

import (
	"context"
	"errors"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/mime"
)

// A Store keeps accounts, their mailboxes and messages. It is an [imap.Backend] with what delivery and administration need. It is safe for concurrent use.
//
// An error that has a method Temporary() bool which returns true says that the same call may succeed later; all others are for good.
type Store interface {
	imap.Backend

	// Deliver stores one message in any number of mailboxes at once, and gives one error for each target, in order. What has no error is durable when it returns, as far as the
	// store is. The message is read and kept once, however many targets it has. Errors are ErrNoAccount, ErrOverQuota, one from imap (ErrCannot for an
	// impossible name, ErrLimit for too many keywords, ErrTooLarge) or temporary.
	Deliver(ctx context.Context, m Incoming, to []Target) []error

	// CreateAccount makes an account with the mailboxes of [DefaultMailboxes], all subscribed; ErrAccountExists if it is there. Its name is what authenticators call the identity.
	CreateAccount(ctx context.Context, name string, limits Limits) error
	// DeleteAccount removes an account and all that is in it.
	DeleteAccount(ctx context.Context, name string) error
	// Accounts gives the names of all accounts, sorted.
	Accounts(ctx context.Context) ([]string, error)
	// SetLimits changes what an account may hold. What is there already stays.
	SetLimits(ctx context.Context, name string, limits Limits) error
	// Usage gives what an account holds and may hold.
	Usage(ctx context.Context, name string) (imap.Quota, error)

	// Close ends the store after what is under way. Whatever the caller opened for it stays open.
	Close() error
}

// Incoming is a message to deliver. [mime.Spooled] is a Content.
type Incoming struct {
	Content      imap.Body       // with CRLF line ends; read until Deliver returns
	Structure    *mime.Structure // of Content; nil: it is parsed here
	InternalDate time.Time       // zero: now
}

// Target is one place to deliver to.
type Target struct {
	Account  string
	Mailbox  string     // "" is INBOX; one that is missing is made
	Prefix   []byte     // header fields to put before Content for this recipient (Return-Path, Received, Delivered-To): whole lines that end with CRLF
	Flags    imap.Flags // system flags only
	Keywords []string
}

// Limits are what an account may hold; 0 means no limit.
type Limits struct {
	Octets   int64
	Messages int64
}

// A MailboxSpec is a mailbox to make.
type MailboxSpec struct {
	Name       string
	SpecialUse string // RFC 6154; "" for none
}

// DefaultMailboxes are those of a new account.
func DefaultMailboxes() []MailboxSpec {
	return []MailboxSpec{
		{"INBOX", ""}, {"Archive", `\Archive`}, {"Drafts", `\Drafts`}, {"Junk", `\Junk`}, {"Sent", `\Sent`}, {"Trash", `\Trash`},
	}
}

// What stores and directories answer. They may be wrapped.
var (
	ErrNoAccount     = errors.New("mailstore: no such account")
	ErrAccountExists = errors.New("mailstore: account exists already")
	ErrOverQuota     = imap.ErrOverQuota
	ErrClosed        = errors.New("mailstore: store is closed")
)

// A TemporaryError says that a store cannot do something now.
type TemporaryError struct{ Err error }

func (e *TemporaryError) Error() string { return "mailstore: temporary failure: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *TemporaryError) Unwrap() error { return e.Err }

// Temporary is always true.
func (e *TemporaryError) Temporary() bool { return true }
