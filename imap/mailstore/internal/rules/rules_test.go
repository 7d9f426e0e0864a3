package rules

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
)

func TestName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"inbox": "INBOX", "InBox/x": "INBOX/x", "x/inbox": "x/inbox", "inboxes": "inboxes", "a/b": "a/b", "u\u0308": "ü", "日本/語": "日本/語", " ": " ", "a&b": "a&b", "*%": "*%",
		"": "", "/": "", "a/": "", "/a": "", "a//b": "", "a\tb": "", "a\x7f": "", "a\u0085b": "", "a\u2028b": "", "\xc3": "",
		strings.Repeat("x", 1000): strings.Repeat("x", 1000), strings.Repeat("x", 1001): "", strings.Repeat("x/", 50) + "x": "",
	} {
		got, err := Name(name)
		require.Equal(t, want, got, "%q", name)
		if want == "" {
			require.ErrorIs(t, err, imap.ErrCannot)
		} else {
			again, err := Name(got)
			require.NoError(t, err)
			require.Equal(t, got, again)
		}
	}
	require.Equal(t, []string{"a", "a/b"}, Ancestors("a/b/c"))
	require.True(t, Below("a/b", "a"))
	require.False(t, Below("ab/c", "a") || Below("a", "a") || Below("a", "a/b"))
}

func TestKeywords(t *testing.T) {
	t.Parallel()
	have := []string{"a", "b"}
	all, bits, err := Keywords(have, []string{"B", "c", "C"})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, all)
	require.Equal(t, imap.FlagKeyword<<1|imap.FlagKeyword<<2, bits)
	require.Equal(t, []string{"b", "c"}, Names(all, bits))
	require.Equal(t, bits, Known(all, []string{"c", "b", "x"}))
	other, _, err := Keywords(have, []string{"d"})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "d"}, other)
	require.Equal(t, "c", all[2], "lists do not share what comes behind")
}

const prefix = "Return-Path: <a@example.org>\r\nReceived: from a\r\n\tby b; today\r\n"

// What a prefix does to a structure is what parsing the whole gives.
func FuzzWithPrefix(f *testing.F) {
	for _, seed := range []string{
		"Subject: x\r\n\r\nbody\r\n", "\r\nbody", "", "no header at all\r\n", "Subject: x", "Subject: x\r\n", " folded\r\nA: b\r\n\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext\r\n--b--\r\n",
		"From x Sat Nov 21\r\nSubject: y\r\n\r\n", "Received: a\r\nbad line\r\nSubject: x\r\n\r\n", "\n\nx", ":\r\n\r\n", "A: b\r\n\r\n\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := Parse(nil, Bytes(content))
		require.NoError(t, err)
		got, err := WithPrefix(s, []byte(prefix), Bytes(content))
		require.NoError(t, err)
		want, err := Parse(nil, Bytes(append([]byte(prefix), content...)))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func FuzzCheckPrefix(f *testing.F) {
	for _, seed := range []string{prefix, "", "A: b", "A: b\r\n\r\n", " a\r\n", "A: b\n\r\n", ":\r\n", "A: b\r\nc\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if CheckPrefix(p) != nil || len(p) == 0 {
			return
		}
		whole := append(bytes.Clone(p), "X-Mark: y\r\n\r\nbody"...)
		s, err := Parse(nil, Bytes(whole))
		require.NoError(t, err)
		require.EqualValues(t, len(whole)-4, s.Root.HeaderSize, "the prefix ends the header: %q", p)
	})
}
