package openpgp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/openpgp"
)

type content []byte

func (c content) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c)), nil }
func (c content) Size() int64                  { return int64(len(c)) }

func generate(name string) func() openpgp.Key {
	return sync.OnceValue(func() openpgp.Key {
		k, err := openpgp.GenerateKey(openpgp.KeyOptions{Name: name, Address: strings.ToLower(name) + "@example.org"})
		if err != nil {
			panic(err)
		}
		return k
	})
}

var alice, bob, carol, mallory = generate("Alice"), generate("Bob"), generate("Carol"), generate("Mallory")

func public(t testing.TB, keys ...openpgp.Key) openpgp.Keyring {
	t.Helper()
	var all openpgp.Keyring
	for _, k := range keys {
		p, err := k.Public()
		require.NoError(t, err)
		require.False(t, p.IsPrivate())
		all = append(all, p)
	}
	return all
}

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
func requireLetter(t testing.TB, o *openpgp.Opened) {
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
	require.Equal(t, bytes.Repeat([]byte{0, 1, 2, 255}, 5000), data)
}

func TestSign(t *testing.T) {
	t.Parallel()
	s := openpgp.Sender{Key: alice()}
	msg, err := s.Sign(t.Context(), letter(t))
	require.NoError(t, err)
	defer msg.Close()
	text := read(t, msg)
	for line := range strings.SplitSeq(text, "\r\n") {
		require.Equal(t, strings.TrimRight(line, " \t"), line)
		require.NotContains(t, line, "\n")
		require.LessOrEqual(t, len(line), 998)
		require.False(t, strings.HasPrefix(line, "From "))
	}
	require.Regexp(t, `multipart/signed; micalg="pgp-sha(256|512)";`, text)

	r := openpgp.Receiver{Senders: public(t, alice(), bob())}
	o, err := r.Verify(t.Context(), msg)
	require.NoError(t, err)
	defer o.Close()
	requireLetter(t, o)
	require.True(t, o.HeaderProtected)
	require.False(t, o.Encrypted)
	require.Len(t, o.Signatures, 1)
	sig, ok := o.Signer()
	require.True(t, ok)
	require.True(t, sig.Key.Equal(alice()))
	require.Equal(t, []string{"Alice <alice@example.org>"}, sig.Key.UserIDs())
	require.WithinDuration(t, time.Now(), sig.Time, time.Minute)
	require.Contains(t, []string{"sha256", "sha512"}, sig.Hash)

	t.Run("line ends of the way", func(t *testing.T) {
		o, err := r.Verify(t.Context(), content(strings.ReplaceAll(text, "\r\n", "\n")))
		require.NoError(t, err)
		requireLetter(t, o)
	})
	t.Run("opened again", func(t *testing.T) {
		again, err := s.Sign(t.Context(), o)
		require.NoError(t, err)
		o, err := r.Verify(t.Context(), again)
		require.NoError(t, err)
		requireLetter(t, o)
	})
	for _, c := range []struct {
		name string
		msg  string
		r    openpgp.Receiver
		kind openpgp.Kind
		show bool
	}{
		{"body changed", strings.Replace(text, "noon", "nine", 1), r, openpgp.BadSignature, true},
		{"protected subject changed", strings.Replace(text, "\r\nSubject: ", "\r\nSubject: x", 2), r, openpgp.BadSignature, true},
		{"no keys", text, openpgp.Receiver{}, openpgp.NoKey, true},
		{"key of another", text, openpgp.Receiver{Senders: public(t, bob())}, openpgp.NoKey, true},
		{"another author", strings.Replace(text, "alice@example.org", "bob@example.org", 1), r, openpgp.NoKey, true},
		{"key that is said to be another's", text, openpgp.Receiver{Senders: openpgp.LookupFunc(func(context.Context, string) ([]openpgp.Key, error) { return public(t, mallory()), nil })}, openpgp.NoKey, true},
		{"signature broken", strings.Replace(text, "-----BEGIN PGP SIGNATURE", "----BEGIN PGP SIGNATURE", 1), r, openpgp.Malformed, true},
		{"signature cut", text[:strings.Index(text, "-----END PGP")-60], r, openpgp.Malformed, true},
		{"signature missing", text[:strings.LastIndex(text, "Content-Type: application/pgp-signature")], r, openpgp.NotSigned, false},
		{"not signed", read(t, letter(t)), r, openpgp.NotSigned, false},
		{"a part more", strings.TrimSuffix(text, "--\r\n") + "\r\n\r\nMore\r\n", r, openpgp.NotSigned, false},
		{"too large", text, openpgp.Receiver{Limits: openpgp.Limits{Size: 1000}}, openpgp.TooLarge, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, err := c.r.Verify(t.Context(), content(c.msg))
			require.ErrorIs(t, err, c.kind)
			var e *openpgp.Error
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
	s := openpgp.Sender{Key: alice(), To: public(t, alice(), bob()), Hidden: public(t, carol())}
	for _, sign := range []bool{false, true} {
		t.Run(fmt.Sprintf("sign %v", sign), func(t *testing.T) {
			t.Parallel()
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
			require.NotContains(t, text, "plan")
			for _, who := range []openpgp.Key{alice(), bob(), carol()} {
				r := openpgp.Receiver{Keys: openpgp.Keyring{mallory(), who}, Senders: public(t, alice())}
				o, err := r.Decrypt(t.Context(), msg)
				require.NoError(t, err, "%s", who)
				requireLetter(t, o)
				require.True(t, o.Encrypted)
				require.True(t, o.HeaderProtected)
				require.True(t, o.Key.Equal(who))
				require.Len(t, o.Recipients, 3)
				require.Contains(t, o.Recipients, "0000000000000000")
				_, ok := o.Signer()
				require.Equal(t, sign, ok, "%v", o.Signatures)
				require.NoError(t, o.Close())
			}
			_, err = (&openpgp.Receiver{Keys: openpgp.Keyring{mallory()}}).Decrypt(t.Context(), msg)
			require.ErrorIs(t, err, openpgp.NoKey)
			o, err := (&openpgp.Receiver{Keys: openpgp.Keyring{bob()}, Senders: public(t, bob(), mallory())}).Decrypt(t.Context(), msg)
			require.NoError(t, err)
			_, ok := o.Signer()
			require.False(t, ok)
			_, err = (&openpgp.Receiver{Keys: openpgp.Keyring{bob()}}).Verify(t.Context(), msg)
			require.ErrorIs(t, err, openpgp.NotSigned)
		})
	}
	t.Run("nobody", func(t *testing.T) {
		_, err := (&openpgp.Sender{Key: alice()}).Encrypt(t.Context(), letter(t))
		require.ErrorIs(t, err, openpgp.NoKey)
	})
	t.Run("another author outside", func(t *testing.T) {
		msg, err := (&openpgp.Sender{To: public(t, bob())}).Encrypt(t.Context(), letter(t))
		require.NoError(t, err)
		text := strings.Replace(read(t, msg), "alice@example.org", "mallory@example.org", 1)
		o, err := (&openpgp.Receiver{Keys: openpgp.Keyring{bob()}}).Decrypt(t.Context(), content(text))
		require.NoError(t, err)
		require.Equal(t, "mallory@example.org", o.Message().Header().Addresses("From").All()[0].Addr)
		require.Len(t, o.Message().Header().Values("From"), 1)
	})
	t.Run("signed, then encrypted as RFC 3156 s6.1 has it", func(t *testing.T) {
		signed, err := (&openpgp.Sender{Key: alice()}).Sign(t.Context(), letter(t))
		require.NoError(t, err)
		msg, err := (&openpgp.Sender{To: public(t, bob())}).Encrypt(t.Context(), signed)
		require.NoError(t, err)
		o, err := (&openpgp.Receiver{Keys: openpgp.Keyring{bob()}, Senders: public(t, alice())}).Decrypt(t.Context(), msg)
		require.NoError(t, err)
		requireLetter(t, o)
		_, ok := o.Signer()
		require.True(t, ok)
	})
}

// TestTampered changes, cuts and moves octets of an encrypted message: nothing of it comes back.
func TestTampered(t *testing.T) {
	t.Parallel()
	v6, err := openpgp.GenerateKey(openpgp.KeyOptions{Name: "Six", Address: "six@example.org", Version: 6})
	require.NoError(t, err)
	for _, key := range []openpgp.Key{bob(), v6} {
		t.Run(key.String(), func(t *testing.T) {
			t.Parallel()
			msg, err := (&openpgp.Sender{Key: alice(), To: public(t, key)}).EncryptAndSign(t.Context(), letter(t))
			require.NoError(t, err)
			text := read(t, msg)
			r := openpgp.Receiver{Keys: openpgp.Keyring{key}, Senders: public(t, alice())}
			o, err := r.Decrypt(t.Context(), msg)
			require.NoError(t, err)
			requireLetter(t, o)
			start, end := strings.Index(text, "-----BEGIN PGP"), strings.Index(text, "-----END PGP")
			for i := start + 60; i < end; i += 1997 {
				if text[i] == '\r' || text[i] == '\n' || text[i] == '=' {
					continue
				}
				b := []byte(text)
				b[i] = 'A' + (b[i]-'A'+1)%26
				if string(b) == text {
					continue
				}
				o, err := r.Decrypt(t.Context(), content(b))
				require.Error(t, err, "octet %d", i)
				require.Nil(t, o)
				var e *openpgp.Error
				require.ErrorAs(t, err, &e)
			}
			middle := start + (end-start)/2
			for _, damaged := range []string{text[:middle], text[:middle] + text[end:], text[:middle] + text[middle+65*64:], text[:end-8] + text[end:]} {
				o, err := r.Decrypt(t.Context(), content(damaged))
				require.Error(t, err)
				require.Nil(t, o)
			}
			b := []byte(text)
			b[middle+1] ^= 1
			_, err = r.Decrypt(t.Context(), content(b))
			require.ErrorIs(t, err, openpgp.Tampered)
		})
	}
}

func TestPassphrase(t *testing.T) {
	t.Parallel()
	locked, err := bob().Lock([]byte("open sesame"))
	require.NoError(t, err)
	require.True(t, locked.IsLocked())
	_, err = locked.Unlock([]byte("wrong"))
	require.ErrorIs(t, err, openpgp.Passphrase)
	ask := func(answer string) func(context.Context, openpgp.Key) ([]byte, error) {
		return func(_ context.Context, k openpgp.Key) ([]byte, error) {
			if !k.Equal(bob()) {
				return nil, errors.New("another key")
			}
			return []byte(answer), nil
		}
	}
	msg, err := (&openpgp.Sender{To: public(t, bob())}).Encrypt(t.Context(), letter(t))
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		ask  func(context.Context, openpgp.Key) ([]byte, error)
		kind error
	}{{"none", nil, openpgp.Passphrase}, {"wrong", ask("sesame"), openpgp.Passphrase}, {"right", ask("open sesame"), nil}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := openpgp.Receiver{Keys: openpgp.Keyring{locked}, Passphrase: c.ask}
			o, err := r.Decrypt(t.Context(), msg)
			s := openpgp.Sender{Key: locked, Passphrase: c.ask}
			_, serr := s.Sign(t.Context(), letter(t))
			if c.kind != nil {
				require.ErrorIs(t, err, c.kind)
				require.ErrorIs(t, serr, c.kind)
				return
			}
			require.NoError(t, err)
			require.NoError(t, serr)
			requireLetter(t, o)
		})
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := openpgp.Sender{Key: alice(), To: public(t, bob())}
	_, err := s.EncryptAndSign(ctx, letter(t))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Sign(ctx, letter(t))
	require.ErrorIs(t, err, context.Canceled)
	_, err = (&openpgp.Receiver{}).Verify(ctx, letter(t))
	require.ErrorIs(t, err, context.Canceled)
}
