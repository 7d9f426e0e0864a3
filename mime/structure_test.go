package mime_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

var structured = crlf(`From: =?utf-8?Q?A=20B?= <a@example.org>
To: Team: b@example.org, "C (not a comment)" <c@example.org>;
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=
Date: Tue, 3 Nov 2026 10:20:29 +0100
Message-ID: <1@example.org>
In-Reply-To: <0@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="out"

preamble
--out
Content-Type: multipart/alternative; boundary=in

--in
Content-Type: text/plain; charset=utf-8
Content-Language: de, en

eins
zwei
--in
Content-Type: text/html

<p>
--in--
--out
Content-Type: message/rfc822
Content-Description: the  original

Subject: inner
Sender: s@example.org
From: f@example.org

inner text
--out
Content-Type: message/rfc822

Content-Type: multipart/mixed; boundary=deep

--deep

part one
--deep--
--out
Content-Type: image/png; name*=utf-8''%C3%BC.png
Content-Transfer-Encoding: base64
Content-ID: <cid@example.org>
Content-MD5: Q2hlY2s=
Content-Location: http://example.org/
 x
Content-Disposition: inline; filename="=?utf-8?Q?=C3=BC?="

AAAA
--out
Content-Type: multipart/mixed; boundary=never

empty
--out
Content-Type: message/rfc822
Content-Transfer-Encoding: base64

U3ViamVjdDogaQ==
--out--
`)

func TestStructureSections(t *testing.T) {
	t.Parallel()
	s := mime.ParseBytes(structured).Structure()
	require.Equal(t, int64(len(structured)), s.Size)
	for _, c := range []struct {
		path []int
		what mime.Specifier
		want string
	}{
		{nil, mime.SectionBody, string(structured)},
		{[]int{1, 1}, mime.SectionBody, "eins\r\nzwei"},
		{[]int{1, 1}, mime.SectionMIME, "Content-Type: text/plain; charset=utf-8\r\nContent-Language: de, en\r\n\r\n"},
		{[]int{1, 2}, mime.SectionBody, "<p>"},
		{[]int{2}, mime.SectionHeader, "Subject: inner\r\nSender: s@example.org\r\nFrom: f@example.org\r\n\r\n"},
		{[]int{2}, mime.SectionText, "inner text"},
		{[]int{2, 1}, mime.SectionBody, "inner text"},
		{[]int{2}, mime.SectionBody, "Subject: inner\r\nSender: s@example.org\r\nFrom: f@example.org\r\n\r\ninner text"},
		{[]int{3, 1}, mime.SectionBody, "part one"},
		{[]int{3, 1}, mime.SectionMIME, "\r\n"},
		{[]int{3}, mime.SectionText, "--deep\r\n\r\npart one\r\n--deep--"},
		{[]int{4}, mime.SectionBody, "AAAA"},
		{[]int{5, 1}, mime.SectionBody, "empty"},
		{[]int{6, 1}, mime.SectionBody, "U3ViamVjdDogaQ=="},
	} {
		o, l, ok := s.Section(c.path, c.what)
		require.True(t, ok, "%v %v", c.path, c.what)
		require.Equal(t, c.want, string(structured[o:o+l]), "%v %v", c.path, c.what)
	}
	header, hl, ok := s.Section(nil, mime.SectionHeader)
	require.True(t, ok)
	text, tl, ok := s.Section(nil, mime.SectionText)
	require.True(t, ok)
	require.Equal(t, s.Size, header+hl+tl)
	require.Equal(t, hl, text)
	for _, c := range []struct {
		path []int
		what mime.Specifier
	}{
		{nil, mime.SectionMIME}, {[]int{0}, mime.SectionBody}, {[]int{7}, mime.SectionBody}, {[]int{1, 3}, mime.SectionBody},
		{[]int{1}, mime.SectionHeader}, {[]int{4}, mime.SectionText}, {[]int{4, 1}, mime.SectionBody}, {[]int{1, 1, 1}, mime.SectionBody},
		{[]int{2, 1, 1}, mime.SectionBody}, {[]int{2, 2}, mime.SectionBody}, {[]int{-1}, mime.SectionMIME},
	} {
		_, _, ok := s.Section(c.path, c.what)
		require.False(t, ok, "%v %v", c.path, c.what)
	}
}

