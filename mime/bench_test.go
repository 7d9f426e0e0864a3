package mime_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
)

// newsletter is a message as most are: headers that servers added, text and HTML, a small attachment.
func newsletter(attachment int) []byte {
	var b bytes.Buffer
	for range 4 {
		b.WriteString("Received: from mail.example.net (mail.example.net [192.0.2.7])\r\n\tby mx.example.org (Postfix) with ESMTPS id 4F1D2A0B3C\r\n\tfor <bob@example.org>; Tue, 3 Nov 2026 10:20:30 +0100 (CET)\r\n")
	}
	b.WriteString("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=2026;\r\n\th=from:to:subject:date:message-id; bh=" + strings.Repeat("x", 44) + ";\r\n\tb=" + strings.Repeat("y", 70) + "\r\n\t " + strings.Repeat("z", 70) + "\r\n")
	b.WriteString("From: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= <news@example.net>\r\nTo: Bob <bob@example.org>\r\nSubject: =?utf-8?B?TmV1aWdrZWl0ZW4gaW0gTm92ZW1iZXI=?=\r\nDate: Tue, 3 Nov 2026 10:20:29 +0100\r\nMessage-ID: <20261103102029.1234@example.net>\r\nMIME-Version: 1.0\r\n")
	b.WriteString("Content-Type: multipart/mixed; boundary=\"outer-0123456789\"\r\n\r\n--outer-0123456789\r\nContent-Type: multipart/alternative; boundary=\"inner-0123456789\"\r\n\r\n")
	b.WriteString("--inner-0123456789\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	for range 30 {
		b.WriteString("Gr=C3=BC=C3=9Fe aus dem Postamt: heute wird sortiert, morgen wird zugestellt=\r\n.\r\n")
	}
	b.WriteString("\r\n--inner-0123456789\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n")
	for range 30 {
		b.WriteString("<p>Greetings from the post office: <b>today</b> we sort, tomorrow we deliver.</p>\r\n")
	}
	b.WriteString("</body></html>\r\n--inner-0123456789--\r\n\r\n--outer-0123456789\r\nContent-Type: application/pdf; name=\"report.pdf\"\r\nContent-Disposition: attachment; filename=\"report.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	line := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("attached!"), 7))[:76] + "\r\n"
	for range attachment / 57 {
		b.WriteString(line)
	}
	b.WriteString("\r\n--outer-0123456789--\r\n")
	return b.Bytes()
}

func BenchmarkParseBytes(b *testing.B) {
	raw := newsletter(2000)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		mime.ParseBytes(raw)
	}
}

// BenchmarkParseAndRead parses a message and reads what a mail program shows: addresses, subject, date, text, attachments.
func BenchmarkParseAndRead(b *testing.B) {
	raw := newsletter(2000)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		show(b, mime.ParseBytes(raw))
	}
}

// show reads what a mail program shows.
func show(b *testing.B, m *mime.Message) {
	h := m.Header()
	h.Addresses("From")
	h.Addresses("To")
	h.Text("Subject")
	h.Date()
	h.MessageIDs("Message-ID")
	if _, err := m.Text(); err != nil {
		b.Fatal(err)
	}
	for _, p := range m.Attachments() {
		if _, err := io.Copy(io.Discard, p.Decoded()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStructure(b *testing.B) {
	m := mime.ParseBytes(newsletter(2000))
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf, _ = m.Structure().AppendBinary(buf[:0])
	}
	b.ReportMetric(float64(len(buf)), "B/stored")
}

func BenchmarkDecodeStructure(b *testing.B) {
	stored, _ := mime.ParseBytes(newsletter(2000)).Structure().AppendBinary(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mime.DecodeStructure(stored); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAttachment25MiB(b *testing.B) {
	raw := newsletter(25 << 20)
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			mime.ParseBytes(raw)
		}
	})
	b.Run("push", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			p := mime.NewParser(mime.Limits{})
			for piece := range slices.Chunk(raw, 32<<10) {
				p.Write(piece)
			}
			p.Close()
		}
	})
	b.Run("parse and decode", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			m := mime.ParseBytes(raw)
			for _, p := range m.Attachments() {
				if _, err := io.Copy(io.Discard, p.Decoded()); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("from disk", func(b *testing.B) {
		name := filepath.Join(b.TempDir(), "message")
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			b.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			m, err := mime.Parse(f, int64(len(raw)))
			if err != nil {
				b.Fatal(err)
			}
			for _, p := range m.Attachments() {
				if _, err := io.Copy(io.Discard, p.Decoded()); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("spool", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			s, err := mime.Spool(bytes.NewReader(raw), mime.SpoolLimits{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
	})
}

// BenchmarkCorpus parses the messages of the foreign suites, which are small and mostly odd; and reads what a mail program shows of them.
func BenchmarkCorpus(b *testing.B) {
	messages := slices.Collect(maps.Values(corpus(b)))
	size := 0
	for _, raw := range messages {
		size += len(raw)
	}
	for _, what := range []string{"parse", "read"} {
		b.Run(what, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, raw := range messages {
					if m := mime.ParseBytes(raw); what != "parse" {
						show(b, m)
					}
				}
			}
			b.ReportMetric(float64(len(messages)), "messages/op")
		})
	}
}

func BenchmarkHeaderGet(b *testing.B) {
	h := mime.ParseBytes(newsletter(0)).Header()
	b.ReportAllocs()
	for b.Loop() {
		if !h.Has("Message-ID") {
			b.Fatal("not found")
		}
	}
}
