package dkim

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func benchmarkLetter(size int) string {
	line := "The quick brown fox jumps over the lazy dog and then does so once more.\r\n"
	return letter[:strings.Index(letter, "\r\n\r\n")+4] + strings.Repeat(line, size/len(line))
}

func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
		s    Signer
	}{
		{"rsa/4KB", 4 << 10, Signer{Selector: "rsa", Key: testKeys()[0]}},
		{"ed25519/4KB", 4 << 10, Signer{}},
		{"rsa/1MB", 1 << 20, Signer{Selector: "rsa", Key: testKeys()[0]}},
	} {
		b.Run(c.name, func(b *testing.B) {
			msg := memory(sign(b, benchmarkLetter(c.size), c.s))
			dns := testZone(b)
			b.ReportAllocs()
			b.SetBytes(msg.Size())
			for b.Loop() {
				results, err := Verify(context.Background(), msg, dns)
				require.NoError(b, err)
				require.Equal(b, Pass, results[0].Status)
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for i, name := range []string{"rsa", "ed25519"} {
		b.Run(name, func(b *testing.B) {
			msg := memory(benchmarkLetter(4 << 10))
			b.ReportAllocs()
			for b.Loop() {
				_, err := Sign(context.Background(), msg, Signer{Domain: "example.org", Selector: "x", Key: testKeys()[i]})
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkBody(b *testing.B) {
	for name, body := range map[string]string{
		"text":    strings.Repeat("The quick brown fox jumps over the lazy dog and then does so once more.\r\n", 14000),
		"base64":  strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 13000),
		"untidy":  strings.Repeat("The  quick\tbrown fox jumps over \r\n", 30000),
		"oneline": strings.Repeat("no line end at all ", 50000),
		"empty":   strings.Repeat("\r\n", 500000),
	} {
		b.Run(name, func(b *testing.B) {
			p := []byte(body)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				h := newBodyHash(true, -1, &discard{})
				for rest := p; len(rest) > 0; {
					n := min(len(rest), block)
					h.Write(rest[:n])
					rest = rest[n:]
				}
			}
		})
	}
}

type discard struct{ bytes.Buffer }

func (*discard) Write(p []byte) (int, error) { return len(p), nil }
func (*discard) Sum(b []byte) []byte         { return b }
func (*discard) Size() int                   { return 0 }
func (*discard) BlockSize() int              { return 1 }
