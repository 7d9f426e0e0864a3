package smtp

import (
	"bytes"
	"strconv"
)

// nobody is the reply to DATA and BDAT while no recipient was accepted.
func (m *machine) nobody() *Error {
	if m.mode == LMTP { // RFC 2033 s4.2
		return replyNoRcptLMTP
	}
	return replyNoRcpt
}

func (m *machine) commandData(arg []byte) event {
	switch {
	case len(arg) > 0:
		return m.fail(replyNoArgument)
	case m.transaction == transactionNone:
		return m.fail(replyNeedMail)
	case m.transaction != transactionOpen:
		return m.fail(replyNotNow)
	case m.mail.Body == BodyBinaryMIME: // RFC 3030 s3
		return m.fail(replyBinaryData)
	case m.accepted == 0:
		return m.refuse(m.nobody())
	}
	return eventData
}

// commandBdat begins a chunk. Whatever is wrong, the chunk follows in the stream and is taken out of it; where its size
// is not understood, nothing can be known of what follows, and the session ends. RFC 3030 s2. instead is a reply from elsewhere.
func (m *machine) commandBdat(arg []byte, instead *Error) event {
	number, last, hasLast := bytes.Cut(arg, []byte(" "))
	size, ok := parseSize(number)
	if last = trimSpace(last); !ok || hasLast && !bytes.EqualFold(last, []byte("LAST")) {
		return m.fail(replyChunkSyntax)
	}
	c := &m.content
	c.chunk, c.chunkSize, c.last = size, size, hasLast
	switch {
	case instead != nil:
		if m.transaction == transactionChunks {
			m.transaction = transactionFailed
		}
		return m.discard(instead)
	case m.barred() != nil:
		return m.discard(m.barred())
	case m.hello == "":
		return m.discard(replyNeedHello)
	case !m.offered().Has(ExtChunking):
		return m.discard(replyNotOffered)
	case m.transaction == transactionNone:
		return m.discard(replyNeedMail)
	case m.transaction == transactionFailed:
		return m.discard(replyChunkFailed)
	case m.accepted == 0:
		return m.discard(m.nobody())
	}
	if size == 0 && !hasLast { // of such there may be no end
		if m.commands++; over(m.commands, m.limits.Commands) {
			return m.fail(replyTooManyCmds)
		}
	}
	m.state = stateChunk
	if m.transaction == transactionOpen {
		m.transaction = transactionChunks
		c.begin(m.lines, m.limits.MessageSize, false)
		if m.mail.Body == BodyBinaryMIME {
			c.policy = LinesKeep
		}
	}
	return eventChunk
}

// discard takes a refused chunk out of the stream before the reply is given.
func (m *machine) discard(why *Error) event {
	if m.commands++; over(m.commands, m.limits.Commands) {
		return m.fail(replyTooManyCmds)
	}
	m.content.begin(LinesKeep, m.limits.MessageSize, false)
	m.content.fault = why
	m.state = stateDiscard
	return eventInput
}

func (m *machine) discardChunk() (done bool) {
	c := &m.content
	for {
		_, e := c.next(&m.in)
		switch {
		case c.excessive():
			m.close(replyTooLargeClose)
			return true
		case e == eventInput:
			return false
		case e == eventBlock:
			continue
		}
		m.state = stateCommand
		m.lineCount++ // the time for the next command begins now
		if c.last && m.transaction == transactionFailed {
			m.reset()
		}
		m.refuse(c.fault)
		return true
	}
}

// block gives the next piece of the content of the message, which is valid until the next call. Once content.fault is set, the rest comes as no
// blocks. eventClosed means that the client goes on far beyond the limit of size.
func (m *machine) block() ([]byte, event) {
	c := &m.content
	for {
		b, e := c.next(&m.in)
		if c.excessive() {
			m.close(replyTooLargeClose)
			return nil, eventClosed
		}
		if e != eventBlock || c.fault == nil {
			return b, e
		}
	}
}

// chunkOK answers a chunk that is complete while the message is not.
func (m *machine) chunkOK() {
	m.state = stateCommand
	m.say(250, EnhancedCode{2, 0, 0}, strconv.FormatInt(m.content.chunkSize, 10)+" octets received")
}

// finish answers the end of the message, or a chunk that was refused. each has a result for each recipient.
func (m *machine) finish(err *Error, each []*Error, text string) {
	failedChunk := m.state == stateChunk && !m.content.last
	m.state = stateCommand
	if failedChunk {
		if err == nil {
			err = replyInternal
		}
		m.transaction = transactionFailed
		m.refuse(err)
		return
	}
	if text == "" {
		text = "OK"
	}
	replies := 1
	if m.mode == LMTP { // RFC 2033 s4.2, s4.3
		replies = m.accepted
	}
	for i := range replies {
		result := err
		if result == nil && i < len(each) {
			result = each[i]
		}
		if result != nil {
			m.say(result.Code, result.Enhanced, result.Text)
			if result.Code == 421 {
				m.state, m.cut = stateClosed, result
			}
			continue
		}
		m.say(250, EnhancedCode{2, 0, 0}, text)
		m.errors, m.refusals, m.commands = 0, 0, 0
	}
	m.reset()
}
