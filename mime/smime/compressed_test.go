package smime_test

import (
	"bytes"
	"compress/zlib"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime/smime"
)

// compressed is a part with compressed-data (RFC 3274 s1.1) of a text, after a header.
func compressed(t testing.TB, header, text string) content {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	type data struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
	type compressedData struct {
		Version   int
		Algorithm struct{ ID asn1.ObjectIdentifier }
		Data      data
	}
	c := compressedData{Data: data{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, z.Bytes()}}
	c.Algorithm.ID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8}
	der, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content compressedData `asn1:"explicit,tag:0"`
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 9}, c})
	require.NoError(t, err)
	return content(header + "Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(der) + "\r\n")
}

func TestCompressed(t *testing.T) {
	t.Parallel()
	const entity = "Content-Type: text/plain\r\n\r\nnoon\r\n"
	const header = "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
	s := smime.Sender{Identity: alice(), To: []*x509.Certificate{bob().Certificate}}
	r := smime.Receiver{Identities: []smime.Identity{bob()}, Roots: root().pool()}
	requireNoon := func(t *testing.T, o *smime.Opened, err error) {
		t.Helper()
		require.NoError(t, err)
		t.Cleanup(func() { o.Close() })
		text, err := o.Message().Text()
		require.NoError(t, err)
		require.Equal(t, "noon\n", text)
	}
	t.Run("alone", func(t *testing.T) {
		o, err := r.Decompress(t.Context(), compressed(t, header, entity))
		requireNoon(t, o, err)
		require.Empty(t, o.Signatures)
	})
	t.Run("under a signature", func(t *testing.T) {
		signed, err := s.Sign(t.Context(), compressed(t, header, entity))
		require.NoError(t, err)
		o, err := r.Verify(t.Context(), signed)
		requireNoon(t, o, err)
	})
	t.Run("around a signature", func(t *testing.T) {
		signed, err := s.SignOpaque(t.Context(), content(header+entity))
		require.NoError(t, err)
		o, err := r.Verify(t.Context(), compressed(t, header, read(t, signed)))
		requireNoon(t, o, err)
	})
	t.Run("encrypted", func(t *testing.T) {
		encrypted, err := s.Encrypt(t.Context(), compressed(t, header, entity))
		require.NoError(t, err)
		o, err := r.Decrypt(t.Context(), encrypted)
		requireNoon(t, o, err)
	})
	t.Run("not signed", func(t *testing.T) {
		_, err := r.Verify(t.Context(), compressed(t, header, entity))
		require.ErrorIs(t, err, smime.NotSigned)
	})
	t.Run("not compressed", func(t *testing.T) {
		_, err := r.Decompress(t.Context(), content(header+entity))
		require.ErrorIs(t, err, smime.Malformed)
	})
	t.Run("bomb", func(t *testing.T) {
		r := smime.Receiver{Limits: smime.Limits{Decrypted: 1 << 20}}
		_, err := r.Decompress(t.Context(), compressed(t, header, strings.Repeat("\r\n", 8<<20)))
		require.ErrorIs(t, err, smime.TooLarge)
	})
	t.Run("damaged", func(t *testing.T) {
		whole := compressed(t, header, entity)
		for i := len(whole) / 2; i < len(whole)-10; i += 5 {
			_, err := r.Decompress(t.Context(), whole[:i])
			var e *smime.Error
			require.ErrorAs(t, err, &e, "cut at %d", i)
		}
	})
	t.Run("garbled", func(t *testing.T) {
		head, body, _ := strings.Cut(string(compressed(t, header, strings.Repeat(entity, 20))), "\r\n\r\n")
		der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(body))
		require.NoError(t, err)
		for i := len(der) - 40; i < len(der); i++ {
			garbled := bytes.Clone(der)
			garbled[i] ^= 0xff
			_, err := r.Decompress(t.Context(), content(head+"\r\n\r\n"+base64.StdEncoding.EncodeToString(garbled)+"\r\n"))
			require.ErrorIs(t, err, smime.Malformed, "octet %d", i)
		}
	})
}
