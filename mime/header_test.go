package mime_test

import (
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/textproto"
	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

const oddHeader = "From someone Mon Jan  5 10:00:00 2026\r\n" +
	"Subject : =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?Q?_an_alle?=\r\n" +
	"no field at all\r\n" +
	"TO: a@example.org\r\n" +
	"To: b@example.org,\r\n\tc@example.org\r\n" +
	"X-Raw: Gr\xfc\xdfe\r\n" +
	"X-Empty:\r\n" +
	"\r\nbody: not a field\r\n"

func TestHeader(t *testing.T) {
	t.Parallel()
	m := mime.ParseBytes([]byte(oddHeader))
	h := m.Header()
	require.Equal(t, 5, h.Len())
	require.Equal(t, "=?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?utf-8?Q?_an_alle?=", h.Get("subject"))
	require.Equal(t, "Grüße an alle", h.Text("SUBJECT"))
	require.Equal(t, "Grüße", h.Text("X-Raw"))
	require.Equal(t, "a@example.org", h.Get("To"))
	require.Equal(t, []string{"a@example.org", "b@example.org,\tc@example.org"}, h.Values("To"))
	require.Len(t, h.Addresses("To").All(), 3)
	require.Equal(t, "TO: a@example.org\r\n", string(h.Raw("To")))
	require.True(t, h.Has("x-empty"))
	require.False(t, h.Has("body"))
	require.Empty(t, h.Get("X-Empty"))
	require.Nil(t, h.Raw("nothing"))
	var names []string
	for f := range h.Fields() {
		names = append(names, f.Name())
		require.Equal(t, string(f.Raw()), oddHeader[f.Offset:f.Offset+int64(len(f.Raw()))])
	}
	require.Equal(t, []string{"Subject", "TO", "To", "X-Raw", "X-Empty"}, names)
	var kinds []mime.DefectKind
	for _, d := range m.Defects() {
		kinds = append(kinds, d.Kind)
	}
	require.Equal(t, []mime.DefectKind{mime.DefectMboxLine, mime.DefectHeaderLine, mime.DefectRaw8Bit}, kinds)
}

func TestHeaderLookupAllocatesNothing(t *testing.T) { // not parallel: it counts
	h := mime.ParseHeader([]byte(oddHeader))
	require.Zero(t, testing.AllocsPerRun(100, func() { h.Has("X-Empty") }))
}

func TestDecodeTextHidesLineEnds(t *testing.T) {
	t.Parallel()
	require.Equal(t, "x Bcc: y", mime.DecodeText("=?utf-8?Q?x=0D=0ABcc:_y?="))
	require.Equal(t, "x y", mime.ParseAddressList("=?utf-8?Q?x=0Ay?= <a@b>").All()[0].Name)
}

func TestHeaderZero(t *testing.T) {
	t.Parallel()
	var h mime.Header
	require.Zero(t, h.Len())
	require.Empty(t, h.Get("From"))
	require.Empty(t, h.Addresses("From"))
	require.Empty(t, h.ContentType())
	require.Equal(t, "\r\n", string(h.Subset([]string{"From"}, true)))
	_, ok := h.Date()
	require.False(t, ok)
}

func TestHeaderSubset(t *testing.T) {
	t.Parallel()
	raw := []byte("From: a@x\r\nTo: b@x\r\nSubject: s\r\n folded\r\n\r\n")
	require.Equal(t, "To: b@x\r\nSubject: s\r\n folded\r\n\r\n", string(mime.HeaderSubset(raw, []string{"SUBJECT", "to", "Cc"}, false)))
	require.Equal(t, "From: a@x\r\n\r\n", string(mime.HeaderSubset(raw, []string{"SUBJECT", "to"}, true)))
	require.Equal(t, "\r\n", string(mime.HeaderSubset(raw, nil, false)))
	require.Equal(t, "A: b\r\n\r\n", string(mime.HeaderSubset([]byte("A: b"), []string{"a"}, false)), "the last line has no end")
}

// TestTextproto takes a header with lines that go-message's AddRaw panics on to its type and back.
func TestTextproto(t *testing.T) {
	t.Parallel()
	h := mime.ParseBytes([]byte(oddHeader)).Header()
	p := h.Textproto()
	require.Equal(t, 5, p.Len())
	require.Equal(t, "a@example.org", p.Get("To"))
	back := mime.HeaderFrom(p)
	require.Equal(t, h.Len(), back.Len())
	require.Equal(t, h.Values("To"), back.Values("To"))
	require.Equal(t, h.Text("Subject"), back.Text("Subject"))

	lf := mime.ParseHeader([]byte("A: b\nC: d"))
	again := lf.Textproto()
	require.Equal(t, "A: b\r\nC: d\r\n\r\n", string(mime.HeaderFrom(again).Bytes()))
	typed := mime.ParseHeader([]byte("From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\nSubject: x\nno field\n\n")).GoMessage()
	from, err := typed.AddressList("From")
	require.NoError(t, err)
	require.Equal(t, "Jürgen", from[0].Name)
	typed.SetSubject("Grüße")
	require.Equal(t, "Grüße", mime.HeaderFrom(typed.Header.Header).Text("Subject"))
	var made textproto.Header
	made.Set("Subject", "made")
	require.Equal(t, "made", mime.HeaderFrom(made).Get("subject"))
}

func TestMessageIDs(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][]string{
		"<a@b>":                        {"a@b"},
		"<a@b>\r\n <c@d>,<e@f>":        {"a@b", "c@d", "e@f"},
		"Your message of Monday <a@b>": {"a@b"},
		"a@b c@d":                      {"a@b", "c@d"},
		"<a@b":                         {"a@b"},
		"<<a@b>>":                      {"a@b"},
		"<a <b@c>":                     {"b@c"},
		"your mail":                    nil,
		"<>":                           nil,
		"":                             nil,
	} {
		require.Equal(t, want, mime.ParseMessageIDs(value), "%q", value)
	}
	h := mime.ParseHeader([]byte("In-Reply-To: <a@b> <c@d>\n"))
	require.Equal(t, []string{"a@b"}, h.References())
	h = mime.ParseHeader([]byte("In-Reply-To: <a@b>\nReferences: <x@y> <a@b>\n"))
	require.Equal(t, []string{"x@y", "a@b"}, h.References())
}

