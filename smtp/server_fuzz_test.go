package smtp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzServerSession: whatever a client sends, and wherever it is cut, the replies are the same and well formed, and the handler is asked
// in order. While the fuzzer makes an input smaller, up to a minute by default, it counts nothing and shows 0 execs/sec; -fuzzminimizetime 10x keeps it busy.
func FuzzServerSession(f *testing.F) {
	files, err := filepath.Glob("testdata/server/*.txt")
	require.NoError(f, err)
	for i, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(f, err)
		var input strings.Builder
		for line := range strings.Lines(string(text)) {
			if c, ok := strings.CutPrefix(line, "C: "); ok {
				input.WriteString(strings.TrimSuffix(c, "\n") + "\r\n")
			} else if raw, ok := strings.CutPrefix(line, "R: "); ok {
				input.WriteString(strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\x00`, "\x00").Replace(strings.TrimSuffix(raw, "\n")))
			}
		}
		f.Add([]byte(input.String()), uint8(i), uint64(i))
		f.Add([]byte(input.String()), uint8(128+i%64), uint64(i))
	}
	f.Fuzz(func(t *testing.T, input []byte, kind uint8, seed uint64) {
		server := func() *Server {
			srv := &Server{Auth: fileAuth{}, InsecureAuth: true, Offer: ExtPriority | ExtDeliverBy | ExtRRVS | ExtBinaryMIME, Limits: Limits{BadCommands: 200, FailDelay: -1}}
			srv.Mode = Mode(kind % 3)
			srv.Lines = LinePolicy(kind / 3 % 3)
			if kind&64 != 0 {
				srv.Limits.MessageSize = 50
			}
			if kind&128 != 0 {
				srv.XClientFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
				srv.Tokens, srv.Verify, srv.Expand = fileTokens{}, verifyBob, verifyBob
			}
			if bytes.HasPrefix(input, []byte("PROXY")) || bytes.HasPrefix(input, []byte("\r\n\r\n")) {
				srv.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			}
			return srv
		}
		replies, r, _ := converse(server(), string(input))
		require.Empty(t, r.fault)
		require.True(t, replies == "" || strings.HasSuffix(replies, "\r\n"))
		for line := range strings.Lines(replies) {
			line = strings.TrimSuffix(line, "\r\n")
			require.GreaterOrEqual(t, len(line), 4)
			require.LessOrEqual(t, len(line), 510)
			require.Contains(t, "2345", line[:1])
			require.True(t, line[3] == ' ' || line[3] == '-', "%q", line)
			require.NotContains(t, line, "\r")
			require.NotContains(t, line, "\n")
			require.NotContains(t, line, "hunter2")
		}
		random := rand.New(rand.NewPCG(seed, 1))
		for _, pieces := range [][]string{cut(random, string(input)), strings.Split(string(input), "")} {
			if len(input) > 2000 && len(pieces) == len(input) {
				continue
			}
			again, second, _ := converse(server(), pieces...)
			require.Equal(t, replies, again)
			require.Equal(t, r.log(), second.log())
		}
	})
}

// FuzzParams: what was parsed can be written, and reads the same.
func FuzzParams(f *testing.F) {
	for _, s := range []string{
		" SIZE=1 BODY=8BITMIME SMTPUTF8 REQUIRETLS AUTH=<> RET=FULL ENVID=a+2Bb MT-PRIORITY=-3 BY=120;RT HOLDFOR=60",
		" HOLDUNTIL=2030-01-02T03:04:05Z AUTH=a+3Db", " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a@b RRVS=2014-04-03T23:01:00Z;C",
		" ORCPT=utf-8;\\x{FC}ü NOTIFY=NEVER", " BY=-5;N",
	} {
		f.Add(s)
	}
	const all = ^Extensions(0)
	f.Fuzz(func(t *testing.T, s string) {
		if p, wrong := parseMailParams([]byte(s), all); wrong == nil {
			out, err := appendMailParams(nil, &p)
			require.NoError(t, err)
			require.True(t, isPrintable(string(out)))
			again, wrong := parseMailParams(bytes.Clone(out), all)
			require.Nil(t, wrong, "%q", out)
			p.HoldUntil = p.HoldUntil.UTC().Truncate(1e9)
			again.HoldUntil = again.HoldUntil.UTC()
			require.Equal(t, p, again)
		}
		if p, wrong := parseRcptParams([]byte(s), all); wrong == nil {
			out, err := appendRcptParams(nil, &p)
			require.NoError(t, err)
			require.True(t, isPrintable(string(out)))
			again, wrong := parseRcptParams(bytes.Clone(out), all)
			require.Nil(t, wrong, "%q", out)
			p.RequireSince = p.RequireSince.UTC().Truncate(1e9)
			again.RequireSince = again.RequireSince.UTC()
			require.Equal(t, p, again)
		}
	})
}

// FuzzCommand: the parser takes anything, and a path never loses or gains a parameter by quotes.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"MAIL FROM:<a@b> SIZE=1", `RCPT TO:<"a> b"@c> NOTIFY=NEVER`, "BDAT 12 LAST", "EHLO x", "noop", `MAIL FROM:<"\">"@x>`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		v, arg := parseCommand(line)
		require.LessOrEqual(t, v, verbHTTP)
		for _, keyword := range []string{"FROM:", "TO:"} {
			path, ok := cutKeyword(arg, keyword)
			if !ok {
				continue
			}
			inner, rest, wrong := cutPath(path)
			if wrong != nil {
				continue
			}
			require.Equal(t, string(path), "<"+string(inner)+">"+string(rest))
			if p, err := ParseReversePath(string(inner)); err == nil && !p.IsNull() && inner[0] != '@' {
				again, nothing, wrong := cutPath([]byte("<" + p.String() + ">"))
				require.Nil(t, wrong)
				require.Empty(t, nothing)
				m, err := ParseMailbox(string(again))
				require.NoError(t, err)
				require.Equal(t, p.Mailbox, m)
			}
		}
	})
}

// dotReference undoes dot-stuffing octet by octet, as RFC 5321 s4.5.2 reads. n is the length with the final dot line; 0: not complete.
func dotReference(in []byte) (content []byte, n int) {
	line := 0 // begin of the line
	for i := 1; i < len(in); i++ {
		if in[i-1] != '\r' || in[i] != '\n' {
			continue
		}
		text := in[line : i+1]
		if string(text) == ".\r\n" {
			return content, i + 1
		}
		content = append(content, bytes.TrimPrefix(text, []byte("."))...)
		line = i + 1
	}
	return nil, 0
}

// bareReference tells what is wrong with a message, and makes it good.
func bareReference(in []byte) (bad bool, good []byte) {
	for i := 0; i < len(in); i++ {
		switch {
		case in[i] == '\r' && i+1 < len(in) && in[i+1] == '\n':
			good = append(good, "\r\n"...)
			i++
		case in[i] == '\r' || in[i] == '\n':
			bad, good = true, append(good, "\r\n"...)
		case in[i] == 0:
			bad = true
		default:
			good = append(good, in[i])
		}
	}
	return bad, good
}

// FuzzContent compares the scanner of blocks with one that goes octet by octet, wherever the input is cut.
func FuzzContent(f *testing.F) {
	for _, s := range []string{"a\r\n.\r\n", "..\r\n.\r\n", ".\r\n", "\n.\n\r\n.\r\n", "a\r\r\n.\r\n", "\r.\r\r\n.\r\n", ".a\r\n\x00.\r\n.\r\n", "\r\n\r\n..x\r\n.\r\n"} {
		f.Add([]byte(s), uint64(1))
	}
	f.Fuzz(func(t *testing.T, input []byte, seed uint64) {
		for _, dot := range []bool{true, false} {
			want, n := input, len(input)
			if dot {
				if want, n = dotReference(input); n == 0 {
					continue
				}
			}
			bad, good := bareReference(want)
			for _, policy := range []LinePolicy{LinesReject, LinesNormalize, LinesKeep} {
				got, used, fault := takeContent(input, seed, policy, dot)
				require.Equal(t, n, used)
				switch policy {
				case LinesReject:
					require.Equal(t, bad, fault != nil, "%q %v", input, fault)
					if !bad {
						require.Equal(t, string(want), string(got))
					}
				case LinesNormalize:
					require.Nil(t, fault)
					require.Equal(t, string(good), string(got))
				case LinesKeep:
					require.Nil(t, fault)
					require.Equal(t, string(want), string(got))
				}
			}
		}
	})
}

// takeContent runs the input through content in random pieces, as DATA or as one or two chunks.
func takeContent(text []byte, seed uint64, policy LinePolicy, dot bool) (got []byte, used int, fault *Error) {
	random := rand.New(rand.NewPCG(seed, 2))
	var c content
	c.begin(policy, -1, dot)
	first := len(text)
	if !dot && len(text) > 0 {
		first = random.IntN(len(text) + 1)
	}
	c.chunk, c.last = int64(first), first == len(text)
	in := input{buf: make([]byte, 64)}
	fed := 0
	for {
		b, e := c.next(&in)
		switch e {
		case eventBlock:
			if got = append(got, b...); len(b) > len(in.buf) {
				panic("block is larger than the buffer")
			}
		case eventInput:
			if fed == len(text) {
				panic("wants more than there is")
			}
			k := copy(in.space(), text[fed:fed+1+random.IntN(min(len(text)-fed, 20))])
			in.added(k)
			fed += k
		case eventChunkEnd:
			c.chunk, c.last = int64(len(text)-first), true
		case eventEnd:
			return got, fed - len(in.pending()), c.fault
		}
	}
}
