package bench

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	stdmime "mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
	gomessage "github.com/emersion/go-message/mail"
	"github.com/jhillyerd/enmime/v2"
	"github.com/stretchr/testify/require"
	gomail "github.com/wneessen/go-mail"

	"github.com/gomailroom/mailroom/mime"
)

type reader struct {
	name string
	read func(raw []byte) error
}

// readers parse a message, and read what a mail program shows: From, To, Subject, Date, and every leaf with its transfer encoding taken off; texts in UTF-8,
// but for the standard library, which knows no charsets. Errors count as the end of a message: std and go-message give up on some that others read.
var readers = []reader{
	{"mailroom", readMailroom},
	{"std", readStandard},
	{"go-message", readGoMessage},
	{"enmime", func(raw []byte) error { _, err := enmime.ReadEnvelope(bytes.NewReader(raw)); return err }},
}

func readMailroom(raw []byte) error {
	m := mime.ParseBytes(raw)
	h := m.Header()
	h.Addresses("From")
	h.Addresses("To")
	h.Text("Subject")
	h.Date()
	for p := range m.Parts() {
		var err error
		switch {
		case !p.IsLeaf():
		case strings.HasPrefix(p.MediaType(), "text/"):
			_, err = p.Text()
		default:
			_, err = io.Copy(io.Discard, p.Decoded())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readStandard(raw []byte) error {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	m.Header.AddressList("From")
	m.Header.AddressList("To")
	new(stdmime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	m.Header.Date()
	return readEntity(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
}

func readEntity(contentType, encoding string, body io.Reader) error {
	typ, params, _ := stdmime.ParseMediaType(contentType)
	if strings.HasPrefix(typ, "multipart/") {
		for r := multipart.NewReader(body, params["boundary"]); ; {
			p, err := r.NextRawPart()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := readEntity(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p); err != nil {
				return err
			}
		}
	}
	switch strings.ToLower(encoding) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	if typ == "message/rfc822" {
		raw, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		return readStandard(raw)
	}
	_, err := io.Copy(io.Discard, body)
	return err
}

func readGoMessage(raw []byte) error {
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil && !message.IsUnknownCharset(err) {
		return err
	}
	h := gomessage.Header{Header: e.Header}
	h.AddressList("From")
	h.AddressList("To")
	h.Subject()
	h.Date()
	return readGoMessageEntity(e)
}

func readGoMessageEntity(e *message.Entity) error {
	if r := e.MultipartReader(); r != nil {
		for {
			p, err := r.NextPart()
			if err == io.EOF {
				return nil
			}
			if err != nil && !message.IsUnknownCharset(err) {
				return err
			}
			if err := readGoMessageEntity(p); err != nil {
				return err
			}
		}
	}
	if typ, _, _ := e.Header.ContentType(); typ == "message/rfc822" {
		raw, err := io.ReadAll(e.Body)
		if err != nil {
			return err
		}
		return readGoMessage(raw)
	}
	_, err := io.Copy(io.Discard, e.Body)
	return err
}

// BenchmarkParse reads one message an operation, of a corpus each in turn.
func BenchmarkParse(b *testing.B) { benchmarkRead(b, readers) }

// BenchmarkStructure finds what IMAP needs when mail arrives: where parts are, their sizes and lines; bodies stay encoded. No peer does only that.
func BenchmarkStructure(b *testing.B) {
	benchmarkRead(b, []reader{{"mailroom", func(raw []byte) error { mime.ParseBytes(raw).Structure(); return nil }}})
}

func benchmarkRead(b *testing.B, readers []reader) {
	suite, err := Suite()
	require.NoError(b, err)
	for _, corpus := range []struct {
		name     string
		messages [][]byte
	}{{"small", Corpus(200)}, {"suites", suite}, {"1MiB", [][]byte{Attachment(1, 1<<20)}}, {"25MiB", [][]byte{Attachment(1, 25<<20)}}} {
		if len(corpus.messages) == 0 {
			b.Run(corpus.name, func(b *testing.B) { b.Skip("MAILROOM_SUITES is not set") })
			continue
		}
		total, n := 0, len(corpus.messages)
		for _, raw := range corpus.messages {
			total += len(raw)
		}
		for _, r := range readers {
			b.Run(corpus.name+"/"+r.name, func(b *testing.B) {
				b.SetBytes(int64(total / n))
				b.ReportAllocs()
				failed, i := 0, 0
				for b.Loop() {
					if r.read(corpus.messages[i%n]) != nil {
						failed++
					}
					i++
				}
				if i >= n {
					b.ReportMetric(100*float64(failed)/float64(i), "%failed")
				}
			})
		}
	}
}

// BenchmarkCompose writes a letter with text, HTML and an attachment from memory. Bytes are those of the attachment.
func BenchmarkCompose(b *testing.B) {
	text := NewWords(1).Text(1500, "\n")
	html := "<p>" + NewWords(2).Text(3000, "<br>\n") + "</p>\n"
	for _, octets := range []int{0, 100 << 10, 25 << 20} {
		data := []byte(NewWords(3).Text(octets, "\n"))[:octets]
		for _, lib := range []struct {
			name    string
			compose func(text, html string, data []byte) error
		}{{"mailroom", composeMailroom}, {"go-mail", composeGoMail}, {"go-message", composeGoMessage}, {"enmime", composeEnmime}} {
			b.Run(fmt.Sprintf("%dKiB/%s", octets>>10, lib.name), func(b *testing.B) {
				b.SetBytes(int64(octets))
				b.ReportAllocs()
				for b.Loop() {
					if err := lib.compose(text, html, data); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
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
