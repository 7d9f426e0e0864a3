package imap_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// two gives two sessions on an INBOX of n messages.
func two(t *testing.T, n int) (a, b *client) {
	t.Helper()
	srv := newServer(t)
	a, b = selectInbox(t, srv), selectInbox(t, srv)
	for range n {
		b.append("INBOX", "", hello)
	}
	a.ok("NOOP")
	return a, b
}

func TestNoExpungeWhileNumbersAreInUse(t *testing.T) {
	t.Parallel()
	a, b := two(t, 5)
	b.ok(`STORE 2,4 +FLAGS.SILENT (\Deleted)`)
	b.ok("EXPUNGE")
	b.append("INBOX", "", hello)

	require.Equal(t, []string{"* SEARCH 1 2 3 4 5", "* 6 EXISTS"}, a.ok("SEARCH ALL"))
	require.Equal(t, []string{"* SEARCH 1 3 5 6"}, a.ok("SEARCH ALL"), "the numbers have not moved")
	require.Equal(t, []string{"* 5 FETCH (UID 5)", "* 6 FETCH (UID 6)"}, a.ok("FETCH 5:* UID"))
	untagged, end := a.cmd("FETCH 1:* UID")
	require.Equal(t, []string{"* 1 FETCH (UID 1)", "* 3 FETCH (UID 3)", "* 5 FETCH (UID 5)", "* 6 FETCH (UID 6)"}, untagged)
	require.True(t, strings.HasPrefix(end, "NO [EXPUNGEISSUED]"), end)
	untagged, end = a.cmd(`STORE 2:3 +FLAGS (\Seen)`)
	require.Equal(t, []string{`* 3 FETCH (UID 3 FLAGS (\Seen))`}, untagged)
	require.True(t, strings.HasPrefix(end, "NO [EXPUNGEISSUED]"), end)
	b.ok("UID STORE 5 +FLAGS.SILENT (hot)")
	require.Equal(t, []string{"* SEARCH", `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft hot)`,
		`* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft hot \*)] Flags that last`, "* 5 FETCH (UID 5 FLAGS (hot))"}, a.ok("SEARCH 2"))
	require.Equal(t, []string{"* 4 EXPUNGE", "* 2 EXPUNGE"}, a.ok("UID SEARCH RETURN (COUNT) ALL")[1:], "UID commands may tell")
	require.Equal(t, []string{"* 4 FETCH (UID 6)"}, a.ok("FETCH * UID"))
}

func TestCopyOfWhatIsGone(t *testing.T) {
	t.Parallel()
	a, b := two(t, 3)
	b.ok(`STORE 2 +FLAGS.SILENT (\Deleted)`)
	b.ok("EXPUNGE")
	a.ok("SEARCH ALL") // moves on without telling
	untagged, end := a.cmd("COPY 1:3 Trash")
	require.True(t, strings.HasPrefix(end, "NO [EXPUNGEISSUED]"), end)
	require.Equal(t, []string{"* 2 EXPUNGE"}, untagged)
	_, end = a.cmd("UID COPY 1:3 Trash")
	require.Regexp(t, `^OK \[COPYUID \d+ 1,3 1:2\]`, end)
	untagged, end = a.cmd("UID MOVE 3 Trash")
	require.Regexp(t, `^OK UID MOVE`, end)
	require.Regexp(t, `^\* OK \[COPYUID \d+ 3 3\]`, untagged[0])
	require.Equal(t, "* 2 EXPUNGE", untagged[1])
	_, end = a.cmd("UID COPY 99 Trash")
	require.Equal(t, "OK UID COPY completed", end)
	a.fails("NO [TRYCREATE]", "UID COPY 1 nowhere")
}

// TestHighestModSeq holds RFC 7162 s3.2.5: while an expunge has not been told, HIGHESTMODSEQ stays below it, or the client would never ask for it again.
func TestHighestModSeq(t *testing.T) {
	t.Parallel()
	a, b := two(t, 3)
	before := a.ok("STATUS INBOX (HIGHESTMODSEQ)")[1]
	b.ok(`UID STORE 2 +FLAGS.SILENT (\Deleted)`)
	b.ok("EXPUNGE")
	b.ok(`UID STORE 3 +FLAGS.SILENT (\Seen)`)
	a.ok("SEARCH ALL")
	a.send("x FETCH 1 UID\r\n")
	a.rest("x")
	during := statusOf(t, a)
	require.Less(t, during, statusOf(t, b))
	require.NotEmpty(t, before)
	a.ok("NOOP")
	require.Equal(t, statusOf(t, b), statusOf(t, a))
}

