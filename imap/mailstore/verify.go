package mailstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/internal/sasl"
)

// Keys are what is kept of a password (RFC 5802 s3, RFC 7677): enough to check it and for SCRAM, too little to log in elsewhere.
type Keys struct {
	SHA1, SHA256 HashKeys
}

// HashKeys are the keys for one hash.
type HashKeys struct {
	Salt                 []byte
	Iterations           int
	StoredKey, ServerKey []byte
}

const (
	minIterations    = 4096 // RFC 7677 s4
	maxIterations    = 10_000_000
	saltSize         = 16
	maxPassword      = 1024
	cachedLogins     = 10_000
	cachedLoginsLast = 10 * time.Minute
)

// DeriveKeys makes the keys of a password, with random salts. iterations below 4096 count as 4096: what logins by SCRAM use, some milliseconds for a login by password.
func DeriveKeys(password string, iterations int) (Keys, error) {
	iterations = min(max(iterations, minIterations), maxIterations)
	var k Keys
	for hash, to := range map[string]*HashKeys{"SHA-1": &k.SHA1, "SHA-256": &k.SHA256} {
		salt := randomBytes(saltSize)
		stored, server, err := sasl.DeriveSCRAM(hash, password, salt, iterations)
		if err != nil {
			return Keys{}, err
		}
		*to = HashKeys{salt, iterations, stored, server}
	}
	return k, nil
}

// verifier checks passwords against keys. It remembers right ones for some minutes, as a MAC under a key that never leaves the process, because clients log in
// again and again.
type verifier struct {
	iterations int
	fake       HashKeys // for users that are not there
	macKey     []byte

	mu   sync.Mutex // guards seen
	seen map[[sha256.Size]byte]time.Time
}

func (v *verifier) init(iterations int) {
	v.iterations = min(max(iterations, minIterations), maxIterations)
	v.fake = HashKeys{Salt: randomBytes(saltSize), Iterations: v.iterations, StoredKey: randomBytes(sha256.Size)}
	v.macKey = randomBytes(sha256.Size)
	v.seen = map[[sha256.Size]byte]time.Time{}
}

// verify says whether password belongs to keys, which may be nil.
func (v *verifier) verify(password string, keys *Keys) bool {
	k, real := v.fake, false
	if keys != nil && len(keys.SHA256.StoredKey) > 0 {
		k, real = keys.SHA256, true
	}
	if len(password) > maxPassword {
		return false
	}
	mac := hmac.New(sha256.New, v.macKey)
	mac.Write(k.StoredKey)
	mac.Write([]byte(password))
	tag := [sha256.Size]byte(mac.Sum(nil))
	now := time.Now()
	v.mu.Lock()
	until, hit := v.seen[tag]
	v.mu.Unlock()
	if hit && real && now.Before(until) {
		return true
	}
	stored, _, err := sasl.DeriveSCRAM("SHA-256", password, k.Salt, k.Iterations)
	if err != nil || subtle.ConstantTimeCompare(stored, k.StoredKey) != 1 || !real {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) >= cachedLogins {
		clear(v.seen)
	}
	v.seen[tag] = now.Add(cachedLoginsLast)
	return true
}
