package mime_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gomailroom/mailroom/mime"
)

// FuzzMessage: parsing never fails, offsets are inside, pieces make no difference, and every view can be asked for.
func FuzzMessage(f *testing.F) {
	f.Add(structured)
	f.Add(newsletter(100))
	f.Add([]byte(oddHeader))
	for _, s := range scraps {
		f.Add([]byte("Content-Type: multipart/mixed; boundary=a\n\n--a\n" + s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := mime.ParseBytes(raw)
		checkTree(t, m, raw)
		readAll(t, m)
		checkPieces(t, raw, mime.Limits{})
		checkPieces(t, raw, mime.Limits{HeaderBytes: 100, TotalHeaderBytes: 300, Fields: 5, Depth: 3, Parts: 5})
	})
}

func FuzzAddressList(f *testing.F) {
	for _, s := range []string{"a@b", "A <a@b>, G: c@d;", `"q\"x" <a@[1.2.3.4]> (c)`, "=?utf-8?Q?a,b?= <a@b>", "<@r:a@b>", "a@b;c@d", `a""b@c`, `"".@ "" .a`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, a := range mime.ParseAddressList(s).All() {
			if a == (mime.Address{}) {
				t.Fatal("an empty mailbox")
			}
			if strings.ContainsAny(a.String(), "\n") {
				t.Fatalf("a line end in %q", a.String())
			}
			local, domain := a.Split()
			if domain != "" && local+"@"+domain != a.Addr {
				t.Fatalf("%q is split into %q and %q", a.Addr, local, domain)
			}
		}
	})
}

func FuzzDate(f *testing.F) {
	f.Add("Tue, 3 Nov 2026 10:20:29 +0100 (CET)")
	f.Add("2026-11-03T10:20:29.5Z")
	f.Add("; Nov 3, 2026 9:20 pm EST")
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := mime.ParseDate(s); ok && (d.Year() < -1 || d.Year() > 10000) {
			t.Fatalf("%q is %v", s, d)
		}
	})
}

func FuzzMediaType(f *testing.F) {
	f.Add("text/plain; charset=utf-8; name*0*=utf-8'de'a%20; name*1=b")
	f.Add(`multipart/mixed boundary="a\"b" (comment)`)
	f.Add("attachment; filename==?utf-8?Q?x?=")
	f.Fuzz(func(t *testing.T, s string) {
		ct, d := mime.ParseMediaType(s), mime.ParseDisposition(s)
		for _, p := range append(ct.Params, d.Params...) {
			if p.Name == "" {
				t.Fatal("a parameter without a name")
			}
			if !utf8.ValidString(p.Value) {
				t.Fatalf("%q is not UTF-8", p.Value)
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("=?utf-8?Q?a_b?= =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=")
	f.Add("x =?utf-7?Q?+Jjo-?=\r\n y \xff")
	f.Fuzz(func(t *testing.T, s string) {
		text := mime.DecodeText(s)
		if !utf8.ValidString(text) {
			t.Fatalf("%q is not UTF-8", text)
		}
		mime.BaseSubject(s)
	})
}

func FuzzMessageIDs(f *testing.F) {
	f.Add("<a@b> <c@d>")
	f.Add("<a <b@c>> d@e")
	f.Fuzz(func(t *testing.T, s string) {
		for _, id := range mime.ParseMessageIDs(s) {
			if id == "" || strings.ContainsAny(id, "\r\n") {
				t.Fatalf("identifier %q", id)
			}
		}
	})
}

func FuzzReceived(f *testing.F) {
	f.Add("from a (b [192.0.2.1:25]) by c with ESMTP id d for <e@f>; 1 Jan 2020 10:00:00 +0000")
	f.Add("(from a@b) by c")
	f.Fuzz(func(t *testing.T, s string) { mime.ParseReceived(s) })
}

func FuzzStructure(f *testing.F) {
	b, _ := mime.ParseBytes(structured).Structure().AppendBinary(nil)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := mime.DecodeStructure(b)
		if err != nil {
			return
		}
		s.Section([]int{1, 1}, mime.SectionText)
		if _, err := s.AppendBinary(nil); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzDecoders: a decoder gives the same for every way of reading, and ends.
func FuzzDecoders(f *testing.F) {
	f.Add([]byte("SGVsbG8=\r\n"), uint8(3))
	f.Add([]byte("a=20b=\r\n c \t\r\n=="), uint8(1))
	f.Add([]byte("begin 644 f\n#0V%T\n`\nend\n"), uint8(100))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		for e := mime.Encoding7Bit; e <= mime.EncodingUnknown; e++ {
			want, err := io.ReadAll(mime.NewDecoder(e, bytes.NewReader(b)))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			r := mime.NewDecoder(e, &slowReader{b, int(size)/16 + 1})
			if _, err := io.CopyBuffer(&got, struct{ io.Reader }{r}, make([]byte, int(size)%16+1)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, got.Bytes()) {
				t.Fatalf("%v: %q at once, %q in pieces", e, want, got.Bytes())
			}
		}
	})
}

// slowReader gives at most n bytes at a time.
type slowReader struct {
	b []byte
	n int
}

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.n)], r.b)
	r.b = r.b[n:]
	return n, nil
}

func FuzzFlowed(f *testing.F) {
	f.Add("a \nb\n> c \n>> d\n-- \ne", true)
	f.Fuzz(func(t *testing.T, s string, delSp bool) {
		if text := mime.DecodeFlowed(s, delSp); len(text) > 3*len(s)+2 {
			t.Fatalf("%d bytes became %d", len(s), len(text))
		}
	})
}
