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
// introduces it ("On Monday Ann wrote:"). Quotes that the author answered between the lines stay in reply. Only quotes marked with
// ">" and the separators of common programs are seen.
func SplitReply(text string) (reply, quoted string) {
	lines := strings.SplitAfter(text, "\n")
	cut := len(lines)
	for i, line := range lines {
		if isReplySeparator(line) {
			return strings.Join(lines[:i], ""), strings.Join(lines[i:], "")
		}
	}
	for cut > 0 && isQuoteOrBlank(lines[cut-1]) {
		cut--
	}
	for cut < len(lines) && strings.TrimSpace(lines[cut]) == "" {
		cut++
	}
	if cut == len(lines) {
		return text, ""
	}
	// The introduction is one or two lines before the quote, and ends in a colon.
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

// isReplySeparator reports whether a line is what common programs put above a whole message that they quote without marks.
func isReplySeparator(line string) bool {
	line = strings.TrimSpace(line)
	if len(line) < 10 || line[0] != '-' && line[0] != '_' {
		return false
	}
	if strings.Trim(line, "_") == "" {
		return len(line) >= 32
	}
	switch strings.ToLower(strings.TrimSpace(strings.Trim(line, "-"))) {
	case "original message", "forwarded message", "ursprüngliche nachricht", "message d'origine", "mensaje original", "oorspronkelijk bericht":
		return strings.HasPrefix(line, "---")
	}
	return false
}
