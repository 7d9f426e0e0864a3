package smime_test

import (
	"crypto/x509"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/smime"
)

func large(b *testing.B) *mime.Composed {
	b.Helper()
	msg, err := mime.Letter{From: mime.Addr("", "alice@example.org"), Text: "x", Attachments: []mime.File{mime.BytesFile("a.bin", make([]byte, 16<<20))}}.Compose()
	require.NoError(b, err)
	return msg
}

// Benchmark signs, encrypts and opens a message with an attachment of 16 MiB.
func Benchmark(b *testing.B) {
	s := smime.Sender{Identity: alice(), To: []*x509.Certificate{bob().Certificate}}
	r := smime.Receiver{Identities: []smime.Identity{bob()}, Roots: root().pool()}
	msg := large(b)
	signed, err := s.Sign(b.Context(), msg)
	require.NoError(b, err)
	encrypted, err := s.EncryptAndSign(b.Context(), msg)
	require.NoError(b, err)
	for _, c := range []struct {
		name string
		do   func() (io.Closer, error)
	}{
		{"Sign", func() (io.Closer, error) { return s.Sign(b.Context(), msg) }},
		{"EncryptAndSign", func() (io.Closer, error) { return s.EncryptAndSign(b.Context(), msg) }},
		{"Verify", func() (io.Closer, error) { return r.Verify(b.Context(), signed) }},
		{"Decrypt", func() (io.Closer, error) { return r.Decrypt(b.Context(), encrypted) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(msg.Size())
			for b.Loop() {
				o, err := c.do()
				if err != nil {
					b.Fatal(err)
				}
				o.Close()
			}
		})
	}
}
