package bench

import (
	"bytes"
	"encoding/base64"
	"io"
	stdmime "mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
	gomessage "github.com/emersion/go-message/mail"
	"github.com/jhillyerd/enmime/v2"
	"github.com/stretchr/testify/require"

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
	{"mailroom without bodies", func(raw []byte) error { mime.ParseBytes(raw); return nil }},
	{"copy", func(raw []byte) error { bytes.Clone(raw); return nil }}, // what memory gives: how noisy the machine is
}

// readBase64 decodes the last part's base64 with encoding/base64, and parses nothing.
func readBase64(raw []byte) error {
	const end = "base64\r\n\r\n"
	body := raw[bytes.LastIndex(raw, []byte(end))+len(end):]
	_, err := io.Copy(io.Discard, base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body[:bytes.IndexByte(body, '-')])))
	return err
}

func readMailroom(raw []byte) error { return readParsed(mime.ParseBytes(raw)) }

func readParsed(m *mime.Message) error {
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

func readStandard(raw []byte) error { return readStandardFrom(bytes.NewReader(raw)) }

func readStandardFrom(r io.Reader) error {
	m, err := mail.ReadMessage(r)
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

// BenchmarkParse reads one message an operation, of a corpus each in turn: all of it, but for what the name says. Beside the rate by the clock it tells the
// rate by the processor's time, which others on the machine disturb less.
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
		readers := readers
		if n == 1 && len(readers) > 1 {
			readers = append(slices.Clip(readers), reader{"encoding/base64 alone", readBase64})
		}
		for _, r := range readers {
			b.Run(corpus.name+"/"+r.name, func(b *testing.B) {
				b.SetBytes(int64(total / n))
				b.ReportAllocs()
				failed, i := 0, 0
				start := processorTime()
				for b.Loop() {
					if r.read(corpus.messages[i%n]) != nil {
						failed++
					}
					i++
				}
				b.ReportMetric(float64(total)/float64(n)*float64(i)/1e6/(processorTime()-start).Seconds(), "cpuMB/s")
				b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "messages/s")
				if i >= n {
					b.ReportMetric(100*float64(failed)/float64(i), "%failed")
				}
			})
		}
	}
}
