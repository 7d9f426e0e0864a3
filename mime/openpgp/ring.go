package openpgp

import (
	"slices"

	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// ring is what the library looks for keys in, with a bound on how often: a message with many signatures or recipients must not cost a lot.
type ring struct {
	public  []*pgp.Entity // of authors
	private []*pgp.Entity // to decrypt with
	keys    map[*pgp.Entity]Key

	sessionKeys int
	signatures  int
}

func newRing(public, private []Key) (*ring, error) {
	r := &ring{keys: map[*pgp.Entity]Key{}}
	for _, set := range []struct {
		from []Key
		to   *[]*pgp.Entity
	}{{public, &r.public}, {private, &r.private}} {
		for _, k := range set.from {
			e, err := k.entity()
			if err != nil {
				return nil, err
			}
			*set.to = append(*set.to, e)
			r.keys[e] = k
		}
	}
	return r, nil
}

func has(e *pgp.Entity, id uint64) bool {
	if e.PrimaryKey.KeyId == id {
		return true
	}
	for _, s := range e.Subkeys {
		if s.PublicKey.KeyId == id {
			return true
		}
	}
	return false
}

// EntitiesById returns the certificates with the key. The library asks it for those to decrypt with and for those of signatures, without saying for which: authors come first,
// and a signature by one that is no author's is sorted out afterwards.
func (r *ring) EntitiesById(id uint64) (found []*pgp.Entity) {
	for _, e := range r.public {
		if has(e, id) && r.signatures < maxSignatures {
			r.signatures++
			found = append(found, e)
			break
		}
	}
	for _, e := range r.private {
		// RFC 9580 s5.1.8: the id of a hidden recipient is zero, and every key is tried.
		if (id == 0 || has(e, id)) && r.sessionKeys < maxSessionKeys {
			r.sessionKeys++
			found = append(found, e)
		}
	}
	return found
}

// KeysById is EntitiesById for single keys.
func (r *ring) KeysById(id uint64) (keys []pgp.Key) {
	for _, e := range r.EntitiesById(id) {
		if e.PrimaryKey.KeyId == id {
			keys = append(keys, pgp.Key{Entity: e, PublicKey: e.PrimaryKey, PrivateKey: e.PrivateKey})
		}
		for _, s := range e.Subkeys {
			if s.PublicKey.KeyId == id {
				keys = append(keys, pgp.Key{Entity: e, PublicKey: s.PublicKey, PrivateKey: s.PrivateKey})
			}
		}
	}
	return keys
}

// author returns the key of an author that a certificate is of.
func (r *ring) author(e *pgp.Entity) (Key, bool) {
	return r.keys[e], e != nil && slices.Contains(r.public, e)
}
