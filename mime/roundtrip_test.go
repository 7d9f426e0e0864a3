package mime_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

// writeBack holds what is true of every message that is written as it was read.
func writeBack(t *testing.T, raw []byte) {
	t.Helper()
	m := mime.ParseBytes(raw)
	var out bytes.Buffer
	n, err := m.WriteTo(&out)
	require.NoError(t, err)
	require.EqualValues(t, len(raw), n)
	require.True(t, bytes.Equal(raw, out.Bytes()), "written as it was read")
	require.Equal(t, describe(m), describe(mime.ParseBytes(out.Bytes())), "and read again as before")

	// The pieces that the tree knows make up the whole: headers, bodies, and what stands between.
	c, err := m.Edit().Compose()
	require.NoError(t, err)
	require.Equal(t, string(raw), read(t, c))
	e := m.Edit()
	e.Add("X-Added", "1")
	c, err = e.Compose()
	if err != nil {
		return // a header beyond the limits
	}
	changed := mime.ParseBytes([]byte(read(t, c)))
	require.Equal(t, "1", changed.Header().Get("X-Added"))
	require.Equal(t, m.Len(), changed.Len(), "a field before the others changes nothing else")
	for i := range m.Len() {
		require.Equal(t, bodyOf(t, m.Part(i)), bodyOf(t, changed.Part(i)))
	}

	// Through a spool, and out of it.
	s, err := mime.Spool(bytes.NewReader(raw), mime.SpoolLimits{Memory: 512, Dir: t.TempDir()})
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, string(raw), read(t, s))
	require.Equal(t, describe(m), describe(s.Message()))
}

func bodyOf(t *testing.T, p *mime.Part) string {
	b, err := io.ReadAll(p.Raw())
	require.NoError(t, err)
	return string(b)
}

// TestSuitesWrittenBack: every message of the foreign suites is written back to the octet, with LF and with CRLF.
func TestSuitesWrittenBack(t *testing.T) {
	t.Parallel()
	root, messages := suite(t, "mime"), 0
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".eml", ".msg", ".txt", ".raw", "":
		default:
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		messages++
		t.Run(strings.TrimPrefix(path, root+"/"), func(t *testing.T) {
			writeBack(t, raw)
			lf := bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
			crlf := bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))
			writeBack(t, lf)
			writeBack(t, crlf)
			// Line ends do not change what is read.
			a, b := mime.ParseBytes(lf), mime.ParseBytes(crlf)
			require.Equal(t, a.Len(), b.Len())
			for i := range a.Len() {
				require.Equal(t, a.Part(i).MediaType(), b.Part(i).MediaType())
				ta, err := a.Part(i).Text()
				require.NoError(t, err)
				tb, err := b.Part(i).Text()
				require.NoError(t, err)
				if strings.HasPrefix(a.Part(i).MediaType(), "text/") && !bytes.Contains(raw, []byte("\r")) {
					require.Equal(t, ta, tb)
				}
			}
		})
		return nil
	}))
	require.Greater(t, messages, 250)
}

// FuzzRoundTrip: parse, write, parse again gives the same.
func FuzzRoundTrip(f *testing.F) {
	f.Add(structured)
	f.Add(newsletter(100))
	f.Add([]byte("no header"))
	for _, s := range scraps {
		f.Add([]byte("Content-Type: multipart/mixed\n\n--a\n" + s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { writeBack(t, raw) })
}

// FuzzAddressRoundTrip: addresses that are read and can be written are read again as they were.
func FuzzAddressRoundTrip(f *testing.F) {
	f.Add("Ann <ann@example.org>, \"B, C\" <\"b c\"@example.net>, G: d@e.example;")
	f.Add("=?utf-8?Q?J=C3=BCrgen?= <j@b\u00fccher.example>")
	f.Fuzz(func(t *testing.T, s string) {
		for _, a := range mime.ParseAddressList(s).All() {
			a.Name = strings.TrimSpace(a.Name)
			c, err := mime.Letter{From: a}.ComposeFor(mime.Capabilities{UTF8: true})
			if err != nil {
				continue // what cannot be written is refused
			}
			back := c.Header().Addresses("From").All()
			if len(back) != 1 || back[0].Addr != a.Addr {
				t.Fatalf("%q became %q", a, back)
			}
			if strings.Join(strings.Fields(back[0].Name), " ") != strings.Join(strings.Fields(strings.ToValidUTF8(a.Name, "\uFFFD")), " ") && !strings.Contains(a.Name, "=?") {
				t.Fatalf("%q became %q in %q", a.Name, back[0].Name, c.Header().Bytes())
			}
		}
	})
}
