package page

import (
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// HTML is what was found in a document.
type HTML struct {
	Text    string // that is shown
	Hidden  int    // letters and digits in text that is there but not shown
	Links   []Link
	Images  int
	Forms   int
	Scripts int
}

// A Link is an address that the reader is led to.
type Link struct {
	URL  string
	Text string // what is shown in its place, at most 200 bytes; empty in plain text
}

const (
	maxOpen     = 200 // open elements that are kept track of
	maxLinkText = 200
)

type element struct {
	tag    atom.Atom
	hidden bool
	color  string // of the text, as far as it is said
	ground string // behind it
}

type reader struct {
	page  HTML
	text  strings.Builder
	open  []element
	skip  int // depth of elements that have no text to show
	link  int // index of the open link, -1 without
	shown strings.Builder
}

// ParseHTML reads a document in one pass. Any bytes are a document.
func ParseHTML(document string) HTML {
	z := html.NewTokenizer(strings.NewReader(document))
	z.SetMaxBuf(1 << 20)
	r := reader{link: -1}
	r.text.Grow(len(document) / 2)
	for {
		switch z.Next() {
		case html.ErrorToken:
			r.endLink()
			r.page.Text = r.text.String()
			return r.page
		case html.TextToken:
			r.words(z.Text())
		case html.StartTagToken:
			r.start(z, false)
		case html.SelfClosingTagToken:
			r.start(z, true)
		case html.EndTagToken:
			name, _ := z.TagName()
			r.end(atom.Lookup(name))
		}
	}
}

func (r *reader) words(text []byte) {
	if r.skip > 0 {
		return
	}
	if top := r.top(); top.hidden {
		for _, c := range string(text) {
			if unicode.IsLetter(c) || unicode.IsDigit(c) {
				r.page.Hidden++
			}
		}
		return
	}
	r.text.Write(text)
	if r.link >= 0 && r.shown.Len() < maxLinkText {
		r.shown.Write(text[:min(len(text), maxLinkText-r.shown.Len())])
	}
}

func (r *reader) top() element {
	if len(r.open) == 0 {
		return element{}
	}
	return r.open[len(r.open)-1]
}

func (r *reader) start(z *html.Tokenizer, closed bool) {
	name, more := z.TagName()
	tag := atom.Lookup(name)
	parent := r.top()
	e := element{tag: tag, hidden: parent.hidden, color: parent.color, ground: parent.ground}
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		switch string(key) {
		case "href":
			if tag == atom.A || tag == atom.Area {
				r.endLink()
				r.startLink(strings.TrimSpace(string(value)))
			}
		case "action":
			if tag == atom.Form {
				r.startLink(strings.TrimSpace(string(value)))
				r.link = -1
			}
		case "style":
			e.style(string(value))
		case "color", "text":
			e.color = color(string(value))
		case "bgcolor":
			e.ground = color(string(value))
		case "hidden":
			e.hidden = true
		}
	}
	e.hidden = e.hidden || e.color != "" && e.color == e.ground
	switch tag {
	case atom.Img:
		r.page.Images++
	case atom.Form:
		r.page.Forms++
	case atom.Script:
		r.page.Scripts++
	}
	if inline(tag) {
		r.push(e, closed)
		return
	}
	r.text.WriteByte('\n')
	r.push(e, closed)
}

func (r *reader) push(e element, closed bool) {
	if closed || void(e.tag) {
		return
	}
	if textless(e.tag) {
		r.skip++
		return
	}
	if e.tag == atom.Body {
		r.skip = 0 // a head without an end hides no body
	}
	if len(r.open) < maxOpen {
		r.open = append(r.open, e)
	}
}

func (r *reader) end(tag atom.Atom) {
	if textless(tag) {
		r.skip = max(0, r.skip-1)
		return
	}
	if tag == atom.A {
		r.endLink()
	}
	if !inline(tag) {
		r.text.WriteByte('\n')
	}
	for i := len(r.open) - 1; i >= 0; i-- {
		if r.open[i].tag == tag {
			r.open = r.open[:i]
			return
		}
	}
}

func (r *reader) startLink(url string) {
	if url == "" || url[0] == '#' || len(r.page.Links) == MaxLinks {
		return
	}
	r.link = len(r.page.Links)
	r.page.Links = append(r.page.Links, Link{URL: url})
}

func (r *reader) endLink() {
	if r.link >= 0 {
		r.page.Links[r.link].Text = strings.Join(strings.Fields(r.shown.String()), " ")
	}
	r.link = -1
	r.shown.Reset()
}

func inline(tag atom.Atom) bool {
	switch tag {
	case atom.A, atom.B, atom.I, atom.U, atom.S, atom.Em, atom.Strong, atom.Span, atom.Font, atom.Big, atom.Small, atom.Sub, atom.Sup, atom.Tt, atom.Code, atom.Abbr, atom.Wbr, 0:
		return true // unknown elements too: they are a way to cut words in two
	}
	return false
}

func void(tag atom.Atom) bool {
	switch tag {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link, atom.Meta, atom.Param, atom.Source, atom.Track, atom.Wbr:
		return true
	}
	return false
}

func textless(tag atom.Atom) bool {
	switch tag {
	case atom.Script, atom.Style, atom.Head, atom.Template, atom.Object, atom.Svg, atom.Title:
		return true
	}
	return false
}
