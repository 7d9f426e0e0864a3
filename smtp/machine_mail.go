package smtp

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (m *machine) commandHello(v verb, arg []byte) event {
	if (m.mode == LMTP) != (v == verbLHLO) { // RFC 2033 s4.1
		return m.fail(replyUnknown)
	}
	if !validHello(arg) {
		return m.fail(replyHello)
	}
	m.text, m.extended = string(arg), v != verbHELO
	return eventHello
}

// sayHello answers EHLO with what is on offer. RFC 5321 s4.1.1.1
func (m *machine) sayHello() {
	m.reset()
	m.hello = m.text
	offered := m.offered()
	m.out = appendReplyLine(m.out, 250, EnhancedCode{}, m.hostname, offered != 0, false) // RFC 2034 s4: no enhanced code
	for i, name := range extNames {
		if x := Extensions(1) << i; offered.Has(x) {
			offered &^= x
			m.out = appendReplyLine(m.out, 250, EnhancedCode{}, name+m.extensionArgument(x), offered != 0, false)
		}
	}
}

func (m *machine) extensionArgument(x Extensions) string {
	switch x {
	case ExtSize:
		if m.limits.MessageSize > 0 {
			return " " + strconv.FormatInt(m.limits.MessageSize, 10)
		}
	case ExtAuth:
		return " " + strings.Join(m.mechanisms, " ")
	case ExtLimits: // RFC 9422 s4.2: up to six digits
		return " RCPTMAX=" + strconv.Itoa(min(m.limits.Recipients, 999_999))
	case ExtFutureRelease: // RFC 4865 s3
		longest := m.limits.MaxHold
		if longest < 0 || longest > maxSeconds*time.Second {
			longest = maxSeconds * time.Second
		}
		return " " + strconv.Itoa(int(longest/time.Second)) + " " + time.Now().Add(longest).UTC().Format(time.RFC3339)
	case ExtXClient:
		return " " + xclientNames
	}
	return ""
}

// offered is the set of extensions that the client may use at this moment.
func (m *machine) offered() Extensions {
	if !m.extended {
		return 0
	}
	x := m.offer
	if m.secure {
		x &^= ExtStartTLS // RFC 3207 s4.2
	} else {
		x &^= ExtRequireTLS // RFC 8689 s2
		if !m.plainAuth {
			x &^= ExtAuth
		}
	}
	if len(m.mechanisms) == 0 {
		x &^= ExtAuth
	}
	if m.limits.Recipients < 0 {
		x &^= ExtLimits
	}
	if !m.trusted {
		x &^= ExtXClient
	}
	return x
}

// barred tells what the client has to do first, before anything that concerns mail: TLS or authentication. RFC 3207 s4, RFC 4954 s6
func (m *machine) barred() *Error {
	switch {
	case m.requireTLS && !m.secure,
		m.requireAuth && !m.authenticated && !m.secure && m.canTLS && !m.plainAuth:
		return replyMustTLS
	case m.requireAuth && !m.authenticated:
		return replyMustAuth
	}
	return nil
}

// nobody is the reply to DATA and BDAT while no recipient was accepted.
func (m *machine) nobody() *Error {
	if m.mode == LMTP { // RFC 2033 s4.2
		return replyNoRcptLMTP
	}
	return replyNoRcpt
}

func (m *machine) commandMail(arg []byte) event {
	switch {
	case m.hello == "":
		return m.fail(replyNeedHello)
	case m.transaction != transactionNone:
		return m.fail(replyNested)
	}
	arg, ok := cutKeyword(arg, "FROM:")
	if !ok {
		return m.fail(replyPathSyntax)
	}
	inner, rest, wrong := cutPath(arg)
	if wrong != nil {
		return m.fail(wrong)
	}
	var err error
	if m.from, err = ParseReversePath(string(inner)); err != nil {
		return m.fail(replySenderSyntax)
	}
	if m.mail, wrong = parseMailParams(rest, m.offered()); wrong != nil {
		return m.fail(wrong)
	}
	if !m.mail.UTF8 && !m.from.IsASCII() {
		return m.fail(replySenderUTF8)
	}
	if over(m.mail.Size, m.limits.MessageSize) { // RFC 1870 s6.1
		return m.refuse(replyTooLarge)
	}
	if !m.holdable() { // RFC 4865 s4
		return m.refuse(replyHoldLong)
	}
	if m.mail.Auth != nil && !m.authenticated { // RFC 4954 s5: the word of a client that is not trusted
		*m.mail.Auth = ""
	}
	m.utf8 = m.mail.UTF8
	return eventMail
}

