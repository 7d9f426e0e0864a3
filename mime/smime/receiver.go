package smime

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/internal/protect"
)

// A Receiver decrypts and verifies messages. It may be used by several goroutines.
type Receiver struct {
	Identities []Identity // to decrypt with

	Roots         *x509.CertPool      // that certificates of signers must lead to; nil means those of the system
	Intermediates []*x509.Certificate // that messages may lack
	Time          func() time.Time    // when certificates must be good, as the day that the message arrived; default now

	// Check is asked about a chain that is good otherwise, the signer's certificate first: whether it is revoked is not looked up here. An error makes the signature [Untrusted].
	Check func(ctx context.Context, chain []*x509.Certificate) error

	Limits Limits
}

// Limits bound what a message may cost. A zero field takes its default.
type Limits struct {
	Size      int64  // octets of a message as received; default 64 MiB
	Decrypted int64  // octets of a message once decrypted, or decompressed; default 64 MiB
	Memory    int64  // octets of each copy that stay in memory before a temporary file is used; default 256 KiB
	Dir       string // of temporary files; default os.TempDir
}

const (
	defaultSize     = 64 << 20
	maxSignatures   = 10 // checked in one message
	maxCertificates = 50 // read of one message
	maxTries        = 10 // recipient infos that are for us and do not open
	clockSkew       = 24 * time.Hour
)

func (l Limits) received() mime.SpoolLimits { return l.spool(l.Size) }

func (l Limits) decrypted() mime.SpoolLimits { return l.spool(l.Decrypted) }

func (l Limits) spool(size int64) mime.SpoolLimits {
	if size == 0 {
		size = defaultSize
	}
	return mime.SpoolLimits{Memory: l.Memory, Size: size, Dir: l.Dir}
}

// Opened is a message without its protection: the header as its author wrote it, where that is protected, and the body that was signed or encrypted. It may be read by several goroutines.
type Opened struct {
	Encrypted bool // the body was encrypted

	// Authenticated is true of an encrypted message that was not changed after it was encrypted (authenticated-enveloped-data). Enveloped-data with CBC does not show changes, so that
	// somebody on the way may have put in more: unless there is a good signature inside, load nothing from the network for such a message.
	Authenticated bool

	// HeaderProtected says that the fields that people see are those that were signed or encrypted with the body (RFC 9788). From is always that of the message as it came.
	HeaderProtected bool

	Signatures []Signature
	Identity   Identity // that decrypted it

	j protect.Joined
	m *mime.Message
}

// A Signature is one signature of a message, and what became of it.
type Signature struct {
	// Err is nil only if the author of the message signed it: the signature fits, and the certificate leads to a root, is for mail and for an address in From, and is good at the time. Else errors.Is tells
	// [BadSignature], [Untrusted], [WrongAddress], [NoKey], or [Unsupported].
	Err error

	Certificate *x509.Certificate   // of the signer, if the message has it; it is trusted only if Err is nil
	Chain       []*x509.Certificate // from Certificate to a root
	Time        time.Time           // when it was made, as it says; zero if it does not say
	Hash        string              // as in "sha-256"
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

// Verify checks a message that is signed as a whole, multipart/signed or application/pkcs7-mime, and returns what was signed. The error is nil only if there is a good signature by the
// author in From. If there is none, the error says why, and the message comes with it all the same: it can be shown like any message that nobody signed. It is nil if the
// message has no signature of S/MIME, or cannot be read.
func (r *Receiver) Verify(ctx context.Context, c mime.Content) (*Opened, error) {
	s, err := protect.SpoolContent(protect.WithContext(ctx, c), r.Limits.received())
	if err != nil {
		return nil, classify(err)
	}
	o := &Opened{}
	o.j.Owns(s)
	outer := s.Message().Header()
	src, part, err := r.verifyPart(ctx, o, s, s.Message().Root(), protect.From(outer))
	if err == nil {
		err = o.finish(outer, src, part)
	}
	if err != nil {
		o.Close()
		return nil, classify(err)
	}
	if _, ok := o.Signer(); !ok {
		return o, o.Signatures[0].Err
	}
	return o, nil
}

// Decrypt opens a message that is encrypted as a whole, and checks the signatures inside. The error is nil if the message was decrypted; nothing is returned of one that is known to be
// changed. It says nothing of signatures: ask [Opened.Signer]. What only CBC encrypts may have been changed unseen: see Opened.Authenticated.
func (r *Receiver) Decrypt(ctx context.Context, c mime.Content) (*Opened, error) {
	s, err := protect.SpoolContent(protect.WithContext(ctx, c), r.Limits.received())
	if err != nil {
		return nil, classify(err)
	}
	defer s.Close()
	m := s.Message()
	if !isPKCS7(m.Root()) {
		return nil, &Error{Kind: NotEncrypted}
	}
	o := &Opened{Encrypted: true}
	var plain *mime.Spooled
	b := newBER(protect.Reader(ctx, m.Root().Decoded()))
	typ, err := enterContent(b)
	switch {
	case err != nil:
	case typ != oidEnveloped && typ != oidAuthEnveloped:
		err = fail(NotEncrypted, "content type %s", dotted(typ))
	default:
		limits := r.Limits.decrypted()
		o.Identity, err = open(b, typ, r.Identities, limits.Size, func(text io.Reader) (err error) {
			plain, err = mime.Spool(text, limits)
			return err
		})
		o.Authenticated = typ == oidAuthEnveloped
	}
	if plain != nil {
		o.j.Owns(plain)
	}
	if err != nil {
		o.Close()
		return nil, classify(err)
	}
	src, part, err := r.verifyPart(ctx, o, plain, plain.Message().Root(), protect.From(m.Header()))
	if errors.Is(err, NotSigned) {
		err = nil
	}
	if err == nil {
		err = o.finish(m.Header(), src, part)
	}
	if err != nil {
		o.Close()
		return nil, classify(err)
	}
	return o, nil
}

func isPKCS7(p *mime.Part) bool {
	t := p.MediaType()
	return t == "application/pkcs7-mime" || t == "application/x-pkcs7-mime"
}
