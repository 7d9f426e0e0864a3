package openpgp

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"fmt"
	"io"
	stdmime "mime"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/internal/protect"
)

// A Sender signs and encrypts messages. It may be used by several goroutines.
type Sender struct {
	Key Key // signs; its private half is there

	To     []Key // who can read what is encrypted; put the sender's own key here, or the sender cannot
	Hidden []Key // who can read it too, without that the message says so (blind copies): their key ids are not written

	// Passphrase is asked for the passphrase of Key if it is locked. Default: a locked key is an error.
	Passphrase func(ctx context.Context, k Key) ([]byte, error)

	// Subject stands outside of an encrypted message; the real one is inside (RFC 9788). Default "...".
	Subject string

	Memory int64  // octets of each copy of a message that stay in memory before a temporary file is used; default 256 KiB
	Dir    string // of temporary files; default os.TempDir
}

// A Protected message is signed or encrypted, and ready to be sent. It may be read by several goroutines.
type Protected struct{ j protect.Joined }

// Open returns a reader of the message from its start.
func (p *Protected) Open() (io.ReadCloser, error) { return p.j.Open() }

// Size is the exact length of the message in octets.
func (p *Protected) Size() int64 { return p.j.Size() }

// WriteTo writes the message.
func (p *Protected) WriteTo(w io.Writer) (int64, error) { return p.j.WriteTo(w) }

// Close frees what the message is kept in, once nobody reads it any more.
func (p *Protected) Close() error { return p.j.Close() }

// Sign returns the message as multipart/signed (RFC 3156 s5). What is signed is made 7-bit first, without white space at line ends; the fields of the header are signed with it.
func (s *Sender) Sign(ctx context.Context, c mime.Content) (_ *Protected, err error) {
	defer guard(&err)
	signer, err := s.signer(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := protect.New(protect.WithContext(ctx, c), protect.Options{Sign: true, Spool: s.spool()})
	if err != nil {
		return nil, malformed(err)
	}
	defer payload.Close()
	var sig bytes.Buffer
	w, err := pgp.DetachSignWriter(&sig, []*pgp.Entity{signer}, &pgp.SignParams{Config: config()})
	if err != nil {
		return nil, about(classify(err, BadKey), s.Key)
	}
	signed, err := protect.Spool(s.spool(), func(out io.Writer) error {
		return buffered(protect.Writer(ctx, io.MultiWriter(out, w)), payload.Write)
	})
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		signed.Close()
		return nil, about(classify(err, BadKey), s.Key)
	}
	micalg, err := micalg(sig.Bytes())
	if err != nil {
		signed.Close()
		return nil, err
	}
	var armored bytes.Buffer
	if err := toArmor(&armored, pgp.SignatureType, s.Key.isOld(), func(w io.Writer) error { _, err := w.Write(sig.Bytes()); return err }); err != nil {
		signed.Close()
		return nil, err
	}
	b := protect.Boundary()
	p := new(Protected)
	p.j.Add(payload.Outer, fmt.Appendf(nil, "MIME-Version: 1.0\r\nContent-Type: multipart/signed; micalg=%q;\r\n protocol=\"application/pgp-signature\";\r\n boundary=%q\r\n\r\n--%s\r\n", micalg, b, b))
	p.j.AddRange(signed, 0, signed.Size())
	p.j.Add(fmt.Appendf(nil, "\r\n--%s\r\nContent-Type: application/pgp-signature; name=\"signature.asc\"\r\nContent-Description: OpenPGP digital signature\r\n"+
		"Content-Disposition: attachment; filename=\"signature.asc\"\r\n\r\n%s\r\n--%s--\r\n", b, armored.Bytes(), b))
	p.j.Owns(signed)
	return p, nil
}

// Encrypt returns the message as multipart/encrypted (RFC 3156 s4) for To and Hidden, without a signature.
func (s *Sender) Encrypt(ctx context.Context, c mime.Content) (*Protected, error) {
	return s.encrypt(ctx, c, nil)
}

// EncryptAndSign returns the message as multipart/encrypted with the signature inside (RFC 3156 s6.2).
func (s *Sender) EncryptAndSign(ctx context.Context, c mime.Content) (*Protected, error) {
	signer, err := s.signer(ctx)
	if err != nil {
		return nil, err
	}
	return s.encrypt(ctx, c, []*pgp.Entity{signer})
}

