package mime_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

// vector is one case of header-vectors. Its header is the value of a field with what follows it in the message.
type vector[T any] struct {
	Header   string
	Expected T
}

func vectors[T any](t *testing.T, name string) []vector[T] {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(suite(t, "mime/header-vectors"), name))
	require.NoError(t, err)
	var v []vector[T]
	require.NoError(t, json.Unmarshal(b, &v))
	require.NotEmpty(t, v)
	return v
}

// value returns the field value at the start of a vector.
func value(header string) string {
	h := mime.ParseHeader([]byte("X:" + header))
	for f := range h.Fields() {
		return string(f.Raw()[2:])
	}
	return header
}

// text puts an expectation and a result into one form: what the expectation could not decode, anything may stand for.
func sameText(want, got string) bool {
	if !strings.Contains(want, "\uFFFD") {
		return want == got
	}
	pieces := strings.FieldsFunc(want, func(r rune) bool { return r == '\uFFFD' })
	for _, p := range pieces {
		_, after, ok := strings.Cut(got, p)
		if !ok {
			return false
		}
		got = after
	}
	return true
}

// argued fails a vector that is argued and passes now, and one that is not argued and fails.
func argued(t *testing.T, why map[string]string, header string, same bool, want, got any) {
	t.Helper()
	if reason := why[header]; reason != "" {
		require.False(t, same, "argued (%s), but as expected now: %q", reason, header)
		return
	}
	if !same {
		t.Errorf("%q\nwant %v\ngot  %v", header, want, got)
	}
}

func TestVectorsUnstructured(t *testing.T) {
	t.Parallel()
	const glued = "an encoded word that is glued to text gets no space of ours"
	why := map[string]string{
		"[SUSPECTED SPAM]=?utf-8?B?VGhpcyBpcyB0aGUgb3JpZ2luYWwgc3ViamVjdA==?=\n":        glued,
		"[SUSPECTED SPAM]=?utf-8?B?VGhpcyBpcyB0aGUgb\n 3JpZ2luYWwgc3ViamVjdA==?=\n":     glued,
		"[SUSPECTED SPAM]=?utf-8?B?VGhpcyBpcyB0aGUgb\r\n 3JpZ2luYWwgc3ViamVjdA==?=\r\n": glued,
		"Some text =?utf-8?Q??=here\n": glued,
	}
	for _, v := range vectors[string](t, "unstructured.json") {
		got := mime.DecodeText(value(v.Header))
		argued(t, why, v.Header, sameText(v.Expected, got), v.Expected, got)
	}
}

func TestVectorsMessageID(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[[]string](t, "id.json") {
		got := mime.ParseMessageIDs(value(v.Header))
		argued(t, nil, v.Header, strings.Join(v.Expected, "\n") == strings.Join(got, "\n"), v.Expected, got)
	}
}

func TestVectorsList(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[[]string](t, "list.json") {
		got := mime.ParseHeader([]byte("Keywords:" + v.Header)).Keywords()
		argued(t, nil, v.Header, strings.Join(v.Expected, "\n") == strings.Join(got, "\n"), v.Expected, got)
	}
}

func TestVectorsDate(t *testing.T) {
	t.Parallel()
	type date struct {
		Year, Month, Day, Hour, Minute, Second int
		Before                                 bool `json:"tz_before_gmt"`
		TZHour                                 int  `json:"tz_hour"`
		TZMinute                               int  `json:"tz_minute"`
	}
	why := map[string]string{
		" 4 8 15 16 23 42, 4 8 15 16 23 42, 4 8 15 16 23 42, ": "numbers without a single mark of a date are none",
	}
	for _, v := range vectors[*date](t, "date.json") {
		got, ok := mime.ParseDate(value(v.Header))
		same := !ok
		var want time.Time
		if d := v.Expected; d != nil {
			offset := d.TZHour*3600 + d.TZMinute*60
			if d.Before {
				offset = -offset
			}
			want = time.Date(d.Year, time.Month(d.Month), d.Day, d.Hour, d.Minute, d.Second, 0, time.FixedZone("", offset))
			_, gotOffset := got.Zone()
			same = ok && want.Equal(got) && gotOffset == offset
		}
		argued(t, why, v.Header, same, want, got)
	}
}

