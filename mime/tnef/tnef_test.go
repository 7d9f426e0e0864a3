package tnef

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

// file makes a TNEF file of attributes.
func file(attributes ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, signature)
	b = append(b, 1, 0)
	for _, a := range attributes {
		b = append(b, a...)
	}
	return b
}

func attribute(level byte, id uint16, data []byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{level}, id)
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint16(b, checksum(data))
}

type property struct {
	kind, id uint16
	value    []byte
}

func props(list ...property) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(list)))
	for _, p := range list {
		b = binary.LittleEndian.AppendUint16(b, p.kind)
		b = binary.LittleEndian.AppendUint16(b, p.id)
		if p.id >= 0x8000 {
			b = append(b, make([]byte, 16)...)
			b = append(b, 1, 0, 0, 0, 6, 0, 0, 0, 'a', 0, 'b', 0, 0, 0, 0, 0)
		}
		if fixedSize(p.kind) == 0 {
			b = binary.LittleEndian.AppendUint32(b, 1)
			b = binary.LittleEndian.AppendUint32(b, uint32(len(p.value)))
		}
		b = append(b, p.value...)
		b = append(b, make([]byte, -len(p.value)&3)...)
	}
	return b
}

func wide(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s + "\x00")) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// rtfExample is the one of [MS-OXRTFCP] s4.1.1.
func rtfExample(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll("2d 00 00 00 2b 00 00 00 4c 5a 46 75 f1 c5 c7 a7 03 00 0a 00 72 63 70 67 31 32 35 42 32 0a f3 20 68 65 6c 09 00 20 62 77 05 b0 6c 64 7d 0a 80 0f a0", " ", ""))
	require.NoError(t, err)
	return b
}

func example(t testing.TB) []byte {
	return file(
		attribute(1, attrOEMCodepage, []byte{0xe3, 4, 0, 0, 0, 0, 0, 0}), // 1251
		attribute(1, attrMessageClass, []byte("IPM.Microsoft Mail.Note\x00")),
		attribute(1, attrSubject, []byte("\xcf\xf0\xe8\xe2\xe5\xf2\x00")),
		attribute(1, attrMsgProps, props(property{3, 0x0e08, []byte{1, 2, 3, 4}}, property{typeUnicode, 0x8001, wide("named")}, property{typeBinary, propRTF, rtfExample(t)})),
		attribute(2, attrAttachBegins, make([]byte, 14)),
		attribute(2, attrAttachTitle, []byte("LONGNA~1.PDF\x00")),
		attribute(2, attrAttachData, []byte("%PDF")),
		attribute(2, attrAttachProps, props(property{typeUnicode, propAttachLongName, wide("длинное имя.pdf")}, property{typeString, propAttachType, []byte("application/pdf\x00")},
			property{typeString, propAttachID, []byte("id@x\x00")})),
		attribute(2, attrAttachBegins, make([]byte, 14)),
		attribute(2, attrAttachTitle, []byte("note\x00")),
		attribute(2, attrAttachProps, props(property{typeObject, propAttachData, append(make([]byte, 16), file(attribute(1, attrBody, []byte("inner\x00")))...)})),
	)
}

func TestParse(t *testing.T) {
	t.Parallel()
	raw := "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	p := mime.ParseBytes(append([]byte(raw), example(t)...)).Root()
	require.True(t, Is(p))
	m, err := Read(p.Decoded())
	require.NoError(t, err)
	require.False(t, m.Damaged)
	require.Equal(t, "Привет", m.Subject)
	require.Equal(t, "hello world", strings.TrimSpace(m.Text))
	require.Len(t, m.Attachments, 2)
	require.Equal(t, "длинное имя.pdf", m.Attachments[0].Name)
	require.Equal(t, "application/pdf", m.Attachments[0].ContentType)
	require.Equal(t, "id@x", m.Attachments[0].ContentID)
	rc, err := m.Attachments[1].Content.Open()
	require.NoError(t, err)
	inner, err := Read(rc)
	require.NoError(t, err)
	require.Equal(t, "inner", inner.Text)
	require.Equal(t, "application/ms-tnef", m.Attachments[1].ContentType)

	// What comes out goes into a letter as it is.
	c, err := mime.Letter{From: mime.Addr("", "a@b.example"), Subject: m.Subject, Text: m.Text, Attachments: m.Attachments}.Compose()
	require.NoError(t, err)
	_, err = c.WriteTo(io.Discard)
	require.NoError(t, err)
}

