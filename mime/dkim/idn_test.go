package dkim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInternational: names beyond ASCII (RFC 8616). Signatures have A-labels, which everybody reads; those of others may have either.
func TestInternational(t *testing.T) {
	t.Parallel()
	record, err := Record(testKeys()[1].Public())
	require.NoError(t, err)
	keys := zone{"xn--schlssel-95a._domainkey.xn--bcher-kva.example": record}
	const msg = "From: =?utf-8?q?J=C3=BCrgen?= <j@xn--bcher-kva.example>\r\nSubject: x\r\n\r\nx\r\n"
	for _, s := range []Signer{
		{Domain: "bücher.example", Selector: "schlüssel", Identifier: "jürgen@post.bücher.example"},
		{Domain: "BÜCHER.example", Selector: "schlüssel", Identifier: "j@xn--bcher-kva.example"},
		{Domain: "xn--bcher-kva.example", Selector: "xn--schlssel-95a", Identifier: "@bücher.example"},
	} {
		s.Key = testKeys()[1]
		signed := sign(t, msg, s)
		for i := range len(signed) {
			require.Less(t, signed[i], byte(0x80), "a signature needs no SMTPUTF8")
		}
		require.Contains(t, signed, "d=xn--bcher-kva.example; s=xn--schlssel-95a")
		r := one(t, signed, Verifier{Resolver: keys})
		require.NoError(t, r.Err)
		require.Equal(t, Pass, r.Status)
		require.Equal(t, "xn--bcher-kva.example", r.Domain, "what DMARC compares")
	}

	// A signature with U-labels is found at the A-labels: it fails only because its text was changed here.
	signed := sign(t, msg, Signer{Domain: "bücher.example", Selector: "schlüssel", Key: testKeys()[1], Identifier: "@bücher.example"})
	r := one(t, strings.Replace(signed, "d=xn--bcher-kva.example", "d=bücher.example", 1), Verifier{Resolver: keys})
	require.Equal(t, Fail, r.Status)
	require.Equal(t, "xn--bcher-kva.example", r.Domain)

	for _, bad := range []Signer{{Domain: "bü cher.example", Selector: "s"}, {Domain: "bücher.example", Selector: "s", Identifier: "j@other.example"}, {Domain: "bücher..example", Selector: "s"}} {
		bad.Key = testKeys()[1]
		_, err := Sign(t.Context(), memory(msg), bad)
		require.Error(t, err, "%v", bad)
	}
}
