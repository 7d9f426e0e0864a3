// Package page reads what a person sees of a message, within limits: its text, its HTML, its links. The classifier and the heuristics share it.
package page

import (
	"io"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// The limits of what is looked at in one message. What lies beyond is left out: a judgement does not get better by it.
const (
	MaxText  = 256 << 10 // bytes of plain text, and as many of HTML, decoded
	MaxRaw   = 1 << 20   // bytes of one part before they are decoded
	MaxLinks = 1000
	MaxParts = 100 // parts that are opened
)

// A Body is what a message shows.
type Body struct {
	Text     string // of its plain parts
	HTML     HTML   // of its HTML parts
	Document string // the HTML parts as they are
	HasText  bool
	HasHTML  bool
	CutShort bool // a limit was reached
}

// Links gives the links of both.
func (b *Body) Links() []Link {
	links := b.HTML.Links
	if b.HasText {
		links = append(links[:len(links):len(links)], PlainLinks(b.Text, MaxLinks-len(links))...)
	}
	return links
}

// Read gives what a message shows. What cannot be read is left out.
func Read(m *mime.Message) Body {
	var b Body
	var text, document strings.Builder
	seen := map[int]bool{}
	shown := m.Body()
	for _, list := range [][]*mime.Part{shown.Text, shown.HTML} {
		for _, p := range list {
			media := p.MediaType()
			if seen[p.Index()] || !strings.HasPrefix(media, "text/") {
				continue
			}
			if len(seen) == MaxParts {
				b.CutShort = true
				break
			}
			seen[p.Index()] = true
			if media == "text/html" {
				b.HasHTML = true
				b.CutShort = read(&document, p) || b.CutShort
			} else {
				b.HasText = true
				b.CutShort = read(&text, p) || b.CutShort
			}
		}
	}
	b.Text = text.String()
	if b.HasHTML {
		b.Document = document.String()
		b.HTML = ParseHTML(b.Document)
	}
	return b
}

// read adds the text of a part, and tells whether it had to stop.
func read(to *strings.Builder, p *mime.Part) (cut bool) {
	room := int64(MaxText - to.Len())
	if room <= 0 {
		return true
	}
	raw := io.LimitReader(p.Raw(), MaxRaw)
	text := mime.NewCharsetReader(p.Charset(), mime.NewDecoder(p.Encoding(), raw))
	n, _ := io.Copy(to, io.LimitReader(text, room)) // what a failing source gave until then is judged
	to.WriteByte('\n')
	return n == room || p.Size() > MaxRaw
}
