package smime_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/smime"
)

type content []byte

func (c content) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c)), nil }
func (c content) Size() int64                  { return int64(len(c)) }

type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var root = sync.OnceValue(func() authority { return newAuthority("root") })

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newAuthority(name string) authority {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	return authority{must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)))), key}
}

var serial = struct {
	sync.Mutex
	n int64
}{n: 1}

func (a authority) issue(key interface{ Public() crypto.PublicKey }, address string, change func(*x509.Certificate)) smime.Identity {
	serial.Lock()
	serial.n++
	n := serial.n
	serial.Unlock()
	t := &x509.Certificate{SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: address}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		EmailAddresses: []string{address}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement, SubjectKeyId: []byte{1, 2, 3, byte(n)}}
	if change != nil {
		change(t)
	}
	if x, ok := key.(*ecdh.PrivateKey); ok {
		return smime.Identity{Certificate: must(x509.ParseCertificate(a.issueX25519(t, x.PublicKey()))), PrivateKey: key}
	}
	return smime.Identity{Certificate: must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)))), PrivateKey: key}
}

// issueX25519 makes a certificate that package x509 reads and does not make: one for an Ed25519 key, whose algorithm (RFC 8410 s3) is changed.
func (a authority) issueX25519(t *x509.Certificate, pub *ecdh.PublicKey) []byte {
	c := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, a.cert, ed25519.PublicKey(pub.Bytes()), a.key))))
	tbs := bytes.Replace(c.RawTBSCertificate, []byte("\x06\x03\x2b\x65\x70"), []byte("\x06\x03\x2b\x65\x6e"), 1)
	digest := sha256.Sum256(tbs)
	sig := must(a.key.Sign(rand.Reader, digest[:], crypto.SHA256))
	return must(asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}}))
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

var (
	rsaKey = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey  = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	edKey  = sync.OnceValue(func() crypto.Signer { _, k, err := ed25519.GenerateKey(rand.Reader); return must(k, err) })

	alice   = sync.OnceValue(func() smime.Identity { return root().issue(rsaKey(), "alice@example.org", nil) })
	aliceEC = sync.OnceValue(func() smime.Identity {
		return root().issue(must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), "alice@example.org", nil)
	})
	aliceEd = sync.OnceValue(func() smime.Identity { return root().issue(edKey(), "alice@example.org", nil) })
	bob     = sync.OnceValue(func() smime.Identity {
		return root().issue(must(rsa.GenerateKey(rand.Reader, 2048)), "bob@example.org", nil)
	})
	bobX = sync.OnceValue(func() smime.Identity {
		return root().issue(must(ecdh.X25519().GenerateKey(rand.Reader)), "bob@example.org", nil)
	})
	bobEC = sync.OnceValue(func() smime.Identity { return root().issue(ecKey(), "bob@example.org", nil) })
)

func letter(t testing.TB) *mime.Composed {
	t.Helper()
	l := mime.Letter{
		From: mime.Addr("Alice", "alice@example.org"), To: []mime.Address{mime.Addr("Bob", "bob@example.org")}, Subject: "The secret plän",
		Text: "Grüße,\nwe meet at noon.\n-- \nFrom Alice\n", Attachments: []mime.File{mime.BytesFile("plan.bin", bytes.Repeat([]byte{0, 1, 2, 255}, 5000))},
	}
	msg, err := l.ComposeFor(mime.Capabilities{EightBit: true})
	require.NoError(t, err)
	return msg
}

func read(t testing.TB, c mime.Content) string {
	t.Helper()
	var texts []string
	for range 2 { // it opens again, and is what Size says
		rc, err := c.Open()
		require.NoError(t, err)
		b, err := io.ReadAll(rc)
		require.NoError(t, err)
		require.NoError(t, rc.Close())
		require.EqualValues(t, c.Size(), len(b))
		texts = append(texts, string(b))
	}
	require.Equal(t, texts[0], texts[1])
	return texts[0]
}

