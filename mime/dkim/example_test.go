package dkim_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"strings"

	"github.com/gomailroom/mailroom/mime/dkim"
)

type text string

func (t text) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(t))), nil }
func (t text) Size() int64                  { return int64(len(t)) }

type records map[string]string

func (r records) LookupTXT(_ context.Context, name string) ([]string, error) {
	return []string{r[name]}, nil
}

func Example() {
	ctx := context.Background()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // for a real one, see ParseKey
	msg := text("From: alice@example.org\r\nSubject: Hello\r\n\r\nHow are you?\r\n")

	field, err := dkim.Sign(ctx, msg, dkim.Signer{Domain: "example.org", Selector: "2026", Key: key})
	if err != nil {
		panic(err)
	}
	record, err := dkim.Record(key.Public())
	if err != nil {
		panic(err)
	}
	results, err := dkim.Verify(ctx, text(field)+msg, records{"2026._domainkey.example.org": record})
	if err != nil {
		panic(err)
	}
	for _, r := range results {
		fmt.Println(r.Status, r.Domain, r.Algorithm)
	}
	// Output: pass example.org ed25519-sha256
}
