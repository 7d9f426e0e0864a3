package bayes

import (
	"bytes"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

// FuzzTokens: any message has tokens, each once, and unlearning it leaves nothing.
func FuzzTokens(f *testing.F) {
	f.Add(letter(1, true))
	f.Add([]byte("Subject: =?utf-8?b?5L2g5aW9?=\r\nReceived: x\r\nReturn-Path: <>\r\nContent-Type: text/html\r\n\r\n<a href='http://a@b.example/x?y'>c</a><font color=red size = \"1\">V\u200bI\u00adAGRA <img src=x"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment; filename=a.pdf.exe\r\n\r\n--b--"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var k tokens
		k.read(mime.ParseBytes(raw))
		require.LessOrEqual(t, len(k.hashes), maxTokens)
		for i := 1; i < len(k.hashes); i++ {
			require.Less(t, k.hashes[i-1], k.hashes[i])
		}
		store := &Memory{}
		c := &Classifier{Store: store}
		require.NoError(t, c.Learn(t.Context(), mail("a", raw), true))
		require.NoError(t, c.Unlearn(t.Context(), mail("a", raw)))
		tokens, examples := store.Size("a")
		require.Zero(t, tokens+examples)
	})
}

// FuzzLoad: any bytes are refused, or are what Save would write.
func FuzzLoad(f *testing.F) {
	store := &Memory{}
	for i := range 3 {
		if err := (&Classifier{Store: store}).Learn(f.Context(), mail("ann", letter(i, true)), i%2 == 0); err != nil {
			f.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := store.Save(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(magic + "\x01\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Memory
		if m.Load(bytes.NewReader(data)) != nil {
			return
		}
		var first, second bytes.Buffer
		require.NoError(t, m.Save(&first))
		var again Memory
		require.NoError(t, again.Load(bytes.NewReader(first.Bytes())))
		require.NoError(t, again.Save(&second))
		require.Equal(t, first.Bytes(), second.Bytes())
	})
}
