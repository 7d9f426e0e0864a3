package smime_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime/smime"
)

// TestRFC4134 reads the examples of RFC 4134. They are of 2005: what their signatures are made with (SHA-1, DSA, RSA with 1024 bits) and one of the ciphers (RC2) is refused today, and said to be so.
func TestRFC4134(t *testing.T) {
	t.Parallel()
	suites := os.Getenv("MAILROOM_SUITES")
	if suites == "" {
		t.Skip("MAILROOM_SUITES is not set")
	}
	text, err := os.ReadFile(filepath.Join(suites, "..", "rfc", "rfc4134.txt"))
	if err != nil {
		t.Skipf("the text of RFC 4134 is missing: %v", err)
	}
	files, name := map[string][]byte{}, ""
	var data strings.Builder
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "|>"):
			name = line[2:]
			data.Reset()
		case strings.HasPrefix(line, "|<"):
			b, err := base64.StdEncoding.DecodeString(data.String())
			require.NoError(t, err, name)
			files[name], name = b, ""
		case strings.HasPrefix(line, "|") && name != "":
			data.WriteString(line[1:])
		}
	}
	require.Len(t, files, 40)
	id, err := smime.ParseIdentity(append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: files["BobPrivRSAEncrypt.pri"]}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: files["BobRSASignByCarl.cer"]})...))
	require.NoError(t, err)
	r := smime.Receiver{Identities: []smime.Identity{id}, Roots: root().pool()}
	message := func(name string) content {
		if strings.HasSuffix(name, ".eml") {
			return files[name]
		}
		return append([]byte("From: AliceDSS@example.com\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"), files[name]...)
	}
	for name, kind := range map[string]smime.Kind{
		"3.1.bin": smime.Malformed, "4.1.bin": smime.Unsupported, "4.2.bin": smime.Unsupported, "4.3.bin": smime.NotSigned, "4.4.bin": smime.Unsupported, "4.5.bin": smime.Unsupported, "4.6.bin": smime.Unsupported,
		"4.7.bin": smime.Unsupported, "4.8.eml": smime.Unsupported, "4.9.eml": smime.Unsupported, "4.10.bin": smime.Unsupported, "4.11.bin": smime.NotSigned, "6.0.bin": smime.NotSigned, "7.1.bin": smime.NotSigned, "7.2.bin": smime.NotSigned,
	} {
		t.Run("verify "+name, func(t *testing.T) {
			t.Parallel()
			o, err := r.Verify(t.Context(), message(name))
			require.ErrorIs(t, err, kind)
			require.Equal(t, kind == smime.Unsupported, o != nil)
			if o != nil {
				require.Contains(t, read(t, o), "sample content")
				_, ok := o.Signer()
				require.False(t, ok)
			}
		})
	}
	for name, kind := range map[string]error{"5.1.bin": nil, "5.2.bin": smime.Unsupported, "5.3.eml": nil, "4.2.bin": smime.NotEncrypted, "7.1.bin": smime.NotEncrypted} {
		t.Run("decrypt "+name, func(t *testing.T) {
			t.Parallel()
			o, err := r.Decrypt(t.Context(), message(name))
			if kind != nil {
				require.ErrorIs(t, err, kind)
				return
			}
			require.NoError(t, err)
			require.False(t, o.Authenticated)
			require.Contains(t, read(t, o), "This is some sample content.")
		})
	}
	t.Run("certificates", func(t *testing.T) {
		certs, err := smime.ParseCertificates(files["4.11.bin"])
		require.NoError(t, err)
		require.NotEmpty(t, certs)
		for _, c := range certs {
			found := false
			for name, f := range files {
				found = found || strings.HasSuffix(name, ".cer") && bytes.Equal(f, c.Raw)
			}
			require.True(t, found)
		}
	})
}