// statusOf asks for HIGHESTMODSEQ in a way that tells no expunge first.
func statusOf(t *testing.T, c *client) (n int) {
	t.Helper()
	for _, l := range c.ok("STATUS INBOX (HIGHESTMODSEQ)") {
		if _, err := fmt.Sscanf(l, `* STATUS "INBOX" (HIGHESTMODSEQ %d)`, &n); err == nil {
			return n
		}
	}
	t.Fatal("no STATUS")
	return 0
}

func TestSilentStoreTellsOthersChanges(t *testing.T) {
	t.Parallel()
	a, b := two(t, 2)
	b.ok(`STORE 1 +FLAGS.SILENT (\Answered)`)
	require.Equal(t, []string{`* 1 FETCH (UID 1 FLAGS (\Answered \Seen))`}, a.ok(`STORE 1:2 +FLAGS.SILENT (\Seen)`), "the change of message 1 is not only its own")
	require.Equal(t, []string{`* 1 FETCH (UID 1 FLAGS (\Answered \Seen))`, `* 2 FETCH (UID 2 FLAGS (\Seen))`}, b.ok("NOOP"))
	require.Empty(t, a.ok("NOOP"))
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	a, b := two(t, 1)
	require.Contains(t, a.ok("EXAMINE INBOX"), "* OK [PERMANENTFLAGS ()] Flags that last")
	a.fails("NO [READ-ONLY]", `STORE 1 +FLAGS (\Seen)`)
	a.fails("NO [READ-ONLY]", "EXPUNGE")
	a.fails("NO [READ-ONLY]", "MOVE 1 Trash")
	require.Len(t, a.ok("FETCH 1 BODY[TEXT]"), 1)
	require.Equal(t, []string{"* 1 FETCH (FLAGS ())"}, a.ok("FETCH 1 FLAGS"), "reading leaves no mark")
	b.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	a.ok("CLOSE")
	require.Empty(t, b.ok("NOOP"), "CLOSE after EXAMINE removes nothing")
	b.ok("CLOSE")
	require.Equal(t, []string{`* STATUS "INBOX" (MESSAGES 0)`}, b.ok("STATUS INBOX (MESSAGES)"))
}

func TestMailboxGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		a, b, c := login(t, srv), login(t, srv), login(t, srv)
		a.ok("CREATE old")
		for _, s := range []*client{a, b, c} {
			s.ok("SELECT old")
		}
		a.ok("RENAME old new")
		a.append("new", "", hello)
		require.Equal(t, []string{"* 1 EXISTS"}, b.ok("NOOP"), "a rename does not disturb")
		c.send("i IDLE\r\n")
		c.line()
		c.line() // EXISTS
		require.Equal(t, []string{"* OK [CLOSED] The selected mailbox is no more"}, a.ok("DELETE new"))
		a.fails("BAD", "FETCH 1 FLAGS")
		a.ok("NOOP")
		b.send("x NOOP\r\n")
		require.Contains(t, b.line(), "* BYE ")
		require.Error(t, b.closed())
		require.Contains(t, c.line(), "* BYE ", "IDLE ends too")
		require.Error(t, c.closed())
	})
}

func TestKeywordLimit(t *testing.T) {
	t.Parallel()
	c := selectInbox(t, newServer(t))
	c.append("INBOX", "", hello)
	for i := range 59 {
		c.ok("STORE 1 +FLAGS.SILENT (k%d)", i)
	}
	flags := c.ok("SELECT INBOX")
	require.Contains(t, flags[0], " k58)")
	require.NotContains(t, flags[1], `\*`, "no more keywords can be made")
	c.fails("NO [LIMIT]", "STORE 1 +FLAGS (onemore)")
	require.Contains(t, c.ok("STORE 1 +FLAGS (K58)")[0], " k58)", "without regard to case")
}

// TestPipelining sends everything at once and gets the answers in order.
func TestPipelining(t *testing.T) {
	t.Parallel()
	c := selectInbox(t, newServer(t))
	var all strings.Builder
	for i := range 500 {
		fmt.Fprintf(&all, "p%d APPEND INBOX {%d+}\r\n%s\r\nq%d UID FETCH * (UID)\r\n", i, len(hello), hello, i)
	}
	go c.c.Write([]byte(all.String()))
	for i := range 500 {
		untagged, end := c.rest(fmt.Sprintf("p%d", i))
		require.Equal(t, []string{fmt.Sprintf("* %d EXISTS", i+1)}, untagged)
		require.Contains(t, end, "APPENDUID")
		untagged, _ = c.rest(fmt.Sprintf("q%d", i))
		require.Equal(t, []string{fmt.Sprintf("* %d FETCH (UID %d)", i+1, i+1)}, untagged)
	}
}
