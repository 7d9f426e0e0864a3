package openpgp

import (
	"errors"
	"fmt"
	"strings"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"

	"github.com/gomailroom/mailroom/mime"
)

// A Kind says what went wrong. It is a target of [errors.Is]: errors.Is(err, openpgp.NoKey).
type Kind uint8

// The kinds of errors.
const (
	Malformed    Kind = iota + 1 // what should be OpenPGP, or MIME around it, is not
	NotSigned                    // the message has no OpenPGP signature
	NotEncrypted                 // the message is not encrypted with OpenPGP
	NoKey                        // no key fits: none to decrypt with, none of the sender, or none for a recipient
	BadKey                       // a key is expired, revoked, too weak, or cannot do this
	BadSignature                 // the signature is not one of this text by this key
	Expired                      // the signature was good once
	Tampered                     // the encrypted data was changed, cut off, or has no protection against that
	Passphrase                   // a private key is locked, and no passphrase opens it
	Unsupported                  // an algorithm or format that is not known, or not safe
	TooLarge                     // a limit is reached
)

var kinds = [...]string{"", "malformed", "not signed", "not encrypted", "no key", "key not usable", "bad signature", "signature expired", "tampered with", "locked key", "unsupported", "too large"}

// String returns the kind in a few words.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "unknown"
}

// Error makes a Kind a target of errors.Is.
func (k Kind) Error() string { return "openpgp: " + k.String() }

// An Error is what this package returns, except for errors of a context, of a message's Content, and of disks.
type Error struct {
	Kind    Kind
	Address string   // whose key is missing, if it is about an address
	KeyIDs  []string // the keys it is about
	Err     error    // what is behind it
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Kind.Error())
	if e.Address != "" {
		fmt.Fprintf(&b, " of %s", e.Address)
	}
	if len(e.KeyIDs) > 0 {
		fmt.Fprintf(&b, " (key %s)", strings.Join(e.KeyIDs, ", "))
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(strings.TrimPrefix(e.Err.Error(), "openpgp: "))
	}
	return b.String()
}

// Unwrap returns what is behind the error.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the error's kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

func fail(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// classify turns an error of the OpenPGP library into one of ours. Others stay as they are.
func classify(err error, otherwise Kind) error {
	var (
		ours        *Error
		large       *mime.TooLargeError
		structural  pgperrors.StructuralError
		session     pgperrors.DecryptWithSessionKeyError
		unsupported pgperrors.UnsupportedError
		weak        pgperrors.WeakAlgorithmError
		invalid     pgperrors.KeyInvalidError
		unknown     pgperrors.CriticalUnknownPacketTypeError
		selection   pgperrors.ErrEncryptionKeySelection
		malformed   pgperrors.ErrMalformedMessage
		signature   pgperrors.SignatureError
		aead        pgperrors.AEADError
		argument    pgperrors.InvalidArgumentError
	)
	kind := otherwise
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return err
	case errors.As(err, &large), errors.Is(err, pgperrors.ErrMessageTooLarge):
		kind = TooLarge
	case errors.Is(err, pgperrors.ErrUnknownIssuer), errors.Is(err, pgperrors.ErrKeyIncorrect):
		kind = NoKey
	case errors.Is(err, pgperrors.ErrSignatureExpired):
		kind = Expired
	case errors.Is(err, pgperrors.ErrKeyExpired), errors.Is(err, pgperrors.ErrKeyRevoked), errors.Is(err, pgperrors.ErrSignatureOlderThanKey), errors.As(err, &weak), errors.As(err, &invalid), errors.As(err, &selection), errors.As(err, &argument):
		kind = BadKey
	case errors.Is(err, pgperrors.ErrMDCHashMismatch), errors.Is(err, pgperrors.ErrMDCMissing), errors.Is(err, pgperrors.ErrAEADTagVerification), errors.As(err, &session), errors.As(err, &aead):
		kind = Tampered
	case errors.As(err, &unsupported), errors.As(err, &unknown):
		kind = Unsupported
		if strings.Contains(err.Error(), "not integrity protected") {
			kind = Tampered
		}
	case errors.As(err, &signature):
		kind = BadSignature
	case errors.As(err, &structural), errors.As(err, &malformed):
	case otherwise == 0:
		return err
	}
	if kind == 0 {
		kind = Malformed
	}
	return &Error{Kind: kind, Err: err}
}

// guard turns a panic of the OpenPGP library over foreign bytes into an error: a message must never end a mail server.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = fail(Malformed, "%v", r)
	}
}
