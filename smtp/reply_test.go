package smtp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parseReplies feeds a parser in pieces of a size and gives the replies, and whether it failed.
func parseReplies(in string, piece int) (replies []Reply, rest string, err error) {
	var p replyParser
	for len(in) > 0 {
		b := in[:min(piece, len(in))]
		in = in[len(b):]
		for len(b) > 0 {
			n, r, done, err := p.next([]byte(b))
			if err != nil {
				return replies, b[n:] + in, err
			}
			b = b[n:]
			if done {
				replies = append(replies, r)
			}
		}
	}
	if p.partial() {
		rest = "partial"
	}
	return replies, rest, nil
}

func TestReplyParser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     []Reply
		bad      bool
		partial  bool
	}{
		{name: "one line", in: "250 ok\r\n", want: []Reply{{Code: 250, Text: "ok"}}},
		{name: "only a code", in: "250\r\n", want: []Reply{{Code: 250}}},
		{name: "code and space", in: "250 \r\n", want: []Reply{{Code: 250}}},
		{name: "lone LF", in: "250 ok\n", want: []Reply{{Code: 250, Text: "ok"}}},
		{name: "lines", in: "250-a\r\n250-\r\n250 c\r\n", want: []Reply{{Code: 250, Text: "a\n\nc"}}},
		{name: "two replies", in: "250 a\r\n550 b\r\n", want: []Reply{{Code: 250, Text: "a"}, {Code: 550, Text: "b"}}},
		{name: "enhanced", in: "550 5.1.1 who\r\n", want: []Reply{{Code: 550, Enhanced: EnhancedCode{5, 1, 1}, Text: "who"}}},
		{name: "enhanced alone", in: "550 5.7.123\r\n", want: []Reply{{Code: 550, Enhanced: EnhancedCode{5, 7, 123}}}},
		{name: "enhanced on each line", in: "550-5.1.1 a\r\n550 5.1.1 b\r\n", want: []Reply{{Code: 550, Enhanced: EnhancedCode{5, 1, 1}, Text: "a\nb"}}},
		{name: "enhanced on the first line", in: "550-5.1.1 a\r\n550 b\r\n", want: []Reply{{Code: 550, Enhanced: EnhancedCode{5, 1, 1}, Text: "a\nb"}}},
		{name: "another on the second line", in: "550-5.1.1 a\r\n550 5.1.2 b\r\n", want: []Reply{{Code: 550, Enhanced: EnhancedCode{5, 1, 1}, Text: "a\n5.1.2 b"}}},
		{name: "enhanced of another class", in: "550 4.1.1 who\r\n", want: []Reply{{Code: 550, Text: "4.1.1 who"}}},
		{name: "an address, not a code", in: "550 5.1.1.1 who\r\n", want: []Reply{{Code: 550, Text: "5.1.1.1 who"}}},
		{name: "not quite a code", in: "550 5.1234.1 who\r\n", want: []Reply{{Code: 550, Text: "5.1234.1 who"}}},
		{name: "control characters", in: "250 a\rb\x00c\x1b[1m\r\n", want: []Reply{{Code: 250, Text: "a?b?c?[1m"}}},
		{name: "UTF-8", in: "250 grüß\r\n", want: []Reply{{Code: 250, Text: "grüß"}}},
		{name: "not UTF-8", in: "250 gr\xfc\xdf\r\n", want: []Reply{{Code: 250, Text: "gr??"}}},
		{name: "the longest line", in: "250 " + strings.Repeat("x", 4090) + "\r\n", want: []Reply{{Code: 250, Text: strings.Repeat("x", 4090)}}},

		{name: "a longer line", in: "250 " + strings.Repeat("x", 5000) + "\r\n", bad: true},
		{name: "a line without end", in: strings.Repeat("2", 10000), bad: true},
		{name: "too many lines", in: strings.Repeat("250-x\r\n", 300), bad: true},
		{name: "too many octets", in: strings.Repeat("250-"+strings.Repeat("x", 2000)+"\r\n", 100), bad: true},
		{name: "other codes", in: "250-a\r\n251 b\r\n", bad: true},
		{name: "no code", in: "hello\r\n", bad: true},
		{name: "empty line", in: "\r\n", bad: true},
		{name: "two digits", in: "25\r\n", bad: true},
		{name: "four digits", in: "2500 x\r\n", bad: true},
		{name: "1xx", in: "150 x\r\n", bad: true},
		{name: "6xx", in: "650 x\r\n", bad: true},
		{name: "no space", in: "250ok\r\n", bad: true},
		{name: "spaces in front", in: " 250 ok\r\n", bad: true},

		{name: "cut in a line", in: "250 o", partial: true},
		{name: "cut between lines", in: "250-o\r\n", partial: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for piece := 1; piece <= len(c.in); piece++ {
				replies, rest, err := parseReplies(c.in, piece)
				require.Equal(t, c.bad, err != nil, "%v", err)
				require.Equal(t, c.want, replies)
				require.Equal(t, c.partial, rest == "partial" && err == nil)
				if len(c.in) > 100 && piece > 10 {
					piece += piece / 2
				}
			}
		})
	}
}

func FuzzReplyParser(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "550 5.1.1 x\r\n421 4.4.2\n", "334 \r\n", "250-\n", "x"} {
		f.Add(s, uint8(1))
	}
	f.Fuzz(func(t *testing.T, in string, piece uint8) {
		whole, _, err := parseReplies(in, max(1, len(in)))
		cut, _, cutErr := parseReplies(in, int(piece)+1)
		require.Equal(t, whole, cut)
		require.Equal(t, err == nil, cutErr == nil)
		for _, r := range whole {
			require.NotContains(t, r.Text, "\r")
			require.True(t, r.Code >= 200 && r.Code < 600)
			require.LessOrEqual(t, strings.Count(r.Text, "\n"), maxReplyLines)
			_ = r.String()
		}
	})
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	c := parseCapabilities("mx.test hello\nSIZE 1000\npipelining\nAUTH PLAIN LOGIN\nAUTH=LOGIN XYZ\nLIMITS RCPTMAX=5 MAILMAX=x\n\n8BITMIME ")
	require.True(t, c.Has("PIPELINING"))
	require.True(t, c.Has("8BITMIME"))
	require.False(t, c.Has("MX.TEST"))
	require.Equal(t, int64(1000), c.Size())
	require.Equal(t, []string{"PLAIN", "LOGIN", "LOGIN", "XYZ"}, c.Mechanisms())
	require.Equal(t, 5, c.Limit("RCPTMAX"))
	require.Zero(t, c.Limit("MAILMAX"))
	require.Zero(t, parseCapabilities("x\nSIZE -5").Size())
	require.Zero(t, parseCapabilities("x\nSIZE").Size())
	require.Zero(t, parseCapabilities("x\nSIZE 99999999999999999999").Size())
}

func BenchmarkReplyParser(b *testing.B) {
	in := []byte(strings.Repeat("250 2.1.5 recipient ok\r\n", 100))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var p replyParser
	for b.Loop() {
		for rest := in; len(rest) > 0; {
			n, _, _, _ := p.next(rest)
			rest = rest[n:]
		}
	}
}
