package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The example of RFC 8463 appendix A.
const rfc8463 = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n" +
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n" +
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n" +
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n" +
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n date : message-id : from : subject : date;\r\n" +
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n" +
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n" +
	rfc8463Message

const rfc8463Message = "From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n" +
	"Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n" +
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"

var rfc8463Zone = zone{
	"brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
	"test._domainkey.football.example.com": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2" +
		"jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
}

func TestRFC8463(t *testing.T) {
	t.Parallel()
	results, err := Verify(t.Context(), memory(rfc8463), rfc8463Zone)
	require.NoError(t, err)
	require.Len(t, results, 2)
	for i, algorithm := range []string{"ed25519-sha256", "rsa-sha256"} {
		r := results[i]
		require.NoError(t, r.Err)
		require.Equal(t, Pass, r.Status)
		require.Equal(t, algorithm, r.Algorithm)
		require.Equal(t, "football.example.com", r.Domain)
		require.Equal(t, "@football.example.com", r.Identifier)
		require.Equal(t, int64(1528637909), r.Time.Unix())
		require.Contains(t, r.Headers, "message-id")
	}
}

var testKeys = sync.OnceValue(func() (keys [2]crypto.Signer) {
	keys[0], _ = rsa.GenerateKey(rand.Reader, 2048)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	keys[1] = ed
	return keys
})

func testZone(t testing.TB) zone {
	t.Helper()
	z := zone{}
	for i, selector := range []string{"rsa", "ed"} {
		record, err := Record(testKeys()[i].Public())
		require.NoError(t, err)
		z[selector+"._domainkey.example.org"] = record
	}
	return z
}

const letter = "Received: from somewhere\r\nFrom: Alice <alice@example.org>\r\nTo: bob@example.net\r\nCc: carol@example.net\r\nSubject: Hello\r\n  there\r\n" +
	"Date: Fri, 11 Jul 2003 21:00:37 -0700\r\nMessage-ID: <1@example.org>\r\nX-Loop: a\r\nX-Loop: b\r\n\r\nHi  Bob, \r\n\r\nhow are you?\r\n\r\n\r\n"

func sign(t testing.TB, msg string, signers ...Signer) string {
	t.Helper()
	for i := range signers {
		if signers[i].Domain == "" {
			signers[i].Domain = "example.org"
		}
		if signers[i].Key == nil {
			signers[i].Key, signers[i].Selector = testKeys()[1], "ed"
		}
	}
	field, err := Sign(context.Background(), memory(msg), signers...)
	require.NoError(t, err)
	return string(field) + msg
}

func one(t *testing.T, msg string, v Verifier) Result {
	t.Helper()
	if v.Resolver == nil {
		v.Resolver = testZone(t)
	}
	results, err := v.Verify(t.Context(), memory(msg))
	require.NoError(t, err)
	require.Len(t, results, 1)
	return results[0]
}

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	for _, body := range []string{"", "\r\n", "x", "Hi  Bob, \r\n\r\n\r\n", strings.Repeat("long line ", 20000) + "\r\n"} {
		msg := letter[:strings.Index(letter, "\r\n\r\n")+4] + body
		var signers []Signer
		for _, h := range []Canonicalization{Relaxed, Simple} {
			for _, b := range []Canonicalization{Relaxed, Simple} {
				for i, selector := range []string{"rsa", "ed"} {
					signers = append(signers, Signer{Domain: "Example.org", Selector: selector, Key: keys[i], HeaderCanonicalization: h, BodyCanonicalization: b,
						Identifier: "al;ice@Sub.example.org", Expiry: time.Hour})
				}
			}
		}
		signed := sign(t, msg, signers...)
		for line := range strings.SplitSeq(signed[:len(signed)-len(msg)], "\r\n") {
			require.LessOrEqual(t, len(line), 78)
		}
		results, err := Verify(t.Context(), memory(signed), testZone(t))
		require.NoError(t, err)
		require.Len(t, results, len(signers))
		for _, r := range results {
			require.NoError(t, r.Err)
			require.Equal(t, Pass, r.Status)
			require.Equal(t, "al;ice@Sub.example.org", r.Identifier)
			require.False(t, r.Expires.IsZero())
		}
	}
}