// holdable tells whether the server may keep the message back for so long.
func (m *machine) holdable() bool {
	longest, p := m.limits.MaxHold, &m.mail
	return longest < 0 || p.HoldFor <= longest && (p.HoldUntil.IsZero() || time.Until(p.HoldUntil) <= longest)
}

func (m *machine) commandRcpt(arg []byte) event {
	switch m.transaction {
	case transactionNone:
		return m.fail(replyNeedMail)
	case transactionChunks, transactionFailed: // RFC 3030 s2
		return m.fail(replyNotNow)
	}
	if m.rcpts++; m.limits.Recipients >= 0 && m.rcpts > rcptsPerLimit*max(m.limits.Recipients, 10) {
		return m.fail(replyTooManyCmds)
	}
	arg, ok := cutKeyword(arg, "TO:")
	if !ok {
		return m.fail(replyPathSyntax)
	}
	inner, rest, wrong := cutPath(arg)
	if wrong != nil {
		return m.fail(wrong)
	}
	var err error
	if m.to, err = ParseForwardPath(string(inner)); err != nil {
		return m.fail(replyRcptSyntax)
	}
	if !m.utf8 && !m.to.IsASCII() {
		return m.fail(replyRcptUTF8)
	}
	if m.rcpt, wrong = parseRcptParams(rest, m.offered()); wrong != nil {
		return m.fail(wrong)
	}
	if over(m.accepted+1, m.limits.Recipients) {
		return m.refuse(replyTooManyRcpt)
	}
	return eventRcpt
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

// sayHelp lists the commands that there are at this moment. RFC 5321 s4.1.1.8
func (m *machine) sayHelp() event {
	names := make([]string, 0, 16)
	if m.mode == LMTP {
		names = append(names, "LHLO")
	} else {
		names = append(names, "EHLO", "HELO")
	}
	names = append(names, "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "VRFY", "HELP")
	offered := m.offered()
	for _, c := range [...]struct {
		name string
		ext  Extensions
	}{{"BDAT", ExtChunking}, {"STARTTLS", ExtStartTLS}, {"AUTH", ExtAuth}, {"EXPN", ExtExpand}, {"XCLIENT", ExtXClient}} {
		if offered.Has(c.ext) {
			names = append(names, c.name)
		}
	}
	return m.say(214, EnhancedCode{2, 0, 0}, "commands: "+strings.Join(names, " ")+"; see RFC 5321")
}

func (m *machine) commandVerify(arg []byte, can bool, e event) event {
	if len(arg) == 0 {
		return m.fail(replySyntaxArgument)
	}
	m.text, m.verifyUTF8 = string(arg), false
	if i := strings.LastIndexByte(m.text, ' '); i > 0 && strings.EqualFold(m.text[i:], " SMTPUTF8") && m.offered().Has(ExtSMTPUTF8) { // RFC 6531 s3.7.4.2
		m.text, m.verifyUTF8 = m.text[:i], true
	} else if !isASCII(m.text) {
		return m.fail(replyRcptUTF8)
	}
	if !can && e == eventVerify { // RFC 5321 s3.5.3, s7.3
		return m.say(252, EnhancedCode{2, 0, 0}, "cannot verify, send the message to find out")
	}
	if !can {
		return m.fail(replyNotOffered)
	}
	return e
}

// sayMailboxes answers VRFY and EXPN. RFC 5321 s3.5.2
func (m *machine) sayMailboxes(list []Mailbox) {
	e := m.event
	m.event = eventInput
	switch {
	case len(list) == 0:
		m.refuse(replyNoSuchUser)
		return
	case len(list) > 1 && e == eventVerify:
		m.refuse(replyAmbiguous)
		return
	}
	if !m.verifyUTF8 && slices.ContainsFunc(list, func(b Mailbox) bool { return !b.IsASCII() }) { // RFC 6531 s3.7.4.2
		m.say(252, EnhancedCode{2, 6, 8}, "the answer needs SMTPUTF8")
		return
	}
	var b strings.Builder
	for i, mailbox := range list {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("<" + mailbox.String() + ">")
	}
	m.out = appendReply(m.out, 250, m.enhanced(EnhancedCode{2, 1, 5}), b.String(), m.verifyUTF8)
}
