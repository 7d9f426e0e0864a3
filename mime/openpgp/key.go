package openpgp

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/gomailroom/mailroom/mime"
)

const (
	maxKeyBytes = 8 << 20 // input of ParseKeys
	maxUserIDs  = 100     // of a key
)

// A Key is an OpenPGP certificate, or one with its private half. It never changes and may be used by several goroutines. The zero Key is no key.
type Key struct{ k *keyData }

type keyData struct {
	binary            []byte // the transferable key, private or public
	fingerprint       []byte
	version           int
	created, expires  time.Time
	userIDs, emails   []string
	private, isLocked bool
	revoked           bool
}

// KeyOptions say what key to make.
type KeyOptions struct {
	Name    string
	Address string        // required
	Expires time.Duration // how long it is good; default: for ever
	RSABits int           // an RSA key of that size; default: Ed25519 and Curve25519
	Version int           // 4 (default), which every program knows, or 6 (RFC 9580)
}

// GenerateKey makes a key that signs, with a subkey to encrypt to. It is not locked; see [Key.Lock].
func GenerateKey(o KeyOptions) (k Key, err error) {
	defer guard(&err)
	if o.Address == "" || strings.ContainsAny(o.Name+o.Address, "()<>\x00\r\n") {
		return Key{}, fail(BadKey, "the name %q and address %q make no user id", o.Name, o.Address)
	}
	c := config()
	c.V6Keys = o.Version == 6
	c.KeyLifetimeSecs = uint32(min(o.Expires/time.Second, 1<<32-1))
	switch {
	case o.RSABits > 0:
		c.Algorithm, c.RSABits = packet.PubKeyAlgoRSA, o.RSABits
	case c.V6Keys:
		c.Algorithm = packet.PubKeyAlgoEd25519
		c.AEADConfig = &packet.AEADConfig{DefaultMode: packet.AEADModeOCB}
	default:
		c.Algorithm, c.Curve = packet.PubKeyAlgoEdDSA, packet.Curve25519
	}
	e, err := pgp.NewEntity(o.Name, "", o.Address, c)
	if err != nil {
		return Key{}, classify(err, BadKey)
	}
	return newKey(e)
}

// ParseKeys reads keys as programs export them: armored, several blocks one after the other, or binary; public or private. Keys that are not understood are left out as long as
// there is another.
func ParseKeys(data []byte) (keys []Key, err error) {
	defer guard(&err)
	if len(data) > maxKeyBytes {
		return nil, fail(TooLarge, "more than %d octets of keys", maxKeyBytes)
	}
	var bad error
	read := func(r io.Reader) {
		list, err := pgp.ReadKeyRing(r)
		if err != nil {
			bad = classify(err, Malformed)
		}
		for _, e := range list {
			k, err := newKey(e)
			if err != nil {
				bad = err
				continue
			}
			keys = append(keys, k)
		}
	}
	if len(data) > 0 && data[0]&0x80 != 0 {
		read(bytes.NewReader(data))
	} else {
		for r := bytes.NewReader(data); ; {
			block, err := armor.Decode(r)
			if err != nil {
				if err != io.EOF && bad == nil {
					bad = classify(err, Malformed)
				}
				break
			}
			if block.Type == pgp.PublicKeyType || block.Type == pgp.PrivateKeyType {
				read(block.Body)
			}
			if _, err := io.Copy(io.Discard, block.Body); err != nil {
				break
			}
		}
	}
	switch {
	case len(keys) > 0:
		return keys, nil
	case bad != nil:
		return nil, bad
	}
	return nil, fail(Malformed, "there is no key")
}