// Each thing that somebody may do to a message on its way, and what becomes of its signature.
func TestTampering(t *testing.T) {
	t.Parallel()
	edit := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	for _, c := range []struct {
		name    string
		change  func(string) string
		relaxed Status
		simple  Status
	}{
		{"nothing", edit("", ""), Pass, Pass},
		{"body white space", edit("Hi  Bob, ", "Hi Bob,"), Pass, Fail},
		{"empty lines at the end", func(s string) string { return s + "\r\n\r\n" }, Pass, Pass},
		{"subject folded anew", edit("Hello\r\n  there", "Hello there"), Pass, Fail},
		{"name in capitals", edit("\nSubject:", "\nSUBJECT:"), Pass, Fail},
		{"trace field added", func(s string) string { return "Received: by us\r\n" + s }, Pass, Pass},
		{"body changed", edit("how are you", "how old are you"), Fail, Fail},
		{"body added to", func(s string) string { return s + "Buy!\r\n" }, Fail, Fail},
		{"subject changed", edit("Hello", "Hullo"), Fail, Fail},
		{"second From on top", func(s string) string { return "From: eve@example.com\r\n" + s }, Fail, Fail},
		{"second Subject on top", func(s string) string { return "Subject: Buy\r\n" + s }, Fail, Fail},
		{"From removed", edit("From: Alice <alice@example.org>\r\n", ""), PermError, PermError},
		{"Cc removed", edit("Cc: carol@example.net\r\n", ""), Fail, Fail},
		{"Content-Type added", edit("To: bob", "Content-Type: text/html\r\nTo: bob"), Pass, Pass}, // absent when it was signed
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.relaxed, one(t, c.change(sign(t, letter, Signer{})), Verifier{}).Status)
			simple := sign(t, letter, Signer{HeaderCanonicalization: Simple, BodyCanonicalization: Simple})
			require.Equal(t, c.simple, one(t, c.change(simple), Verifier{}).Status)
		})
	}
	t.Run("oversigned absent field", func(t *testing.T) {
		signed := sign(t, letter, Signer{Oversign: []string{"From", "Content-Type"}})
		require.Equal(t, Pass, one(t, signed, Verifier{}).Status)
		require.Equal(t, Fail, one(t, "Content-Type: text/html\r\n"+signed, Verifier{}).Status)
	})
	t.Run("not oversigned", func(t *testing.T) {
		signed := sign(t, letter, Signer{Oversign: []string{}})
		r := one(t, "From: eve@example.com\r\n"+signed, Verifier{})
		require.Equal(t, Policy, r.Status, "people see a From that nobody signed")
	})
	t.Run("repeated field, bottom up", func(t *testing.T) {
		signed := sign(t, letter, Signer{Headers: []string{"From", "X-Loop"}, Oversign: []string{}})
		require.Equal(t, Pass, one(t, "X-Loop: c\r\n"+signed, Verifier{}).Status)
		require.Equal(t, Fail, one(t, edit("X-Loop: a\r\nX-Loop: b", "X-Loop: b\r\nX-Loop: a")(signed), Verifier{}).Status)
	})
}

func TestHeaderOnly(t *testing.T) {
	t.Parallel()
	for _, msg := range []string{"From: a@example.org\r\nSubject: no blank line\r\n", "From: a@example.org\r\nSubject: no line end", "From: a@example.org\r\n\r\n"} {
		require.Equal(t, Pass, one(t, sign(t, msg, Signer{}), Verifier{}).Status)
	}
}

// signWith signs with tags that Sign would not write.
func signWith(t *testing.T, tags, msg string) string {
	t.Helper()
	m, err := open(memory(msg))
	require.NoError(t, err)
	defer m.close()
	value := tags
	if !strings.Contains(tags, "bh=") {
		l := int64(-1)
		if _, after, ok := strings.Cut(tags, "l="); ok {
			fmt.Sscan(strings.Trim(after, ";"), &l)
		}
		h := newBodyHash(true, l, sha256.New())
		require.NoError(t, m.hashBody([]*bodyHash{h}))
		value += "; bh=" + base64String(h.sum())
	}
	list, err := parseTags(tags)
	require.NoError(t, err)
	raw := "DKIM-Signature: " + value + "; b="
	signed := m.appendSigned(nil, splitList(strings.ToLower(list.get("h", ""))), true, -1)
	signed = bytes.TrimSuffix(appendHeader(signed, []byte(raw), true), []byte("\r\n"))
	digest := sha256.Sum256(signed)
	sig, err := testKeys()[1].Sign(rand.Reader, digest[:], crypto.Hash(0))
	require.NoError(t, err)
	return raw + base64String(sig) + "\r\n" + msg
}

