package smtp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMailbox(t *testing.T) {
	t.Parallel()
	l64 := strings.Repeat("l", 64)
	label := strings.Repeat("d", 63)
	for _, tt := range []struct{ in, local, domain, out string }{
		{"bob@example.org", "bob", "example.org", ""},
		{"a.b+c=d@example.org", "a.b+c=d", "example.org", ""},
		{`"a b"@example.com`, "a b", "example.com", ""},
		{`"a\"b\\c"@example.com`, `a"b\c`, "example.com", ""},
		{`"bob"@example.org`, "bob", "example.org", "bob@example.org"},
		{`"a\b"@example.org`, "ab", "example.org", "ab@example.org"},
		{`"a@b"@example.org`, "a@b", "example.org", ""},
		{`"a> SIZE=1"@example.org`, "a> SIZE=1", "example.org", ""},
		{`""@example.org`, "", "example.org", ""},
		{`"a..b"@example.org`, "a..b", "example.org", ""},
		{`".a"@example.org`, ".a", "example.org", ""},
		{"bob@[192.0.2.1]", "bob", "[192.0.2.1]", ""},
		{"bob@[IPv6:2001:db8::1]", "bob", "[IPv6:2001:db8::1]", ""},
		{"bob@[IPv6:::ffff:192.0.2.1]", "bob", "[IPv6:::ffff:192.0.2.1]", ""},
		{"bob@a_b.example", "bob", "a_b.example", ""},
		{"bob@localhost", "bob", "localhost", ""},
		{"grüße@bücher.example", "grüße", "bücher.example", ""},
		{`"ü ß"@example.org`, "ü ß", "example.org", ""},
		{l64 + "@example.org", l64, "example.org", ""},
		{"b@" + label + "." + label + "." + label, "b", label + "." + label + "." + label, ""},
	} {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			m, err := ParseMailbox(tt.in)
			require.NoError(t, err)
			require.Equal(t, Mailbox{Local: tt.local, Domain: tt.domain}, m)
			out := tt.out
			if out == "" {
				out = tt.in
			}
			require.Equal(t, out, m.String())
		})
	}
}

