package mime_test

import (
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

// TestOddHeaders reads the subject of messages that programs have mangled on the way or on disk.
func TestOddHeaders(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"byte order mark":       "\xef\xbb\xbfSubject: s\n\nbody\n",
		"byte order mark, type": "\xef\xbb\xbfContent-Type: text/plain\nSubject: s\n\nbody\n",
		"two mbox lines":        "From a@b Mon Jan  1 00:00:00 2020\n>From a@b Mon\nSubject: s\n\nbody\n",
		"CR doubled":            "Content-Type: multipart/mixed; boundary=x\r\nSubject: s\r\n\r\n--x\r\n\r\nbody\r\n--x--\n",
		"blank fold":            "Content-Type: multipart/mixed;\n boundary=--b_0\n \nSubject: s\n\n----b_0\n\nbody\n----b_0--\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, raw := range []string{raw, strings.ReplaceAll(strings.ReplaceAll(raw, "\r", ""), "\n", "\r\r\n")} {
				m := mime.ParseBytes([]byte(raw))
				require.Equal(t, "s", m.Header().Text("Subject"), "%q", raw)
				require.Equal(t, "s", mime.ParseHeader(m.Header().Bytes()).Get("Subject"))
				text, err := m.Text()
				require.NoError(t, err)
				require.Equal(t, "body", strings.TrimSpace(text), "%q", raw)
			}
		})
	}
}

func TestOddParameters(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`attachment; filename="the "new" plan.pdf"`:                `the "new" plan.pdf`,
		`attachment; filename=""quoted".pdf"; size=3`:              `"quoted".pdf`,
		`attachment; filename="a" size="3"`:                        `a`,
		`attachment; filename="a" (b "c")`:                         `a`,
		`attachment; filename="a"; name="b"`:                       `a`,
		`attachment; filename="a" Content-Type: text/plain; n="b"`: `a`,
		`attachment filename="a b.pdf"`:                            `a b.pdf`,
		`filename="a b.pdf"`:                                       `a b.pdf`,
		`filename=a.pdf; size=3`:                                   `a.pdf`,
		"attachment;\r\n filename=\r\n \"a.pdf\"":                  `a.pdf`,
		`attachment; filename="C:\temp\new\a.pdf"`:                 `C:\temp\new\a.pdf`,
		`attachment; filename*0*=utf-8''p.pdf.pg; filename*1=p`:    `p.pdf.pgp`,
		"attachment; filename*0=\"=?UTF-8?Q?=F0=9F=98=81=F0?=\r\n =?UTF-8?Q?=9F=98=8\";\r\n\tfilename*1=\"1?=\"": "😁😁",
	} {
		require.Equal(t, want, mime.ParseDisposition(value).Params.Get("filename"), "%q", value)
		require.Equal(t, want, mime.ParseBytes([]byte("Content-Disposition: "+value+"\r\n\r\n")).Root().Filename(), "%q", value)
	}
	require.Empty(t, mime.ParseDisposition(`filename="a b.pdf"`).Type)
}

func TestOddAddresses(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"<<a@b>>":                         "a@b",
		"N <<a@b>>":                       "N <a@b>",
		"a@b>,<c@d":                       "a@b, c@d",
		"\"Doe, Jane <a@b>":               "Doe, Jane <a@b>",
		"Foo (bar <a@b>, c@d":             "Foo bar <a@b>, c@d",
		"a@b c@d":                         "a@b, c@d",
		"a@b\r\n\tc@d, e@f":               "a@b, c@d, e@f",
		"\"A\" <a@b> \"C\" <c@d>":         "A <a@b>, C <c@d>",
		"<a@b> <c@d>":                     "a@b, c@d",
		"G: <a@b> <c@d>;":                 "G: a@b, c@d;",
		"a @ b":                           "a@b",
		"a@b <a@b>":                       `"a@b" <a@b>`,
		"A -> B <a@b>":                    `"A -> B" <a@b>`,
		"=?utf-8?B?IkEiIDxhQGI+?=":        `"\"A\" <a@b>" <>`, // an address that is encoded as a whole is none
		"<hello@example.emai\r\n \r\n l>": "hello@example.email",
	} {
		require.Equal(t, want, mime.ParseAddressList(value).String(), "%q", value)
	}
	require.Equal(t, "s t", mime.DecodeText("s\x00t"))
	require.Equal(t, "\u00fc t", mime.DecodeText("\u00fc\x00t"))
}

func TestOddDates(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600": "1997-11-21T09:55:06-06:00", // RFC 5322 A.6.3
		"vr, 21 nov 1997 09:55:06 +0100":                  "1997-11-21T09:55:06+01:00",
		"Пт, 21 Nov 1997 09:55:06 +0100":                  "1997-11-21T09:55:06+01:00",
		"Nov 21, 1997 9:55:06 PM +0100":                   "1997-11-21T21:55:06+01:00",
		"one two 21 Nov 1997 09:55:06 +0100":              "",
		"this is no date: 21 Nov 1997":                    "",
	} {
		d, ok := mime.ParseDate(value)
		require.Equal(t, want != "", ok, value)
		if ok {
			require.Equal(t, want, d.Format("2006-01-02T15:04:05-07:00"), value)
		}
	}
}
