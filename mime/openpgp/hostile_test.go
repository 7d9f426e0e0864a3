package openpgp_test

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/openpgp"
)

// entity is a key for the library itself, with which messages are made that this package does not make.
func entity(t testing.TB, k openpgp.Key) *pgp.Entity {
	t.Helper()
	b, err := k.MarshalBinary()
	require.NoError(t, err)
	list, err := pgp.ReadKeyRing(bytes.NewReader(b))
	require.NoError(t, err)
	return list[0]
}

// envelope makes a message of OpenPGP packets.
func envelope(packets []byte) content {
	return append([]byte("From: alice@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"), packets...)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// TestBombs feeds messages that are small and would cost a lot.
func TestBombs(t *testing.T) {
	t.Parallel()
	r := openpgp.Receiver{Keys: openpgp.Keyring{bob()}, Senders: public(t, alice()), Limits: openpgp.Limits{Decrypted: 1 << 20}}
	to := []*pgp.Entity{entity(t, public(t, bob())[0])}

	t.Run("compressed", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		// The library only compresses for keys that ask for it.
		for _, id := range to[0].Identities {
			for _, s := range id.SelfCertifications {
				s.Packet.PreferredCompression = []uint8{1}
			}
		}
		w, err := pgp.Encrypt(&b, to, nil, nil, nil, &packet.Config{DefaultCompressionAlgo: packet.CompressionZIP})
		require.NoError(t, err)
		_, err = w.Write(bytes.Repeat([]byte("Subject: x\r\n\r\n"+strings.Repeat("0", 1000)), 5000))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.Less(t, b.Len(), 100<<10)
		start := time.Now()
		_, err = r.Decrypt(t.Context(), envelope(b.Bytes()))
		require.ErrorIs(t, err, openpgp.TooLarge)
		require.Less(t, time.Since(start), 3*time.Second)
	})
	t.Run("nested compression", func(t *testing.T) {
		t.Parallel()
		var packets bytes.Buffer
		w, err := packet.SerializeLiteral(nopCloser{&packets}, true, "", 0)
		require.NoError(t, err)
		_, err = w.Write([]byte("text"))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		for range 100 {
			var outer bytes.Buffer
			w, err := packet.SerializeCompressed(nopCloser{&outer}, packet.CompressionZIP, nil)
			require.NoError(t, err)
			_, err = w.Write(packets.Bytes())
			require.NoError(t, err)
			require.NoError(t, w.Close())
			packets = outer
		}
		_, err = r.Decrypt(t.Context(), envelope(packets.Bytes()))
		var e *openpgp.Error
		require.ErrorAs(t, err, &e)
	})
	t.Run("many recipients", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		w, err := pgp.Encrypt(&b, nil, to, nil, nil, nil)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		// The same packet for a hidden recipient, 2,000 times, with a session key that nothing opens.
		p, err := packet.NewOpaqueReader(bytes.NewReader(b.Bytes())).Next()
		require.NoError(t, err)
		p.Contents[len(p.Contents)-1] ^= 1
		var one bytes.Buffer
		require.NoError(t, p.Serialize(&one))
		start := time.Now()
		_, err = r.Decrypt(t.Context(), envelope(append(bytes.Repeat(one.Bytes(), 2000), b.Bytes()...)))
		require.Error(t, err)
		require.Less(t, time.Since(start), 5*time.Second)
	})
	t.Run("many signatures", func(t *testing.T) {
		t.Parallel()
		msg, err := (&openpgp.Sender{Key: alice()}).Sign(t.Context(), letter(t))
		require.NoError(t, err)
		text := read(t, msg)
		var sig bytes.Buffer
		require.NoError(t, pgp.DetachSign(&sig, []*pgp.Entity{entity(t, alice())}, strings.NewReader("other text"), nil))
		at := strings.Index(text, "-----BEGIN PGP SIGNATURE")
		many := text[:at] + string(bytes.Repeat(sig.Bytes(), 400)) + "\r\n" + text[strings.LastIndex(text, "--=_"):]
		o, err := r.Verify(t.Context(), content(many))
		require.Error(t, err)
		require.NotNil(t, o)
		_, ok := o.Signer()
		require.False(t, ok)
	})
}

