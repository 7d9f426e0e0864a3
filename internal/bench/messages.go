package bench

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Words makes text that looks like writing, the same for the same seed.
type Words struct{ *rand.Rand }

// NewWords starts a text.
func NewWords(seed uint64) Words { return Words{rand.New(rand.NewPCG(seed, 1))} }

var vocabulary = strings.Fields(`the a of and to in is that it was for on with as at by this letter post office
	morning weather meeting report number question answer Tuesday please thanks regards would could should about before after
	delivery address street Grüße Straße café naïve señor 東京 письмо budget invoice attached project customer order`)

// Text gives about n octets in lines that end with end.
func (w Words) Text(n int, end string) string {
	var b strings.Builder
	for column := 0; b.Len() < n; {
		word := vocabulary[w.IntN(len(vocabulary))]
		b.WriteString(word)
		if column += len(word) + 1; column > 66 {
			b.WriteString(end)
			column = 0
		} else {
			b.WriteByte(' ')
		}
	}
	b.WriteString(end)
	return b.String()
}

// ASCII gives n octets of lines of 78, CRLF included, without dots.
func ASCII(n int) []byte {
	line := "This is a line of a message that is about as long as such lines usually are.\r\n"
	return []byte(strings.Repeat(line, n/len(line)+1)[:n-2] + "\r\n")
}

func (w Words) header(i int) string {
	return fmt.Sprintf("Return-Path: <sender%d@example.org>\r\nReceived: from mx%d.example.org (mx%d.example.org [192.0.2.%d])\r\n"+
		"\tby mail.example.net with ESMTPS id 4XyZ%06d;\r\n\tFri, 20 Nov 2026 10:20:29 +0100\r\n"+
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1;\r\n\th=from:to:subject:date:message-id; bh=%s;\r\n\tb=%s\r\n\t %s\r\n"+
		"From: =?UTF-8?Q?J=C3=BCrgen_M=C3=BCller?= <sender%d@example.org>\r\nTo: \"Doe, Jane\" <jane@example.net>, Bob <bob@example.net>\r\n"+
		"Subject: =?utf-8?B?%s?= and number %d\r\nDate: Fri, 20 Nov 2026 10:20:29 +0100\r\nMessage-ID: <%d.4711@example.org>\r\n"+
		"References: <1@example.org> <2@example.org>\r\nX-Mailer: Bench 1.0\r\nMIME-Version: 1.0\r\n",
		i%100, i%7, i%7, i%250, i, w.base64(32, ""), w.base64(48, ""), w.base64(48, ""), i%100,
		base64.StdEncoding.EncodeToString([]byte(w.Text(20, ""))), i, i)
}

// base64 gives n random octets in lines of 76.
func (w Words) base64(n int, end string) string {
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = byte(w.Uint32())
	}
	return encode(raw, end)
}

func encode(raw []byte, end string) string {
	text := base64.StdEncoding.EncodeToString(raw)
	if end == "" {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + len(text)/76*2 + 2)
	for line := range slices.Chunk([]byte(text), 76) {
		b.Write(line)
		b.WriteString(end)
	}
	return b.String()
}

func quoted(text string) string {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

func (w Words) alternatives(boundary string, n int) string {
	return "Content-Type: multipart/alternative; boundary=\"" + boundary + "\"\r\n\r\nThis is a message in MIME format.\r\n--" + boundary +
		"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted(w.Text(n, "\r\n")) +
		"\r\n--" + boundary + "\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		quoted("<html><body><p class=\"x\">"+w.Text(2*n, "<br>\r\n")+"</p></body></html>\r\n") + "\r\n--" + boundary + "--\r\n"
}

// Attachment gives a letter whose attachment has so many octets before encoding.
func Attachment(seed uint64, octets int) []byte {
	w := NewWords(seed)
	return []byte(w.header(int(seed)) + "Content-Type: multipart/mixed; boundary=\"=_outer_0123456789\"\r\n\r\n--=_outer_0123456789\r\n" + w.alternatives("=_inner_0123456789", 800) +
		"\r\n--=_outer_0123456789\r\nContent-Type: application/pdf; name=\"report.pdf\"\r\nContent-Disposition: attachment;\r\n\tfilename*=utf-8''Bericht%20%C3%BCber.pdf\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + w.base64(octets, "\r\n") + "\r\n--=_outer_0123456789--\r\n")
}

// Corpus gives a mixture of small messages such as people get: of ten, three plain, four with HTML beside, one in latin-1, one forwarded, one with an
// attachment; 8 KiB on average.
func Corpus(n int) [][]byte {
	messages := make([][]byte, n)
	for i := range messages {
		w := NewWords(uint64(i))
		head := w.header(i)
		switch i % 10 {
		case 0, 1:
			messages[i] = []byte(head + "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + w.Text(500+w.IntN(4000), "\r\n"))
		case 2:
			messages[i] = []byte(head + "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encode([]byte(w.Text(1000+w.IntN(2000), "\r\n")), "\r\n"))
		case 3, 4, 5, 6:
			messages[i] = []byte(head + w.alternatives("=_Part_0123456789", 500+w.IntN(3000)))
		case 7:
			messages[i] = []byte(head + "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
				strings.Repeat("Gr=FC=DFe aus dem Postamt, heute wird sortiert, morgen wird zugestellt.\r\n", 30))
		case 8:
			messages[i] = []byte(head + "Content-Type: multipart/mixed; boundary=\"fwd\"\r\n\r\n--fwd\r\n\r\nFor you.\r\n--fwd\r\nContent-Type: message/rfc822\r\n\r\n" +
				w.header(i+1) + w.alternatives("=_Part_0123456789", 500) + "\r\n--fwd--\r\n")
		default:
			messages[i] = Attachment(uint64(i), 20_000)
		}
	}
	return messages
}

// Suite gives the messages of the MIME test suites in the folder that MAILROOM_SUITES names, with CRLF line ends; none where it is not set.
func Suite() (messages [][]byte, err error) {
	root := os.Getenv("MAILROOM_SUITES")
	if root == "" {
		return nil, nil
	}
	err = filepath.WalkDir(filepath.Join(root, "mime"), func(path string, d os.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || d.IsDir() || ext != ".eml" && ext != ".msg" && ext != ".txt" && ext != ".raw" {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("\n")) {
			b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
			messages = append(messages, b)
		}
		return err
	})
	return messages, err
}

// Letter gives message i of a mailbox: 2 KiB, one in five a multipart.
func Letter(i int) []byte {
	head := fmt.Sprintf("Received: from a.example.org by b.example.org; Fri, 20 Nov 2026 10:20:29 +0100\r\nFrom: Sender %d <sender%d@example.org>\r\n"+
		"To: Receiver <receiver@example.net>\r\nSubject: message number %d of many\r\nDate: Fri, 20 Nov 2026 10:20:29 +0100\r\n"+
		"Message-ID: <%d@example.org>\r\nMIME-Version: 1.0\r\n", i%100, i%100, i, i)
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, again and again.\r\n", 27)
	if i%5 != 0 {
		return []byte(head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text)
	}
	return []byte(head + "Content-Type: multipart/alternative; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + text[:780] +
		"\r\n--b\r\nContent-Type: text/html\r\n\r\n" + text[:780] + "\r\n--b--\r\n")
}
