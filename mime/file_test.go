package mime

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "os.txt")
	require.NoError(t, os.WriteFile(path, []byte("from disk"), 0o600))
	fsys := fstest.MapFS{"sub/fs.pdf": {Data: []byte("%PDF-1.4")}}
	l := basic()
	l.Attachments = []File{OSFile(path), FSFile(fsys, "sub/fs.pdf"), ReaderFile("r.bin", iotest.OneByteReader(strings.NewReader("\x00\x01once"))), BytesFile("noext", []byte("\xff\xd8\xff\xe0"))}
	_, m := compose(t, l, Capabilities{})
	require.Equal(t, "mixed(text/plain application/pdf application/octet-stream image/jpeg)", shape(m))
	var contents []string
	for p := range m.Root().Children() {
		b, err := io.ReadAll(p.Decoded())
		require.NoError(t, err)
		contents = append(contents, p.Filename()+"="+string(b))
	}
	require.Equal(t, []string{"os.txt=from disk", "fs.pdf=%PDF-1.4", "r.bin=\x00\x01once", "noext=\xff\xd8\xff\xe0"}, contents)

	t.Run("missing", func(t *testing.T) {
		l := basic()
		l.Attachments = []File{OSFile(filepath.Join(dir, "gone.txt"))}
		_, err := l.Compose()
		var fe *FileError
		require.ErrorAs(t, err, &fe)
		require.Equal(t, "gone.txt", fe.Name)
		require.ErrorIs(t, err, os.ErrNotExist)
	})
	t.Run("no content", func(t *testing.T) {
		l := basic()
		l.Attachments = []File{{Name: "x"}}
		_, err := l.Compose()
		require.ErrorIs(t, err, errNoContent)
	})
}

func TestFileChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{"grew": "a longer content", "shrank": "ab", "gone": ""} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "report.txt")
			require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
			l := basic()
			l.Attachments = []File{OSFile(path)}
			c, err := l.Compose()
			require.NoError(t, err)
			if name == "gone" {
				require.NoError(t, os.Remove(path))
			} else {
				require.NoError(t, os.WriteFile(path, []byte(change), 0o600))
			}
			_, err = c.WriteTo(io.Discard)
			var fe *FileError
			require.ErrorAs(t, err, &fe)
			require.Equal(t, "report.txt", fe.Name)
			r, err := c.Open()
			require.NoError(t, err)
			_, err = io.ReadAll(r)
			require.ErrorAs(t, err, &fe)
			require.NoError(t, r.Close())
			_, err = r.Read(make([]byte, 1))
			require.Error(t, err)
		})
	}
}

func TestAttachedMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, encoding string }{
		"seven bit": {"Subject: x\r\n\r\nbody\r\n", "7bit"},
		"bare LF":   {"Subject: x\n\nbody\n", "7bit"},
		"eight bit": {"Subject: x\r\n\r\nGr\u00fc\u00dfe", "8bit"},
	} {
		t.Run(name, func(t *testing.T) {
			l := basic()
			l.Text = "see below"
			l.Attachments = []File{BytesFile("mail.eml", []byte(c.raw))}
			composed, err := l.Compose()
			require.NoError(t, err)
			require.Equal(t, c.encoding == "8bit", composed.Needs8BitMIME())
			var b bytes.Buffer
			_, err = composed.WriteTo(&b)
			require.NoError(t, err)
			require.EqualValues(t, composed.Size(), b.Len())
			require.Contains(t, b.String(), "Content-Type: message/rfc822")
			require.Contains(t, b.String(), "Content-Transfer-Encoding: "+c.encoding)
			require.Contains(t, b.String(), "\r\n\r\n"+string(toCRLF(c.raw)))
		})
	}
	l := basic()
	l.Attachments = []File{BytesFile("mail.eml", []byte("Subject: x\r\n\r\n"+strings.Repeat("x", 2000)))}
	_, m := compose(t, l, Capabilities{})
	require.Equal(t, "mixed(application/octet-stream)", shape(m), "no part of type message/rfc822 could hold it")
}

// A file of any length takes the same memory, and the length of the message is known before it is read. The test runs alone, to count.
func TestComposeHugeFile(t *testing.T) {
	const size = 1 << 28
	l := basic()
	l.Attachments = []File{{Name: "huge.bin", ContentType: "application/octet-stream", Content: zeros(size)}}
	c, err := l.Compose()
	require.NoError(t, err)
	require.Greater(t, c.Size(), int64(size/3*4))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := c.WriteTo(io.Discard)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Equal(t, c.Size(), n)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

type zeros int64

func (z zeros) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.LimitReader(zeroReader{}, int64(z))), nil
}
func (z zeros) Size() int64 { return int64(z) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
