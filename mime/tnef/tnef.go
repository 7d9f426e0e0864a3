package tnef

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// MaxSize is the length in octets beyond which a file is refused.
const MaxSize = 64 << 20

// ErrFormat is returned for what is no TNEF.
var ErrFormat = errors.New("tnef: not a TNEF file")

// ErrTooLarge is returned for a file longer than [MaxSize].
var ErrTooLarge = errors.New("tnef: the file is longer than 64 MiB")

// Message is what a file holds. Any of it may be missing.
type Message struct {
	Class       string // "IPM.Note", ...
	Subject     string
	Text        string // plain text; from RTF where there is no other
	HTML        string // from RTF where that was made of HTML and there is no other
	RTF         []byte // rich text, unpacked
	Attachments []mime.File
	Damaged     bool // something could not be read, or is beyond a limit
}

// Is reports whether a part is a TNEF file, by its type or name.
func Is(p *mime.Part) bool {
	switch p.MediaType() {
	case "application/ms-tnef", "application/vnd.ms-tnef":
		return true
	}
	return strings.EqualFold(p.Filename(), "winmail.dat")
}

// Read reads a file.
func Read(r io.Reader) (*Message, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("tnef: read: %w", err)
	}
	if len(b) > MaxSize {
		return nil, ErrTooLarge
	}
	return Parse(b)
}

// Attributes of a file ([MS-OXTNEF] s2.1.3.2).
const (
	signature = 0x223e9f78

	attrMessageClass = 0x8008
	attrSubject      = 0x8004
	attrBody         = 0x800c
	attrMsgProps     = 0x9003
	attrOEMCodepage  = 0x9007
	attrAttachBegins = 0x9002 // attAttachRenddata
	attrAttachTitle  = 0x8010
	attrAttachData   = 0x800f
	attrAttachProps  = 0x9005
)

const maxAttachments = 1000

// parser keeps what is known of the message so far.
type parser struct {
	msg     *Message
	charset string
	attach  *attachment
}

type attachment struct {
	name, long, mediaType, id string
	data                      []byte
	message                   bool
}

// Parse reads a file in memory. What it returns shares b, which nobody may change.
func Parse(b []byte) (*Message, error) {
	if len(b) < 6 || binary.LittleEndian.Uint32(b) != signature {
		return nil, ErrFormat
	}
	p := parser{msg: &Message{}, charset: "windows-1252"}
	for b = b[6:]; len(b) > 0; {
		// Level, identifier, type, length, data, checksum.
		if len(b) < 9 {
			p.msg.Damaged = true
			break
		}
		id, n := binary.LittleEndian.Uint16(b[1:]), int64(binary.LittleEndian.Uint32(b[5:]))
		b = b[9:]
		if n > int64(len(b)) {
			p.msg.Damaged = true
			n = int64(len(b))
		}
		data := b[:n:n]
		b = b[n:]
		if len(b) >= 2 {
			if checksum(data) != binary.LittleEndian.Uint16(b) {
				p.msg.Damaged = true
			}
			b = b[2:]
		} else {
			p.msg.Damaged, b = true, nil
		}
		p.attribute(id, data)
	}
	p.endAttachment()
	p.fromRTF()
	return p.msg, nil
}

func checksum(b []byte) (sum uint16) {
	for _, c := range b {
		sum += uint16(c)
	}
	return sum
}

func (p *parser) attribute(id uint16, data []byte) {
	switch id {
	case attrOEMCodepage:
		if len(data) >= 4 {
			p.charset = codepage(binary.LittleEndian.Uint32(data))
		}
	case attrMessageClass:
		p.msg.Class = p.text(data)
	case attrSubject:
		p.msg.Subject = oneLine(p.text(data))
	case attrBody:
		p.msg.Text = lines(p.text(data))
	case attrMsgProps:
		p.properties(data, p.messageProperty)
	case attrAttachBegins:
		p.endAttachment()
		p.attach = &attachment{}
	}
	if p.attach == nil {
		return
	}
	switch id {
	case attrAttachTitle:
		p.attach.name = p.text(data)
	case attrAttachData:
		p.attach.data = data
	case attrAttachProps:
		p.properties(data, p.attachProperty)
	}
}

// codepage names a Windows code page as mail does.
func codepage(n uint32) string {
	switch n {
	case 65001:
		return "utf-8"
	case 932, 936, 949, 950, 437, 850, 866:
		return fmt.Sprintf("cp%d", n)
	case 20127:
		return "us-ascii"
	}
	return fmt.Sprintf("windows-%d", n)
}

// text decodes a string of the code page, without the NUL at its end.
func (p *parser) text(b []byte) string {
	return mime.DecodeCharset(p.charset, bytes.TrimRight(b, "\x00"))
}

func (p *parser) endAttachment() {
	a := p.attach
	p.attach = nil
	if a == nil || a.data == nil {
		return
	}
	if len(p.msg.Attachments) == maxAttachments {
		p.msg.Damaged = true
		return
	}
	name := a.long
	if name == "" {
		name = a.name
	}
	f := mime.BytesFile(oneLine(name), a.data)
	f.ContentID = strings.Trim(oneLine(a.id), "<>")
	switch t := mime.ParseMediaType(a.mediaType); {
	case a.message:
		f.ContentType = "application/ms-tnef"
	case t.Subtype != "":
		f.ContentType = t.String()
	}
	p.msg.Attachments = append(p.msg.Attachments, f)
}

// fromRTF fills what only the rich text has.
func (p *parser) fromRTF() {
	m := p.msg
	if m.RTF == nil || m.Text != "" && m.HTML != "" {
		return
	}
	text, html := readRTF(m.RTF)
	if m.HTML == "" {
		m.HTML = html
	}
	if m.Text == "" {
		if m.Text = text; html != "" {
			m.Text = mime.HTMLText(html)
		}
	}
}

func lines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// oneLine makes a name safe to show in a line.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }), " ")
}
