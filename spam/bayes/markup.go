package bayes

import "strings"

// markup takes the tags of an HTML document and their attributes: how a message is made says as much as its words.
func (t *tokens) markup(document string) {
	for {
		i := strings.IndexByte(document, '<')
		if i < 0 {
			return
		}
		document = document[i+1:]
		end := strings.IndexByte(document, '>')
		if end < 0 || end > 2000 {
			continue
		}
		t.tag(document[:end])
		document = document[end+1:]
	}
}

func (t *tokens) tag(tag string) {
	name, rest, _ := strings.Cut(tag, " ")
	if name == "" || name[0] == '!' || name[0] == '/' {
		return
	}
	t.markupToken(name, "")
	for range 20 {
		rest = strings.TrimLeft(rest, " \t\r\n")
		eq := strings.IndexAny(rest, "= ")
		if eq < 0 || rest[eq] == ' ' {
			return
		}
		attribute := rest[:eq]
		rest = rest[eq+1:]
		var value string
		if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
			value, rest, _ = strings.Cut(rest[1:], rest[:1])
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		if len(value) > 24 {
			value = ""
		}
		t.markupToken(attribute, value)
	}
}

func (t *tokens) markupToken(name, value string) {
	if len(name) > maxWord {
		return
	}
	t.word = append(t.word[:0], name...)
	if value != "" {
		t.word = append(append(t.word, '='), value...)
	}
	for i, c := range t.word {
		if c >= 'A' && c <= 'Z' {
			t.word[i] = c | 0x20
		}
	}
	t.add("html:", t.word)
	t.word = t.word[:0]
}
