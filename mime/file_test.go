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
			path := filepath.Join(t.TempDir(), "report.bin")
			require.NoError(t, os.WriteFile(path, []byte("\x00content"), 0o600))
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
			require.Equal(t, "report.bin", fe.Name)
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

// A text arrives as it is, to the octet, in the encoding that is shortest.
func TestTextFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, encoding string
		caps           Capabilities
	}{
		"CRLF":              {"a,b\r\nc,d\r\n", "7bit", Capabilities{}},
		"no line end":       {"a,b\r\nc,d", "7bit", Capabilities{}},
		"empty":             {"", "7bit", Capabilities{}},
		"LF":                {strings.Repeat("one line of text\n", 20), "quoted-printable", Capabilities{}},
		"both":              {"a\r\nb\nc" + strings.Repeat(".", 90), "quoted-printable", Capabilities{}},
		"lone CR":           {"a\r" + strings.Repeat("text ", 10), "quoted-printable", Capabilities{}},
		"some umlauts":      {"Gr\u00fc\u00dfe, and a lot of other text\r\n", "quoted-printable", Capabilities{}},
		"8bit":              {"Gr\u00fc\u00dfe\r\n", "8bit", Capabilities{EightBit: true}},
		"8bit with LF":      {strings.Repeat("\u65e5\u672c\u8a9e\n", 20), "base64", Capabilities{EightBit: true}},
		"Japanese":          {strings.Repeat("\u65e5\u672c\u8a9e\r\n", 20), "base64", Capabilities{}},
		"white space, From": {"From here \r\n to there \r\n.\r\n", "quoted-printable", Capabilities{}},
		"long line":         {strings.Repeat("x", 2000), "quoted-printable", Capabilities{EightBit: true}},
		"long, over binary": {strings.Repeat("x", 100<<10), "binary", Capabilities{Binary: true}},
		"long file":         {strings.Repeat("x\r\n", 100<<10), "base64", Capabilities{}},
		"NUL":               {"a\x00\x01\x02\x03\x04", "base64", Capabilities{}},
	} {
		t.Run(name, func(t *testing.T) {
			l := basic()
			l.Attachments = []File{BytesFile("a.csv", []byte(c.text))}
			composed, err := l.ComposeFor(c.caps)
			require.NoError(t, err)
			raw := readContent(t, composed)
			p := ParseBytes([]byte(raw)).Part(1)
			require.Equal(t, c.encoding, p.Encoding().String())
			require.Equal(t, c.encoding == "binary", composed.NeedsBinaryMIME())
			b, err := io.ReadAll(p.Decoded())
			require.NoError(t, err)
			require.Equal(t, c.text, string(b))
			require.Equal(t, "utf-8", p.Charset())
		})
	}
	l := basic()
	l.Attachments = []File{BytesFile("a.txt", []byte("Gr\xfc\xdfe"))}
	composed, err := l.Compose()
	require.NoError(t, err)
	require.NotContains(t, readContent(t, composed), "\r\nContent-Type: text/plain; charset=utf-8; name", "what is no UTF-8 does not say so")
}
