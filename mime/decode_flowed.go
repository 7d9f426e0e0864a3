package mime

import "strings"

// DecodeFlowed joins the lines of format=flowed text (RFC 3676) to paragraphs. Lines end in "\n"; quotes keep their marks, one
// ">" for each level and a space. delSp is the DelSp parameter: the space that makes a line flow is not part of the text.
func DecodeFlowed(text string, delSp bool) string {
	var b strings.Builder
	b.Grow(len(text))
	open, depth := false, 0 // whether a paragraph goes on, and its level
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		quotes := 0
		for quotes < len(line) && line[quotes] == '>' {
			quotes++
		}
		line = strings.TrimPrefix(line[quotes:], " ") // space-stuffing, s4.4
		signature := line == "-- "                    // s4.3: never flows
		if open && (quotes != depth || signature) {   // s4.5: a change of level ends the paragraph
			b.WriteByte('\n')
			open = false
		}
		if !open && quotes > 0 {
			for range quotes {
				b.WriteByte('>')
			}
			b.WriteByte(' ')
		}
		flows := strings.HasSuffix(line, " ") && !signature
		if flows && delSp {
			line = line[:len(line)-1]
		}
		b.WriteString(line)
		if !flows {
			b.WriteByte('\n')
		}
		open, depth = flows, quotes
	}
	if open {
		b.WriteByte('\n')
	}
	s := b.String()
	if !strings.HasSuffix(text, "\n") {
		s = strings.TrimSuffix(s, "\n")
	}
	return s
}
