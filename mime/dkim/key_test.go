package dkim

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeyRecords(t *testing.T) {
	t.Parallel()
	good := testZone(t)["ed._domainkey.example.org"]
	p := good[strings.Index(good, "p="):]
	weak := "v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsmtX/SJnTWxYyj2leFxfS/AVJ+dYfY+hXqMsT7l+MZvvh/Ra5v7Xo9LTqJzu8CAwEAAQ=="
	for _, c := range []struct {
		name, record string
		want         Status
	}{
		{"plain", good, Pass},
		{"without version", "k=ed25519; " + p, Pass},
		{"old and unknown tags", "v=DKIM1; g=*; n=hello there; zz=1; k=ed25519; " + p + ";", Pass},
		{"revoked", "v=DKIM1; k=ed25519; p=", PermError},
		{"version not first", "k=ed25519; v=DKIM1; " + p, PermError},
		{"other version", "v=DKIM2; k=ed25519; " + p, PermError},
		{"other service", "v=DKIM1; s=chat; k=ed25519; " + p, PermError},
		{"email service", "v=DKIM1; s=chat:email; k=ed25519; " + p, Pass},
		{"other hash", "v=DKIM1; h=sha1; k=ed25519; " + p, PermError},
		{"right hash", "v=DKIM1; h=sha1 : sha256; k=ed25519; " + p, Pass},
		{"exact domain", "v=DKIM1; t=s; k=ed25519; " + p, Pass},
		{"unknown kind", "v=DKIM1; k=dsa; " + p, PermError},
		{"not base64", "v=DKIM1; k=ed25519; p=***", PermError},
		{"too short", "v=DKIM1; k=ed25519; p=AAAA", PermError},
		{"rsa that is none", "v=DKIM1; p=AAAA", PermError},
		{"rsa key for ed25519", weak, PermError},
		{"empty", "", PermError},
		{"no tags", "hello", PermError},
		{"not now", "~~timeout~~", TempError},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := one(t, sign(t, letter, Signer{}), Verifier{Resolver: zone{"ed._domainkey.example.org": c.record}})
			require.Equal(t, c.want, r.Status, "%v", r.Err)
		})
	}
	t.Run("testing", func(t *testing.T) {
		require.True(t, one(t, sign(t, letter, Signer{}), Verifier{Resolver: zone{"ed._domainkey.example.org": "t=x:y; k=ed25519; " + p}}).Testing)
	})
	t.Run("exact domain, other identity", func(t *testing.T) {
		msg := sign(t, letter, Signer{Identifier: "@sub.example.org"})
		require.Equal(t, PermError, one(t, msg, Verifier{Resolver: zone{"ed._domainkey.example.org": "t=s; k=ed25519; " + p}}).Status)
	})
	t.Run("minimum of bits", func(t *testing.T) {
		msg := sign(t, letter, Signer{Selector: "rsa", Key: testKeys()[0]})
		require.Equal(t, Pass, one(t, msg, Verifier{}).Status)
		require.Equal(t, Policy, one(t, msg, Verifier{MinRSABits: 3072}).Status)
	})
	t.Run("not found by another error", func(t *testing.T) {
		r := one(t, sign(t, letter, Signer{}), Verifier{Resolver: failing{errors.New("broken")}})
		require.Equal(t, TempError, r.Status)
		require.ErrorContains(t, r.Err, "broken")
	})
}

type failing struct{ err error }

func (f failing) LookupTXT(context.Context, string) ([]string, error) { return nil, f.err }

func TestParseKey(t *testing.T) {
	t.Parallel()
	for i, key := range testKeys() {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		got, err := ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		require.NoError(t, err)
		require.Equal(t, key, got)
		if i == 0 {
			got, err = ParseKey(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))}))
			require.NoError(t, err)
			require.Equal(t, key, got)
		}
	}
	for _, bad := range []string{"", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"} {
		_, err := ParseKey([]byte(bad))
		require.Error(t, err)
	}
}
