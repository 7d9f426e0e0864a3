package middleware

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// TestReadHeader finds the empty line wherever the pieces end in which a message comes.
func TestReadHeader(t *testing.T) {
	t.Parallel()
	const head, body = "Subject: a\r\n b\r\n\r\n", "body\r\n\r\n"
	for n := range len(head + body) {
		got, err := readHeader(io.MultiReader(strings.NewReader((head + body)[:n]), strings.NewReader((head + body)[n:])), 100)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(got), head), "%q", got)
	}
	got, err := readHeader(iotest.OneByteReader(strings.NewReader(head+body)), 100)
	require.NoError(t, err)
	require.Equal(t, head, string(got))
	long := "Subject: " + strings.Repeat("a\r\n ", 64<<10)
	got, err = readHeader(iotest.OneByteReader(strings.NewReader(long+"\r\n\r\nbody")), 1<<20)
	require.NoError(t, err)
	require.Equal(t, long+"\r\n\r\n", string(got))
	_, err = readHeader(iotest.OneByteReader(strings.NewReader(long+"\r\n\r\nbody")), 1<<10)
	require.ErrorContains(t, err, "the header is too long")
}