func TestJudgement(t *testing.T) {
	t.Parallel()
	const base = "v=1; a=ed25519-sha256; c=relaxed/relaxed; s=ed; h=From"
	with := func(extra string) string { return base + "; " + extra }
	now := time.Unix(1_000_000, 0)
	body := letter[strings.Index(letter, "\r\n\r\n")+4:]
	canonicalLength := len(canonical(body, true))
	for _, c := range []struct {
		name, tags string
		want       Status
		v          Verifier
	}{
		{"plain", with("d=example.org"), Pass, Verifier{}},
		{"domain in capitals", with("d=EXAMPLE.org; i=x@Sub.Example.ORG"), Pass, Verifier{}},
		{"identity of another domain", with("d=example.org; i=x@example.com"), PermError, Verifier{}},
		{"identity of a domain that ends alike", with("d=example.org; i=x@badexample.org"), PermError, Verifier{}},
		{"expired", with("d=example.org; t=1; x=999999"), Policy, Verifier{At: now}},
		{"not yet expired", with("d=example.org; t=1; x=1000001"), Pass, Verifier{At: now}},
		{"expires before it was made", with("d=example.org; t=5; x=4"), Neutral, Verifier{}},
		{"partial body", with("d=example.org; l=4"), Policy, Verifier{}},
		{"partial body accepted", with("d=example.org; l=4"), Pass, Verifier{PartialBody: true}},
		{"nothing of the body", with("d=example.org; l=0"), Policy, Verifier{}},
		{"length of the whole body", with(fmt.Sprintf("d=example.org; l=%d", canonicalLength)), Pass, Verifier{}},
		{"length beyond the body", with(fmt.Sprintf("d=example.org; l=%d", canonicalLength+1)), PermError, Verifier{PartialBody: true}},
		{"huge length", with("d=example.org; l=" + strings.Repeat("9", 76)), PermError, Verifier{}},
		{"length that is no number", with("d=example.org; l=-1"), Neutral, Verifier{}},
		{"unknown tag", with("d=example.org; zz=1"), Pass, Verifier{}},
		{"tag twice", with("d=example.org; s=other"), Neutral, Verifier{}},
		{"unknown query", with("d=example.org; q=http"), PermError, Verifier{}},
		{"several queries", with("d=example.org; q=http:dns/txt"), Pass, Verifier{}},
		{"From not signed", "v=1; a=ed25519-sha256; c=relaxed/relaxed; s=ed; h=To; d=example.org", PermError, Verifier{}},
		{"version 2", "v=2; a=ed25519-sha256; c=relaxed/relaxed; s=ed; h=From; d=example.org", PermError, Verifier{}},
		{"no version", "a=ed25519-sha256; c=relaxed/relaxed; s=ed; h=From; d=example.org", PermError, Verifier{}},
		{"sha1", "v=1; a=rsa-sha1; c=relaxed/relaxed; s=ed; h=From; d=example.org", Policy, Verifier{}},
		{"key of another algorithm", "v=1; a=rsa-sha256; c=relaxed/relaxed; s=ed; h=From; d=example.org", PermError, Verifier{}},
		{"unknown canonicalization", "v=1; a=ed25519-sha256; c=nofws; s=ed; h=From; d=example.org", Neutral, Verifier{}},
		{"no such key", "v=1; a=ed25519-sha256; c=relaxed/relaxed; s=gone; h=From; d=example.org", PermError, Verifier{}},
		{"selector with a space", "v=1; a=ed25519-sha256; c=relaxed/relaxed; s=a b; h=From; d=example.org", Neutral, Verifier{}},
		{"no domain", "v=1; a=ed25519-sha256; c=relaxed/relaxed; s=ed; h=From; d=", PermError, Verifier{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			msg := "DKIM-Signature: " + c.tags + "; bh=" + base64String(make([]byte, 32)) + "; b=AAAA\r\n" + letter
			if list, err := parseTags(c.tags); err == nil && list != nil {
				msg = signWith(t, c.tags, letter)
			}
			r := one(t, msg, c.v)
			require.Equal(t, c.want, r.Status, "%v", r.Err)
			require.Equal(t, c.want == Pass, r.Err == nil)
		})
	}
}

// A malformed signature does not hide a good one, and each is judged by itself.
func TestSignaturesApart(t *testing.T) {
	t.Parallel()
	msg := "DKIM-Signature: nonsense\r\nDKIM-Signature:\r\nDKIM-Signature: v=1; a=x; d=; b\r\n" + sign(t, letter, Signer{}, Signer{Domain: "example.com"})
	results, err := Verify(t.Context(), memory(msg), testZone(t))
	require.NoError(t, err)
	var statuses []Status
	for _, r := range results {
		statuses = append(statuses, r.Status)
	}
	require.Equal(t, []Status{Neutral, PermError, Neutral, Pass, PermError}, statuses)
}