func TestRTF(t *testing.T) {
	t.Parallel()
	for rtf, want := range map[string][2]string{
		`{\rtf1\ansi{\fonttbl{\f0 Arial;}}Hello\par \b W\b0\'f6rld\tab x}`:                             {"Hello\nWörld\tx", ""},
		`{\rtf1\ansicpg1251 \'cf\'f0}`:                                                                 {"Пр", ""},
		`{\rtf1\uc1 \u1055?\u-10179?\u-8704?}`:                                                         {"П😀", ""},
		`{\rtf1{\*\unknown hidden}a\{\}\\}`:                                                            {`a{}\`, ""},
		`{\rtf1\ansi\fromhtml1 {\*\htmltag64 <p>}\htmlrtf \par\htmlrtf0 Hi &amp; {\*\htmltag72 </p>}}`: {"", "<p>Hi &amp; </p>"},
		`{\rtf1 a`: {"a", ""},
		`}}}`:      {"", ""},
		`\`:        {"", ""},
	} {
		text, html := readRTF([]byte(rtf))
		require.Equal(t, want, [2]string{text, html}, "%s", rtf)
	}
	m, err := Parse(file(attribute(1, attrMsgProps, props(property{typeBinary, propRTF,
		append([]byte{0, 0, 0, 0, 42, 0, 0, 0, 'M', 'E', 'L', 'A', 0, 0, 0, 0}, `{\rtf1\fromhtml1{\*\htmltag <b>}x{\*\htmltag </b>}}`[:42]...)}))))
	require.NoError(t, err)
	require.Equal(t, "<b>x", m.HTML)
	require.Equal(t, "x", m.Text)
}

// TestBroken: a file that was cut or changed anywhere gives what can be read, soon.
func TestBroken(t *testing.T) {
	t.Parallel()
	whole := example(t)
	for i := range whole {
		m, err := Parse(whole[:i])
		if i < 6 {
			require.ErrorIs(t, err, ErrFormat)
			continue
		}
		require.NoError(t, err)
		require.NotNil(t, m)
	}
	changed := bytes.Clone(whole)
	changed[20] ^= 1
	m, err := Parse(changed)
	require.NoError(t, err)
	require.True(t, m.Damaged)
	_, err = Read(io.LimitReader(zeros{}, MaxSize+1))
	require.ErrorIs(t, err, ErrTooLarge)

	start := time.Now()
	many := attribute(2, attrAttachBegins, nil)
	many = append(many, attribute(2, attrAttachData, []byte("x"))...)
	m, err = Parse(file(bytes.Repeat(many, 50000)))
	require.NoError(t, err)
	require.True(t, m.Damaged)
	require.Len(t, m.Attachments, maxAttachments)
	bomb := append(binary.LittleEndian.AppendUint32([]byte{0, 0, 0, 0}, maxRTF+1), "LZFu\x00\x00\x00\x00"...)
	_, ok := unpackRTF(append(bomb, bytes.Repeat([]byte{0xff}, 1<<20)...))
	require.False(t, ok)
	text, _ := readRTF(bytes.Repeat([]byte(`{\*`), 1<<20))
	require.Empty(t, text)
	require.Less(t, time.Since(start), 5*time.Second)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func FuzzParse(f *testing.F) {
	f.Add(example(f))
	f.Add(file(attribute(1, attrMsgProps, props(property{typeBinary, propRTF, rtfExample(f)}))))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err == nil && strings.ContainsAny(m.Subject, "\r\n") {
			t.Fatalf("a line end in %q", m.Subject)
		}
	})
}

func FuzzRTF(f *testing.F) {
	f.Add([]byte(`{\rtf1\ansi\uc1 \u1055?{\*\htmltag <b>}\'f6\par}`))
	f.Add(rtfExample(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		readRTF(b)
		unpackRTF(b)
	})
}
