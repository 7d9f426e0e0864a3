package pop3_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/pop3"
	"github.com/gomailroom/mailroom/pop3/pop3test"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite what the server says in testdata")

const apopBanner = "<1896.697170952@dbc.mtview.ca.us>"

// newServer has two users and three messages, as the transcripts expect.
func newServer(t testing.TB) (*pop3.Server, *pop3test.Memory) {
	m := new(pop3test.Memory)
	m.Deliver("alice", []byte("Subject: one\r\nX: y\r\n\r\nfirst\r\n.second\r\n\r\n..\r\n"))
	m.Deliver("alice", []byte("Subject: Grüße\r\n\r\nbody\r\n"))
	m.Deliver("alice", []byte("Subject: three\r\n\r\n.\r\nQUIT\r\n"))
	users := pop3test.Users{"alice": "pass word ", "mrose": "tanstaaf", "jörg": "ü"}
	return &pop3.Server{Backend: m, Auth: users, InsecureAuth: true, Hostname: "pop.example.org", Implementation: "mailroom", Limits: pop3.Limits{FailDelay: -1}}, m
}

// A transcript has lines of the client ("C: "), of the server ("S: "), the
// handshake ("TLS"), and settings ("# apop", "# secure").
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			segments, want := parse(string(data))
			got, text := replay(t, string(data), segments, nil)
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
				return
			}
			require.Equal(t, want, got)
			for s := range segments { // then at every split
				for i := range len(segments[s]) {
					if len(segments[s]) > 2000 && i%37 != 0 {
						continue // a very long line: not at each of its octets
					}
					got, _ := replay(t, string(data), segments, map[int]int{s: i})
					require.Equal(t, want, got, "segment %d cut at %d", s, i)
				}
			}
		})
	}
}

// parse gives what the client sends, cut where TLS starts, and all that the
// server says.
func parse(text string) (segments []string, want string) {
	segments = []string{""}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if c, ok := strings.CutPrefix(line, "C: "); ok {
			segments[len(segments)-1] += unescape(c) + "\r\n"
		} else if s, ok := strings.CutPrefix(line, "S: "); ok {
			want += s + "\r\n"
		} else if line == "TLS" {
			segments = append(segments, "")
		}
	}
	return segments, want
}

func unescape(s string) string {
	return strings.NewReplacer(`\0`, "\x00", `\r`, "\r", `\long`, strings.Repeat("x", 13_000)).Replace(s)
}

// replay runs a transcript: line by line when cuts is nil, and then also
// returns it as it went; else in whole segments with the cuts.
func replay(t *testing.T, data string, segments []string, cuts map[int]int) (got, text string) {
	srv, _ := newServer(t)
	banner := ""
	if strings.Contains(data, "# apop") {
		srv.Secrets = srv.Auth.(pop3test.Users)
		banner = apopBanner
	}
	if strings.Contains(data, "# secure") {
		srv.InsecureAuth = false
		srv.TLSConfig = serverTLS
	}
	if strings.Contains(data, "# policy") {
		srv.ExpireDays, srv.LoginDelay = 30, 900e9
	}
	c := pop3.NewCore(t.Context(), srv, banner)
	defer c.Close()
	take := func() {
		out := c.Output()
		if i := strings.Index(out, " <"); banner != "" && i >= 0 && strings.HasPrefix(out, "+OK POP3") {
			out = out[:i+1] + banner + "\r\n"
		}
		got += out
		for l := range strings.SplitAfterSeq(out, "\r\n") {
			if l != "" {
				text += "S: " + strings.TrimSuffix(l, "\r\n") + "\n"
			}
		}
	}
	if cuts != nil {
		take()
		for s, segment := range segments {
			if s > 0 {
				c.StartTLS()
			}
			over, _ := c.Feed([]byte(segment[:cuts[s]]))
			if !over {
				c.Feed([]byte(segment[cuts[s]:]))
			}
			take()
		}
		return got, ""
	}
	started := false
	for line := range strings.Lines(data) {
		line = strings.TrimSuffix(line, "\n")
		switch cmd, isClient := strings.CutPrefix(line, "C: "); {
		case isClient || line == "TLS":
			if !started {
				take()
				started = true
			}
			text += line + "\n"
			if !isClient {
				c.StartTLS()
				continue
			}
			c.Feed([]byte(unescape(cmd) + "\r\n"))
			take()
		case !strings.HasPrefix(line, "S: "):
			text += line + "\n"
		}
	}
	return got, text
}
