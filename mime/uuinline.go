package mime

import (
	"bytes"
	"io"
	"strings"
)

// maxInline bounds how many files CutUU finds in a text.
const maxInline = 1000

// CutUU takes the uuencoded files out of a text, which old programs put there instead of attaching them: everything between a line "begin 644 name" and
// one that says "end". rest is the text without them. What only looks like the beginning of a file stays.
func CutUU(text string) (rest string, files []File) {
	if !strings.HasPrefix(text, "begin ") && !strings.Contains(text, "\nbegin ") {
		return text, nil
	}
	var b strings.Builder
	for text != "" {
		line, after, _ := strings.Cut(text, "\n")
		name, ok := beginUU(line)
		if ok && len(files) < maxInline {
			if body, behind, found := cutUUBody(after); found {
				content, err := io.ReadAll(&uuDecoder{src: strings.NewReader(text[:len(text)-len(behind)])})
				if err == nil && len(content) > 0 || body == "" {
					files = append(files, BytesFile(oneLine(name), content))
					text = behind
					continue
				}
			}
		}
		b.WriteString(text[:len(text)-len(after)])
		text = after
	}
	return b.String(), files
}

// beginUU reads the line that begins a file: its mode in three or four digits, and its name.
func beginUU(line string) (name string, ok bool) {
	mode, name, ok := strings.Cut(strings.TrimPrefix(strings.TrimRight(line, "\r"), "begin "), " ")
	if !ok || !strings.HasPrefix(line, "begin ") || len(mode) < 3 || len(mode) > 4 || strings.Trim(mode, "01234567") != "" {
		return "", false
	}
	return strings.TrimSpace(name), strings.TrimSpace(name) != ""
}

// cutUUBody cuts the lines of data before "end". Every one of them has to be uuencode.
func cutUUBody(text string) (body, behind string, ok bool) {
	rest := text
	for rest != "" {
		line, after, _ := strings.Cut(rest, "\n")
		line = strings.TrimRight(line, "\r")
		if line == "end" {
			return text[:len(text)-len(rest)], after, true
		}
		if !isUULine([]byte(line)) {
			return "", "", false
		}
		rest = after
	}
	return "", "", false
}

// isUULine reports whether a line has as many characters as its first one says, up to spaces at its end that got lost.
func isUULine(line []byte) bool {
	line = bytes.TrimRight(line, " ")
	if len(line) == 0 {
		return true // a line of length 0, written as a space
	}
	if line[0] < ' ' || line[0] > '`' {
		return false
	}
	octets := int(line[0]-' ') & 63
	if len(line)-1 > (octets+2)/3*4+1 { // some write a check character
		return false
	}
	for _, c := range line {
		if c < ' ' || c > '`' {
			return false
		}
	}
	return true
}
