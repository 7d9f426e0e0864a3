package imap_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// A script is a connection whose client says what is in chunks, one chunk a read, and then hangs up.
type script struct {
	chunks [][]byte
	out    bytes.Buffer
	read   func(i int) // before chunk i
	next   int
}

func (c *script) Read(p []byte) (int, error) {
	for len(c.chunks) > c.next && len(c.chunks[c.next]) == 0 {
		c.next++
	}
	if c.next == len(c.chunks) {
		return 0, io.EOF
	}
	if c.read != nil {
		c.read(c.next)
	}
	n := copy(p, c.chunks[c.next])
	if c.chunks[c.next] = c.chunks[c.next][n:]; len(c.chunks[c.next]) == 0 {
		c.next++
	}
	return n, nil
}

func (c *script) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *script) Close() error                     { return nil }
func (c *script) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 143} }
func (c *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1024} }
func (c *script) SetDeadline(time.Time) error      { return nil }
func (c *script) SetReadDeadline(time.Time) error  { return nil }
func (c *script) SetWriteDeadline(time.Time) error { return nil }

// A transcript is a conversation: lines with "C: " are sent, "L: " are lines of the literal that the line before announces
// by "{}" or "{+}", "S: " came back, "#" is a comment.
type transcript struct {
	shown  []string // the lines but those with S
	chunks [][]byte
	from   []int // which shown lines belong to a chunk: up to here
}

func readTranscript(t testing.TB, path string) (tr transcript) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var lines []string
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSuffix(l, "\n"); !strings.HasPrefix(l, "S: ") {
			lines = append(lines, l)
		}
	}
	tr.shown = lines
	for i := 0; i < len(lines); i++ {
		said, ok := strings.CutPrefix(lines[i], "C: ")
		if !ok {
			continue
		}
		var literal strings.Builder
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "L: ") {
			i++
			literal.WriteString(lines[i][3:] + "\r\n")
		}
		size := strconv.Itoa(literal.Len())
		said = strings.Replace(strings.Replace(said, "{}", "{"+size+"}", 1), "{+}", "{"+size+"+}", 1)
		tr.chunks = append(tr.chunks, []byte(said+"\r\n"))
		tr.from = append(tr.from, i+1)
		if literal.Len() > 0 {
			tr.chunks = append(tr.chunks, []byte(literal.String()))
			tr.from = append(tr.from, i+1)
		}
	}
	return tr
}

func (tr *transcript) copy() (chunks [][]byte) { return append(chunks, tr.chunks...) }

func serve(t testing.TB, srv *imap.Server, c *script) string {
	t.Helper()
	_ = srv.ServeConn(context.Background(), c)
	return c.out.String()
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testTranscript(t, path) })
		})
	}
}

// uidValidity is the store's to choose.
var uidValidity = regexp.MustCompile(`((?:UIDVALIDITY|APPENDUID|COPYUID) )\d+`)

func testTranscript(t *testing.T, path string) {
	tr := readTranscript(t, path)
	var got strings.Builder
	c := &script{chunks: tr.copy()}
	at, shown := 0, 0
	flush := func() {
		out := uidValidity.ReplaceAllString(c.out.String()[at:], "${1}9")
		at = c.out.Len()
		for _, l := range strings.Split(strings.TrimSuffix(out, "\r\n"), "\r\n") {
			if out != "" {
				got.WriteString("S: " + l + "\n")
			}
		}
	}
	c.read = func(i int) {
		flush()
		for ; shown < tr.from[i]; shown++ {
			got.WriteString(tr.shown[shown] + "\n")
		}
	}
	all := serve(t, newServer(t), c)
	flush()
	for ; shown < len(tr.shown); shown++ {
		got.WriteString(tr.shown[shown] + "\n")
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())

	// The same comes back however the input is cut.
	input := bytes.Join(tr.chunks, nil)
	require.Equal(t, all, serve(t, newServer(t), &script{chunks: [][]byte{input}}), "in one piece")
	var single [][]byte
	for i := range input {
		single = append(single, input[i:i+1])
	}
	require.Equal(t, all, serve(t, newServer(t), &script{chunks: single}), "octet by octet")
	step := 1
	if testing.Short() || len(input) > 4000 {
		step = 7
	}
	for i := 1; i < len(input); i += step {
		got := serve(t, newServer(t), &script{chunks: [][]byte{input[:i:i], input[i:]}})
		require.Equal(t, all, got, "cut at %d", i)
	}
}
