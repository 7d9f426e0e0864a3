package dkim

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// memory is a Content in memory.
type memory []byte

func (m memory) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m)), nil }
func (m memory) Size() int64                  { return int64(len(m)) }

// zone answers from a map; what is not in it does not exist.
type zone map[string]string

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	switch txt, ok := z[strings.ToLower(name)]; {
	case !ok || txt == "NXDOMAIN":
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case strings.HasPrefix(txt, "~~"):
		return nil, &net.DNSError{Err: strings.Trim(txt, "~"), Name: name, IsTemporary: true}
	default:
		return []string{strings.Trim(txt, `"`)}, nil
	}
}

func suite(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("MAILROOM_SUITES")
	if root == "" {
		t.Skip("MAILROOM_SUITES is not set")
	}
	return filepath.Join(root, "dkim", name)
}

func crlfBytes(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}

// refusedToday are messages that Mail::DKIM passes and that are refused now, with the status. PermError: the signature is of a draft,
// without v=1, which RFC 6376 s3.5 requires. Policy: rsa-sha1, which RFC 8301 s3.1 forbids to accept.
var refusedToday = map[string]Status{
	"good_ietf00_1.txt": PermError, "good_ietf00_2.txt": PermError, "good_ietf00_3.txt": PermError, "good_ietf00_4.txt": PermError,
	"good_ietf00_5.txt": PermError, "mine_ietf01_1.txt": PermError, "mine_ietf01_2.txt": PermError, "mine_ietf01_3.txt": PermError,
	"mine_ietf01_4.txt": PermError, "mine_ietf05_1.txt": PermError, "good_ietf01_1.txt": PermError, "good_ietf01_2.txt": PermError,
	"multiple_1.txt": PermError, "no_body_1.txt": PermError, "no_body_2.txt": PermError, "no_body_3.txt": PermError,
	"good_rfc4871_3.txt": Policy, "good_rfc4871_4.txt": Policy, "good_1878523.txt": Policy, "good_83176.txt": Policy, "multiple_2.txt": Policy,
	"good_qp_1.txt": Policy, "good_qp_2.txt": Policy, "good_qp_3.txt": Policy,
	"goodkey_1.txt": Policy, "goodkey_2.txt": Policy, "goodkey_3.txt": Policy, "goodkey_4.txt": Policy,
}

// holdsByOldRules reports whether a signature is right when its age is no matter: it takes the package's canonicalization and
// choice of fields, and plain RSA arithmetic, since crypto/rsa has no keys of 512 bits.
func holdsByOldRules(t *testing.T, raw []byte, dns zone) bool {
	t.Helper()
	m, err := open(memory(raw))
	require.NoError(t, err)
	defer m.close()
	list, _ := (&Verifier{Signatures: 100}).signatures(m)
	var hashes []*bodyHash
	newHash := func(s *signature) func() hash.Hash {
		if strings.HasSuffix(s.Algorithm, "sha1") {
			return sha1.New
		}
		return sha256.New
	}
	for _, s := range list {
		for _, parse := range []func() error{s.parseCanon, s.parseNames, s.parseHeaders} {
			_ = parse()
		}
		if !s.tags.has("c") {
			s.header, s.body = false, false
		}
		s.hashed = newBodyHash(s.body, s.BodyLength, newHash(s)())
		hashes = append(hashes, s.hashed)
	}
	require.NoError(t, m.hashBody(hashes))
	for _, s := range list {
		bh, _ := decodeBase64(s.tags.get("bh", ""))
		sig, _ := decodeBase64(s.tags.get("b", ""))
		txt, err := dns.LookupTXT(t.Context(), s.keyName)
		if !bytes.Equal(bh, s.hashed.sum()) || err != nil {
			continue
		}
		key, err := selectKey(txt)
		if err != nil {
			continue
		}
		signed := m.appendSigned(nil, s.Headers, s.header, s.field)
		signed = appendHeader(signed, withoutSignature(m.fields[s.field].raw), s.header)
		h := newHash(s)()
		h.Write(bytes.TrimSuffix(signed, []byte("\r\n")))
		if ed, ok := key.key.(ed25519.PublicKey); ok {
			if ed25519.Verify(ed, h.Sum(nil), sig) {
				return true
			}
			continue
		}
		pub := key.key.(*rsa.PublicKey)
		opened := new(big.Int).Exp(new(big.Int).SetBytes(sig), big.NewInt(int64(pub.E)), pub.N).Bytes()
		if bytes.HasSuffix(opened, h.Sum(nil)) && bytes.HasPrefix(opened, []byte{1, 0xff, 0xff}) {
			return true
		}
	}
	return false
}

func TestMailDKIM(t *testing.T) {
	t.Parallel()
	dir := suite(t, "mail-dkim")
	dns := zone{}
	file, err := os.ReadFile(filepath.Join(dir, "FAKE_DNS.dat"))
	require.NoError(t, err)
	for line := range strings.Lines(string(file)) {
		if name, txt, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			dns[strings.ToLower(name)] = strings.TrimSpace(txt)
		}
	}
	expected, err := os.Open(filepath.Join(dir, "expected.tsv"))
	require.NoError(t, err)
	defer expected.Close()
	for lines := bufio.NewScanner(expected); lines.Scan(); {
		name, want, ok := strings.Cut(lines.Text(), "\t")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(dir, "corpus", name))
			if errors.Is(err, os.ErrNotExist) {
				t.Skip("not in the suite")
			}
			require.NoError(t, err)
			results, err := Verify(t.Context(), memory(crlfBytes(raw)), dns)
			require.NoError(t, err)
			best := None
			for _, r := range results {
				if best == None || r.Status == Pass || r.Status == Policy {
					best = r.Status
				}
			}
			switch today, refused := refusedToday[name]; {
			case refused:
				require.Equal(t, today, best, "%+v", results)
			case strings.HasPrefix(name, "good_dk") || strings.HasPrefix(name, "dk_") || strings.HasPrefix(name, "bad_dk"):
				require.Empty(t, results) // DomainKeys (RFC 4870, historic)
			case want == "pass":
				require.Equal(t, Pass, best, "%+v", results)
			default:
				require.NotEqual(t, Pass, best, "%+v", results)
			}
			if len(results) > 0 && !strings.HasPrefix(name, "good_ietf00") && !strings.HasPrefix(name, "ignore") && !strings.HasPrefix(name, "badkey") {
				// What is refused for its age still has to come out right by the rules of its time (but for the first draft, which had no bh=).
				require.Equal(t, want == "pass", holdsByOldRules(t, crlfBytes(raw), dns))
			}
		})
	}
}

func TestMailAuth(t *testing.T) {
	t.Parallel()
	dir := suite(t, "mail-auth")
	for _, name := range []string{"001", "002", "003", "004", "005", "006"} {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(dir, name+".txt"))
			require.NoError(t, err)
			records, msg, _ := bytes.Cut(crlfBytes(raw), []byte("\r\n\r\n"))
			dns := zone{}
			for line := range strings.Lines(string(records)) {
				name, txt, _ := strings.Cut(strings.TrimSpace(line), " ")
				dns[strings.ToLower(name)] = txt
			}
			// 005 has an expiry; the others do not mind the date.
			v := Verifier{Resolver: dns, At: time.Unix(1667843700, 0)}
			results, err := v.Verify(t.Context(), memory(msg))
			require.NoError(t, err)
			require.NotEmpty(t, results)
			for _, r := range results {
				require.Equal(t, Pass, r.Status, "%v", r.Err)
			}
		})
	}
}
