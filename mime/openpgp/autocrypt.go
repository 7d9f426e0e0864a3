package openpgp

import (
	"bytes"
	"encoding/base64"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/internal/protect"
)

const (
	maxAutocrypt = 10 << 10 // octets of an Autocrypt field (Autocrypt Level 1 s2.1)
	maxGossip    = 100      // Autocrypt-Gossip fields that are read
)

// Autocrypt is what an Autocrypt or Autocrypt-Gossip field says: the key of an address, and whether its owner wants mail encrypted (Autocrypt Level 1).
type Autocrypt struct {
	Address       string
	PreferEncrypt bool // prefer-encrypt=mutual
	Key           Key
}

// Value returns the value of the field, for [mime.Letter.Extra] under the name Autocrypt. Of the key only its primary half, one user id and the subkey to encrypt to are written.
func (a Autocrypt) Value() (_ string, err error) {
	defer guard(&err)
	if a.Address == "" || strings.ContainsAny(a.Address, "; \t\r\n\x00") {
		return "", fail(Malformed, "%q is no address for an Autocrypt field", a.Address)
	}
	data, err := a.minimal()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("addr=" + a.Address + ";")
	if a.PreferEncrypt {
		b.WriteString(" prefer-encrypt=mutual;")
	}
	b.WriteString(" keydata=")
	for text := base64.StdEncoding.EncodeToString(data); text != ""; {
		n := min(len(text), 72)
		b.WriteString(" " + text[:n]) // the space is where the field is folded
		text = text[n:]
	}
	if b.Len() > maxAutocrypt {
		return "", fail(TooLarge, "the key makes an Autocrypt field of more than %d octets", maxAutocrypt)
	}
	return b.String(), nil
}

// minimal returns the key with nothing that mail does not need.
func (a Autocrypt) minimal() ([]byte, error) {
	e, err := a.Key.entity()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	enc, err := e.EncryptionKeyWithError(now, config())
	if err != nil {
		return nil, about(classify(err, BadKey), a.Key)
	}
	_, best := e.PrimaryIdentity(now, config())
	for _, id := range e.Identities {
		for _, m := range mime.ParseAddressList(id.Name).All() {
			if _, err := id.Verify(now, config()); err == nil && protect.SameAddress(m.Addr, a.Address) {
				best = id
			}
		}
	}
	clear(e.Identities)
	if best != nil {
		if sig, err := best.LatestValidSelfCertification(now, config()); err == nil {
			best.SelfCertifications = []*packet.VerifiableSignature{packet.NewVerifiableSig(sig)}
		}
		best.OtherCertifications, best.Revocations = nil, nil
		e.Identities[best.Name] = best
	}
	var subkeys []pgp.Subkey
	for _, s := range e.Subkeys {
		if s.PublicKey.KeyId == enc.PublicKey.KeyId {
			if sig, err := s.LatestValidBindingSignature(now, config()); err == nil {
				s.Bindings = []*packet.VerifiableSignature{packet.NewVerifiableSig(sig)}
			}
			subkeys = append(subkeys, s)
		}
	}
	e.Subkeys = subkeys
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		return nil, classify(err, Malformed)
	}
	return b.Bytes(), nil
}

// ParseAutocrypt returns what the Autocrypt field of a message says. ok is false if there is none that counts: the message has several authors, or there is not exactly one valid
// field for the author (Autocrypt Level 1 s2.2). Messages that programs wrote, and those that were taken for spam, are to be left out before.
func ParseAutocrypt(h mime.Header) (a Autocrypt, ok bool) {
	from := h.Addresses("From").All()
	if len(from) != 1 {
		return Autocrypt{}, false
	}
	for i, v := range h.Values("Autocrypt") {
		if i == maxSignatures {
			return Autocrypt{}, false
		}
		f, err := parseAutocrypt(v, false)
		if err != nil || !protect.SameAddress(f.Address, from[0].Addr) {
			continue
		}
		if ok {
			return Autocrypt{}, false
		}
		a, ok = f, true
	}
	return a, ok
}

// ParseGossip returns the keys of other recipients that the author of a decrypted message passes on (Autocrypt Level 1 s2.3). h is the header of an [Opened] message; what is said of
// addresses that are not among its recipients is left out.
func ParseGossip(h mime.Header) []Autocrypt {
	var all []Autocrypt
	recipients := append(h.Addresses("To").All(), h.Addresses("Cc").All()...)
	for i, v := range h.Values("Autocrypt-Gossip") {
		if i == maxGossip {
			break
		}
		a, err := parseAutocrypt(v, true)
		if err != nil {
			continue
		}
		for _, r := range recipients {
			if protect.SameAddress(r.Addr, a.Address) {
				all = append(all, a)
				break
			}
		}
	}
	return all
}

func parseAutocrypt(value string, gossip bool) (a Autocrypt, err error) {
	if len(value) > maxAutocrypt {
		return a, fail(TooLarge, "an Autocrypt field of more than %d octets", maxAutocrypt)
	}
	var data []byte
	for attribute := range strings.SplitSeq(value, ";") {
		name, v, _ := strings.Cut(attribute, "=")
		v = strings.TrimSpace(v)
		switch name = strings.TrimSpace(name); {
		case name == "addr":
			a.Address = v
		case name == "prefer-encrypt":
			a.PreferEncrypt = v == "mutual" && !gossip
		case name == "keydata":
			data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v), ""))
			if err != nil {
				return a, &Error{Kind: Malformed, Err: err}
			}
		case strings.HasPrefix(name, "_") || name == "" && v == "":
		default:
			return a, fail(Unsupported, "the critical attribute %q", name) // s2.1: one that is not understood makes the field invalid
		}
	}
	if a.Address == "" || len(data) == 0 {
		return a, fail(Malformed, "an Autocrypt field without address or key")
	}
	keys, err := ParseKeys(data)
	if err != nil {
		return a, err
	}
	if len(keys) != 1 {
		return a, fail(Malformed, "%d keys in an Autocrypt field", len(keys))
	}
	a.Key, err = keys[0].Public()
	return a, err
}
