package dkim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Content is a message that can be read again and again, with CRLF line ends. A composed message, a parsed one and a spool of
// package mime are Contents.
type Content interface {
	Open() (io.ReadCloser, error)
	Size() int64
}

// Resolver looks up TXT records, each joined to one string. [net.Resolver] is one. That a name does not exist is told by a
// *net.DNSError whose IsNotFound is true; every other error is taken for temporary.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Status is the result of one signature, in the words of RFC 8601 s2.7.1.
type Status string

// The statuses.
const (
	None      Status = "none"      // no signature; never in a Result
	Pass      Status = "pass"      // the signature holds
	Fail      Status = "fail"      // it does not: header or body differ from what was signed
	Policy    Status = "policy"    // it is not acceptable: weak, expired, or it leaves something important unsigned
	Neutral   Status = "neutral"   // it cannot be read
	TempError Status = "temperror" // the key could not be looked up now
	PermError Status = "permerror" // there is no usable key, or a required tag or field is missing
)

// A Result is what became of one signature.
type Result struct {
	Status     Status
	Err        error     // why the status is not Pass
	Domain     string    // d=: who signed, in lower case and as A-labels
	Selector   string    // s=
	Identifier string    // i=: user or agent, "@domain" if the signature has none
	Algorithm  string    // a=, as in "rsa-sha256"
	Headers    []string  // h=: what was signed, in lower case
	Time       time.Time // t=: when, zero if not said
	Expires    time.Time // x=, zero if not said
	Testing    bool      // the key says t=y: its domain is only trying DKIM out, so a failure means nothing (RFC 6376 s3.6.1)
	KeyBits    int       // size of an RSA key, 256 for Ed25519, 0 if no key was read
	BodyLength int64     // l=: octets of the body that were signed, -1 for all
	Signature  string    // start of b=, to tell signatures apart (RFC 6008)
}

// ErrBodyHash is wrapped by the error of a result where the body is not the one that was signed.
var ErrBodyHash = errors.New("dkim: the body is not the one that was signed")

// ErrSignature is wrapped by the error of a result where the header is not the one that was signed, or the key another.
var ErrSignature = errors.New("dkim: the header is not the one that was signed, or not with this key")

// ErrMalformed is returned for a message to sign, and wrapped by the error of a result, where the header has a line that is no field. Signatures do not cover such
// lines, and programs differ in what they take them for: many show them as the beginning of the body, so that anybody could write above what was signed.
var ErrMalformed = errors.New("dkim: the header has a line that is no field")

// ErrHeaderTooLong is returned for a message whose header is longer than the limit.
var ErrHeaderTooLong = fmt.Errorf("dkim: the header is longer than %d octets", maxHeader)

const (
	maxHeader         = 1 << 20 // octets of a header
	maxTags           = 100     // tags in a signature or key
	maxSignedHeaders  = 300     // names in h=
	defaultSignatures = 10
)
