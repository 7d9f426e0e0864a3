package smime_test

import (
	"crypto/x509"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/smime"
)

// FuzzReceive feeds whole messages. Whatever they are, nothing panics, and what is said to be signed or decrypted can be read to its end.
func FuzzReceive(f *testing.F) {
	short := func() mime.Content {
		msg, err := mime.Letter{From: mime.Addr("", "alice@example.org"), Text: "x"}.Compose()
		require.NoError(f, err)
		return msg
	}
	// The processes of a fuzzing run must have the same key.
	data, err := os.ReadFile("testdata/bob.pem")
	require.NoError(f, err)
	id, err := smime.ParseIdentity(data)
	require.NoError(f, err)
	s := smime.Sender{Identity: id, To: []*x509.Certificate{id.Certificate}}
	gcm := s
	gcm.Cipher = smime.AES256GCM
	for _, do := range []func() (*smime.Protected, error){
		func() (*smime.Protected, error) { return s.Sign(f.Context(), short()) },
		func() (*smime.Protected, error) { return s.SignOpaque(f.Context(), short()) },
		func() (*smime.Protected, error) { return s.EncryptAndSign(f.Context(), short()) },
		func() (*smime.Protected, error) { return gcm.Encrypt(f.Context(), short()) },
	} {
		msg, err := do()
		require.NoError(f, err)
		f.Add([]byte(read(f, msg)))
	}
	f.Add([]byte(compressed(f, "From: alice@example.org\r\n", "Subject: x\r\n\r\nx\r\n")))
	r := smime.Receiver{Identities: []smime.Identity{id}, Roots: root().pool(), Limits: smime.Limits{Size: 1 << 20, Decrypted: 1 << 20}}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, do := range []func() (*smime.Opened, error){
			func() (*smime.Opened, error) { return r.Verify(t.Context(), content(b)) },
			func() (*smime.Opened, error) { return r.Decrypt(t.Context(), content(b)) },
			func() (*smime.Opened, error) { return r.Decompress(t.Context(), content(b)) },
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
