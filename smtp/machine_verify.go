package smtp

import (
	"slices"
	"strings"
)

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
