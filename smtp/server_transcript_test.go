package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/memnet"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// The transcripts under testdata/server are whole sessions. A line "@ option value" configures the server, "C: text" is
// a line of the client, "R: text" are octets of the client without CRLF and with the escapes of Go strings, "S: text" is what the server must
// answer, and "H: text" what its handler must be asked.

// fileAuth knows one user.
type fileAuth struct{}

type temporaryError struct{}

func (temporaryError) Error() string   { return "directory is down" }
func (temporaryError) Temporary() bool { return true }

func (fileAuth) VerifyPassword(_ context.Context, _ netip.Addr, authzid, username, password string) (string, error) {
	switch {
	case username == "down":
		return "", temporaryError{}
	case username == "alice" && password == "secret" && authzid == "":
		return "alice@example.org", nil
	}
	return "", errors.New("no such user or wrong password")
}

// fileTokens knows one token.
type fileTokens struct{}

func (fileTokens) VerifyToken(_ context.Context, _ netip.Addr, authzid, token string) (string, error) {
	if token == "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" {
		return authzid, nil
	}
	return "", errors.New("token has expired")
}

func transcriptServer(t *testing.T, options [][]string) *Server {
	srv := &Server{Limits: Limits{FailDelay: -1}}
	for _, o := range options {
		n := 0
		if len(o) > 1 {
			n, _ = strconv.Atoi(o[1])
		}
		switch o[0] {
		case "lmtp":
			srv.Mode = LMTP
		case "submission":
			srv.Mode = Submission
		case "auth":
			srv.Auth = fileAuth{}
		case "insecureauth":
			srv.Auth, srv.InsecureAuth = fileAuth{}, true
		case "size":
			srv.Limits.MessageSize = int64(n)
		case "recipients":
			srv.Limits.Recipients = n
		case "errors":
			srv.Limits.BadCommands = n
		case "commands":
			srv.Limits.Commands = n
		case "refusals":
			srv.Limits.Refusals = n
		case "normalize":
			srv.Lines = LinesNormalize
		case "keep":
			srv.Lines = LinesKeep
		case "offer":
			srv.Offer = ExtPriority | ExtDeliverBy | ExtRRVS | ExtFutureRelease | ExtRequireTLS | ExtBinaryMIME
		case "proxy":
			srv.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		case "xclient":
			srv.XClientFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		case "tokens":
			srv.Tokens, srv.InsecureAuth = fileTokens{}, true
		case "secrets":
			srv.Secrets, srv.InsecureAuth = fileSecrets{}, true
		case "requiretls":
			srv.RequireTLS, srv.TLSConfig = true, &tls.Config{}
		case "7bit":
			srv.Withhold = Ext8BitMIME
		case "withhold":
			srv.Withhold = ExtChunking | ExtDSN | ExtEnhancedStatusCodes | ExtSMTPUTF8
		case "verify":
			srv.Verify = verifyBob
			srv.Expand = verifyBob
		default:
			require.Fail(t, "unknown option", o[0])
		}
	}
	return srv
}

func verifyBob(_ context.Context, _ *Peer, name string) ([]Mailbox, error) {
	bob, bobby := Mailbox{"bob", "example.org"}, Mailbox{"bob b", "example.org"}
	switch name {
	case "bob":
		return []Mailbox{bob}, nil
	case "bobs":
		return []Mailbox{bob, bobby}, nil
	case "baeb":
		return []Mailbox{{"bäb", "example.org"}}, nil
	}
	return nil, decide(name)
}

// stageConn is a scriptConn that writes down the session as it goes.
type stageConn struct {
	scriptConn
	lines []string // how the pieces stand in the transcript
	seen  int
	calls int
	r     *recorder
	text  strings.Builder
}

func (c *stageConn) Read(p []byte) (int, error) {
	c.settle()
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.lines) > 0 && len(c.lines) == len(c.pieces) { // the first octets of a piece
		c.text.WriteString(c.lines[0] + "\n")
		c.lines = c.lines[1:]
	}
	return c.scriptConn.Read(p)
}

func (c *stageConn) settle() {
	for _, call := range c.r.calls[c.calls:] {
		c.text.WriteString("H: " + call + "\n")
	}
	c.calls = len(c.r.calls)
	for line := range strings.SplitSeq(strings.TrimSuffix(c.out.String()[c.seen:], "\r\n"), "\r\n") {
		if line != "" {
			c.text.WriteString("S: " + line + "\n")
		}
	}
	c.seen = c.out.Len()
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/server/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testTranscript(t, name) }) // at a time that is always the same
		})
	}
}

func testTranscript(t *testing.T, name string) {
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	var head, lines, pieces []string
	var options [][]string
	for line := range strings.Lines(string(want)) {
		line = strings.TrimSuffix(line, "\n")
		kind, text, _ := strings.Cut(line, " ")
		switch kind {
		case "@":
			options = append(options, strings.Fields(text))
			head = append(head, line)
		case "C:":
			lines, pieces = append(lines, line), append(pieces, text+"\r\n")
		case "R:":
			raw, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
			require.NoError(t, err, line)
			lines, pieces = append(lines, line), append(pieces, raw)
		case "S:", "H:":
		default:
			head = append(head, line)
		}
	}

	r := &recorder{}
	c := &stageConn{lines: lines, r: r}
	for _, p := range pieces {
		c.pieces = append(c.pieces, []byte(p))
	}
	srv := transcriptServer(t, options)
	srv.Handler, srv.Hostname = r, "mx.example.org"
	srv.ServeConn(context.Background(), c)
	c.settle()
	got := strings.Join(head, "\n") + "\n" + c.text.String()
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(got), 0o644))
	} else {
		require.Equal(t, string(want), got)
	}
	require.Empty(t, r.fault)

	input := strings.Join(pieces, "")
	again := func(pieces ...string) {
		t.Helper()
		replies, second, _ := converse(transcriptServer(t, options), pieces...)
		require.Equal(t, c.out.String(), replies)
		require.Equal(t, r.log(), second.log())
	}
	for i := 0; i < len(input); i += 1 + len(input)/1500 { // every split, of the very long ones some
		again(input[:i], input[i:])
	}
	again(strings.Split(input, "")...)
	replayMemnet(t, transcriptServer(t, options), input, c.out.String())
}

// replayMemnet sends the input over a real (if in-memory) connection in random pieces.
func replayMemnet(t *testing.T, srv *Server, input, replies string) {
	var n memnet.Network
	l, err := n.Listen("tcp", "192.0.2.1:25")
	require.NoError(t, err)
	defer l.Close()
	client, err := n.Host("192.0.2.2").DialContext(t.Context(), "tcp", "192.0.2.1:25")
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	srv.Handler, srv.Hostname = &recorder{}, "mx.example.org"
	done := make(chan error, 1)
	go func() { done <- srv.ServeConn(context.Background(), server) }()
	go func() {
		random := rand.New(rand.NewPCG(1, uint64(len(input))))
		for len(input) > 0 {
			n := min(len(input), 1+random.IntN(40))
			if _, err := io.WriteString(client, input[:n]); err != nil {
				return // the server has had enough
			}
			input = input[n:]
		}
		client.(interface{ CloseWrite() error }).CloseWrite()
	}()
	var out bytes.Buffer
	_, err = io.Copy(&out, client)
	if replies != "" { // who gets no answer is cut off
		require.NoError(t, err, fmt.Sprint(out.String()))
	}
	require.Equal(t, replies, out.String())
	<-done
}
