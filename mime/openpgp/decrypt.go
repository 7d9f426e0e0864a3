package openpgp

import (
	"context"
	"errors"
	"fmt"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/internal/protect"
)

// Decrypt opens a message that is multipart/encrypted as a whole (RFC 3156 s4), and checks the signatures inside, whether they are in the OpenPGP message (s6.2) or in a
// multipart/signed (s6.1). The error is nil if the message was decrypted and is what was encrypted; until that is known nothing of it is returned. It says nothing of
// signatures: ask [Opened.Signer].
func (r *Receiver) Decrypt(ctx context.Context, c mime.Content) (_ *Opened, err error) {
	s, err := protect.SpoolContent(protect.WithContext(ctx, c), r.Limits.received())
	if err != nil {
		return nil, classify(err, 0)
	}
	defer s.Close()
	m := s.Message()
	data := encryptedPart(m.Root())
	if data == nil {
		return nil, &Error{Kind: NotEncrypted}
	}
	authors, err := r.authors(ctx, m.Header())
	if err != nil {
		return nil, err
	}
	o := &Opened{Encrypted: true}
	plain, err := r.decrypt(ctx, o, data, authors)
	if err != nil {
		return nil, err
	}
	o.j.Owns(plain)
	payload := plain.Message().Root()
	if signed, sig := signedParts(payload); signed != nil {
		if err := verifyPart(ctx, o, plain, signed, sig, authors); err != nil {
			o.Close()
			return nil, err
		}
		payload = signed
	}
	if err := o.finish(m.Header(), plain, payload); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

// encryptedPart returns the part with the OpenPGP message.
func encryptedPart(root *mime.Part) *mime.Part {
	// Exchange turns multipart/encrypted into multipart/mixed and puts an empty text before it; the parts stay in order.
	if t := root.MediaType(); t != "multipart/encrypted" && t != "multipart/mixed" {
		return nil
	}
	version := false
	for p := range root.Children() {
		if version && p.IsLeaf() {
			return p
		}
		version = p.MediaType() == "application/pgp-encrypted"
	}
	return nil
}

// decrypt returns the plaintext once all of it is known to be good.
func (r *Receiver) decrypt(ctx context.Context, o *Opened, data *mime.Part, authors []Key) (_ *mime.Spooled, err error) {
	defer guard(&err)
	ring, err := newRing(authors, r.private())
	if err != nil {
		return nil, err
	}
	packets, err := dearmor(protect.Reader(ctx, data.Decoded()))
	if err != nil {
		return nil, err
	}
	limits := r.Limits.decrypted()
	cfg := config()
	if limits.Size >= 0 {
		decompressed := limits.Size + 1<<20 // the limit itself is that of the spool, whose error is told from damage
		cfg.MaxDecompressedMessageSize = &decompressed
	}
	md, err := pgp.ReadMessage(packets, ring, r.prompt(ctx, ring), cfg)
	if err != nil {
		if errors.Is(err, pgperrors.ErrKeyIncorrect) {
			return nil, &Error{Kind: NoKey, Err: errors.New("the message is for other keys")}
		}
		return nil, classify(err, Malformed)
	}
	if !md.IsEncrypted {
		// A signed or bare message where an encrypted one should be: who takes it for confidential is deceived.
		return nil, fail(NotEncrypted, "the OpenPGP message is not encrypted")
	}
	plain, err := mime.Spool(protect.Reader(ctx, md.UnverifiedBody), limits)
	if err != nil {
		return nil, classify(err, 0)
	}
	if md.IsSigned {
		o.addSignatures(md, ring)
	}
	if e := md.DecryptedWith.Entity; e != nil {
		o.Key = ring.keys[e]
	}
	for _, id := range md.EncryptedToKeyIds[:min(len(md.EncryptedToKeyIds), maxRecipientsShown)] {
		o.Recipients = append(o.Recipients, fmt.Sprintf("%016X", id))
	}
	return plain, nil
}

func (r *Receiver) private() []Key {
	var keys []Key
	for _, k := range r.Keys {
		if k.IsPrivate() {
			keys = append(keys, k)
		}
	}
	return keys
}

// prompt returns what the library calls when only locked keys are left.
func (r *Receiver) prompt(ctx context.Context, ring *ring) pgp.PromptFunction {
	asked := map[*pgp.Entity]bool{}
	var last error
	return func(keys []pgp.Key, _ bool) ([]byte, error) {
		for _, k := range keys {
			if asked[k.Entity] || r.Passphrase == nil {
				continue
			}
			asked[k.Entity] = true
			key := ring.keys[k.Entity]
			passphrase, err := r.Passphrase(ctx, key)
			if err == nil {
				err = k.Entity.DecryptPrivateKeys(passphrase)
			}
			if err != nil {
				last = &Error{Kind: Passphrase, KeyIDs: []string{key.ID()}, Err: err}
				continue
			}
			return nil, nil
		}
		switch {
		case last != nil:
			return nil, last
		case len(keys) == 0:
			return nil, &Error{Kind: NoKey, Err: errors.New("the message is for other keys, or for a passphrase")}
		}
		var ids []string
		for _, k := range keys {
			ids = append(ids, k.PublicKey.KeyIdString())
		}
		return nil, &Error{Kind: Passphrase, KeyIDs: ids}
	}
}