func TestVectorsContentType(t *testing.T) {
	t.Parallel()
	type contentType struct {
		Type       string `json:"c_type"`
		Subtype    string `json:"c_subtype"`
		Attributes [][2]string
	}
	why := map[string]string{
		"image/jpeg;\n   name=\"=?iso-8859-1?B?4Q==?= =?utf-8?B?w6k=?= =?iso-8859-1?q?=ED?=.jpeg\"\n":                                                         "white space between encoded words is not text (RFC 2047 s6.2), in a parameter neither",
		"malicious/attempt; 1*2*=a; 3**=b; 4***=c; *5**6*=d;*****7*8*=e; 9*10*11*12*13*14=f; 15*x***fff*===g;1 * 999999999999999999 *= h; 18 *=*=*=*=*==i;\n": "nonsense, to which nobody has the right answer; it is only to be survived",
	}
	for _, v := range vectors[*contentType](t, "content_type.json") {
		got := mime.ParseMediaType(value(v.Header))
		params := map[string]string{}
		for _, p := range got.Params {
			params[p.Name] = p.Value
			if p.Language != "" {
				params[p.Name+"-language"] = p.Language
			}
		}
		same := got.Type == "" && len(params) == 0
		if v.Expected != nil {
			same = v.Expected.Type == got.Type && v.Expected.Subtype == got.Subtype && len(v.Expected.Attributes) == len(params)
			for _, a := range v.Expected.Attributes {
				same = same && sameText(a[1], params[a[0]])
			}
		}
		argued(t, why, v.Header, same, v.Expected, got)
	}
}

func TestVectorsAddress(t *testing.T) {
	t.Parallel()
	type address struct{ Name, Address *string }
	type group struct {
		Name      *string
		Addresses []address
	}
	type list struct {
		List  []address
		Group []group
	}
	str := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	show := func(b *strings.Builder, name, addr string) { b.WriteString("(" + name + "|" + addr + ")") }
	const comment = "comments are no part of a name; one is the name only where there is no other"
	why := map[string]string{
		"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>\n":                               comment,
		"Pete(A nice \n \\\n ) chap) <pete(his\n account)@silly\n .test(his host)>\n":                    "a backslash quotes one character, here the line end; the comment ends at the parenthesis",
		"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;\n":                              comment,
		"John Doe <jdoe@machine(comment).  example>\n":                                                   comment,
		"Name (comment) =?utf-8?q?Doe?= <a@b.com>\n":                                                     comment,
		"Nathaniel Borenstein <nsb@thumper.bellcore.com>\n    (=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)\n": comment,
		"A Group(Some people)\n        :Chris Jones <c@(Chris's host.)public.example>,\n            joe@example.org,\n     John <jdoe@one.test> (my dear friend); (the end of the group)\n": comment,
		"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example\n": "a route and the space around dots are no part of an address (RFC 5322 s4.4)",
	}
	for _, v := range vectors[list](t, "address.json") {
		var want, got strings.Builder
		if v.Expected.List != nil {
			v.Expected.Group = []group{{Addresses: v.Expected.List}}
		}
		for _, g := range v.Expected.Group {
			want.WriteString("[" + str(g.Name) + "]")
			for _, a := range g.Addresses {
				show(&want, str(a.Name), str(a.Address))
			}
		}
		for _, g := range mime.ParseAddressList(value(v.Header)) {
			got.WriteString("[" + g.Name + "]")
			for _, a := range g.Members {
				show(&got, a.Name, a.Addr)
			}
		}
		argued(t, why, v.Header, sameText(want.String(), got.String()), want.String(), got.String())
	}
}
