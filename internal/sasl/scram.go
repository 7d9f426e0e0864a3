package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"hash"
	"strings"
	"sync"
	"time"

	"github.com/xdg-go/scram"
)

// DeriveSCRAM makes what a directory keeps of a password for hash "SHA-1" or
// "SHA-256" (RFC 5802 s3). The password is prepared by Prepare. Take a random
// salt of 16 octets or more, and 4096 iterations or more.
func DeriveSCRAM(hashName, password string, salt []byte, iterations int) (storedKey, serverKey []byte, err error) {
	newHash := hashes[hashName]
	if newHash == nil {
		return nil, nil, fmt.Errorf("sasl: unknown SCRAM hash %q", hashName)
	}
	if iterations < 1 || len(salt) == 0 {
		return nil, nil, fmt.Errorf("sasl: SCRAM needs a salt and a positive number of iterations")
	}
	if password, err = Prepare(password); err != nil {
		return nil, nil, err
	}
	salted, err := pbkdf2.Key(newHash, password, salt, iterations, newHash().Size())
	if err != nil {
		return nil, nil, fmt.Errorf("sasl: %w", err)
	}
	mac := func(text string) []byte {
		m := hmac.New(newHash, salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	h := newHash()
	h.Write(mac("Client Key"))
	return h.Sum(nil), mac("Server Key"), nil
}

var hashes = map[string]func() hash.Hash{"SHA-1": sha1.New, "SHA-256": sha256.New}

// fakes gives unknown users a salt and a number of iterations that look like
// those of known ones, the same each time.
type fakes struct {
	mu         sync.Mutex
	key        []byte
	saltSize   int
	iterations int
}

// learn remembers what the real ones look like.
func (f *fakes) learn(salt []byte, iterations int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.saltSize, f.iterations = len(salt), iterations
}

func (f *fakes) salt(hashName, username string) []byte {
	salt, _ := f.of(hashName, username)
	return salt
}

func (f *fakes) of(hashName, username string) (salt []byte, iterations int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.key == nil {
		f.key = make([]byte, 32)
		rand.Read(f.key)
	}
	m := hmac.New(sha256.New, f.key)
	m.Write([]byte(hashName + "\x00" + username))
	salt, iterations = m.Sum(nil), f.iterations
	if iterations == 0 {
		iterations = 4096
	}
	if f.saltSize == 0 {
		return salt[:16], iterations
	}
	for len(salt) < f.saltSize {
		salt = append(salt, salt...)
	}
	return salt[:f.saltSize], iterations
}

// scramServer: RFC 5802 and 7677.
type scramServer struct {
	exchange
	hash      string
	plus      bool
	conv      *scram.ServerConversation
	name      string // prepared
	candidate string // identity if the proof is right
	asked     bool
	err       error // temporary error of the lookup
	known     bool
}

func newSCRAMServer(x exchange, mechanism string) *scramServer {
	name, plus := strings.CutSuffix(strings.TrimPrefix(mechanism, "SCRAM-"), "-PLUS")
	return &scramServer{exchange: x, hash: name, plus: plus}
}

func (s *scramServer) Next(response []byte) ([]byte, bool, error) {
	switch {
	case s.conv == nil && response == nil && !s.asked:
		s.asked = true
		return nil, false, nil
	case s.conv == nil:
		return s.first(string(response))
	case s.conv.Done(): // the client has seen the server's proof
		if len(response) != 0 || !s.conv.Valid() || s.identity == "" {
			return nil, false, ErrFailed
		}
		return nil, true, nil
	}
	s.begun = time.Now()
	final, err := s.conv.Step(string(response))
	if err == nil && !s.known {
		err = ErrFailed
	}
	if err := s.verdict(s.name, s.candidate, err); err != nil {
		return nil, false, err
	}
	return []byte(final), false, nil
}

func (s *scramServer) first(msg string) ([]byte, bool, error) {
	bindings := s.cfg.bindings(s.ch)
	flag, _, _ := strings.Cut(msg, ",")
	kind, bound := strings.CutPrefix(flag, "p=")
	if bound != s.plus { // RFC 5802 s6: -PLUS and channel binding go together
		return nil, false, ErrFailed
	}
	srv, err := scramHash(s.hash).NewServer(s.lookup)
	if err != nil {
		return nil, false, ErrFailed
	}
	s.conv = srv.NewConversation()
	if len(bindings) > 0 { // also without -PLUS, so that "y" shows a downgrade
		b := bindings[0]
		for _, other := range bindings {
			if string(other.Type) == kind {
				b = other
			}
		}
		s.conv = srv.NewConversationWithChannelBinding(b)
	}
	challenge, err := s.conv.Step(msg)
	if s.err != nil {
		return nil, false, s.err
	}
	if err != nil {
		return nil, false, ErrFailed
	}
	return []byte(challenge), false, nil
}

// lookup gives the keys of a user; for one that does not exist, keys that no
// proof fits.
func (s *scramServer) lookup(username string) (scram.StoredCredentials, error) {
	name, err := Prepare(username)
	authzid, err2 := Prepare(s.conv.AuthzID())
	if err != nil || err2 != nil || name == "" {
		return scram.StoredCredentials{}, ErrFailed
	}
	s.name, s.user = name, name
	if !s.cfg.Limiter.Allow(s.ch.Remote, name) {
		s.err = ErrLimited
		return scram.StoredCredentials{}, s.err
	}
	identity, salt, iterations, stored, server, err := s.cfg.SCRAM(s.ctx, s.ch.Remote, authzid, name, s.hash)
	if IsTemporary(err) || s.ctx.Err() != nil {
		s.err = s.verdict(name, "", err)
		return scram.StoredCredentials{}, s.err
	}
	size := hashes[s.hash]().Size()
	s.known = err == nil && identity != "" && len(stored) == size && len(server) == size
	fakeSalt, fakeIterations := s.cfg.unknown.of(s.hash, name) // the same work for all
	if s.known {
		s.cfg.unknown.learn(salt, iterations)
		s.candidate = identity
	} else {
		salt, iterations = fakeSalt, fakeIterations
		stored, server = make([]byte, size), make([]byte, size)
		rand.Read(stored)
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(salt), Iters: iterations},
		StoredKey:  stored,
		ServerKey:  server,
	}, nil
}

func scramHash(name string) scram.HashGeneratorFcn {
	return scram.HashGeneratorFcn(hashes[name])
}

func (c *Config) bindings(ch Channel) []scram.ChannelBinding {
	if c.NoBinding {
		return nil
	}
	return serverBindings(ch)
}

// serverBindings returns the channel bindings that a server has.
func serverBindings(ch Channel) []scram.ChannelBinding {
	if ch.TLS == nil {
		return nil
	}
	var out []scram.ChannelBinding
	if b, err := scram.NewTLSExporterBinding(ch.TLS); err == nil {
		out = append(out, b)
	}
	if ch.Certificate != nil {
		if b, err := endPoint(ch.Certificate); err == nil {
			out = append(out, b)
		}
	}
	return out
}

func endPoint(cert *x509.Certificate) (scram.ChannelBinding, error) {
	return scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}})
}
