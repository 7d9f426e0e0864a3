package mime_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

func TestSpool(t *testing.T) {
	t.Parallel()
	raw := string(newsletter(300 << 10))
	for name, limits := range map[string]mime.SpoolLimits{
		"memory": {Memory: 1 << 20, Dir: "/nonexistent"},
		"file":   {Memory: 1000, Dir: t.TempDir()},
		"bound":  {Memory: int64(len(raw)), Size: int64(len(raw)), Dir: "/nonexistent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := mime.Spool(iotest.HalfReader(strings.NewReader(raw)), limits)
			require.NoError(t, err)
			require.Equal(t, int64(len(raw)), s.Size())
			require.Equal(t, describe(mime.ParseBytes([]byte(raw))), describe(s.Message()))
			if name == "file" {
				left, err := os.ReadDir(limits.Dir)
				require.NoError(t, err)
				require.Empty(t, left, "the file has no name any more")
			}
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					r, err := s.Open()
					if err != nil {
						t.Error(err)
						return
					}
					b, err := io.ReadAll(r)
					if err != nil || string(b) != raw || r.Close() != nil {
						t.Error("what comes back is not what went in", err)
					}
				})
			}
			readers.Wait()
			text, err := s.Message().Text()
			require.NoError(t, err)
			require.Contains(t, text, "Grüße aus dem Postamt")
			require.NoError(t, iotest.TestReader(io.NewSectionReader(s, 0, s.Size()), []byte(raw)))
			var content mime.Content = s
			require.NotNil(t, content)
			require.NoError(t, s.Close())
			require.NoError(t, s.Close())
		})
	}
}

func TestSpoolFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the peer went away")
	_, err := mime.Spool(io.MultiReader(strings.NewReader("Subject: x\r\n"), iotest.ErrReader(broken)), mime.SpoolLimits{})
	require.Same(t, broken, err, "the reader's error comes back as it is")

	var tooLarge *mime.TooLargeError
	_, err = mime.Spool(strings.NewReader("12345"), mime.SpoolLimits{Size: 4})
	require.ErrorAs(t, err, &tooLarge)
	require.Equal(t, int64(4), tooLarge.Limit)
	require.ErrorContains(t, err, "longer than 4 bytes")
	_, err = mime.Spool(neverEnds{}, mime.SpoolLimits{Size: 1 << 20, Dir: t.TempDir()})
	require.ErrorAs(t, err, &tooLarge)

	_, err = mime.Spool(strings.NewReader("12345"), mime.SpoolLimits{Memory: 1, Dir: "/nonexistent"})
	require.ErrorIs(t, err, os.ErrNotExist)

	_, err = mime.Spool(idle{}, mime.SpoolLimits{})
	require.ErrorIs(t, err, io.ErrNoProgress)

	s, err := mime.Spool(strings.NewReader(""), mime.SpoolLimits{Size: -1})
	require.NoError(t, err)
	require.Zero(t, s.Size())
	_, err = s.ReadAt(make([]byte, 1), -1)
	require.Error(t, err)
}

type neverEnds struct{}

func (neverEnds) Read(b []byte) (int, error) { return len(b), nil }

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }
