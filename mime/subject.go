package mime

import "strings"

// BaseSubject returns the subject that a thread has in common (RFC 5256 s2.1): decoded, without "Re:", "Fwd:", list marks in
// brackets and "(fwd)". reply reports whether any of these said that it is a reply or forward.
func BaseSubject(subject string) (base string, reply bool) {
	s := strings.Join(strings.Fields(DecodeText(subject)), " ")
	for {
		before := s
		for { // trailers
			t := strings.TrimRight(s, " ")
			if n := len(t) - len("(fwd)"); n >= 0 && strings.EqualFold(t[n:], "(fwd)") {
				s, reply = t[:n], true
				continue
			}
			s = t
			break
		}
		for { // leaders
			s = strings.TrimLeft(s, " ")
			rest, ok := cutSubjectLeader(s)
			if !ok {
				break
			}
			s, reply = rest, true
		}
		for { // blobs, but for one that is all there is
			rest, ok := cutSubjectBlob(s)
			if !ok || rest == "" {
				break
			}
			s = rest
		}
		if n := len(s) - 1; n >= 5 && strings.EqualFold(s[:5], "[fwd:") && s[n] == ']' {
			s, reply = s[5:n], true
			continue
		}
		if s == before {
			return s, reply
		}
	}
}

// cutSubjectLeader removes subj-leader: blobs, "re", "fw" or "fwd", a blob, and a colon.
func cutSubjectLeader(s string) (string, bool) {
	for {
		rest, ok := cutSubjectBlob(s)
		if !ok {
			break
		}
		s = rest
	}
	n := 0
	for _, word := range [...]string{"fwd", "fw", "re"} {
		if len(s) >= len(word) && strings.EqualFold(s[:len(word)], word) {
			n = len(word)
			break
		}
	}
	if n == 0 {
		return "", false
	}
	s = strings.TrimLeft(s[n:], " ")
	if rest, ok := cutSubjectBlob(s); ok {
		s = rest
	}
	return strings.CutPrefix(s, ":")
}

// cutSubjectBlob removes subj-blob: text in brackets and the space after it.
func cutSubjectBlob(s string) (string, bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	end := strings.IndexAny(s[1:], "[]")
	if end < 0 || s[1+end] != ']' {
		return s, false
	}
	return strings.TrimLeft(s[end+2:], " "), true
}

// References returns the identifiers of the messages that this one answers, the oldest first: those of References, or else the
// first of In-Reply-To (RFC 5256 s3, THREAD=REFERENCES).
func (h Header) References() []string {
	if ids := h.MessageIDs("References"); len(ids) > 0 {
		return ids
	}
	if ids := h.MessageIDs("In-Reply-To"); len(ids) > 0 {
		return ids[:1]
	}
	return nil
}