// TestUnprotected refuses what looks like an encrypted message and is not: without protection against changes, or not encrypted at all.
func TestUnprotected(t *testing.T) {
	t.Parallel()
	r := openpgp.Receiver{Keys: openpgp.Keyring{bob()}, Senders: public(t, alice())}
	const text = "Content-Type: text/plain\r\n\r\nsecret\r\n"
	t.Run("only signed", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		w, err := pgp.Sign(&b, []*pgp.Entity{entity(t, alice())}, nil, nil)
		require.NoError(t, err)
		_, err = io.WriteString(w, text)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		o, err := r.Decrypt(t.Context(), envelope(b.Bytes()))
		require.ErrorIs(t, err, openpgp.NotEncrypted)
		require.Nil(t, o)
	})
	t.Run("no MDC", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		w, err := pgp.Encrypt(&b, []*pgp.Entity{entity(t, public(t, bob())[0])}, nil, nil, nil, nil)
		require.NoError(t, err)
		_, err = io.WriteString(w, text)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		// The session key, and then a Symmetrically Encrypted Data packet (RFC 9580 s5.7) instead of one with integrity protection.
		p, err := packet.NewOpaqueReader(bytes.NewReader(b.Bytes())).Next()
		require.NoError(t, err)
		var packets bytes.Buffer
		require.NoError(t, p.Serialize(&packets))
		packets.WriteByte(0xc0 | 9)
		packets.WriteByte(100)
		packets.Write(make([]byte, 100))
		o, err := r.Decrypt(t.Context(), envelope(packets.Bytes()))
		require.ErrorIs(t, err, openpgp.Tampered)
		require.Nil(t, o)
	})
	t.Run("a passphrase", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		w, err := pgp.SymmetricallyEncrypt(&b, []byte("x"), nil, nil)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		_, err = r.Decrypt(t.Context(), envelope(b.Bytes()))
		require.ErrorIs(t, err, openpgp.NoKey)
	})
	for name, msg := range map[string]string{
		"nothing": "", "not encrypted": "From: a@b\r\n\r\ntext", "no data": strings.Split(string(envelope(nil)), "--b\r\nContent-Type: application/octet")[0],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := r.Decrypt(t.Context(), content(msg))
			require.ErrorIs(t, err, openpgp.NotEncrypted)
		})
	}
}

// FuzzReceive feeds whole messages. Whatever they are, nothing panics, and what is said to be signed or decrypted can be read to its end.
func FuzzReceive(f *testing.F) {
	short, err := mime.Letter{From: mime.Addr("", "alice@example.org"), Text: "x"}.Compose()
	require.NoError(f, err)
	// The processes of a fuzzing run must have the same keys.
	data, err := os.ReadFile("testdata/keys.asc")
	require.NoError(f, err)
	keys, err := openpgp.ParseKeys(data)
	require.NoError(f, err)
	alice, bob := keys[0], keys[1]
	s := openpgp.Sender{Key: alice, To: public(f, bob)}
	for _, do := range []func() (*openpgp.Protected, error){
		func() (*openpgp.Protected, error) { return s.Sign(f.Context(), short) },
		func() (*openpgp.Protected, error) { return s.EncryptAndSign(f.Context(), short) },
	} {
		msg, err := do()
		require.NoError(f, err)
		f.Add([]byte(read(f, msg)))
	}
	r := openpgp.Receiver{Keys: openpgp.Keyring{bob}, Senders: public(f, alice), Limits: openpgp.Limits{Size: 1 << 20, Decrypted: 1 << 20}}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, do := range []func() (*openpgp.Opened, error){
			func() (*openpgp.Opened, error) { return r.Verify(t.Context(), content(b)) },
			func() (*openpgp.Opened, error) { return r.Decrypt(t.Context(), content(b)) },
		} {
			o, err := do()
			if o == nil {
				require.Error(t, err)
				continue
			}
			rc, err := o.Open()
			require.NoError(t, err)
			n, err := io.Copy(io.Discard, rc)
			require.NoError(t, err)
			require.Equal(t, o.Size(), n)
			require.NoError(t, o.Close())
		}
	})
}

// FuzzKeys reads keys.
func FuzzKeys(f *testing.F) {
	b, err := alice().MarshalBinary()
	require.NoError(f, err)
	f.Add(b)
	text, err := bob().MarshalText()
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := openpgp.ParseKeys(b)
		require.Equal(t, err == nil, len(keys) > 0)
		for _, k := range keys {
			_, err := k.MarshalText()
			require.NoError(t, err)
			require.NotEmpty(t, k.ID())
			_, _ = openpgp.Autocrypt{Address: "a@b", Key: k}.Value()
		}
	})
}
