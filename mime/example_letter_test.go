package mime_test

import (
	"fmt"
	"strings"
	"testing/fstest"
	"time"

	"github.com/gomailroom/mailroom/mime"
)

var date = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func ExampleLetter_Compose() {
	letter := mime.Letter{
		From: mime.Addr("Alice", "alice@example.org"), To: []mime.Address{mime.Addr("Bj\u00f6rn", "bjorn@example.net")},
		Bcc:  []mime.Address{mime.Addr("", "archive@example.org")},
		Date: date, MessageID: "1@example.org",
		Subject: "Gr\u00fc\u00dfe",
		Text:    "Hello Bj\u00f6rn",
	}
	msg, err := letter.Compose()
	if err != nil {
		panic(err)
	}
	fmt.Println(msg.From(), msg.Recipients(), msg.Size())
	var b strings.Builder
	if _, err := msg.WriteTo(&b); err != nil {
		panic(err)
	}
	fmt.Print(strings.ReplaceAll(b.String(), "\r\n", "\n"))
	// Output:
	// alice@example.org [bjorn@example.net archive@example.org] 307
	// Date: Sat, 21 Nov 2026 10:00:00 +0000
	// From: Alice <alice@example.org>
	// To: =?utf-8?b?QmrDtnJu?= <bjorn@example.net>
	// Subject: =?utf-8?b?R3LDvMOfZQ==?=
	// Message-ID: <1@example.org>
	// MIME-Version: 1.0
	// Content-Type: text/plain; charset=utf-8
	// Content-Transfer-Encoding: quoted-printable
	//
	// Hello Bj=C3=B6rn
}

// A page with a picture in it and a file beside it. The file is opened when the message is read, each time anew.
func ExampleFile() {
	fsys := fstest.MapFS{"logo.png": {Data: []byte("\x89PNG\r\n\x1a\n")}, "report.pdf": {Data: []byte("%PDF-1.7")}}
	letter := mime.Letter{
		From: mime.Addr("", "alice@example.org"), To: []mime.Address{mime.Addr("", "bob@example.net")},
		Text: "The report", HTML: `<img src="cid:logo.png"> The report`,
		Inline:      []mime.File{mime.FSFile(fsys, "logo.png")},
		Attachments: []mime.File{mime.FSFile(fsys, "report.pdf")},
	}
	msg, err := letter.Compose()
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	if _, err := msg.WriteTo(&b); err != nil {
		panic(err)
	}
	for part := range mime.ParseBytes([]byte(b.String())).Parts() {
		fmt.Printf("%s%s %q\n", strings.Repeat("  ", part.Depth()), part.MediaType(), part.Filename())
	}
	// Output:
	// multipart/mixed ""
	//   multipart/alternative ""
	//     text/plain ""
	//     multipart/related ""
	//       text/html ""
	//       image/png "logo.png"
	//   application/pdf "report.pdf"
}

func ExampleMessage_Reply() {
	m := mime.ParseBytes([]byte("From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch\r\nMessage-ID: <1@example.org>\r\n\r\nToday?\r\n"))
	reply, err := m.Reply(mime.ReplyAll, mime.Addr("Bob", "bob@example.net"))
	if err != nil {
		panic(err)
	}
	reply.Text += "Gladly.\n"
	fmt.Println(reply.To, reply.Subject, reply.InReplyTo)
	fmt.Print(reply.Text)
	// Output:
	// [Alice <alice@example.org>] Re: Lunch [1@example.org]
	// Alice wrote:
	// > Today?
	// Gladly.
}
