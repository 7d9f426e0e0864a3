package imap_test

import (
	"bytes"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzSession throws anything at a logged-in session, whole and in two pieces: nothing may panic, and the cut must not matter.
func FuzzSession(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(f, err)
	for _, path := range files {
		tr := readTranscript(f, path)
		f.Add(bytes.Join(tr.chunks, nil), 100, true)
	}
	f.Add([]byte("a APPEND INBOX {5+}\r\nab"), 3, true)
	f.Add([]byte("a IDLE\r\nDONE\r\nb SELECT INBOX\r\nc FETCH 1:* (BODY[1.2.HEADER.FIELDS (a b)]<1.2>)\r\n"), 9, true)
	f.Add([]byte("a SEARCH OR (NOT 1:*) UID 4,5 MODSEQ 3 HEADER x {3}\r\nabc BODY \"\xff\"\r\n"), 5, true)
	f.Fuzz(func(t *testing.T, input []byte, cut int, loggedIn bool) {
		if len(input) > 64<<10 {
			return
		}
		var before [][]byte
		if loggedIn {
			before = append(before, []byte("1 LOGIN alice secret\r\n2 SELECT INBOX\r\n3 APPEND INBOX \" 1-Jan-2000 00:00:00 +0000\" {7+}\r\na: b\r\n\r\r\n"))
		}
		run := func(chunks ...[]byte) string {
			srv := newServer(t)
			srv.Limits.MessageSize = 1 << 20
			return serve(t, srv, &script{chunks: append(append([][]byte{}, before...), chunks...)})
		}
		cut = max(0, min(cut, len(input)))
		whole, cutUp := run(input), run(input[:cut:cut], input[cut:])
		require.Equal(t, timeless(whole), timeless(cutUp))
	})
}

// timeless hides what depends on the time of day: UIDVALIDITY, and dates that were not given.
func timeless(s string) string { return timed.ReplaceAllString(s, "T") }

var timed = regexp.MustCompile(`\b1[0-9]{9}\b|"[ 0-9]\d-\w\w\w-\d{4} \d\d:\d\d:\d\d `)