func TestBaseSubject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		subject, base string
		reply         bool
	}{
		{"Hello", "Hello", false},
		{"Re: Hello", "Hello", true},
		{"RE [2] : fwd:  Hello (fwd) (FWD)", "Hello", true},
		{"[list] Re: [list] Hello", "Hello", true},
		{"[list] Hello", "Hello", false},
		{"[list]", "[list]", false},
		{"[Fwd: Re: Hello]", "Hello", true},
		{"[fwd: [list] Hello]", "Hello", true},
		{"=?utf-8?Q?Re:_Gr=C3=BC=C3=9Fe?=", "Grüße", true},
		{"Re:", "", true},
		{"Regarding: x", "Regarding: x", false},
		{"[a][b][c]", "[c]", false},
		{"  many   spaces ", "many spaces", false},
		{"", "", false},
	} {
		base, reply := mime.BaseSubject(c.subject)
		require.Equal(t, c.base, base, "%q", c.subject)
		require.Equal(t, c.reply, reply, "%q", c.subject)
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 3, 10, 20, 29, 0, time.FixedZone("", 3600))
	for _, value := range []string{
		"Tue, 3 Nov 2026 10:20:29 +0100",
		"Tue,3 Nov 2026 10:20:29 +0100 (CET)",
		"3 Nov 26 09:20:29 GMT",
		"3 Nov 126 09:20:29 UT",
		"Tue Nov  3 09:20:29 2026",
		"Tue Nov 3 09:20:29 UTC 2026",
		"Tuesday, 03-Nov-26 09:20:29 GMT",
		"3. Nov. 2026 09:20:29",
		"2026-11-03T10:20:29+01:00",
		"2026-11-03T09:20:29.123Z",
		"2026-11-03 09:20:29",
		"Tue, 3 November 2026 9:20:29 AM +0000",
		"Nov 3, 2026 9:20:29 am GMT",
		"Tue, 03 Nov 2026 10:20:29 CET",
		"Tue, 3 Nov 2026 10:20:29 GMT+0100",
		"Tue, 3 Nov 2026 10:20:29 \"+0100\"",
		"from a by b; Tue, 3 Nov 2026 10:20:29 +0100",
		"Tue, 3 Nov 2026 10.20.29 +0100",
		"3nov 2026 09:20:29",
		"3rd Nov 2026 092029",
		"Tue, 3 Nov 2026 10:20:29 0100",
		"Tue, 3 Nov 2026 10:20:29+01:00",
		"2026-11-03T10:20:29+01",
	} {
		got, ok := mime.ParseDate(value)
		require.True(t, ok, "%q", value)
		require.True(t, at.Equal(got), "%q: %v", value, got)
	}
	for _, value := range []string{"", "today", "32 Nov 2026 10:20", "3 Nov 10:20", "Nov 2026", "3 Nov 2026 10:60", "3 Nov 2026 25:00:00", strings.Repeat("1 ", 600), "::::", "-", "+0100"} {
		got, ok := mime.ParseDate(value)
		require.False(t, ok, "%q: %v", value, got)
	}
	leap, ok := mime.ParseDate("31 Dec 2016 23:59:60 +0000")
	require.True(t, ok)
	require.Equal(t, 2017, leap.UTC().Year())
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	one := func(name, addr string) mime.AddressList {
		return mime.AddressList{{Members: []mime.Address{mime.Addr(name, addr)}}}
	}
	for value, want := range map[string]mime.AddressList{
		"a@b":                              one("", "a@b"),
		"A <a@b":                           one("A", "a@b"),
		"\"A, B\" <a@b>":                   one("A, B", "a@b"),
		"\"a b\"@example.org":              one("", "\"a b\"@example.org"),
		"<\"a@b\"@example.org>":            one("", "\"a@b\"@example.org"),
		"a@b <a@b>":                        one("a@b", "a@b"),
		"A a@b":                            one("A", "a@b"),
		"=?utf-8?Q?Doe,_J=C3=B6rg?= <a@b>": one("Doe, Jörg", "a@b"),
		"J\xf6rg <a@b>":                    one("Jörg", "a@b"),
		"a@[IPv6:2001:db8::1]":             one("", "a@[IPv6:2001:db8::1]"),
		"用户@例子.广告":                         one("", "用户@例子.广告"),
		"A<a@b>":                           one("A", "a@b"),
		"Undisclosed people":               one("Undisclosed people", ""),
		"MAILER-DAEMON":                    one("", "MAILER-DAEMON"),
		`a""b@c`:                           one("a", `""b@c`),
		`"" <a@b>`:                         one("", "a@b"),
		`""@b`:                             one("", `""@b`),
		"<>":                               nil,
		",, ,":                             nil,
		"undisclosed-recipients:;":         {{Name: "undisclosed-recipients", IsGroup: true}},
	} {
		require.Equal(t, want, mime.ParseAddressList(value), "%q", value)
	}
	bad := mime.ParseAddressList("a@b; <c@d, \"e <f@g>, h@i")
	require.NotEmpty(t, bad, "one bad member does not lose the list")
	require.Equal(t, "a@b", bad.All()[0].Addr)

	mixed := mime.ParseAddressList("a@b, G: c@d, e@f;, h@i")
	require.Len(t, mixed, 3)
	require.Equal(t, []bool{false, true, false}, []bool{mixed[0].IsGroup, mixed[1].IsGroup, mixed[2].IsGroup})
	require.Len(t, mixed.All(), 4)
	require.Equal(t, "a@b, G: c@d, e@f;, h@i", mixed.String())
}

func TestAddressString(t *testing.T) {
	t.Parallel()
	require.Equal(t, `"Doe, J \"x\"" <a@b>`, mime.Addr(`Doe, J "x"`, "a@b").String())
	require.Equal(t, "Jörg Grün <a@b>", mime.Addr("Jörg Grün", "a@b").String())
	require.Equal(t, "a@b", mime.Addr("", "a@b").String())
	require.NotContains(t, mime.Addr("x\r\nBcc: y", "a@b").String(), "\n")
	for addr, want := range map[string][2]string{
		"a@b": {"a", "b"}, `"a@b"@c`: {`"a@b"`, "c"}, `"\""@c`: {`"\""`, "c"}, "a": {"a", ""}, "": {}, "a@b@c": {"a@b", "c"},
	} {
		local, domain := mime.Address{Addr: addr}.Split()
		require.Equal(t, want, [2]string{local, domain}, addr)
	}
}
