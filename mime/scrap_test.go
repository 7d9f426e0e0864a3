package mime_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

// TestValuesOfScraps gives every parser of a field's value random sequences of what its grammar is made of. It reaches corners
// that random bytes do not.
func TestValuesOfScraps(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"a", "b.c", "@", ".", ",", ";", ":", "<", ">", "\"", "\"\"", "\"q p\"", "\\", "(", ")", "(c)", "[", "]", "@[1.2.3.4]", " ", "\t", "\r\n ", "\n ",
		"=", "*", "*0*=", "*1=", "%", "%41", "'", "utf-8''", "=?", "?=", "=?utf-8?Q?x_=41?=", "=?utf-8?B?QUE=?=", "=?utf-7?Q?+2D3?=", "=?x*en?q??=", "boundary=", "charset=", "/",
		"text", "multipart", "\xff", "é", "\x00", "Tue", "3", "Nov", "2026", "10:20", "10:20:30", "+0100", "-", "+", "GMT", "PM", "T", "2026-11-03", "10.20.30", "1-Jan-99",
		"from", "by", "with", "id", "for", "[192.0.2.1:25]", "IPv6:::1", "Re:", "fwd", "(fwd)", "[fwd:", "[x]", "> ", "-- \n", "\n", "On 1 Ann wrote:\n", "--a--",
	}
	rounds := 15000
	if raceEnabled {
		rounds = 2000
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range rounds {
		var b strings.Builder
		for range r.IntN(14) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		s := b.String()
		for _, a := range mime.ParseAddressList(s).All() {
			require.NotEqual(t, mime.Address{}, a, "%q", s)
			require.NotContains(t, a.String(), "\n", "%q", s)
		}
		for _, p := range append(mime.ParseMediaType(s).Params, mime.ParseDisposition(s).Params...) {
			require.NotEmpty(t, p.Name, "%q", s)
			require.True(t, utf8.ValidString(p.Value), "%q: %q", s, p.Value)
		}
		require.True(t, utf8.ValidString(mime.DecodeText(s)), "%q", s)
		for _, id := range mime.ParseMessageIDs(s) {
			require.False(t, id == "" || strings.ContainsAny(id, "\r\n"), "%q: %q", s, id)
		}
		mime.ParseDate(s)
		mime.ParseReceived(s)
		mime.ParseEncoding(s)
		mime.HTMLText(s)
		mime.DecodeFlowed(s, true)
		base, _ := mime.BaseSubject(s)
		again, _ := mime.BaseSubject(base)
		if !strings.Contains(s, "=?") { // a decoded word may look like another one
			require.Equal(t, base, again, "%q: the base of a base is itself", s)
		}
		reply, quoted := mime.SplitReply(s)
		require.Equal(t, s, reply+quoted)
		h := mime.ParseHeader([]byte("To: " + s + "\r\nContent-Type: " + s + "\r\nContent-Disposition: " + s + "\r\nSubject: " + s + "\r\n\r\n"))
		h.Envelope()
		h.Textproto()
		h.Keywords()
		m := mime.ParseBytes(append(h.Bytes(), s...))
		checkTree(t, m, append(h.Bytes(), s...))
		readAll(t, m)
	}
}