func newKey(e *pgp.Entity) (Key, error) {
	d := &keyData{fingerprint: e.PrimaryKey.Fingerprint, version: e.PrimaryKey.Version, created: e.PrimaryKey.CreationTime, revoked: e.Revoked(time.Now())}
	var b bytes.Buffer
	var err error
	if e.PrivateKey != nil {
		d.private = true
		err = e.SerializePrivateWithoutSigning(&b, nil)
	} else {
		err = e.Serialize(&b)
	}
	if err != nil {
		return Key{}, classify(err, Malformed)
	}
	d.binary = b.Bytes()
	for _, p := range privateKeys(e) {
		d.isLocked = d.isLocked || p.Encrypted
	}
	if sig, err := e.PrimarySelfSignature(time.Time{}, config()); err == nil && sig.KeyLifetimeSecs != nil && *sig.KeyLifetimeSecs > 0 {
		d.expires = d.created.Add(time.Duration(*sig.KeyLifetimeSecs) * time.Second)
	}
	ids := make([]*pgp.Identity, 0, len(e.Identities))
	for _, id := range e.Identities {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b *pgp.Identity) int { return cmp.Compare(a.Name, b.Name) })
	for _, id := range ids[:min(len(ids), maxUserIDs)] {
		if _, err := id.Verify(time.Time{}, config()); err != nil {
			continue // nobody but the key itself says that this is its name
		}
		d.userIDs = append(d.userIDs, id.Name)
		for _, a := range mime.ParseAddressList(id.Name).All() {
			d.emails = append(d.emails, a.Addr)
		}
	}
	return Key{d}, nil
}

func privateKeys(e *pgp.Entity) (all []*packet.PrivateKey) {
	if e.PrivateKey != nil && !e.PrivateKey.Dummy() {
		all = append(all, e.PrivateKey)
	}
	for _, s := range e.Subkeys {
		if s.PrivateKey != nil && !s.PrivateKey.Dummy() {
			all = append(all, s.PrivateKey)
		}
	}
	return all
}

// entity returns a copy of the key for the library, which writes into its values while it reads them.
func (k Key) entity() (*pgp.Entity, error) {
	if k.k == nil {
		return nil, fail(NoKey, "the zero Key")
	}
	e, err := pgp.ReadEntity(packet.NewReader(bytes.NewReader(k.k.binary)))
	return e, classify(err, Malformed)
}

