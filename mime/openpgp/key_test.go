package openpgp_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/openpgp"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, o := range []openpgp.KeyOptions{
		{Name: "Zoë", Address: "zoe@example.org", Expires: time.Hour}, {Address: "rsa@example.org", RSABits: 2048}, {Name: "Six", Address: "six@example.org", Version: 6},
	} {
		k, err := openpgp.GenerateKey(o)
		require.NoError(t, err)
		require.True(t, k.IsPrivate())
		require.False(t, k.IsLocked())
		require.Equal(t, []string{o.Address}, k.Addresses())
		require.Len(t, k.ID(), 16)
		require.Equal(t, o.Expires == 0, k.Expires().IsZero())
		require.NoError(t, k.CanEncrypt())
		text, err := k.MarshalText()
		require.NoError(t, err)
		binary, err := k.MarshalBinary()
		require.NoError(t, err)
		for _, data := range [][]byte{text, binary, append([]byte("Here is my key:\r\n\r\n"), text...), bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))} {
			again, err := openpgp.ParseKeys(data)
			require.NoError(t, err)
			require.Len(t, again, 1)
			require.True(t, again[0].Equal(k))
			require.True(t, again[0].IsPrivate())
		}
		p := public(t, k)[0]
		text, err = p.MarshalText()
		require.NoError(t, err)
		require.Contains(t, string(text), "BEGIN PGP PUBLIC KEY BLOCK")
		require.NotContains(t, k.String(), "PRIVATE")
	}
	both, err := alice().MarshalText()
	require.NoError(t, err)
	more, err := bob().MarshalText()
	require.NoError(t, err)
	keys, err := openpgp.ParseKeys(append(both, more...))
	require.NoError(t, err)
	require.Len(t, keys, 2)

	for _, bad := range []string{"", "hello", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n", "\x99\xff\xff", string(both[:200])} {
		_, err := openpgp.ParseKeys([]byte(bad))
		require.ErrorIs(t, err, openpgp.Malformed, "%q", bad)
	}
	_, err = openpgp.ParseKeys(make([]byte, 9<<20))
	require.ErrorIs(t, err, openpgp.TooLarge)
	_, err = openpgp.GenerateKey(openpgp.KeyOptions{Name: "a<b", Address: "a@b"})
	require.ErrorIs(t, err, openpgp.BadKey)

	var zero openpgp.Key
	require.True(t, zero.IsZero())
	require.Equal(t, "no key", zero.String())
	require.Empty(t, zero.ID()+zero.Fingerprint())
	require.ErrorIs(t, zero.CanEncrypt(), openpgp.NoKey)
	_, err = zero.MarshalText()
	require.ErrorIs(t, err, openpgp.NoKey)
	_, err = (&openpgp.Sender{To: []openpgp.Key{zero}}).Encrypt(t.Context(), letter(t))
	require.ErrorIs(t, err, openpgp.NoKey)
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	ring := public(t, alice(), bob())
	keys, err := openpgp.Recipients(t.Context(), ring, "BOB@example.org", "alice@example.org")
	require.NoError(t, err)
	require.True(t, keys[0].Equal(bob()) && keys[1].Equal(alice()))
	_, err = openpgp.Recipients(t.Context(), ring, "bob@example.org", "carol@example.org")
	require.ErrorIs(t, err, openpgp.NoKey)
	require.ErrorContains(t, err, "carol@example.org")
	found, err := ring.Keys(t.Context(), "\u212a@example.org") // the Kelvin sign is no K
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestAutocrypt(t *testing.T) {
	t.Parallel()
	value, err := openpgp.Autocrypt{Address: "alice@example.org", PreferEncrypt: true, Key: alice()}.Value()
	require.NoError(t, err)
	l := mime.Letter{From: mime.Addr("Alice", "Alice@Example.org"), To: []mime.Address{mime.Addr("", "bob@example.org")}, Text: "x", Extra: []mime.ExtraField{{Name: "Autocrypt", Value: value}}}
	msg, err := l.Compose()
	require.NoError(t, err)
	text := read(t, msg)
	for line := range strings.SplitSeq(text, "\r\n") {
		require.LessOrEqual(t, len(line), 78)
	}
	a, ok := openpgp.ParseAutocrypt(mime.ParseBytes([]byte(text)).Header())
	require.True(t, ok)
	require.True(t, a.PreferEncrypt)
	require.False(t, a.Key.IsPrivate())
	require.True(t, a.Key.Equal(alice()))
	require.NoError(t, a.Key.CanEncrypt())

	// The field stays outside when the message is encrypted, where it can be read before.
	encrypted, err := (&openpgp.Sender{To: []openpgp.Key{a.Key}}).Encrypt(t.Context(), msg)
	require.NoError(t, err)
	_, ok = openpgp.ParseAutocrypt(mime.ParseBytes([]byte(read(t, encrypted))).Header())
	require.True(t, ok)
	o, err := (&openpgp.Receiver{Keys: openpgp.Keyring{alice()}}).Decrypt(t.Context(), encrypted)
	require.NoError(t, err)
	require.NoError(t, o.Close())

	field := "Autocrypt: " + value + "\r\n"
	for name, header := range map[string]string{
		"two authors":              "From: alice@example.org, bob@example.org\r\n" + field,
		"another author":           "From: bob@example.org\r\n" + field,
		"two fields":               "From: alice@example.org\r\n" + field + field,
		"none":                     "From: alice@example.org\r\n",
		"critical attribute":       "From: alice@example.org\r\n" + strings.Replace(field, "addr=", "x=y; addr=", 1),
		"no key":                   "From: alice@example.org\r\nAutocrypt: addr=alice@example.org\r\n",
		"bad base64":               "From: alice@example.org\r\nAutocrypt: addr=alice@example.org; keydata=!\r\n",
		"no key in it":             "From: alice@example.org\r\nAutocrypt: addr=alice@example.org; keydata=AAAA\r\n",
		"longer than 10 KiB":       "From: alice@example.org\r\n" + strings.TrimSpace(field) + strings.Repeat(" ", 1) + strings.Repeat("A", 10<<10) + "\r\n",
		"somebody's in the middle": "From: alice@example.org\r\n" + strings.Replace(field, "alice@", "mallory@", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ok := openpgp.ParseAutocrypt(mime.ParseHeader([]byte(header + "\r\n")))
			require.False(t, ok)
		})
	}
	_, ok = openpgp.ParseAutocrypt(mime.ParseHeader([]byte("From: alice@example.org\r\n" + strings.Replace(field, "addr=", "_x=y; addr=", 1) + "\r\n")))
	require.True(t, ok)

	gossip := "To: Bob <bob@example.org>\r\nCc: alice@example.org\r\nAutocrypt-Gossip: " + value + "\r\nAutocrypt-Gossip: " + strings.Replace(value, "alice@", "carol@", 1) + "\r\n\r\n"
	all := openpgp.ParseGossip(mime.ParseHeader([]byte(gossip)))
	require.Len(t, all, 1)
	require.Equal(t, "alice@example.org", all[0].Address)
	require.False(t, all[0].PreferEncrypt)
	for _, address := range []string{"", "a@b\r\nBcc: x", "a@b; c"} {
		_, err := openpgp.Autocrypt{Address: address, Key: alice()}.Value()
		require.ErrorIs(t, err, openpgp.Malformed)
	}
}
