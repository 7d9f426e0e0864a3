package pop3client_test

import (
	"bufio"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/internal/pop3client"
	"github.com/gomailroom/mailroom/internal/sasl"
	"github.com/stretchr/testify/require"
)

// play runs a server that follows a script: lines "C: " are what it must be
// sent, the others what it says.
func play(t *testing.T, script string) (*pop3client.Client, *strings.Builder, error) {
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
				if got, err := r.ReadString('\n'); err != nil || got != want+"\r\n" {
					t.Errorf("server got %q, want %q", got, want)
					return
				}
				continue
			}
			far.Write([]byte(strings.ReplaceAll(line, `\n`, "\n") + "\r\n"))
		}
	}()
	log := new(strings.Builder)
	c, err := pop3client.New(t.Context(), near, func(dir, line string) { log.WriteString(dir + ": " + line + "\n") })
	return c, log, err
}

func TestSession(t *testing.T) {
	t.Parallel()
	c, log, err := play(t, `+OK ready
C: CAPA
+OK
TOP
SASL PLAIN LOGIN
.
C: USER alice
+OK
C: PASS s3cret
-ERR [AUTH] no
C: AUTH PLAIN
+ 
C: AGFsaWNlAHMzY3JldA==
+OK in
C: STAT
+OK 2 120
C: LIST
+OK
1 50
2 70
.
C: UIDL
+OK
1 a
2 b
.
C: RETR 1
+OK
Subject: x

..
..y
.
C: TOP 2 0
-ERR no such message
C: DELE 1
+OK
C: QUIT
+OK bye`)
	require.NoError(t, err)
	require.Equal(t, "ready", c.Greeting())
	caps, err := c.Capa()
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"TOP": {}, "SASL": {"PLAIN", "LOGIN"}}, caps)
	var e *pop3client.Error
	require.ErrorAs(t, c.Login("alice", "s3cret"), &e)
	require.Equal(t, pop3client.Error{Command: "PASS", Code: "AUTH", Text: "no"}, *e)
	require.NoError(t, c.Exchange(serverFirst{t}))
	n, octets, err := c.Stat()
	require.NoError(t, err)
	require.Equal(t, []int64{2, 120}, []int64{int64(n), octets})
	sizes, err := c.List()
	require.NoError(t, err)
	require.Equal(t, map[int]int64{1: 50, 2: 70}, sizes)
	uids, err := c.UIDL()
	require.NoError(t, err)
	require.Equal(t, map[int]string{1: "a", 2: "b"}, uids)
	msg, err := c.Retr(1)
	require.NoError(t, err)
	require.Equal(t, "Subject: x\r\n\r\n.\r\n.y\r\n", string(msg))
	_, err = c.Top(2, 0)
	require.ErrorAs(t, err, &e)
	require.NoError(t, c.Dele(1))
	require.NoError(t, c.Quit())
	require.NotContains(t, log.String(), "s3cret")
	require.NotContains(t, log.String(), "AGFs")
}

// serverFirst is PLAIN without an initial response.
type serverFirst struct{ t *testing.T }

func (serverFirst) Mechanism() string      { return "PLAIN" }
func (serverFirst) Start() ([]byte, error) { return nil, nil }
func (serverFirst) Finish() error          { return nil }
func (s serverFirst) Next(challenge []byte) ([]byte, error) {
	require.Empty(s.t, challenge)
	return []byte("\x00alice\x00s3cret"), nil
}

func TestAuthNeedsPrivacy(t *testing.T) {
	t.Parallel()
	c, _, err := play(t, "+OK ready\nC: CAPA\n+OK\nSASL XOAUTH2\n.")
	require.NoError(t, err)
	require.ErrorIs(t, c.Auth(sasl.Credentials{Username: "alice", Password: "x"}), sasl.ErrNoMechanism)
}

func TestViolations(t *testing.T) {
	t.Parallel()
	for name, greeting := range map[string]string{
		"not a reply": "220 ready", "lower case": "+ok ready", "challenge": "+ x", "bare LF": `+OK\nready`, "too long": "+OK " + strings.Repeat("x", 600),
	} {
		t.Run("greeting: "+name, func(t *testing.T) {
			t.Parallel()
			_, _, err := play(t, greeting)
			require.ErrorIs(t, err, pop3client.ErrProtocol)
		})
	}
	for name, reply := range map[string]string{
		"number twice":     "1 5\n1 6",
		"descending":       "2 5\n1 6",
		"negative":         "1 -5",
		"more":             "1 5 x",
		"dot without twin": ".1 5",
		"bare LF":          `1 5\n2 6`,
	} {
		t.Run("listing: "+name, func(t *testing.T) {
			t.Parallel()
			c, _, err := play(t, "+OK\nC: LIST\n+OK\n"+reply+"\n.")
			require.NoError(t, err)
			_, err = c.List()
			require.ErrorIs(t, err, pop3client.ErrProtocol)
		})
	}
	for name, reply := range map[string]string{
		"same UID": "1 a\n2 a", "space": "1 a b", "none": "1 ", "too long": "1 " + strings.Repeat("x", 71), "not a number": "x a",
	} {
		t.Run("identifiers: "+name, func(t *testing.T) {
			t.Parallel()
			c, _, err := play(t, "+OK\nC: UIDL\n+OK\n"+reply+"\n.")
			require.NoError(t, err)
			_, err = c.UIDL()
			require.ErrorIs(t, err, pop3client.ErrProtocol)
		})
	}
	t.Run("open response code", func(t *testing.T) {
		t.Parallel()
		c, _, err := play(t, "+OK\nC: NOOP\n-ERR [AUTH no")
		require.NoError(t, err)
		_, err = c.Cmd("NOOP")
		require.ErrorIs(t, err, pop3client.ErrProtocol)
	})
	t.Run("line break in a command", func(t *testing.T) {
		t.Parallel()
		c, _, err := play(t, "+OK")
		require.NoError(t, err)
		require.Error(t, c.Login("a\r\nDELE 1", "x"))
	})
}
