package report

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

const (
	maxPacked = 8 << 20 // octets of an attachment
	// MaxUnpacked is the length in octets beyond which an aggregate report is refused.
	MaxUnpacked = 32 << 20
)

// ErrTooLarge is returned for an aggregate report beyond the limits.
var ErrTooLarge = errors.New("report: the report is beyond the limits")

// unpack returns the document in r: plain, from gzip, or the first file of a zip archive.
func unpack(r io.Reader) ([]byte, error) {
	b, err := readAll(r, maxPacked)
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(b, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("report: gzip: %w", err)
		}
		return readAll(z, MaxUnpacked)
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return nil, fmt.Errorf("report: zip: %w", err)
		}
		for _, f := range z.File {
			if f.FileInfo().IsDir() {
				continue
			}
			rc, err := f.Open()
			if err != nil {
				return nil, fmt.Errorf("report: zip: %w", err)
			}
			defer rc.Close()
			return readAll(rc, MaxUnpacked)
		}
		return nil, errors.New("report: zip: the archive is empty")
	}
	return b, nil
}

// readAll reads at most limit octets.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("report: read: %w", err)
	}
	if int64(len(b)) > limit {
		return nil, ErrTooLarge
	}
	return b, nil
}

// attached yields what the parts hold that may be aggregate reports with the extension (".xml", ".json").
func attached(m *mime.Message, extension string, types ...string) func(yield func([]byte, error) bool) {
	return func(yield func([]byte, error) bool) {
		for p := range m.Parts() {
			if !p.IsLeaf() || p.IsMultipart() || forwarded(p) {
				continue
			}
			if !isOneOf(p.MediaType(), types) && !named(p.Filename(), extension) {
				continue
			}
			if b, err := unpack(p.Decoded()); !yield(b, err) {
				return
			}
		}
	}
}

// named reports whether a file name has the extension, or that of an archive.
func named(name, extension string) bool {
	switch e := strings.ToLower(path.Ext(strings.TrimSpace(name))); e {
	case extension, ".gz", ".zip":
		return true
	}
	return false
}
