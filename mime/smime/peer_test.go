package smime_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"
	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime/smime"
)

// TestPeer exchanges messages with another implementation of CMS.
func TestPeer(t *testing.T) {
	t.Parallel()
	rec := smime.Receiver{Identities: []smime.Identity{bob()}, Roots: root().pool()}
	const entity = "Content-Type: text/plain\r\n\r\nHello from a peer\r\n"
	wrap := func(der []byte) content {
		var lines strings.Builder
		for text := base64.StdEncoding.EncodeToString(der); text != ""; {
			n := min(76, len(text))
			lines.WriteString(text[:n] + "\r\n")
			text = text[n:]
		}
		return content("From: alice@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines.String())
	}
	body := func(o *smime.Opened) string {
		text, err := o.Message().Text()
		require.NoError(t, err)
		return text
	}
	der := func(c interface{ Open() (io.ReadCloser, error) }) []byte {
		rc, err := c.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(rc)
		require.NoError(t, err)
		_, b64, _ := bytes.Cut(text, []byte("\r\n\r\n"))
		der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(b64), "\r\n", ""))
		require.NoError(t, err)
		return der
	}

	t.Run("it verifies", func(t *testing.T) {
		msg, err := (&smime.Sender{Identity: alice()}).SignOpaque(t.Context(), letter(t))
		require.NoError(t, err)
		p, err := pkcs7.Parse(der(msg))
		require.NoError(t, err)
		require.NoError(t, p.VerifyWithChain(root().pool()))
		require.Contains(t, string(p.Content), "noon")
	})
	t.Run("it decrypts", func(t *testing.T) {
		msg, err := (&smime.Sender{To: []*x509.Certificate{bob().Certificate}}).Encrypt(t.Context(), letter(t))
		require.NoError(t, err)
		p, err := pkcs7.Parse(der(msg))
		require.NoError(t, err)
		text, err := p.Decrypt(bob().Certificate, bob().PrivateKey.(*rsa.PrivateKey))
		require.NoError(t, err)
		require.Contains(t, string(text), "noon")
	})
	t.Run("it signs", func(t *testing.T) {
		for _, attributes := range []bool{true, false} {
			sd, err := pkcs7.NewSignedData([]byte(entity))
			require.NoError(t, err)
			sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
			if attributes {
				require.NoError(t, sd.AddSigner(alice().Certificate, alice().PrivateKey, pkcs7.SignerInfoConfig{}))
			} else {
				require.NoError(t, sd.SignWithoutAttr(alice().Certificate, alice().PrivateKey, pkcs7.SignerInfoConfig{}))
			}
			signed, err := sd.Finish()
			require.NoError(t, err)
			o, err := rec.Verify(t.Context(), wrap(signed))
			require.NoError(t, err)
			require.Equal(t, "Hello from a peer\n", body(o))
		}
	})
	t.Run("SHA-1 is refused", func(t *testing.T) {
		sd, err := pkcs7.NewSignedData([]byte(entity))
		require.NoError(t, err)
		require.NoError(t, sd.AddSigner(alice().Certificate, alice().PrivateKey, pkcs7.SignerInfoConfig{}))
		signed, err := sd.Finish()
		require.NoError(t, err)
		o, err := rec.Verify(t.Context(), wrap(signed))
		require.ErrorIs(t, err, smime.Unsupported)
		require.Equal(t, "Hello from a peer\n", body(o))
	})
	t.Run("certificates only", func(t *testing.T) {
		only, err := pkcs7.DegenerateCertificate(alice().Certificate.Raw)
		require.NoError(t, err)
		certs, err := smime.ParseCertificates(only)
		require.NoError(t, err)
		require.Len(t, certs, 1)
		require.True(t, certs[0].Equal(alice().Certificate))
		_, err = rec.Verify(t.Context(), wrap(only))
		require.ErrorIs(t, err, smime.NotSigned)
	})
}

// TestHostile feeds what costs others their stack, their memory or their time.
func TestHostile(t *testing.T) {
	t.Parallel()
	r := smime.Receiver{Identities: []smime.Identity{bob()}, Roots: root().pool()}
	oidSigned := "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
	for name, der := range map[string]string{
		"nested":                 strings.Repeat("\x30\x80", 1<<20),
		"nested in the content":  "\x30\x80" + oidSigned + "\xa0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x80" + strings.Repeat("\x24\x80", 1<<20),
		"nested in certificates": "\x30\x80" + oidSigned + "\xa0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x80" + strings.Repeat("\x30\x80", 1<<20),
		"huge length":            "\x30\x84\x7f\xff\xff\xff" + oidSigned + "\xa0\x84\x7f\xff\xff\x00\x30\x84\x7f\xff\xfe\x00\x02\x84\x7f\xff\x00\x00",
		"long length":            "\x30\xff" + strings.Repeat("\xff", 200),
		"empty values":           "\x30\x80" + oidSigned + "\xa0\x80\x30\x80\x02\x01\x01\x31\x83\xff\xff\xff" + strings.Repeat("\x05\x00", 1<<20),
		"nothing":                "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			msg := append([]byte("From: a@b\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"), der...)
			_, err := r.Decrypt(t.Context(), content(msg))
			var e *smime.Error
			require.ErrorAs(t, err, &e)
			_, err = r.Verify(t.Context(), content(msg))
			require.ErrorAs(t, err, &e)
		})
	}
}