// requireLetter holds that a message is the one of letter.
func requireLetter(t testing.TB, o *smime.Opened) {
	t.Helper()
	read(t, o)
	m := o.Message()
	require.Equal(t, "The secret plän", m.Header().Text("Subject"))
	text, err := m.Text()
	require.NoError(t, err)
	require.Equal(t, "Grüße,\nwe meet at noon.\n-- \nFrom Alice\n", text)
	require.Len(t, m.Attachments(), 1)
	data, err := io.ReadAll(m.Attachments()[0].Decoded())
	require.NoError(t, err)
	require.True(t, bytes.Equal(bytes.Repeat([]byte{0, 1, 2, 255}, 5000), data))
	require.True(t, o.HeaderProtected)
}

func TestSign(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		id   smime.Identity
		rsa  smime.RSAPadding
		hash string
	}{{"RSA", alice(), smime.PKCS1, "sha-256"}, {"RSA PSS", alice(), smime.PSSAndOAEP, "sha-256"}, {"ECDSA P-384", aliceEC(), 0, "sha-384"}, {"Ed25519", aliceEd(), 0, "sha-512"}} {
		for _, opaque := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s opaque %v", c.name, opaque), func(t *testing.T) {
				t.Parallel()
				s := smime.Sender{Identity: c.id, RSA: c.rsa}
				do := s.Sign
				if opaque {
					do = s.SignOpaque
				}
				msg, err := do(t.Context(), letter(t))
				require.NoError(t, err)
				defer msg.Close()
				text := read(t, msg)
				for line := range strings.SplitSeq(text, "\r\n") {
					require.Equal(t, strings.TrimRight(line, " \t"), line)
					require.NotContains(t, line, "\n")
					require.False(t, strings.HasPrefix(line, "From "))
				}
				if !opaque {
					require.Contains(t, text, "micalg="+c.hash)
				}
				for _, text := range []string{text, strings.ReplaceAll(text, "\r\n", "\n")} {
					r := smime.Receiver{Roots: root().pool()}
					o, err := r.Verify(t.Context(), content(text))
					require.NoError(t, err)
					requireLetter(t, o)
					sig, ok := o.Signer()
					require.True(t, ok)
					require.True(t, sig.Certificate.Equal(c.id.Certificate))
					require.Equal(t, c.hash, sig.Hash)
					require.Len(t, sig.Chain, 2)
					require.WithinDuration(t, time.Now(), sig.Time, time.Minute)
					require.NoError(t, o.Close())
				}
			})
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	signed := func(id smime.Identity) string {
		msg, err := (&smime.Sender{Identity: id}).Sign(t.Context(), letter(t))
		require.NoError(t, err)
		return read(t, msg)
	}
	issue := func(change func(*x509.Certificate)) string {
		return signed(root().issue(rsaKey(), "alice@example.org", change))
	}
	text := signed(alice())
	good := smime.Receiver{Roots: root().pool()}
	opaque, err := (&smime.Sender{Identity: alice()}).SignOpaque(t.Context(), letter(t))
	require.NoError(t, err)
	flipped := []byte(read(t, opaque))
	flipped[len(flipped)/2] ^= 1
	intermediate := newAuthority("other")
	at := strings.LastIndex(text, "\r\n\r\nMI") + 4
	for _, c := range []struct {
		name string
		msg  string
		r    smime.Receiver
		kind smime.Kind
		show bool
	}{
		{"body changed", strings.Replace(text, "noon", "nine", 1), good, smime.BadSignature, true},
		{"opaque body changed", string(flipped), good, smime.BadSignature, true},
		{"protected subject changed", strings.Replace(text, "\r\nSubject: ", "\r\nSubject: x", 2), good, smime.BadSignature, true},
		{"another author", strings.Replace(text, "alice@example.org", "bob@example.org", 1), good, smime.WrongAddress, true},
		{"another root", text, smime.Receiver{Roots: intermediate.pool()}, smime.Untrusted, true},
		{"expired", text, smime.Receiver{Roots: root().pool(), Time: func() time.Time { return time.Now().AddDate(2, 0, 0) }}, smime.Untrusted, true},
		{"revoked", text, smime.Receiver{Roots: root().pool(), Check: func(context.Context, []*x509.Certificate) error { return errors.New("revoked") }}, smime.Untrusted, true},
		{"not for mail", issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), good, smime.Untrusted, true},
		{"not for signatures", issue(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), good, smime.Untrusted, true},
		{"no address", issue(func(c *x509.Certificate) { c.EmailAddresses = nil }), good, smime.WrongAddress, true},
		{"signature broken", text[:at] + "AAAA" + text[at+4:], good, smime.Malformed, true},
		{"signature cut", text[:at+200], good, smime.Malformed, true},
		{"signature missing", text[:strings.LastIndex(text, "Content-Type: application/pkcs7-signature")], good, smime.NotSigned, false},
		{"not signed", read(t, letter(t)), good, smime.NotSigned, false},
		{"a part more", strings.TrimSuffix(text, "--\r\n") + "\r\n\r\nMore\r\n", good, smime.NotSigned, false},
		{"too large", text, smime.Receiver{Limits: smime.Limits{Size: 1000}}, smime.TooLarge, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, err := c.r.Verify(t.Context(), content(c.msg))
			require.ErrorIs(t, err, c.kind)
			var e *smime.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, c.show, o != nil)
			if o != nil {
				_, ok := o.Signer()
				require.False(t, ok)
				require.False(t, o.HeaderProtected)
				read(t, o)
			}
		})
	}
}

