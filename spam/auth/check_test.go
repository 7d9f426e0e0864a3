package auth

import (
	"crypto/ed25519"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/dkim"
	"github.com/gomailroom/mailroom/spam"
	"github.com/stretchr/testify/require"
)

// signed gives a letter with a DKIM signature of example.com, and the zone that its checks ask.
func signed(t *testing.T) (*mime.Spooled, suiteZone) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	msg, err := mime.Letter{From: mime.Addr("Alice", "alice@example.com"), To: []mime.Address{mime.Addr("", "bob@example.net")}, Subject: "hello", Text: "hello\n"}.Compose()
	require.NoError(t, err)
	field, err := dkim.Sign(t.Context(), msg, dkim.Signer{Domain: "example.com", Selector: "s1", Key: key})
	require.NoError(t, err)
	r, err := msg.Open()
	require.NoError(t, err)
	spool, err := mime.Spool(io.MultiReader(strings.NewReader(string(field)), r), mime.SpoolLimits{})
	require.NoError(t, err)
	t.Cleanup(func() { spool.Close() })
	record, err := dkim.Record(pub)
	require.NoError(t, err)
	return spool, suiteZone{
		"example.com":               txt("v=spf1 ip4:192.0.2.0/24 -all"),
		"_dmarc.example.com":        txt("v=DMARC1; p=reject"),
		"s1._domainkey.example.com": txt(record),
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	spool, zone := signed(t)
	for _, c := range []struct {
		name    string
		remote  string
		from    string
		change  func(*spam.Mail)
		action  spam.Action
		symbols []string
		header  string
	}{
		{"all right", "192.0.2.1", "alice@example.com", nil, spam.Accept, []string{"DMARC_PASS", "SPF_PASS", "DKIM_PASS"},
			"Authentication-Results: mx.example.net;\r\n\tspf=pass smtp.mailfrom=example.com;\r\n\tdkim=pass header.d=example.com header.s=s1;\r\n\tdmarc=pass header.from=example.com policy.dmarc=reject\r\n"},
		{"forwarded", "198.51.100.1", "alice@example.com", nil, spam.Accept, []string{"SPF_FAIL", "DMARC_PASS", "DKIM_PASS"}, ""},
		{"forged", "198.51.100.1", "mallory@example.org", func(m *spam.Mail) {
			m.Message = mime.ParseBytes([]byte("From: alice@example.com\r\n\r\nhi\r\n"))
			m.Content = content("From: alice@example.com\r\n\r\nhi\r\n")
		}, spam.Reject, []string{"DMARC_REJECT", "SPF_NONE", "DKIM_NONE"}, ""},
		{"two authors", "198.51.100.1", "mallory@example.org", func(m *spam.Mail) {
			m.Message = mime.ParseBytes([]byte("From: alice@example.com, bob@example.org\r\n\r\nhi\r\n"))
			m.Content = content("From: alice@example.com, bob@example.org\r\n\r\nhi\r\n")
		}, spam.Accept, []string{"FROM_MULTIPLE", "SPF_NONE", "DKIM_NONE"}, ""},
		{"one of ours", "198.51.100.1", "alice@example.com", func(m *spam.Mail) { m.Identity = "alice" }, spam.Accept, nil, "Authentication-Results: mx.example.net; none\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &spam.Mail{Remote: netip.MustParseAddr(c.remote), Hello: "mx.example.com", From: c.from, Content: spool, Message: spool.Message(), Hostname: "mx.example.net"}
			if c.change != nil {
				c.change(m)
			}
			e := &spam.Engine{First: Checks(zone)}
			v, err := e.Score(t.Context(), m, spam.StageBody)
			require.NoError(t, err)
			require.Equal(t, c.action, v.Action, "%s", v)
			var names []string
			for _, s := range v.Symbols {
				names = append(names, s.Name)
			}
			require.ElementsMatch(t, c.symbols, names)
			if c.header != "" {
				require.Equal(t, c.header, string(ResultsHeader("mx.example.net", m)))
			}
		})
	}
}

type content string

func (c content) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(c))), nil
}
func (c content) Size() int64 { return int64(len(c)) }

func TestResultsHeaderQuotes(t *testing.T) {
	t.Parallel()
	m := &spam.Mail{From: "x", Authentication: spam.Authentication{SPF: spam.SPFResult{Result: spam.AuthNone, Domain: "a; dmarc=pass\r\nX: \"y"}}}
	require.Equal(t, "Authentication-Results: h;\r\n\tspf=none smtp.mailfrom=\"a; dmarc=passX: \\\"y\"\r\n", string(ResultsHeader("h", m)))
}
