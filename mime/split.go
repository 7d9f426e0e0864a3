package mime

import "strings"

// SplitSignature cuts text at its signature separator, a line of two hyphens and a space (RFC 3676 s4.3). The last one in the
// text counts; without one, signature is "".
func SplitSignature(text string) (body, signature string) {
	const separator = "-- \n"
	at := strings.LastIndex("\n"+text, "\n"+separator)
	if at < 0 {
		return text, ""
	}
	return text[:at], text[at+len(separator):]
}

// SplitReply cuts the text of a reply into what its author wrote above and the quoted message at its end, with the line that
// introduces it ("On Monday Ann wrote:"). Quotes that the author answered between the lines stay in reply. Quotes are seen by their marks (">"), by the separators and
// headers that common programs put above ("-----Original Message-----", From, Sent, To and Subject), and by introductions in some twenty languages.
func SplitReply(text string) (reply, quoted string) {
	lines := strings.SplitAfter(text, "\n")
	lastMarked, lastOther := -1, -1
	for i, line := range lines {
		if strings.HasPrefix(line, ">") {
			lastMarked = i
		} else if strings.TrimSpace(line) != "" {
			lastOther = i
		}
	}
	for i, line := range lines {
		if isReplySeparator(line) || isReplyHeader(lines[i:]) {
			return strings.Join(lines[:i], ""), strings.Join(lines[i:], "")
		}
		// What follows is a quote to the end, marked or not. One that is marked and goes on with other lines was answered between the lines.
		if n := introduction(lines[i:]); n > 0 && (lastMarked >= i+n) != (lastOther >= i+n) {
			return strings.Join(lines[:i], ""), strings.Join(lines[i:], "")
		}
	}
	cut := len(lines)
	for cut > 0 && isQuoteOrBlank(lines[cut-1]) {
		cut--
	}
	for cut < len(lines) && strings.TrimSpace(lines[cut]) == "" {
		cut++
	}
	if cut == len(lines) {
		return text, ""
	}
	// An introduction in words that nobody knows is one or two lines before the quote, and ends in a colon.
	for back := cut - 1; back >= 0 && back >= cut-3; back-- {
		line := strings.TrimSpace(lines[back])
		if line == "" {
			continue
		}
		if !strings.HasSuffix(line, ":") {
			break
		}
		if back > 0 && !strings.ContainsAny(line, "0123456789") {
			if before := strings.TrimSpace(lines[back-1]); before != "" && strings.ContainsAny(before, "0123456789") {
				back-- // "On Mon, 5 Jan 2026 at 10:00, Ann" / "<ann@example.org> wrote:"
			}
		}
		cut = back
		break
	}
	return strings.Join(lines[:cut], ""), strings.Join(lines[cut:], "")
}

func isQuoteOrBlank(line string) bool {
	return strings.HasPrefix(line, ">") || strings.TrimSpace(line) == ""
}
