package imap

import "time"

// UID is a message's unique identifier in its mailbox (RFC 3501 s2.3.1.1). 0 is none.
type UID uint32

// ModSeq is a modification sequence (RFC 7162): 63 bits, growing with each change of a mailbox.
type ModSeq uint64

// A Message is what a [View] keeps of each message.
type Message struct {
	UID          UID
	Flags        Flags
	ModSeq       ModSeq
	Size         int64 // octets
	InternalDate time.Time
}

// Flags are the flags of a message: five system bits, then one bit for each name in [View.Keywords], from FlagKeyword upwards.
type Flags uint64

// The system flags (RFC 3501 s2.3.2) and the first keyword.
const (
	FlagSeen Flags = 1 << iota
	FlagAnswered
	FlagFlagged
	FlagDeleted
	FlagDraft
	FlagKeyword

	FlagsSystem = FlagKeyword - 1
)

// MaxKeywords is how many different keywords a mailbox can have; one more is refused with NO [LIMIT].
const MaxKeywords = 59
