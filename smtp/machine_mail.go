package smtp

import (
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
