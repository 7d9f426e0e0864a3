package imap

import "errors"

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
