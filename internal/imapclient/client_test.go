package imapclient_test

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/imapclient"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/internal/sasl"
	"github.com/stretchr/testify/require"
)

// play runs a server that follows a script: lines "C: " are what it must be
// sent, the others what it says. \r\n is put behind each, unless it ends with _.
func play(t *testing.T, script string) (*imapclient.Client, *strings.Builder) {
	t.Helper()
	near, far := memnet.Pipe()
	done := make(chan struct{})
	t.Cleanup(func() {
		near.Close()
		<-done
	})
	go func() {
		defer close(done)
		defer far.Close()
		r := bufio.NewReader(far)
		for line := range strings.Lines(script) {
			line = strings.TrimSuffix(line, "\n")
			if want, ok := strings.CutPrefix(line, "C: "); ok {
				got, err := r.ReadString('\n')
				if err != nil || got != want+"\r\n" {
					t.Errorf("server got %q, want %q", got, want)
					return
				}
				continue
			}
			if rest, ok := strings.CutSuffix(line, "_"); ok {
				far.Write([]byte(rest))
			} else {
				far.Write([]byte(line + "\r\n"))
			}
		}
	}()
	log := new(strings.Builder)
	c, err := imapclient.New(t.Context(), near, func(dir, line string) { log.WriteString(dir + ": " + line + "\n") })
	require.NoError(t, err)
	return c, log
}

const selected = `* OK ready
C: a1 SELECT "INBOX"
* FLAGS (\Seen $Work)
* 3 EXISTS
* OK [UIDVALIDITY 7] valid
* OK [UIDNEXT 12] next
* OK [PERMANENTFLAGS (\Seen \*)] kept
a1 OK [READ-WRITE] done
`

func TestSession(t *testing.T) {
	t.Parallel()
	c, log := play(t, `* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready
C: a1 LOGIN "alice" "s3cret \"x\""
a1 OK [CAPABILITY IMAP4rev1 IDLE] in
C: a2 SELECT "INBOX"
* FLAGS (\Seen)
* 3 EXISTS
* OK [UIDVALIDITY 7] valid
* OK [UIDNEXT 12] next
* OK [PERMANENTFLAGS (\Seen \*)] kept
* OK [HIGHESTMODSEQ 99]
a2 OK [READ-WRITE] done
C: a3 UID FETCH 1:* (UID BODY[])
* 1 FETCH (UID 4 FLAGS (\Seen $x]) BODY[HEADER.FIELDS (FROM "a b")]<0> {5}
ab
c ENVELOPE (NIL "s\"" ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL))
a3 OK done
C: a4 APPEND "Trash" (\Seen) {4}
+ go on
C: mail
a4 OK [APPENDUID 7 13] done
C: a5 EXPUNGE
* 2 EXPUNGE
* 2 EXPUNGE
a5 OK done
C: a6 SEARCH ALL
* SEARCH 1
a6 OK done
C: a7 STATUS "INBOX" (MESSAGES)
* STATUS INBOX (MESSAGES 1)
a7 OK done
C: a8 LIST "" "*"
* LIST (\HasNoChildren) "/" foo]bar
* LIST () NIL {3}
x y
a8 OK done
C: a9 IDLE
+ idling
* 2 EXISTS
C: DONE
a9 OK done
C: a10 COPY 1 "Nowhere"
a10 NO [TRYCREATE] no such mailbox
C: a11 LOGOUT
* BYE see you
a11 OK bye`)
	require.NoError(t, c.Login("alice", `s3cret "x"`))
	caps, err := c.Capabilities()
	require.NoError(t, err)
	require.Equal(t, []string{"IMAP4rev1", "IDLE"}, caps)
	m, err := c.Select("INBOX", false)
	require.NoError(t, err)
	require.Equal(t, uint32(3), m.Exists)
	require.Equal(t, uint32(7), m.UIDValidity)
	require.Equal(t, uint32(12), m.UIDNext)
	require.Equal(t, uint64(99), m.HighestModSeq)
	require.Equal(t, []string{`\Seen`, `\*`}, m.PermanentFlags)
	msgs, err := c.Fetch(true, "1:*", "(UID BODY[])")
	require.NoError(t, err)
	require.Len(t, msgs, 1)
	require.Equal(t, uint32(4), msgs[0].UID())
	require.Equal(t, "ab\r\nc", msgs[0].Items[`BODY[HEADER.FIELDS (FROM "A B")]<0>`].Text)
	require.Equal(t, `(NIL "s\"" ((NIL NIL "a" "b") (NIL NIL "c" "d")) NIL)`, msgs[0].Items["ENVELOPE"].String())
	require.Equal(t, []string{`\Seen`, "$x]"}, msgs[0].Items["FLAGS"].Strings())
	v, uid, err := c.Append("Trash", `(\Seen)`, time.Time{}, []byte("mail"))
	require.NoError(t, err)
	require.Equal(t, []uint32{7, 13}, []uint32{v, uid})
	gone, err := c.Expunge()
	require.NoError(t, err)
	require.Equal(t, []uint32{2, 2}, gone)
	require.Equal(t, uint32(1), c.Exists())
	found, err := c.Search(false, "ALL")
	require.NoError(t, err)
	require.Equal(t, []uint32{1}, found)
	status, err := c.Status("INBOX", "MESSAGES")
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{"MESSAGES": 1}, status)
	list, err := c.List("", "*")
	require.NoError(t, err)
	require.Equal(t, []imapclient.Entry{{"foo]bar", "/", []string{`\HasNoChildren`}}, {"x y", "", []string{}}}, list)
	idle, err := c.Idle()
	require.NoError(t, err)
	u, err := idle.Next()
	require.NoError(t, err)
	require.Equal(t, "EXISTS", u.Name)
	_, err = idle.Done()
	require.NoError(t, err)
	_, err = c.Copy(false, "1", "Nowhere")
	var e *imapclient.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "TRYCREATE", e.Code.Name)
	require.NoError(t, c.Logout())
	require.NotContains(t, log.String(), "s3cret")
}

