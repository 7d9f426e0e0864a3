package bench

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"testing"

	gomessage "github.com/emersion/go-message/mail"
	"github.com/jhillyerd/enmime/v2"
	gomail "github.com/wneessen/go-mail"

	"github.com/gomailroom/mailroom/mime"
)

// BenchmarkCompose writes a letter with text, HTML and an attachment from memory. Bytes are those of the attachment.
func BenchmarkCompose(b *testing.B) {
	text := NewWords(1).Text(1500, "\n")
	html := "<p>" + NewWords(2).Text(3000, "<br>\n") + "</p>\n"
	for _, octets := range []int{0, 100 << 10, 25 << 20} {
		data := []byte(NewWords(3).Text(octets, "\n"))[:octets]
		for _, lib := range []struct {
			name    string
			compose func(text, html string, data []byte) error
		}{{"mailroom", composeMailroom}, {"go-mail", composeGoMail}, {"go-message", composeGoMessage}, {"enmime", composeEnmime}, {"encoding/base64 alone", composeBase64}} {
			b.Run(fmt.Sprintf("%dKiB/%s", octets>>10, lib.name), func(b *testing.B) {
				b.SetBytes(int64(octets))
				b.ReportAllocs()
				for b.Loop() {
					if err := lib.compose(text, html, data); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

// composeBase64 encodes the attachment with encoding/base64 in lines of 76, and nothing else.
func composeBase64(_, _ string, data []byte) error {
	var line [78]byte
	copy(line[76:], "\r\n")
	w := bufio.NewWriterSize(io.Discard, 4096)
	for chunk := range slices.Chunk(data, 57) {
		if len(chunk) == 57 {
			base64.StdEncoding.Encode(line[:76], chunk)
			w.Write(line[:])
		} else {
			w.WriteString(base64.StdEncoding.EncodeToString(chunk) + "\r\n")
		}
	}
	return w.Flush()
}

func composeMailroom(text, html string, data []byte) error {
	c, err := mime.Letter{From: mime.Addr("Jürgen Müller", "from@example.org"), To: []mime.Address{mime.Addr("Jane", "to@example.net")}, Subject: "Ein Gruß",
		Text: text, HTML: html, Attachments: []mime.File{mime.BytesFile("report.bin", data)}}.Compose()
	if err != nil {
		return err
	}
	_, err = c.WriteTo(io.Discard)
	return err
}

func composeGoMail(text, html string, data []byte) error {
	m := gomail.NewMsg()
	if err := m.FromFormat("Jürgen Müller", "from@example.org"); err != nil {
		return err
	}
	if err := m.AddToFormat("Jane", "to@example.net"); err != nil {
		return err
	}
	m.Subject("Ein Gruß")
	m.SetDate()
	m.SetMessageID()
	m.SetBodyString(gomail.TypeTextPlain, text)
	m.AddAlternativeString(gomail.TypeTextHTML, html)
	if err := m.AttachReader("report.bin", bytes.NewReader(data)); err != nil {
		return err
	}
	_, err := m.WriteTo(io.Discard)
	return err
}

func composeEnmime(text, html string, data []byte) error {
	p, err := enmime.Builder().From("Jürgen Müller", "from@example.org").To("Jane", "to@example.net").Subject("Ein Gruß").
		Text([]byte(text)).HTML([]byte(html)).AddAttachment(data, "application/octet-stream", "report.bin").Build()
	if err != nil {
		return err
	}
	return p.Encode(io.Discard)
}

func composeGoMessage(text, html string, data []byte) error {
	var h gomessage.Header
	h.SetAddressList("From", []*gomessage.Address{{Name: "Jürgen Müller", Address: "from@example.org"}})
	h.SetAddressList("To", []*gomessage.Address{{Name: "Jane", Address: "to@example.net"}})
	h.SetSubject("Ein Gruß")
	if err := h.GenerateMessageID(); err != nil {
		return err
	}
	w, err := gomessage.CreateWriter(io.Discard, h)
	if err != nil {
		return err
	}
	alternatives, err := w.CreateInline()
	if err != nil {
		return err
	}
	for _, part := range []struct{ typ, text string }{{"text/plain", text}, {"text/html", html}} {
		var h gomessage.InlineHeader
		h.SetContentType(part.typ, map[string]string{"charset": "utf-8"})
		h.Set("Content-Transfer-Encoding", "quoted-printable")
		p, err := alternatives.CreatePart(h)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(p, part.text); err != nil {
			return err
		}
		if err := p.Close(); err != nil {
			return err
		}
	}
	if err := alternatives.Close(); err != nil {
		return err
	}
	var ah gomessage.AttachmentHeader
	ah.SetContentType("application/octet-stream", nil)
	ah.SetFilename("report.bin")
	ah.Set("Content-Transfer-Encoding", "base64")
	a, err := w.CreateAttachment(ah)
	if err != nil {
		return err
	}
	if _, err := a.Write(data); err != nil {
		return err
	}
	if err := a.Close(); err != nil {
		return err
	}
	return w.Close()
}
