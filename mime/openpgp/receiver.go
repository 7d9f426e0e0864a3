package openpgp

import (
	"context"
	"io"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/internal/protect"
)

// A Receiver decrypts and verifies messages. It may be used by several goroutines.
type Receiver struct {
	Keys    Keyring // private keys to decrypt with
	Senders Lookup  // finds the keys of authors; nil finds none

	// Passphrase is asked for the passphrase of a locked key that a message is encrypted to. Default: a locked key is an error.
	Passphrase func(ctx context.Context, k Key) ([]byte, error)

	Limits Limits
}

// Limits bound what a message may cost. A zero field takes its default.
type Limits struct {
	Size      int64  // octets of a message as received; default 64 MiB
	Decrypted int64  // octets of a message once decrypted and decompressed; default 64 MiB
	Memory    int64  // octets of each copy that stay in memory before a temporary file is used; default 256 KiB
	Dir       string // of temporary files; default os.TempDir
}

const (
	defaultSize        = 64 << 20
	maxSignatureBytes  = 64 << 10 // armored or not, of a detached signature
	maxSignatures      = 10       // checked in one message; the others have no key
	maxSessionKeys     = 100      // tried with our keys in one message
	maxKeysPerAddress  = 20       // that a Lookup returned and that are tried
	maxRecipientsShown = 1000     // key ids in Opened.Recipients
)

func (l Limits) received() mime.SpoolLimits { return l.spool(l.Size) }

func (l Limits) decrypted() mime.SpoolLimits { return l.spool(l.Decrypted) }

func (l Limits) spool(size int64) mime.SpoolLimits {
	if size == 0 {
		size = defaultSize
	}
	return mime.SpoolLimits{Memory: l.Memory, Size: size, Dir: l.Dir}
}

// Opened is a message without its protection: the header as its author wrote it, where that is protected, and the body that was signed or encrypted. It may be read by
// several goroutines.
type Opened struct {
	Encrypted bool // the body was encrypted, and was not changed on the way

	// HeaderProtected says that the fields that people see are those that were signed or encrypted with the body (RFC 9788). From is always that of the message as it came: the
	// keys that a signature may be made with are those of this address.
	HeaderProtected bool

	Signatures []Signature // in the order of the message, outermost first
	Recipients []string    // ids of the keys that the message is encrypted to; "0000000000000000" is one that is hidden
	Key        Key         // that decrypted it

	j protect.Joined
	m *mime.Message
}

// A Signature is one signature of a message, and what became of it.
type Signature struct {
	// Err is nil only if the author of the message signed it: the signature fits, was made by a key that the Lookup has for an address in From, and the key was good then. Else
	// errors.Is tells [NoKey], [BadSignature], [BadKey], [Expired], or [Unsupported].
	Err error

	KeyID string    // of the key or subkey that the signature says made it
	Key   Key       // the certificate with that key, if it is one of the author's
	Time  time.Time // when it was made, as it says
	Hash  string    // as in "sha256"
}

// Signer returns the first good signature. ok is false if the message has none: whoever wrote it, nothing shows that it was the author in From.
func (o *Opened) Signer() (s Signature, ok bool) {
	for _, s := range o.Signatures {
		if s.Err == nil {
			return s, true
		}
	}
	return Signature{}, false
}

// Message returns the parsed message.
func (o *Opened) Message() *mime.Message { return o.m }

// Open returns a reader of the message from its start.
func (o *Opened) Open() (io.ReadCloser, error) { return o.j.Open() }

// Size is the exact length of the message in octets.
func (o *Opened) Size() int64 { return o.j.Size() }

// Close frees what the message is kept in. Neither it nor what Message returned can be read afterwards.
func (o *Opened) Close() error { return o.j.Close() }

// finish puts the message together: the header of outer, with what inner says where it is trusted, and the body of inner, which is a part of src.
func (o *Opened) finish(outer mime.Header, src *mime.Spooled, inner *mime.Part) error {
	_, signed := o.Signer()
	merged := protect.Merge(outer, inner.Header(), o.Encrypted || signed)
	o.HeaderProtected = merged.Protected
	offset, length := inner.BodyRange()
	o.j.Add(merged.Header)
	o.j.AddRange(src, offset, length)
	var err error
	o.m, err = mime.Parse(&o.j, o.j.Size())
	return err
}

// authors returns the keys of who is in From.
func (r *Receiver) authors(ctx context.Context, h mime.Header) ([]Key, error) {
	if r.Senders == nil {
		return nil, nil
	}
	var all []Key
	for _, address := range protect.From(h) {
		keys, err := r.Senders.Keys(ctx, address)
		if err != nil {
			return nil, err
		}
		all = append(all, keys[:min(len(keys), maxKeysPerAddress)]...)
	}
	return all, nil
}
