package mime

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func readContent(t *testing.T, c Content) string {
	t.Helper()
	rc, err := c.Open()
	require.NoError(t, err)
	defer rc.Close()
	b, err := io.ReadAll(rc)
	require.NoError(t, err)
	require.EqualValues(t, c.Size(), len(b))
	return string(b)
}

func TestReEncode(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1200)
	for name, c := range map[string]struct {
		in, out string
		caps    Capabilities
	}{
		"nothing to do":          {"Subject: x\r\n\r\nascii\r\n", "", Capabilities{}},
		"8bit over 8bit":         {"Subject: x\r\n\r\nGr\u00fc\u00dfe\r\n", "", Capabilities{EightBit: true}},
		"only the header is raw": {"Subject: \xfc\r\n\r\nascii\r\n", "", Capabilities{}},
		"SMTPUTF8":               {"Subject: \u00fc\r\n\r\nascii\r\n", "", Capabilities{UTF8: true, EightBit: true}},
		"text": {"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nSubject: x\r\n\r\nGr\u00fc\u00dfe \r\n",
			"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nSubject: x\r\n\r\nGr=C3=BC=C3=9Fe=20\r\n", Capabilities{}},
		"no MIME at all": {"Subject: x\r\n\r\n\xfc\r\n",
			"Content-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nSubject: x\r\n\r\n=FC\r\n", Capabilities{}},
		"long line": {"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n" + long + "\r\n", // the encoding is new, before the first field
			"Content-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n" + string(appendQP(nil, []byte(long))) + "\r\n", Capabilities{EightBit: true}},
		"one part of several": {"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nhello\r\n--b\r\n\r\nplain\r\n--b\r\n" +
			"Content-Type: application/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xfc\xfd\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
			"Subject: inner\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xfc\r\n--b--\r\nend\r\n",
			"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\nhello\r\n--b\r\n\r\nplain\r\n--b\r\n" +
				"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n/P0=\r\n\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" +
				"Subject: inner\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=FC\r\n--b--\r\nend\r\n", Capabilities{}},
		"LF": {"Subject: x\n\nGr\u00fc\u00dfe \nzwei\n",
			"Content-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nSubject: x\n\nGr=C3=BC=C3=9Fe=20\nzwei\n", Capabilities{}},
		"LF, binary": {"Content-Type: a/b\n\n\xfc\xfd", "Content-Transfer-Encoding: base64\nMIME-Version: 1.0\nContent-Type: a/b\n\n/P0=\n", Capabilities{}},
		"what nobody reads": {"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\xfc\r\n--b\r\n\r\nplain\r\n--b--\r\nepi\xfc\x00\r\n",
			"Content-Type: multipart/mixed; boundary=b\r\n\r\npre?\r\n--b\r\n\r\nplain\r\n--b--\r\nepi??\r\n", Capabilities{}},
	} {
		t.Run(name, func(t *testing.T) {
			in := bytesContent(c.in)
			out, err := ReEncode(in, c.caps)
			require.NoError(t, err)
			if c.out == "" {
				require.Equal(t, Content(in), out.Content)
				require.False(t, out.Changed())
				return
			}
			require.Equal(t, c.out, readContent(t, out))
			require.Equal(t, c.out, readContent(t, out))
			require.True(t, out.Changed())
			require.NoError(t, out.Close())
		})
	}
}

// RFC 6531 s3.2: what needs SMTPUTF8 cannot go without it.
func TestReEncodeUTF8(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"Subject: \u00fc\r\n\r\nascii\r\n", "Content-Type: message/rfc822\r\n\r\nSubject: \u00fc\r\n\r\nx\r\n"} {
		_, err := ReEncode(bytesContent(in), Capabilities{EightBit: true})
		var pe *PartError
		require.ErrorAs(t, err, &pe)
		require.ErrorIs(t, err, ErrNeedsSMTPUTF8)
	}
}

// A message too long for memory is in a file, which goes when the result is closed.
func TestReEncodeCloses(t *testing.T) {
	t.Parallel()
	out, err := ReEncode(bytesContent("Subject: x\r\n\r\n"+strings.Repeat("Gr\u00fc\u00dfe\r\n", 50000)), Capabilities{})
	require.NoError(t, err)
	readContent(t, out)
	require.NoError(t, out.Close())
	rc, err := out.Open()
	if err == nil {
		_, err = io.ReadAll(rc)
	}
	require.Error(t, err, "the file is closed")
}

func TestReEncodeRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"signed":                "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xfc\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n",
		"signed, between parts": "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\xfc\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
		"unknown encoding":      "Content-Transfer-Encoding: x-odd\r\n\r\n\xfc\r\n",
		"delivery status":       "Content-Type: message/delivery-status\r\n\r\n\xfc\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReEncode(bytesContent(in), Capabilities{})
			var re *PartError
			require.ErrorAs(t, err, &re)
		})
	}
}

// A letter composed for 8BITMIME comes out of ReEncode as one that says the same.
func TestReEncodeComposed(t *testing.T) {
	t.Parallel()
	l := basic()
	l.Text, l.HTML = strings.Repeat("Gr\u00fc\u00dfe\n", 10), strings.Repeat("<p>\u65e5\u672c\u8a9e</p>\n", 10)
	l.Attachments = []File{BytesFile("x.bin", randomBytes(rand.New(rand.NewPCG(5, 6)), 5000)), BytesFile("m.eml", []byte("Subject: y\r\n\r\nGr\u00fc\u00dfe\r\n"))}
	c, before := compose(t, l, Capabilities{EightBit: true})
	require.True(t, c.Needs8BitMIME())
	out, err := ReEncode(c, Capabilities{})
	require.NoError(t, err)
	raw := readContent(t, out)
	require.True(t, isASCII(raw))
	after := ParseBytes([]byte(raw))
	require.Empty(t, after.Defects())
	require.Equal(t, shape(before), shape(after))
	for i := range before.Len() {
		if !before.Part(i).IsLeaf() {
			continue
		}
		want, err := io.ReadAll(before.Part(i).Decoded())
		require.NoError(t, err)
		got, err := io.ReadAll(after.Part(i).Decoded())
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
}

func FuzzReEncode(f *testing.F) {
	f.Add([]byte("Subject: x\r\n\r\n\xfc\r\n"))
	f.Add([]byte("Content-TYpe:multipArt \n\xfc"))
	f.Add([]byte("Content-TYpe:multipArt\n--0\n\xfd"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n\xfc\r\n--b\r\n\xfc\r\n--b\r\n\r\n\xfd"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, err := ReEncode(bytesContent(raw), Capabilities{})
		if err != nil {
			return
		}
		first := readContent(t, out)
		again, err := ReEncode(out, Capabilities{})
		require.NoError(t, err)
		require.Equal(t, first, readContent(t, again), "what was encoded needs it no more")
		before, after := ParseBytes(raw), ParseBytes([]byte(first))
		require.Equal(t, before.Len(), after.Len())
		for i := range before.Len() {
			if p := before.Part(i); p.IsLeaf() && !strings.HasPrefix(p.MediaType(), "text/") {
				want, err := io.ReadAll(p.Decoded())
				require.NoError(t, err)
				got, err := io.ReadAll(after.Part(i).Decoded())
				require.NoError(t, err)
				require.True(t, bytes.Equal(want, got), "%q: %q", want, got)
			}
		}
	})
}
