package mime_test

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

// TestCharsets has bytes and their text in every family of charsets that mail uses, under the names that mail uses.
func TestCharsets(t *testing.T) {
	t.Parallel()
	for names, c := range map[string][2]string{
		"us-ascii utf-8 UTF8 unknown-8bit nonsense":            {"é", "é"},
		"iso-8859-1 ISO8859-1 latin1 windows-1252 cp1252 ansi": {"\xe9\x80", "é€"},
		"iso-8859-2 latin2 8859-2 iso8859_2 ISO_8859-2":        {"\xb1", "ą"},
		"windows-1250 cp1250":                                  {"\xb9", "ą"},
		"iso-8859-5":                                           {"\xd0", "а"},
		"windows-1251 cp1251 win-1251 win1251 x-cp1251":        {"\xe0", "а"},
		"koi8-r":                             {"\xc1", "а"},
		"koi8-u":                             {"\xa4", "є"},
		"iso-8859-7":                         {"\xe1", "α"},
		"iso-8859-8 iso-8859-8-i":            {"\xe0", "א"},
		"iso-8859-9 windows-1254":            {"\xf0", "ğ"},
		"iso-8859-15":                        {"\xa4", "€"},
		"tis-620 windows-874":                {"\xa1", "ก"},
		"macintosh x-mac-roman macroman":     {"\x8e", "é"},
		"ibm850 cp850":                       {"\x82", "é"},
		"cp437":                              {"\x82", "é"},
		"iso-2022-jp ISO-2022-JP-MS cp50220": {"\x1b$B$\"\x1b(B", "あ"},
		"shift_jis cp932 sjis windows-31j":   {"\x82\xa0", "あ"},
		"euc-jp eucjp":                       {"\xa4\xa2", "あ"},
		"gb2312 gbk gb18030 cp936 gb-2312":   {"\xd6\xd0", "中"},
		"hz-gb-2312":                         {"~{VP~}", "中"},
		"big5 cp950 big5-hkscs":              {"\xa4\xa4", "中"},
		"euc-kr ks_c_5601-1987 cp949":        {"\xb0\xa1", "가"},
		"iso-2022-kr":                        {"\x1b$)C\x0e0!\x0f a\x0e0!\na", "가 a가\na"},
		"utf-16 utf-16be ucs-2":              {"\x00\xe9", "é"},
		"utf-16le":                           {"\xe9\x00", "é"},
		"utf-7 unicode-1-1-utf-7":            {"+AOk-", "é"},
	} {
		for _, name := range strings.Fields(names) {
			m := mime.ParseBytes([]byte("Content-Type: text/plain; charset=" + name + "\n\n" + c[0]))
			text, err := m.Text()
			require.NoError(t, err)
			require.Equal(t, c[1], text, name)
			if strings.HasPrefix(name, "utf-16") || strings.HasPrefix(name, "ucs") {
				continue
			}
			b, err := io.ReadAll(mime.NewCharsetReader(name, iotest.OneByteReader(strings.NewReader(c[0]))))
			require.NoError(t, err)
			require.Equal(t, c[1], string(b), name)
		}
	}
	b, err := io.ReadAll(mime.NewCharsetReader("", iotest.OneByteReader(strings.NewReader("é\xe9 \xc3"))))
	require.NoError(t, err)
	require.Equal(t, "éé Ã", string(b), "what is no UTF-8 is windows-1252")
	require.Equal(t, "a ☺ b", mime.DecodeText("a =?utf-7?Q?+Jjo-?= b"))
	require.Equal(t, "日本", mime.DecodeText("=?utf-8?B?5pel5pw=?= =?utf-8?B?rA==?="), "a character over two words")
}
