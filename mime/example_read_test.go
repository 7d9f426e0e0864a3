package mime_test

import (
	"fmt"
	"io"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

const exampleMessage = "From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.org>\r\n" +
	"To: Team: ann@example.net, Bob <bob@example.net>;\r\n" +
	"Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n" +
	"Date: Tue, 3 Nov 2026 10:20:29 +0100\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n" +
	"\r\n" +
	"--b\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: quoted-printable\r\n" +
	"\r\n" +
	"Sch=C3=B6ne Gr=C3=BC=C3=9Fe!\r\n" +
	"--b\r\n" +
	"Content-Type: text/csv\r\n" +
	"Content-Disposition: attachment; filename*=utf-8''zahlen%20%C3%BC.csv\r\n" +
	"Content-Transfer-Encoding: base64\r\n" +
	"\r\n" +
	"MSwyLDMK\r\n"

func ExampleParseBytes() {
	m := mime.ParseBytes([]byte(exampleMessage))
	h := m.Header()
	fmt.Println("from:", h.Addresses("From").All()[0])
	fmt.Println("to:", h.Addresses("To"))
	fmt.Println("subject:", h.Text("Subject"))
	date, _ := h.Date()
	fmt.Println("date:", date.UTC())

	text, err := m.Text()
	if err != nil {
		fmt.Println(err) // the source could not be read, or the text is very long
	}
	fmt.Println("text:", text)
	for _, p := range m.Attachments() {
		b, _ := io.ReadAll(p.Decoded())
		fmt.Printf("attached: %s (%s), %q\n", p.Filename(), p.MediaType(), b)
	}
	for _, d := range m.Defects() {
		fmt.Println("defect:", d)
	}
	// Output:
	// from: Jörg <joerg@example.org>
	// to: Team: ann@example.net, Bob <bob@example.net>;
	// subject: Grüße
	// date: 2026-11-03 09:20:29 +0000 UTC
	// text: Schöne Grüße!
	// attached: zahlen ü.csv (text/csv), "1,2,3\n"
	// defect: multipart without a close delimiter at byte 488 (part 0)
}

func ExampleSpool() {
	arriving := strings.NewReader(exampleMessage) // comes once: a connection, a pipe
	s, err := mime.Spool(arriving, mime.SpoolLimits{Size: 10 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	fmt.Println(s.Size(), "bytes,", s.Message().Len(), "parts")
	for range 2 { // as often as it takes
		r, _ := s.Open()
		n, _ := io.Copy(io.Discard, r)
		fmt.Println("read", n)
	}
	// Output:
	// 488 bytes, 3 parts
	// read 488
	// read 488
}

func ExampleMessage_Parts() {
	for p := range mime.ParseBytes([]byte(exampleMessage)).Parts() {
		offset, length := p.BodyRange()
		fmt.Printf("%s%s at %d, %d bytes, %s\n", strings.Repeat("  ", p.Depth()), p.MediaType(), offset, length, p.Encoding())
	}
	// Output:
	// multipart/mixed at 218, 270 bytes, 7bit
	//   text/plain at 311, 28 bytes, quoted-printable
	//   text/csv at 478, 10 bytes, base64
}

func ExampleStructure_Section() {
	s := mime.ParseBytes([]byte(exampleMessage)).Structure()
	offset, length, ok := s.Section([]int{1}, mime.SectionMIME) // BODY[1.MIME]
	fmt.Printf("%q %v\n", exampleMessage[offset:offset+length], ok)
	part := s.Part([]int{2})
	fmt.Println(part.Type, part.Subtype, part.Encoding, part.Size, part.DispositionParams)
	// Output:
	// "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" true
	// text csv base64 10 [{filename* utf-8''zahlen%20%C3%BC.csv }]
}

func ExampleParser() {
	p := mime.NewParser(mime.Limits{})
	for _, piece := range []string{"Subject: in pie", "ces\r\n\r", "\nbody\r\n"} {
		io.WriteString(p, piece)
	}
	m := p.Close()
	fmt.Println(m.Header().Text("Subject"), m.Size())
	// Output: in pieces 28
}

func ExampleParseAddressList() {
	for _, a := range mime.ParseAddressList(`"Doe, Jane" <jane@example.org>, broken@, =?utf-8?Q?J=C3=B6rg?= <j@example.org`).All() {
		local, domain := a.Split()
		fmt.Printf("%q %q %q\n", a.Name, local, domain)
	}
	// Output:
	// "Doe, Jane" "jane" "example.org"
	// "" "broken" ""
	// "Jörg" "j" "example.org"
}

func ExampleBaseSubject() {
	fmt.Println(mime.BaseSubject("Re: [list] Fwd: Lunch?"))
	// Output: Lunch? true
}

func ExampleMessage_Edit() {
	m := mime.ParseBytes([]byte("Subject: offer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee the file.\r\n" +
		"--b\r\nContent-Type: application/x-msdownload; name=offer.exe\r\n\r\nMZ\r\n--b--\r\n"))
	e := m.Edit()
	e.Add("X-Scanned", "a program was removed")
	for _, p := range m.Attachments() {
		e.Replace(p, mime.BytesFile("removed.txt", []byte(p.Filename()+" was removed.")))
	}
	changed, err := e.Compose()
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	if _, err := changed.WriteTo(&b); err != nil {
		panic(err)
	}
	fmt.Print(strings.ReplaceAll(b.String(), "\r\n", "\n"))
	// Output:
	// X-Scanned: a program was removed
	// Subject: offer
	// Content-Type: multipart/mixed; boundary=b
	//
	// --b
	//
	// See the file.
	// --b
	// Content-Type: text/plain; charset=utf-8; name=removed.txt
	// Content-Transfer-Encoding: 7bit
	// Content-Disposition: attachment; filename=removed.txt
	//
	// offer.exe was removed.
	// --b--
}

func ExampleSplitReply() {
	reply, quoted := mime.SplitReply("Gern!\n\nAm Mo., 5. Jan. 2026 um 10:00 Uhr schrieb Ann <ann@example.org>:\n\n> Mittag?\n")
	fmt.Printf("%q\n%q\n", reply, quoted)
	// Output:
	// "Gern!\n\n"
	// "Am Mo., 5. Jan. 2026 um 10:00 Uhr schrieb Ann <ann@example.org>:\n\n> Mittag?\n"
}
