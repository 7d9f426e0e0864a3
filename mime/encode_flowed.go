package mime

import "bytes"

const flowedWidth = 72 // of a line before it flows (RFC 3676 s4.2 wants less than 78)

// appendFlowed wraps text, whose lines end in CRLF, as format=flowed (RFC 3676 s4.2). Lines that start with ">" are quotes; their
// depth goes before every line that they become.
func appendFlowed(dst, text []byte) []byte {
	for len(text) > 0 {
		line, rest, broken := bytes.Cut(text, crlf)
		dst = appendFlowedLine(dst, line)
		if broken {
			dst = append(dst, crlf...)
		}
		text = rest
	}
	return dst
}

func appendFlowedLine(dst, line []byte) []byte {
	quotes := line[:quoteDepth(line)]
	rest := line[len(quotes):]
	if len(quotes) > 0 {
		rest = bytes.TrimPrefix(rest, []byte(" "))
	}
	if string(rest) != "-- " { // s4.3: the signature separator keeps its space
		rest = bytes.TrimRight(rest, " ") // s4.2: a space at the end would make a fixed line flow
	}
	for {
		dst = append(dst, quotes...)
		// s4.4: a space before what would be read as something else; quotes get one for their looks.
		if len(quotes) > 0 && len(rest) > 0 || len(rest) > 0 && (rest[0] == ' ' || rest[0] == '>') || bytes.HasPrefix(rest, fromSpace) {
			dst = append(dst, ' ')
		}
		cut := flowedCut(rest, flowedWidth-len(quotes))
		dst = append(dst, rest[:cut]...)
		if rest = rest[cut:]; len(rest) == 0 {
			return dst
		}
		dst = append(dst, '\r', '\n')
	}
}

// flowedCut is where to break the line: after the last space within width, else after the first one beyond.
func flowedCut(line []byte, width int) int {
	if len(line) <= width {
		return len(line)
	}
	if width > 0 {
		if i := bytes.LastIndexByte(line[:width], ' '); i > 0 {
			return i + 1
		}
	}
	from := max(width, 0)
	if i := bytes.IndexByte(line[from:], ' '); i >= 0 {
		return from + i + 1
	}
	return len(line)
}

func quoteDepth(line []byte) int {
	n := 0
	for n < len(line) && line[n] == '>' {
		n++
	}
	return n
}
