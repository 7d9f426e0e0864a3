package mime

import (
	"errors"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// ReplyHTML is [Message.Reply] with HTML beside the text: the message's own quoted in a blockquote, with the pictures that it shows, or else its text.
// Use [Letter.Above] to write above both.
func (m *Message) ReplyHTML(mode ReplyMode, self ...Address) (Letter, error) {
	l, err := m.Reply(mode, self...)
	body, inline, htmlErr := m.quotable()
	intro := html.EscapeString(strings.TrimSpace(m.attribution()))
	l.HTML = "<div>" + intro + "</div>\n<blockquote type=\"cite\">\n" + body + "\n</blockquote>\n"
	l.Inline = inline
	return l, errors.Join(err, htmlErr)
}

// ForwardHTML is [Message.Forward] in the text, with the message's own HTML beside it and the pictures that it shows.
// Use [Letter.Above] to write above both.
func (m *Message) ForwardHTML(self ...Address) (Letter, error) {
	l, err := m.Forward(ForwardInline, self...)
	body, inline, htmlErr := m.quotable()
	head, _, _ := strings.Cut(l.Text, "\n\n")
	l.HTML = textHTML(head) + "<br>\n" + body + "\n"
	l.Inline = inline
	shown := map[*Part]bool{}
	for _, f := range inline {
		shown[f.Content.(partContent).part] = true
	}
	rest := l.Attachments[:0]
	for _, f := range l.Attachments {
		if c, ok := f.Content.(partContent); !ok || !shown[c.part] {
			rest = append(rest, f)
		}
	}
	l.Attachments = rest
	return l, errors.Join(err, htmlErr)
}

// Above puts a text above everything else in the letter: in Text, and where there is HTML also there.
func (l *Letter) Above(text string) {
	text = strings.TrimRight(text, "\r\n")
	l.Text = text + "\n\n" + l.Text
	if l.HTML != "" {
		l.HTML = textHTML(strings.ReplaceAll(text, "\r\n", "\n")) + "<br>\n" + l.HTML
	}
}

// quotable returns what the message shows as HTML, in a form that can stand inside of another document, and the pictures in it.
func (m *Message) quotable() (body string, inline []File, err error) {
	document, err := m.HTML()
	root, parseErr := html.Parse(strings.NewReader(document))
	if parseErr != nil { // nested too deep
		return textHTML(HTMLText(document)), nil, err
	}
	ids := map[string]bool{}
	var b strings.Builder
	var found *html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.DataAtom == atom.Body && found == nil {
			found = n
		}
	}
	if found == nil {
		return "", nil, err
	}
	disarm(found, ids)
	for n := range found.ChildNodes() {
		if html.Render(&b, n) != nil {
			return textHTML(HTMLText(document)), nil, err
		}
	}
	for p := range m.Parts() {
		id := p.ContentID()
		if !ids[id] || !p.IsLeaf() || len(writableIDs([]string{id})) == 0 {
			continue
		}
		delete(ids, id)
		f := File{Name: oneLine(p.Filename()), ContentType: p.MediaType(), ContentID: id, Content: p.Content()}
		if t := ParseMediaType(f.ContentType); !isToken(t.Type) || !isToken(t.Subtype) || p.IsMultipart() {
			f.ContentType = "application/octet-stream"
		}
		inline = append(inline, f)
	}
	return strings.TrimSpace(b.String()), inline, err
}

// disarm takes what runs, loads or changes the document around it out of a quoted one, and notes the pictures that it shows. It makes nothing safe for a
// browser: that is a sanitizer's work.
func disarm(root *html.Node, ids map[string]bool) {
	var gone []*html.Node
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.DataAtom {
		case atom.Script, atom.Style, atom.Link, atom.Meta, atom.Base, atom.Title, atom.Iframe, atom.Object, atom.Embed, atom.Form, atom.Noscript:
			gone = append(gone, n)
			continue
		}
		kept := n.Attr[:0]
		for _, a := range n.Attr {
			value := strings.ToLower(strings.TrimSpace(a.Val))
			if strings.HasPrefix(strings.ToLower(a.Key), "on") || strings.HasPrefix(value, "javascript:") {
				continue
			}
			if len(value) > 4 && value[:4] == "cid:" {
				ids[unescape(strings.TrimSpace(a.Val)[4:])] = true
			}
			kept = append(kept, a)
		}
		n.Attr = kept
	}
	for _, n := range gone {
		n.Parent.RemoveChild(n)
	}
}
