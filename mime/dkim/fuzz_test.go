package dkim

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/mime"
)

func base64String(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func FuzzSignature(f *testing.F) {
	f.Add(" v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=x; i=@example.org; q=dns/txt; t=1; x=2; l=3; h=from:to; bh=AAAA; b=AAAA")
	f.Add("v=1;;")
	f.Add(" a = b ; c = d\r\n\t;")
	f.Fuzz(func(t *testing.T, value string) {
		s := &signature{}
		if err := s.parse(value); err == nil {
			require.NotEmpty(t, s.Domain)
			require.NotEmpty(t, s.keyName)
			require.Contains(t, s.Headers, "from")
		}
	})
}

func FuzzKeyRecord(f *testing.F) {
	for _, txt := range rfc8463Zone {
		f.Add(txt)
	}
	f.Add("v=DKIM1; t=y:s; h=sha256; s=*; k=rsa; p=MIGJ")
	f.Fuzz(func(t *testing.T, txt string) {
		if k, err := parseKey(txt); err == nil {
			require.NotNil(t, k.key)
		}
	})
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(rfc8463))
	f.Add([]byte("DKIM-Signature: v=1\n\nbody"))
	f.Add([]byte("\r\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		results, err := Verify(t.Context(), memory(msg), rfc8463Zone)
		if err != nil {
			require.ErrorIs(t, err, ErrHeaderTooLong)
		}
		for _, r := range results {
			require.Equal(t, r.Status == Pass, r.Err == nil)
			require.NotEqual(t, None, r.Status)
		}
	})
}

// What is signed as the body is what package mime shows as the body, and its fields are the same.
func FuzzHeaderAsShown(f *testing.F) {
	f.Add([]byte(rfc8463))
	f.Add([]byte("From me\n>From me\nA: b\r\n c\r\n\r\nbody"))
	f.Add([]byte("\xef\xbb\xbfA: b\r\r\n\r\n\nbody"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n--b\n\nx\n\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) > block/2 {
			return
		}
		m, err := open(memory(msg))
		require.NoError(t, err)
		defer m.close()
		if m.malformed(true) {
			return
		}
		shown := mime.ParseBytes(msg)
		offset, _ := shown.Root().BodyRange()
		require.EqualValues(t, len(msg)-len(m.rest), offset)
		var fields, want []string
		for field := range shown.Header().Fields() {
			fields = append(fields, string(field.Raw()))
		}
		for _, field := range m.fields {
			if len(field.name) > 0 && !bytes.ContainsRune(field.name, ' ') { // else an mbox line
				want = append(want, string(field.raw))
			}
		}
		require.Equal(t, want, fields)
	})
}

// What is in the body and how it is cut makes no difference to its canonical form.
func FuzzBody(f *testing.F) {
	f.Add("a \r\n\r\n\tb\r\n\r\n", 3)
	f.Add(" \r \n\n", 1)
	f.Fuzz(func(t *testing.T, body string, at int) {
		if at < 1 {
			at = 1
		}
		checkBody(t, body, func(n int) int { return min(at, n) })
	})
}

// Whatever is signed verifies, and whatever is then put behind or before it does not.
func FuzzSignVerify(f *testing.F) {
	f.Add([]byte(letter), true)
	f.Add([]byte("From: a\nX : y\n z\n\nbody"), false)
	f.Add([]byte(" 0\nFrom:0"), true)
	f.Fuzz(func(t *testing.T, msg []byte, simple bool) {
		s := Signer{Domain: "example.org", Selector: "ed", Key: testKeys()[1]}
		if simple {
			s.HeaderCanonicalization, s.BodyCanonicalization = Simple, Simple
		}
		field, err := Sign(t.Context(), memory(msg), s)
		if err != nil {
			return
		}
		signed := append(field, msg...)
		results, err := Verify(t.Context(), memory(signed), testZone(t))
		require.NoError(t, err)
		require.NotEmpty(t, results)
		require.Equal(t, Pass, results[0].Status, "%v", results[0].Err)

		results, err = Verify(t.Context(), memory("From: eve@example.com\r\n"+string(signed)), testZone(t))
		require.NoError(t, err)
		require.NotEqual(t, Pass, results[0].Status)
	})
}