func TestEncrypt(t *testing.T) {
	t.Parallel()
	for _, cipher := range []smime.Cipher{smime.AES256CBC, smime.AES256GCM, smime.AES128GCM} {
		for _, sign := range []bool{false, true} {
			t.Run(fmt.Sprintf("cipher %d sign %v", cipher, sign), func(t *testing.T) {
				t.Parallel()
				s := smime.Sender{Identity: alice(), To: []*x509.Certificate{alice().Certificate, bob().Certificate, bobEC().Certificate, bobX().Certificate}, Cipher: cipher}
				if sign {
					s.RSA = smime.PSSAndOAEP
				}
				do := s.Encrypt
				if sign {
					do = s.EncryptAndSign
				}
				msg, err := do(t.Context(), letter(t))
				require.NoError(t, err)
				defer msg.Close()
				text := read(t, msg)
				require.Contains(t, text, "\r\nSubject: ...\r\n")
				require.NotContains(t, text, "secret")
				for _, who := range []smime.Identity{alice(), bob(), bobEC(), bobX()} {
					r := smime.Receiver{Identities: []smime.Identity{aliceEd(), who}, Roots: root().pool()}
					o, err := r.Decrypt(t.Context(), msg)
					require.NoError(t, err)
					requireLetter(t, o)
					require.True(t, o.Encrypted)
					require.Equal(t, cipher != smime.AES256CBC, o.Authenticated)
					require.True(t, o.Identity.Certificate.Equal(who.Certificate))
					_, ok := o.Signer()
					require.Equal(t, sign, ok, "%v", o.Signatures)
					require.NoError(t, o.Close())
				}
				_, err = (&smime.Receiver{Identities: []smime.Identity{aliceEC()}}).Decrypt(t.Context(), msg)
				require.ErrorIs(t, err, smime.NoKey)
				_, err = (&smime.Receiver{}).Verify(t.Context(), msg)
				require.ErrorIs(t, err, smime.NotSigned)
				_, err = (&smime.Receiver{Identities: []smime.Identity{bob()}, Limits: smime.Limits{Decrypted: 1000}}).Decrypt(t.Context(), msg)
				require.ErrorIs(t, err, smime.TooLarge)
			})
		}
	}
	t.Run("X25519 in PEM", func(t *testing.T) {
		key := must(x509.MarshalPKCS8PrivateKey(bobX().PrivateKey))
		id, err := smime.ParseIdentity(append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: bobX().Certificate.Raw})...))
		require.NoError(t, err)
		require.True(t, id.Certificate.Equal(bobX().Certificate))
		_, err = (&smime.Sender{Identity: id}).Sign(t.Context(), letter(t))
		require.ErrorIs(t, err, smime.NoKey, "it signs nothing")
	})
	t.Run("nobody", func(t *testing.T) {
		_, err := (&smime.Sender{}).Encrypt(t.Context(), letter(t))
		require.ErrorIs(t, err, smime.NoKey)
	})
	t.Run("not for encryption", func(t *testing.T) {
		_, err := (&smime.Sender{To: []*x509.Certificate{aliceEd().Certificate}}).Encrypt(t.Context(), letter(t))
		require.ErrorIs(t, err, smime.BadKey)
	})
	t.Run("signed opaque, then encrypted; then signed again", func(t *testing.T) {
		inner, err := (&smime.Sender{Identity: alice()}).SignOpaque(t.Context(), letter(t))
		require.NoError(t, err)
		s := smime.Sender{Identity: alice(), To: []*x509.Certificate{bob().Certificate}}
		encrypted, err := s.Encrypt(t.Context(), inner)
		require.NoError(t, err)
		triple, err := s.Sign(t.Context(), encrypted)
		require.NoError(t, err)
		r := smime.Receiver{Identities: []smime.Identity{bob()}, Roots: root().pool()}
		o, err := r.Verify(t.Context(), triple)
		require.NoError(t, err)
		o, err = r.Decrypt(t.Context(), o)
		require.NoError(t, err)
		requireLetter(t, o)
		_, ok := o.Signer()
		require.True(t, ok)
	})
}