func TestParseMailboxRefuses(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("d", 63)
	for name, in := range map[string]string{
		"empty":                    "",
		"no at":                    "bob",
		"no local":                 "@example.org",
		"no domain":                "bob@",
		"postmaster, no domain":    "postmaster@",
		"nothing but quotes":       `""@`,
		"two dots":                 "a..b@example.org",
		"leading dot":              ".a@example.org",
		"trailing dot":             "a.@example.org",
		"space":                    "a b@example.org",
		"NUL":                      "a\x00b@example.org",
		"NUL in quotes":            "\"a\x00b\"@example.org",
		"CR in quotes":             "\"a\rb\"@example.org",
		"LF in quotes":             "\"a\nb\"@example.org",
		"tab in quotes":            "\"a\tb\"@example.org",
		"escaped NUL":              "\"a\\\x00b\"@example.org",
		"DEL":                      "\"a\x7fb\"@example.org",
		"C1 control":               "\"a\u0085b\"@example.org",
		"open quote":               `"a@example.org`,
		"open escape":              `"a\`,
		"text after quote":         `"a"b@example.org`,
		"quote within":             `a"b"@example.org`,
		"two ats":                  "a@b@example.org",
		"bad UTF-8":                "a\xff@example.org",
		"bad UTF-8 in quotes":      "\"a \xff\"@example.org",
		"bad UTF-8 domain":         "a@ex\xff.org",
		"line separator":           "a\u2028b@example.org",
		"empty label":              "a@example..org",
		"final dot":                "a@example.org.",
		"hyphen first":             "a@-example.org",
		"hyphen last":              "a@example-.org",
		"NUL in domain":            "a@exa\x00mple.org",
		"space in domain":          "a@exam ple.org",
		"bracket in domain":        "a@example.org>",
		"unclosed literal":         "a@[192.0.2.1",
		"bad literal":              "a@[192.0.2.256]",
		"IPv6 without tag":         "a@[2001:db8::1]",
		"IPv6 zone":                "a@[IPv6:fe80::1%eth0]",
		"IPv4 with IPv6 tag":       "a@[IPv6:192.0.2.1]",
		"general literal":          "a@[x:y]",
		"empty literal":            "a@[]",
		"local of 65":              strings.Repeat("l", 65) + "@example.org",
		"quoted local of 63 and 2": `"` + strings.Repeat("l", 62) + ` "@example.org`,
		"label of 64":              "a@" + strings.Repeat("d", 64) + ".org",
		"domain of 256":            "a@" + strings.Repeat(label+".", 4)[:255] + "x",
		"path of 257":              "abc@" + label + "." + label + "." + label + "." + label[:59],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseMailbox(in)
			require.Error(t, err, "%q", in)
		})
	}
}

func TestParsePaths(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<>": "", "": "", "<bob@example.org>": "bob@example.org", "bob@example.org": "bob@example.org",
		"<@a.example,@b.example:bob@example.org>": "bob@example.org",
		`<"a b"@example.com>`:                     `"a b"@example.com`,
		`<"a>b"@example.com>`:                     `"a>b"@example.com`,
	} {
		r, err := ParseReversePath(in)
		require.NoError(t, err, in)
		require.Equal(t, want, r.String())
		require.Equal(t, want == "", r.IsNull())
	}
	for _, in := range []string{"<", ">", "<bob@example.org", "bob@example.org>", "<<a@b>>", "<@a.example>", "<@a.example:>", "<a@b:c@d>", "<@a,b:c@d>", "<postmaster>"} {
		_, err := ParseReversePath(in)
		require.Error(t, err, in)
	}
	for in, want := range map[string]string{
		"<Postmaster>": "Postmaster", "<postmaster@example.org>": "postmaster@example.org", "<@x:bob@example.org>": "bob@example.org",
	} {
		f, err := ParseForwardPath(in)
		require.NoError(t, err, in)
		require.Equal(t, want, f.String())
	}
	for _, in := range []string{"<>", "", "<bob>", "bob", "<@a:postmaster"} {
		_, err := ParseForwardPath(in)
		require.Error(t, err, in)
	}
}

// A Mailbox that a program filled in carelessly cannot break out of the path it is written into.
func TestMailboxStringIsSafe(t *testing.T) {
	t.Parallel()
	for _, m := range []Mailbox{
		{"a\r\nRCPT TO:<eve@example.org>", "example.org"},
		{"a", "example.org>\r\nDATA\r\n"},
		{"a", "example.org> SIZE=1"},
		{"a\x00", "b"},
		{"a> NOTIFY=NEVER", ""},
		{"\xff", "\xff"},
	} {
		require.Error(t, m.Validate(), "%q", m)
		s := m.String()
		require.NotContains(t, s, "\r")
		require.NotContains(t, s, "\n")
		require.NotContains(t, s, "\x00")
		_, rest, err := cutPath([]byte("<" + s + ">"))
		require.Nil(t, err)
		require.Empty(t, rest, "%q", s)
	}
}

func FuzzParseMailbox(f *testing.F) {
	for _, s := range []string{"bob@example.org", `"a b"@example.com`, `"a\"b"@[192.0.2.1]`, "ü@ü", "@a:b@c", `""@x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMailbox(s)
		if err != nil {
			return
		}
		out := m.String()
		again, err := ParseMailbox(out)
		require.NoError(t, err, "%q", out)
		require.Equal(t, m, again)
		require.Equal(t, out, again.String())
		inner, rest, wrong := cutPath([]byte("<" + out + ">"))
		require.Nil(t, wrong)
		require.Empty(t, rest)
		require.Equal(t, out, string(inner))
	})
}