func entities(keys []Key) ([]*pgp.Entity, error) {
	var all []*pgp.Entity
	for _, k := range keys {
		e, err := k.entity()
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// IsZero reports whether this is no key.
func (k Key) IsZero() bool { return k.k == nil }

// Fingerprint returns the fingerprint in upper-case hexadecimal digits: 40 of a version 4 key, 64 of a version 6 key.
func (k Key) Fingerprint() string {
	if k.k == nil {
		return ""
	}
	return strings.ToUpper(hex.EncodeToString(k.k.fingerprint))
}

// ID returns the key id of the primary key, 16 hexadecimal digits. It is no proof of anything: there may be other keys with it.
func (k Key) ID() string {
	switch f := k.Fingerprint(); {
	case f == "":
		return ""
	case k.k.version >= 5:
		return f[:16]
	default:
		return f[len(f)-16:]
	}
}

// UserIDs returns the names that the key certifies for itself, sorted, without those it took back.
func (k Key) UserIDs() []string {
	if k.k == nil {
		return nil
	}
	return slices.Clone(k.k.userIDs)
}

// Addresses returns the mail addresses in the user ids.
func (k Key) Addresses() []string {
	if k.k == nil {
		return nil
	}
	return slices.Clone(k.k.emails)
}

// Created returns when the key was made.
func (k Key) Created() time.Time {
	if k.k == nil {
		return time.Time{}
	}
	return k.k.created
}

// Expires returns when the key expires; zero means never.
func (k Key) Expires() time.Time {
	if k.k == nil {
		return time.Time{}
	}
	return k.k.expires
}

// Revoked reports whether the key was taken back by its owner.
func (k Key) Revoked() bool { return k.k != nil && k.k.revoked }

// IsPrivate reports whether the private half is there.
func (k Key) IsPrivate() bool { return k.k != nil && k.k.private }

// IsLocked reports whether the private half needs a passphrase.
func (k Key) IsLocked() bool { return k.k != nil && k.k.isLocked }

// CanEncrypt returns why nothing can be encrypted to the key now, or nil.
func (k Key) CanEncrypt() error {
	e, err := k.entity()
	if err == nil {
		_, err = e.EncryptionKeyWithError(time.Now(), config())
	}
	return about(classify(err, BadKey), k)
}

// Equal reports whether both are the same certificate by their fingerprints.
func (k Key) Equal(o Key) bool { return k.k != nil && k.Fingerprint() == o.Fingerprint() }

// Public returns the key without its private half.
func (k Key) Public() (Key, error) {
	if !k.IsPrivate() {
		return k, nil
	}
	e, err := k.entity()
	if err != nil {
		return Key{}, err
	}
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		return Key{}, classify(err, Malformed)
	}
	public, err := ParseKeys(b.Bytes())
	if err != nil {
		return Key{}, err
	}
	return public[0], nil
}

// Unlock returns the private key without the passphrase. The error of a wrong one is [Passphrase].
func (k Key) Unlock(passphrase []byte) (_ Key, err error) {
	defer guard(&err)
	e, err := k.entity()
	if err != nil {
		return Key{}, err
	}
	if err := e.DecryptPrivateKeys(passphrase); err != nil {
		return Key{}, &Error{Kind: Passphrase, KeyIDs: []string{k.ID()}, Err: err}
	}
	return newKey(e)
}

// Lock returns the private key under a passphrase. A key that is locked already has to be unlocked first.
func (k Key) Lock(passphrase []byte) (_ Key, err error) {
	defer guard(&err)
	if !k.IsPrivate() || k.IsLocked() || len(passphrase) == 0 {
		return Key{}, &Error{Kind: Passphrase, KeyIDs: []string{k.ID()}, Err: errors.New("only an unlocked private key can be locked, with a passphrase that is not empty")}
	}
	e, err := k.entity()
	if err != nil {
		return Key{}, err
	}
	if err := e.EncryptPrivateKeys(passphrase, config()); err != nil {
		return Key{}, classify(err, BadKey)
	}
	return newKey(e)
}

// isOld reports whether programs from before RFC 9580 use the key.
func (k Key) isOld() bool { return k.k.version < 6 }

// MarshalBinary returns the key in its binary form, with the private half if it is there.
func (k Key) MarshalBinary() ([]byte, error) {
	if k.k == nil {
		return nil, fail(NoKey, "the zero Key")
	}
	return slices.Clone(k.k.binary), nil
}

// MarshalText returns the key armored, with the private half if it is there.
func (k Key) MarshalText() ([]byte, error) {
	if k.k == nil {
		return nil, fail(NoKey, "the zero Key")
	}
	kind := pgp.PublicKeyType
	if k.IsPrivate() {
		kind = pgp.PrivateKeyType
	}
	var b bytes.Buffer
	w, err := armor.EncodeWithChecksumOption(&b, kind, nil, k.isOld())
	if err == nil {
		_, err = w.Write(k.k.binary)
	}
	if err == nil {
		err = w.Close()
	}
	b.WriteByte('\n')
	return b.Bytes(), err
}

// String returns the first user id and the fingerprint, never anything private.
func (k Key) String() string {
	if k.k == nil {
		return "no key"
	}
	return strings.TrimSpace(strings.Join(k.k.userIDs[:min(1, len(k.k.userIDs))], "") + " " + k.Fingerprint())
}

// about adds the key to an error.
func about(err error, k Key) error {
	var e *Error
	if errors.As(err, &e) && len(e.KeyIDs) == 0 {
		e.KeyIDs = []string{k.ID()}
	}
	return err
}

// config holds what we ask of the library: modern algorithms, and nothing that is not safe.
func config() *packet.Config {
	return &packet.Config{DefaultCipher: packet.CipherAES256}
}