// TestTampered changes octets of a message with AES-GCM: nothing of it comes back. It cuts both kinds.
func TestTampered(t *testing.T) {
	t.Parallel()
	for _, cipher := range []smime.Cipher{smime.AES256CBC, smime.AES256GCM} {
		msg, err := (&smime.Sender{To: []*x509.Certificate{bob().Certificate}, Cipher: cipher}).Encrypt(t.Context(), letter(t))
		require.NoError(t, err)
		text := read(t, msg)
		r := smime.Receiver{Identities: []smime.Identity{bob()}}
		body := strings.Index(text, "\r\n\r\n") + 4
		refuse := func(b string) {
			o, err := r.Decrypt(t.Context(), content(b))
			require.Error(t, err)
			require.Nil(t, o)
			var e *smime.Error
			require.ErrorAs(t, err, &e)
		}
		refuse(text[:len(text)/2])
		refuse(text[:len(text)-40])
		refuse(text[:body])
		if cipher == smime.AES256CBC {
			continue
		}
		for i := body; i < len(text)-4; i += 1999 {
			b := []byte(text)
			if b[i] == '\r' || b[i] == '\n' {
				continue
			}
			b[i] = 'A' + (b[i]-'A'+1)%26
			if string(b) != text {
				refuse(string(b))
			}
		}
		b := []byte(text)
		at := len(b)/2 - 1
		for b[at] < 'A' || b[at] > 'Y' {
			at--
		}
		b[at]++
		_, err = r.Decrypt(t.Context(), content(b))
		require.ErrorIs(t, err, smime.Tampered)
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	old := root().issue(rsaKey(), "carol@example.org", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	store := smime.Store{alice().Certificate, bob().Certificate, old.Certificate}
	got, err := smime.Recipients(t.Context(), store, "BOB@example.org", "alice@example.org")
	require.NoError(t, err)
	require.Equal(t, []*x509.Certificate{bob().Certificate, alice().Certificate}, got)
	_, err = smime.Recipients(t.Context(), store, "alice@example.org", "dave@example.org")
	require.ErrorIs(t, err, smime.NoKey)
	require.ErrorContains(t, err, "dave@example.org")
	_, err = smime.Recipients(t.Context(), store, "carol@example.org")
	require.ErrorIs(t, err, smime.BadKey)
}
