package smtp

import "bytes"

// line takes the next command line out of the input, without its CRLF. Lines end in CRLF and nothing else: a bare LF
// could be the joint of something that was smuggled in, so it ends the session. RFC 5321 s2.3.8
func (m *machine) line() ([]byte, bool) {
	for {
		p := m.in.pending()
		if len(p) > 0 && p[0] == 0x16 && !m.skipping { // a TLS handshake record: the client is on the wrong port
			m.fail(replyNotSMTP)
			return nil, false
		}
		i := bytes.IndexByte(p, '\n')
		switch {
		case i > 0 && p[i-1] != '\r' || i == 0:
			m.fail(replyBareLF)
			return nil, false
		case i < 0 && len(p) < m.lineLimit(p):
			return nil, false
		case i < 0 && !m.skipping && m.state == stateCommand && isBDAT(p):
			m.fail(replyChunkSyntax)
			return nil, false
		case i < 0: // RFC 5321 s4.5.3.1.4: one reply for the whole line
			if m.skipped += len(p); m.skipped > maxSkipped {
				m.fail(replyLineEndless)
				return nil, false
			}
			m.skipping = true
			m.in.take(len(p) - 1) // the last may be the CR of the end
			return nil, false
		}
		m.in.take(i + 1)
		if m.skipping || i+1 > m.lineLimit(p) {
			whole := !m.skipping
			m.skipping, m.skipped = false, 0
			m.lineCount++
			switch {
			case m.state == stateResponse:
				m.state = stateCommand
				m.event = eventInput
				m.fail(replyAuthLong)
			case whole && isBDAT(p):
				m.fail(replyChunkSyntax)
			default:
				m.fail(replyLineLong)
			}
			if m.state == stateClosed {
				return nil, false
			}
			continue
		}
		return p[:i-1], true
	}
}

func (m *machine) lineLimit(p []byte) int {
	if m.state == stateResponse || m.canAuth && len(p) >= 5 && bytes.EqualFold(p[:5], []byte("AUTH ")) {
		return max(m.limits.LineLength, maxAuthLine)
	}
	return m.limits.LineLength
}

// observe tells the trace hook of a command, with secrets struck out.
func (m *machine) observe(line []byte) {
	if m.onCommand == nil {
		return
	}
	// Words are told apart whatever stands between them: a client's mistake is no reason to show its password.
	words, v := bytes.Fields(line), verbUnknown
	if len(words) > 0 {
		v = lookupVerb(words[0])
	}
	if v != verbUnknown {
		m.afterAuth = v == verbAUTH
	}
	switch {
	case m.state == stateResponse, m.afterAuth && v == verbUnknown: // a response, perhaps of a client that did not wait to see its mechanism refused
		m.onCommand("***")
	case v == verbAUTH && len(words) > 2:
		m.onCommand("AUTH " + string(words[1]) + " ***")
	default:
		m.onCommand(string(line))
	}
}
