package imap

import (
	"context"
	"io"
	"iter"
	"net/netip"
	"time"

	"github.com/gomailroom/mailroom/mime"
)

// A Backend holds the accounts that a [Server] serves. It knows only messages, UIDs, flags and modification sequences: sequence
// numbers, search, body sections and the wire are the server's work. It must be safe for concurrent use, and so must all that it hands out,
// but for [Appending].
type Backend interface {
	// Account opens the account of an identity, as the authenticator gave it.
	Account(ctx context.Context, identity string) (Account, error)
	// Capabilities says, once and for all, what this backend can do beyond the methods themselves.
	Capabilities() Capabilities
}

// Capabilities say what a backend supports, so that only this is offered to clients.
type Capabilities struct {
	SaveDate bool // Item.SaveDate is kept (RFC 8514)
	ObjectID bool // Item.EmailID and MailboxInfo.ID are stable and unique (RFC 8474)
	ThreadID bool // Item.ThreadID is kept
	Quota    bool // Account.Quota answers (RFC 9208)
}

// An Account is one user's mailboxes. Names are UTF-8 in NFC with "/" as hierarchy separator; INBOX is always spelled in capitals.
// Errors are the sentinels of this package (ErrNotFound, ErrExists, ...), an [*Error] to be sent as it is, or anything else, which the server logs and
// answers with NO [SERVERBUG].
type Account interface {
	// Mailboxes gives all mailboxes and all subscribed names, sorted by name. The server does LIST, LSUB and patterns.
	Mailboxes(ctx context.Context) ([]MailboxInfo, error)
	// Open gives a mailbox by name. From then on it is known by its id: a rename does not disturb it, and after a deletion its methods give ErrGone.
	Open(ctx context.Context, name string) (Mailbox, error)
	// Watch calls changed after anything in the account has changed: a hint, from any goroutine, which must not block. The empty id
	// stands for the list of mailboxes itself.
	Watch(changed func(MailboxID)) (stop func())

	// Create makes a mailbox and the levels above it. use is a special-use attribute such as "\\Junk" or empty (RFC 6154).
	Create(ctx context.Context, name, use string) (MailboxID, error)
	// Delete removes a mailbox and its messages. One that has children keeps its name as \Noselect (RFC 3501 s6.3.4).
	Delete(ctx context.Context, name string) error
	// Rename moves a mailbox and those below it. Renaming INBOX moves its messages to a new mailbox (RFC 3501 s6.3.5).
	Rename(ctx context.Context, from, to string) error
	Subscribe(ctx context.Context, name string, subscribed bool) error
	// Quota gives what is used and allowed; a limit of 0 means none.
	Quota(ctx context.Context) (Quota, error)

	Close() error
}

// MailboxID names a mailbox for good: it survives renames and is never given again. It consists of letters, digits, "-" and "_" (RFC 8474 s4).
type MailboxID string

// MailboxInfo is what LIST tells of a mailbox.
type MailboxInfo struct {
	ID         MailboxID // empty for a subscribed name without a mailbox
	Name       string
	NoSelect   bool // only a level of the hierarchy
	Subscribed bool
	SpecialUse string // "\\Sent", ...; empty for none
}

// Quota is the use and the limit of an account (RFC 9208).
type Quota struct {
	Octets, OctetLimit     int64
	Messages, MessageLimit int64
}

