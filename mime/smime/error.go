package smime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// A Kind says what went wrong. It is a target of [errors.Is]: errors.Is(err, smime.NoKey).
type Kind uint8

// The kinds of errors.
const (
	Malformed    Kind = iota + 1 // what should be S/MIME, or MIME around it, is not
	NotSigned                    // the message has no S/MIME signature
	NotEncrypted                 // the message is not encrypted with S/MIME
	NoKey                        // nothing fits: no private key to decrypt with, no certificate of the signer or of a recipient
	BadKey                       // a key or certificate cannot do this
	BadSignature                 // the signature is not one of this text by this key
	Untrusted                    // no chain leads from the certificate of the signer to a root, or it is not for mail, or expired, or revoked
	WrongAddress                 // the certificate of the signer is not for the author in From
	Tampered                     // the encrypted data was changed or cut off
	Unsupported                  // an algorithm or format that is not known, or not safe
	TooLarge                     // a limit is reached
)

var kinds = [...]string{"", "malformed", "not signed", "not encrypted", "no key", "key not usable", "bad signature", "certificate not trusted", "certificate of another address", "tampered with", "unsupported", "too large"}

// String returns the kind in a few words.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "unknown"
}

// Error makes a Kind a target of errors.Is.
func (k Kind) Error() string { return "smime: " + k.String() }

// An Error is what this package returns, except for errors of a context, of a message's Content, and of disks.
type Error struct {
	Kind    Kind
	Address string // whose certificate is missing or wrong, if it is about an address
	Err     error  // what is behind it
}

func (e *Error) Error() string {
	s := e.Kind.Error()
	if e.Address != "" {
		s += " (" + e.Address + ")"
	}
	if e.Err != nil {
		s += ": " + strings.TrimPrefix(e.Err.Error(), "smime: ")
	}
	return s
}

// Unwrap returns what is behind the error.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the error's kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

func fail(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// classify turns errors of the spool into ours. Others stay as they are.
func classify(err error) error {
	var large *mime.TooLargeError
	if errors.As(err, &large) {
		return &Error{Kind: TooLarge, Err: err}
	}
	return err
}