func TestSignatureLimit(t *testing.T) {
	t.Parallel()
	msg := sign(t, letter, make([]Signer, 12)...)
	asked := &counting{zone: testZone(t)}
	results, err := Verify(t.Context(), memory(msg), asked)
	require.NoError(t, err)
	require.Len(t, results, 11)
	require.Equal(t, Pass, results[9].Status)
	require.Equal(t, Policy, results[10].Status)
	require.Equal(t, 1, asked.n, "one name is asked for once")
}

type counting struct {
	zone
	mu sync.Mutex
	n  int
}

func (c *counting) LookupTXT(ctx context.Context, name string) ([]string, error) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	return c.zone.LookupTXT(ctx, name)
}

// hanging answers when it is let go, whatever ctx says.
type hanging struct{ until chan struct{} }

func (h hanging) LookupTXT(context.Context, string) ([]string, error) {
	<-h.until
	return nil, &net.DNSError{IsTimeout: true}
}

func TestLookupTimeout(t *testing.T) {
	t.Parallel()
	msg := sign(t, letter, Signer{Time: time.Unix(1, 0)})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		resolver := hanging{make(chan struct{})}
		defer close(resolver.until)
		r := one(t, msg, Verifier{Resolver: resolver})
		require.Equal(t, TempError, r.Status)
		require.Equal(t, 20*time.Second, time.Since(start))
	})
}

func TestSignerRefuses(t *testing.T) {
	t.Parallel()
	ok := Signer{Domain: "example.org", Selector: "ed", Key: testKeys()[1]}
	for name, change := range map[string]func(*Signer){
		"injection in domain":   func(s *Signer) { s.Domain = "example.org\r\nBcc: x" },
		"injection in selector": func(s *Signer) { s.Selector = "a;b=c" },
		"no domain":             func(s *Signer) { s.Domain = "" },
		"no key":                func(s *Signer) { s.Key = nil },
		"identity elsewhere":    func(s *Signer) { s.Identifier = "a@example.com" },
		"field name":            func(s *Signer) { s.Headers = []string{"From", "X: y"} },
		"oversigned field name": func(s *Signer) { s.Oversign = []string{"a\r\nb"} },
		"signature field":       func(s *Signer) { s.Headers = []string{"dkim-signature"} },
	} {
		t.Run(name, func(t *testing.T) {
			s := ok
			change(&s)
			_, err := Sign(t.Context(), memory(letter), s)
			require.Error(t, err)
		})
	}
	_, err := Sign(t.Context(), memory("Subject: no From\r\n\r\n"), ok)
	require.ErrorContains(t, err, "no From")
	identity := ok
	identity.Identifier = "a\r\nBcc: x@example.org"
	field, err := Sign(t.Context(), memory(letter), identity)
	require.NoError(t, err)
	require.NotContains(t, string(field), "\nBcc")
}

func TestHeaderLimits(t *testing.T) {
	t.Parallel()
	for _, msg := range []string{"From: a@b\r\nX: " + strings.Repeat("x", maxHeader+10), strings.Repeat("A: b\r\n", maxFields+1)} {
		_, err := Verify(t.Context(), memory(msg), zone{})
		require.ErrorIs(t, err, ErrHeaderTooLong)
	}
	long := "X: " + strings.Repeat("x", 300_000) + "\r\n" + letter
	require.Equal(t, Pass, one(t, sign(t, long, Signer{}), Verifier{}).Status)
}

// TestLinesThatAreNoFields: whoever passes a signed message on could else put lines into its header that are shown as its text.
func TestLinesThatAreNoFields(t *testing.T) {
	t.Parallel()
	signed := sign(t, letter, Signer{})
	head, body, _ := strings.Cut(signed, "\r\n\r\n")
	for _, lines := range []string{"This was added,\r\nand this.", "\r\r\nadded", "added", "two words: x", "\xef\xbb\xbfFrom: eve@example.com", ": x", "X\xfc: y", "--b"} {
		r := one(t, head+"\r\n"+lines+"\r\n\r\n"+body, Verifier{})
		require.Equal(t, PermError, r.Status, "%q", lines)
		require.ErrorIs(t, r.Err, ErrMalformed)
		_, err := Sign(t.Context(), memory(lines+"\r\n"+letter), Signer{Domain: "example.org", Selector: "ed", Key: testKeys()[1]})
		require.ErrorIs(t, err, ErrMalformed, "%q", lines)
	}
	require.Equal(t, Pass, one(t, "From eve Fri Jul 11 21:00:37 2003\r\n>From eve\r\n"+signed, Verifier{}).Status, "of an mbox file")
	require.Equal(t, Pass, one(t, "X-Added : y\r\n z\r\n"+signed, Verifier{}).Status, "fields may be added")
}