// A Mailbox is an open mailbox.
type Mailbox interface {
	ID() MailboxID
	// View gives the newest picture. SELECT, EXAMINE and STATUS need nothing else.
	View(ctx context.Context) (*View, error)
	// Fetch gives what is wanted of the messages that exist, in ascending order of UID. A UID that is missing was expunged. After an error the iteration ends.
	Fetch(ctx context.Context, uids UIDSet, want Want) iter.Seq2[Item, error]
	// SetFlags changes flags in one transaction and gives the UIDs that FlagChange.UnchangedSince excluded. Messages whose flags are already so keep their modification sequence.
	SetFlags(ctx context.Context, uids UIDSet, c FlagChange) (conflicts UIDSet, err error)
	// Expunge removes messages, whatever their flags.
	Expunge(ctx context.Context, uids UIDSet) error
	// Transfer copies or moves messages to another mailbox of the account, all or none.
	Transfer(ctx context.Context, uids UIDSet, dest MailboxID, move bool) (CopyResult, error)
	// Append begins adding messages.
	Append(ctx context.Context) (Appending, error)
	// Vanished gives the UIDs that were expunged after a modification sequence. known is false when the store no longer remembers that far: then
	// uids is every UID below UIDNext that does not exist (RFC 7162 s3.2.5.2).
	Vanished(ctx context.Context, since ModSeq) (uids UIDSet, known bool, err error)
	// Candidates may narrow a search with an index: the messages of within that can match k. exact says that they all do; otherwise the server looks at each. ok is false when
	// there is no help.
	Candidates(ctx context.Context, within UIDSet, k SearchKey) (uids UIDSet, exact, ok bool, err error)
}

// Want says what [Mailbox.Fetch] has to give beyond the UID.
type Want struct {
	Structure bool // Item.Structure
	Body      bool // Item.Body
	Extra     bool // SaveDate, EmailID, ThreadID
}

// An Item is one message as fetched.
type Item struct {
	UID       UID
	Structure *mime.Structure // parsed once when the message came in
	Body      Body            // valid until the iteration goes on
	SaveDate  time.Time
	EmailID   string
	ThreadID  string
}

// A Body is the text of a message, with CRLF line ends, opened when it is first read.
type Body interface {
	io.ReaderAt
	Size() int64
}

// FlagChange is what STORE asks for.
type FlagChange struct {
	Op             FlagOp
	Flags          Flags    // system flags only
	Keywords       []string // by name, without regard to case
	UnchangedSince ModSeq   // RFC 7162 s3.1.3
	Conditional    bool     // UnchangedSince counts, even when it is 0
}

// FlagOp is add, remove or replace.
type FlagOp uint8

// The flag operations: +FLAGS, -FLAGS and FLAGS.
const (
	FlagsAdd FlagOp = iota
	FlagsRemove
	FlagsReplace
)

// CopyResult pairs source and destination UIDs in order (RFC 4315 s3).
type CopyResult struct {
	UIDValidity  uint32
	Source, Dest UIDSet
}

// Meta is what APPEND says of a message.
type Meta struct {
	Flags        Flags // system flags only
	Keywords     []string
	InternalDate time.Time // zero: now
}

// An Appending is a batch of messages on their way into a mailbox: all of them or none. It refuses (over quota, too large) before body is read. One of Commit and Abort ends it.
type Appending interface {
	Add(ctx context.Context, m Meta, size int64, body io.Reader) error
	Commit(ctx context.Context) (AppendResult, error)
	Abort()
}

// AppendResult says where appended messages are (RFC 4315 s3).
type AppendResult struct {
	UIDValidity uint32
	UIDs        UIDSet
}

// An Authenticator checks passwords. It uses built-in and standard types only, so that one value serves smtp, pop3 and
// imap. authzid is the identity to act as, empty for the user's own. The identity that comes back is the canonical
// name. An error with a method Temporary() bool that returns true is answered with NO [UNAVAILABLE]; any other with NO [AUTHENTICATIONFAILED] and a fixed text.
type Authenticator interface {
	VerifyPassword(ctx context.Context, remote netip.Addr, authzid, username, password string) (identity string, err error)
}

// SCRAMKeys looks up what SCRAM needs to know of a user (RFC 5802 s3). hash is "SHA-1" or "SHA-256". An unknown user is an error; the server goes on with made-up
// keys, so that peers cannot tell.
type SCRAMKeys interface {
	SCRAMKeys(ctx context.Context, remote netip.Addr, authzid, username, hash string) (identity string, salt []byte, iterations int, storedKey, serverKey []byte, err error)
}