func TestStructureFields(t *testing.T) {
	t.Parallel()
	s := mime.ParseBytes(structured).Structure()
	e := s.Envelope
	require.Equal(t, "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", e.Subject)
	require.Equal(t, "Tue, 3 Nov 2026 10:20:29 +0100", e.Date)
	require.Equal(t, "<1@example.org>", e.MessageID)
	require.Equal(t, "<0@example.org>", e.InReplyTo)
	require.Equal(t, mime.AddressList{{Members: []mime.Address{{Name: "=?utf-8?Q?A=20B?=", Addr: "a@example.org"}}}}, e.From)
	require.Equal(t, e.From, e.Sender)
	require.Equal(t, e.From, e.ReplyTo)
	require.Equal(t, mime.AddressList{{Name: "Team", IsGroup: true, Members: []mime.Address{{Addr: "b@example.org"}, {Name: "C (not a comment)", Addr: "c@example.org"}}}}, e.To)
	require.Nil(t, e.Cc)

	root := s.Part(nil)
	require.True(t, root.IsMultipart())
	require.Len(t, root.Children, 6)
	require.Equal(t, []mime.Param{{Name: "boundary", Value: "out"}}, root.Params)
	plain := s.Part([]int{1, 1})
	require.Equal(t, []string{"de", "en"}, plain.Language)
	require.Equal(t, int64(1), plain.Lines)
	require.Equal(t, "7bit", plain.Encoding)
	message := s.Part([]int{2})
	require.True(t, message.IsMessage())
	require.False(t, message.IsMultipart())
	require.Equal(t, "the  original", message.Description)
	require.Equal(t, "inner", message.Envelope.Subject)
	require.Equal(t, "s@example.org", message.Envelope.Sender.All()[0].Addr)
	require.Equal(t, "f@example.org", message.Envelope.ReplyTo.All()[0].Addr)
	require.Equal(t, int64(4), message.Lines)
	image := s.Part([]int{4})
	require.Equal(t, "image", image.Type)
	require.Equal(t, "png", image.Subtype)
	require.Equal(t, []mime.Param{{Name: "name*", Value: "utf-8''%C3%BC.png"}}, image.Params)
	require.Equal(t, []mime.Param{{Name: "filename", Value: "=?utf-8?Q?=C3=BC?="}}, image.DispositionParams)
	require.Equal(t, "inline", image.Disposition)
	require.Equal(t, "<cid@example.org>", image.ID)
	require.Equal(t, "Q2hlY2s=", image.MD5)
	require.Equal(t, "http://example.org/ x", image.Location)
	require.Equal(t, "base64", image.Encoding)
	require.True(t, s.Part([]int{5}).IsMultipart(), "a multipart without parts has one")
	require.True(t, s.Part([]int{6}).IsMessage(), "a message that is encoded has an envelope")
}

// TestStructureStored opens what the first version of the format wrote.
func TestStructureStored(t *testing.T) {
	t.Parallel()
	s := mime.ParseBytes(structured).Structure()
	got, err := s.AppendBinary([]byte("before"))
	require.NoError(t, err)
	got = got[len("before"):]
	golden := filepath.Join("testdata", "structure-v1.bin")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, got, 0o644))
	}
	stored, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, stored, got)
	back, err := mime.DecodeStructure(stored)
	require.NoError(t, err)
	require.Equal(t, s, back)

	for i := range stored { // cut anywhere it is an error, never a panic
		_, err := mime.DecodeStructure(stored[:i])
		require.Error(t, err)
	}
	_, err = mime.DecodeStructure(append(stored, 0))
	require.Error(t, err)
	_, err = mime.DecodeStructure([]byte{99})
	require.ErrorContains(t, err, "format 99")
}

func TestStructureOfNothing(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "\r\n", "x", "Subject: x", "Content-Type: multipart/mixed\r\n\r\n", "Content-Type: message/rfc822", strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 200)} {
		m := mime.ParseBytes([]byte(raw))
		checkTree(t, m, []byte(raw))
		s := m.Structure()
		require.Equal(t, int64(len(raw)), s.Size)
		b := s.Part([]int{1})
		if b == nil {
			require.Fail(t, "every message has a part 1", "%q", raw)
		}
	}
}

// TestShift: the structure of a message with trace fields before it is that of the message, further behind.
func TestShift(t *testing.T) {
	t.Parallel()
	const prefix = "Return-Path: <a@b>\r\nReceived: from x\r\n\tby y\r\n"
	for _, raw := range [][]byte{structured, newsletter(100), []byte("A: b"), []byte("A: b\n\nbody")} {
		want := mime.ParseBytes(append([]byte(prefix), raw...)).Structure()
		s := mime.ParseBytes(raw).Structure()
		before, err := s.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, want, s.Shift(int64(len(prefix))))
		after, err := s.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, before, after, "the original stays")
		require.Same(t, s, s.Shift(0))
	}
}
