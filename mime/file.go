package mime

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"
)

// A File is something attached to a letter or shown inside its HTML. It is opened again each time that the letter is read, and never held in memory
// as a whole, but for a text of at most 64 KiB, which is read when the letter is composed. Its octets arrive as they are, line ends too, but for those of a message.
type File struct {
	Name        string // as the recipient sees it, without folders
	ContentType string // default: by the extension of Name, else by the first octets
	ContentID   string // for Inline: what HTML calls cid:; default: Name
	Description string // Content-Description

	Content Content
}

// BytesFile is a file whose content is b, which nobody may change until the letter is sent.
func BytesFile(name string, b []byte) File { return File{Name: name, Content: bytesContent(b)} }

// FSFile is the file with that name in fsys.
func FSFile(fsys fs.FS, name string) File {
	return File{Name: path.Base(name), Content: &openedContent{func() (fs.File, error) { return fsys.Open(name) }}}
}

// OSFile is the file at a path of the operating system.
func OSFile(name string) File {
	return File{Name: filepath.Base(name), Content: &openedContent{func() (fs.File, error) { return os.Open(name) }}}
}

// ReaderFile is a file whose content is what r gives. The letter reads r to its end when it is composed, into memory if it is
// short, else into a temporary file.
func ReaderFile(name string, r io.Reader) File {
	return File{Name: name, Content: &readerContent{r: r}}
}

type bytesContent []byte

func (b bytesContent) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
func (b bytesContent) Size() int64                  { return int64(len(b)) }

// openedContent is a file of a file system. Size looks each time, since files change.
type openedContent struct{ open func() (fs.File, error) }

func (c *openedContent) Open() (io.ReadCloser, error) { return c.open() }