func TestViolations(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"wrong tag":               "a9 OK done",
		"bare LF":                 "* 3 EXISTS\n_",
		"space":                   "*  3 EXISTS",
		"unbalanced":              "* 1 FETCH (UID 4\na2 OK done",
		"expunge in fetch":        "* 1 EXPUNGE",
		"fetch of none":           "* 4 FETCH (UID 4)",
		"fetch of message 0":      "* 0 FETCH (UID 4)",
		"fewer without expunge":   "* 2 EXISTS",
		"odd fetch list":          "* 1 FETCH (UID)",
		"bye":                     "* BYE going",
		"continuation":            "+ more",
		"bad quoting":             `* 1 FETCH (X "a\b")`,
		"bad literal":             "* 1 FETCH (X {x}\n)",
		"literal cut":             "* 1 FETCH (X {100}\n)",
		"tagged nonsense":         "a2 MAYBE done",
		"number too large":        "* 99999999999 EXISTS",
		"NUL":                     "* OK \x00",
		"space after parenthesis": "* 1 FETCH ( UID 4)",
		"deep":                    "* 1 FETCH " + strings.Repeat("(", 300),
		"twice":                   "* 1 FETCH (UID 4 UID 4)\na2 OK done",
	}
	for name, line := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := play(t, selected+"C: a2 FETCH 1 (UID)\n"+line)
			_, err := c.Select("INBOX", false)
			require.NoError(t, err)
			_, err = c.Fetch(false, "1", "(UID)")
			require.Error(t, err)
		})
	}
}

func TestSecretsAreNotTraced(t *testing.T) {
	t.Parallel()
	c, log := play(t, `* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready
C: a1 LOGIN "alice" "s3cret"
a1 NO [AUTHENTICATIONFAILED] no
C: a2 AUTHENTICATE PLAIN
+ 
C: AGFsaWNlAHMzY3JldA==
a2 OK in`)
	var e *imapclient.Error
	require.ErrorAs(t, c.Login("alice", "s3cret"), &e)
	require.Equal(t, "AUTHENTICATIONFAILED", e.Code.Name)
	x, err := sasl.NewClient("PLAIN", sasl.Credentials{Username: "alice", Password: "s3cret", AllowPlaintext: true}, sasl.Channel{})
	require.NoError(t, err)
	require.NoError(t, c.Exchange(x, false))
	require.NotContains(t, log.String(), "s3cret")
	require.NotContains(t, log.String(), "AGFs")
	require.Contains(t, log.String(), "AUTHENTICATIONFAILED")
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	near, far := memnet.Pipe()
	defer far.Close()
	far.Write([]byte("* OK ready\r\n"))
	c, err := imapclient.New(t.Context(), near, nil)
	require.NoError(t, err)
	defer c.Close()
	c.Timeout = time.Millisecond
	_, err = c.Cmd("NOOP")
	require.Error(t, err)
}

func FuzzResponses(f *testing.F) {
	f.Add([]byte("* 1 FETCH (UID 4 FLAGS (\\Seen) BODY[HEADER.FIELDS (FROM)]<0> {3}\r\nabc X ((NIL)(\"a\")))\r\na1 OK [X (y)] z\r\n"))
	f.Add([]byte("* LIST () \"/\" ~{2}\r\nab\r\n* VANISHED (EARLIER) 1:3\r\na1 NO x\r\n"))
	f.Add([]byte("* ESEARCH (TAG \"a1\") UID ALL 1:3,5\r\n+ x\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		near, far := memnet.Pipe()
		defer near.Close()
		far.Write([]byte("* OK ready\r\n"))
		far.Write(in[:min(len(in), 60_000)])
		far.(*memnet.Conn).CloseWrite()
		c, err := imapclient.New(t.Context(), near, nil)
		require.NoError(t, err)
		for range 3 {
			c.Search(true, "ALL")
			c.Fetch(false, "1", "ALL")
		}
	})
}