func (s *Sender) encrypt(ctx context.Context, c mime.Content, signers []*pgp.Entity) (_ *Protected, err error) {
	defer guard(&err)
	if len(s.To)+len(s.Hidden) == 0 {
		return nil, fail(NoKey, "nobody to encrypt to")
	}
	if strings.ContainsAny(s.Subject, "\r\n\x00") {
		return nil, fail(Malformed, "a line end in Subject")
	}
	for _, k := range append(s.To[:len(s.To):len(s.To)], s.Hidden...) {
		if err := k.CanEncrypt(); err != nil {
			return nil, err
		}
	}
	to, err := entities(s.To)
	if err != nil {
		return nil, err
	}
	hidden, err := entities(s.Hidden)
	if err != nil {
		return nil, err
	}
	payload, err := protect.New(protect.WithContext(ctx, c), protect.Options{Sign: signers != nil, Encrypt: true, Subject: stdmime.QEncoding.Encode("utf-8", orDefault(s.Subject, "...")), Spool: s.spool()})
	if err != nil {
		return nil, malformed(err)
	}
	defer payload.Close()
	cfg := config()
	cfg.AEADConfig = &packet.AEADConfig{DefaultMode: packet.AEADModeOCB} // used if every key knows it (RFC 9580)
	if visible := len(hidden) == 0; !visible {
		cfg.CheckIntendedRecipients = &visible // the list would leave out, or name, those who are hidden (RFC 9580 s5.2.3.36)
	}
	old := slices.ContainsFunc(append(s.To[:len(s.To):len(s.To)], s.Hidden...), Key.isOld)
	data, err := protect.Spool(s.spool(), func(out io.Writer) error {
		return toArmor(out, pgp.MessageType, old, func(out io.Writer) error {
			w, err := pgp.EncryptWithParams(out, to, hidden, &pgp.EncryptParams{Signers: signers, Config: cfg})
			if err != nil {
				return classify(err, BadKey)
			}
			if err := buffered(protect.Writer(ctx, w), payload.Write); err != nil {
				return err
			}
			return w.Close()
		})
	})
	if err != nil {
		return nil, err
	}
	b := protect.Boundary()
	p := new(Protected)
	p.j.Add(payload.Outer, fmt.Appendf(nil, "MIME-Version: 1.0\r\nContent-Type: multipart/encrypted;\r\n protocol=\"application/pgp-encrypted\";\r\n boundary=%q\r\n\r\n"+
		"--%s\r\nContent-Type: application/pgp-encrypted\r\nContent-Description: PGP/MIME version identification\r\n\r\nVersion: 1\r\n\r\n"+
		"--%s\r\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\r\nContent-Description: OpenPGP encrypted message\r\n"+
		"Content-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n", b, b, b))
	p.j.AddRange(data, 0, data.Size())
	p.j.Add(fmt.Appendf(nil, "\r\n--%s--\r\n", b))
	p.j.Owns(data)
	return p, nil
}

func (s *Sender) spool() mime.SpoolLimits {
	return mime.SpoolLimits{Memory: s.Memory, Size: -1, Dir: s.Dir}
}

// signer returns the signing key, unlocked.
func (s *Sender) signer(ctx context.Context) (*pgp.Entity, error) {
	if !s.Key.IsPrivate() {
		return nil, about(fail(NoKey, "no private key to sign with"), s.Key)
	}
	k, err := unlock(ctx, s.Key, s.Passphrase)
	if err != nil {
		return nil, err
	}
	return k.entity()
}

func unlock(ctx context.Context, k Key, ask func(context.Context, Key) ([]byte, error)) (Key, error) {
	if !k.IsLocked() {
		return k, nil
	}
	if ask == nil {
		return Key{}, &Error{Kind: Passphrase, KeyIDs: []string{k.ID()}}
	}
	passphrase, err := ask(ctx, k)
	if err != nil {
		return Key{}, &Error{Kind: Passphrase, KeyIDs: []string{k.ID()}, Err: err}
	}
	return k.Unlock(passphrase)
}

// micalg names the hash of a signature (RFC 3156 s5).
func micalg(sig []byte) (string, error) {
	p, err := packet.Read(bytes.NewReader(sig))
	if err != nil {
		return "", classify(err, Malformed)
	}
	s, ok := p.(*packet.Signature)
	if !ok {
		return "", fail(Malformed, "no signature was made")
	}
	return "pgp-" + hashName(s.Hash), nil
}

// hashName is the name of a hash as RFC 9580 s9.5 has it, in lower case.
func hashName(h crypto.Hash) string {
	switch h {
	case crypto.SHA3_256, crypto.SHA3_512:
		return strings.ToLower(h.String())
	}
	return strings.ToLower(strings.ReplaceAll(h.String(), "-", ""))
}

// toArmor writes what write writes as ASCII armor, lines ending in CRLF. Where an older program may read it, it has the checksum that RFC 9580 s6.1 makes superfluous: without one
// GnuPG 2.2 takes the last line for data when the data before has no padding, and calls the message manipulated.
func toArmor(w io.Writer, kind string, old bool, write func(io.Writer) error) error {
	return buffered(protect.LineWriter{W: w}, func(w io.Writer) error { // the library writes line by line
		a, err := armor.EncodeWithChecksumOption(w, kind, nil, old)
		if err != nil {
			return err
		}
		if err := write(a); err != nil {
			return err
		}
		return a.Close()
	})
}

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 32<<10)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// malformed makes an error about the message that was to be sent one of ours; those of its Content stay.
func malformed(err error) error {
	if err == protect.ErrHeader {
		return &Error{Kind: TooLarge, Err: err}
	}
	return err
}