func (c *openedContent) Size() int64 {
	f, err := c.open()
	if err != nil {
		return -1
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}

type readerContent struct {
	r       io.Reader
	once    sync.Once
	spooled *Spooled
	err     error
}

func (c *readerContent) spool() error {
	c.once.Do(func() {
		c.spooled, c.err = Spool(c.r, SpoolLimits{Size: -1})
		c.r = nil
	})
	return c.err
}

func (c *readerContent) Open() (io.ReadCloser, error) {
	if err := c.spool(); err != nil {
		return nil, err
	}
	return c.spooled.Open()
}

func (c *readerContent) Size() int64 {
	if c.spool() != nil {
		return -1
	}
	return c.spooled.Size()
}

// fileBody is a file's content on its way out: in base64, or as it is but for line ends, which become CRLF.
type fileBody struct {
	name    string
	content Content
	size    int64 // octets of the content
	base64  bool
	raw     bool  // as it is, line ends and all
	asIs    int64 // octets with CRLF line ends, if neither
}

func (f *fileBody) encodedSize() int64 {
	switch {
	case f.base64:
		return base64Size(f.size)
	case f.raw:
		return f.size
	}
	return f.asIs
}

func (f *fileBody) open() (io.ReadCloser, error) {
	rc, err := f.content.Open()
	if err != nil {
		return nil, &FileError{Name: f.name, Composed: f.size, Err: err}
	}
	exact := &exactReader{body: f, r: rc}
	switch {
	case f.base64:
		return &base64File{newBase64Reader(exact), rc}, nil
	case f.raw:
		return readCloser{exact, rc}, nil
	}
	return readCloser{&crlfReader{r: exact}, rc}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

type base64File struct {
	*base64Reader
	file io.Closer
}

func (f *base64File) Close() error {
	f.release()
	return f.file.Close()
}

// exactReader fails unless the content has the size that the composed message counts on.
type exactReader struct {
	body *fileBody
	r    io.Reader
	n    int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.n += int64(n)
	switch {
	case e.n > e.body.size, err == io.EOF && e.n < e.body.size:
		return 0, &FileError{Name: e.body.name, Composed: e.body.size, Delivered: e.n}
	case err != nil && err != io.EOF:
		return n, &FileError{Name: e.body.name, Composed: e.body.size, Delivered: e.n, Err: err}
	}
	return n, err
}

// crlfReader makes every LF that no CR precedes a CRLF.
type crlfReader struct {
	r   io.Reader
	buf []byte
	out []byte
	cr  bool // the last octet read was a CR
	err error
}

func (c *crlfReader) Read(p []byte) (int, error) {
	for len(c.out) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		if c.buf == nil {
			c.buf = make([]byte, 48<<10)
		}
		raw := c.buf[:16<<10]
		var n int
		n, c.err = c.r.Read(raw)
		c.out = c.buf[16<<10 : 16<<10]
		for raw = raw[:n]; len(raw) > 0; {
			i := bytes.IndexByte(raw, '\n')
			if i < 0 {
				c.out = append(c.out, raw...)
				c.cr = raw[len(raw)-1] == '\r'
				break
			}
			c.out = append(c.out, raw[:i]...)
			if i > 0 && raw[i-1] != '\r' || i == 0 && !c.cr {
				c.out = append(c.out, '\r')
			}
			c.out = append(c.out, '\n')
			c.cr = false
			raw = raw[i+1:]
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

var (
	errNoContent  = errors.New("no content")
	errNotCarried = errors.New("a message with NUL octets or lines beyond 998 octets cannot be attached as a message")
)

// inspect opens f once: it says whether f can be read, how long it is, and what it starts with.
func (f *File) inspect() (size int64, start []byte, err error) {
	if f.Content == nil {
		return 0, nil, errNoContent
	}
	rc, err := f.Content.Open()
	if err != nil {
		return 0, nil, err
	}
	defer rc.Close()
	start = make([]byte, 512)
	n, err := io.ReadFull(rc, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return 0, nil, err
	}
	if size = f.Content.Size(); size < 0 {
		rest, err := io.Copy(io.Discard, rc)
		if err != nil {
			return 0, nil, err
		}
		size = int64(n) + rest
	}
	return size, start[:n], nil
}

// mediaTypes are the types that people attach; the tables of operating systems differ, and messages should not.
var mediaTypes = map[string]string{
	".avif": "image/avif", ".bmp": "image/bmp", ".css": "text/css", ".csv": "text/csv", ".doc": "application/msword",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".eml": "message/rfc822", ".epub": "application/epub+zip",
	".gif": "image/gif", ".gz": "application/gzip", ".heic": "image/heic", ".htm": "text/html", ".html": "text/html", ".ics": "text/calendar",
	".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript", ".json": "application/json", ".m4a": "audio/mp4", ".md": "text/markdown",
	".mov": "video/quicktime", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".odp": "application/vnd.oasis.opendocument.presentation",
	".ods": "application/vnd.oasis.opendocument.spreadsheet", ".odt": "application/vnd.oasis.opendocument.text", ".ogg": "audio/ogg",
	".pdf": "application/pdf", ".png": "image/png", ".ppt": "application/vnd.ms-powerpoint",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation", ".rtf": "application/rtf", ".svg": "image/svg+xml",
	".tar": "application/x-tar", ".tif": "image/tiff", ".tiff": "image/tiff", ".txt": "text/plain", ".vcf": "text/vcard", ".wav": "audio/wav",
	".webm": "video/webm", ".webp": "image/webp", ".xls": "application/vnd.ms-excel",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xml": "application/xml", ".zip": "application/zip",
}

var magic = []struct{ start, mediaType string }{
	{"%PDF-", "application/pdf"}, {"\x89PNG\r\n\x1a\n", "image/png"}, {"\xff\xd8\xff", "image/jpeg"}, {"GIF87a", "image/gif"},
	{"GIF89a", "image/gif"}, {"PK\x03\x04", "application/zip"}, {"\x1f\x8b", "application/gzip"},
}

// mediaType is ContentType, or a type by the name, or by the first octets.
func (f *File) mediaType(start []byte) string {
	if f.ContentType != "" {
		return f.ContentType
	}
	if t, ok := mediaTypes[strings.ToLower(path.Ext(f.Name))]; ok {
		return t
	}
	for _, m := range magic {
		if bytes.HasPrefix(start, []byte(m.start)) {
			return m.mediaType
		}
	}
	if len(start) > 0 && isUTF8Start(start) && bytes.IndexByte(start, 0) < 0 {
		return "text/plain"
	}
	return "application/octet-stream"
}

// isUTF8Start reports whether b is UTF-8 but for a character that may be cut in two at its end.
func isUTF8Start(b []byte) bool {
	for n := range min(utf8.UTFMax, len(b)+1) {
		if utf8.Valid(b[:len(b)-n]) {
			return n == 0 || !utf8.FullRune(b[len(b)-n:])
		}
	}
	return false
}
