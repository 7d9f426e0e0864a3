package smtp

import (
	"bytes"
	"strings"
)

// An event is what a machine asks of its driver.
type event uint8

const (
	eventInput    event = iota // more input is needed; out should be sent first
	eventHello                 // EHLO, HELO or LHLO in text: an open transaction is over
	eventMail                  // from and mail
	eventRcpt                  // to and rcpt
	eventData                  // DATA: after answer(nil) the content follows
	eventChunk                 // BDAT: the content follows
	eventReset                 // RSET
	eventTLS                   // STARTTLS: after answer(nil), once out is sent, the handshake and secured follow
	eventAuth                  // AUTH: mechanism in text, initial response (nil: none) in response
	eventResponse              // the client's next SASL response
	eventVerify                // VRFY, argument in text
	eventExpand                // EXPN, argument in text
	eventXClient               // XCLIENT, in client; after it the session begins anew
	eventBlock                 // of block only: a piece of content
	eventChunkEnd              // of block only: the chunk is complete and more will follow
	eventEnd                   // of block only: the message is complete
	eventClosed                // send out and close
)

// A machine is the server's side of a session without any I/O: it is fed with octets, gives events, and is told what
// came of them. What it has to say collects in out.
//
// The driver calls next until it says eventInput, sends out, puts octets into in, and calls next again. Every event up to eventExpand is
// answered with answer, with accepted mail data excepted: there the driver calls block until eventEnd, and then finish.
type machine struct {
	*settings
	in  input
	out []byte

	state         state
	transaction   transaction
	hello         string
	extended      bool
	secure        bool
	trusted       bool // may use XCLIENT
	authenticated bool
	mechanisms    []string // for AUTH, as the driver found them
	utf8          bool     // the transaction has SMTPUTF8
	verifyUTF8    bool     // VRFY or EXPN has

	event    event // the one to be answered
	text     string
	from     ReversePath
	mail     MailParams
	to       ForwardPath
	rcpt     RcptParams
	response []byte
	client   *client

	accepted int // recipients
	content  content

	cut       *Error // why the server has ended the session; nil: it has not
	rejected  bool   // the greeting was 5xx: nothing but QUIT is of use any more
	skipping  bool   // an over-long line is being thrown away
	skipped   int    // how much of it so far
	lineCount int    // command lines so far; the driver's deadline is for one
	errors    int    // since the last accepted message
	refusals  int
	commands  int
	rcpts     int // RCPT commands of this transaction
	authFails int

	onCommand func(line string)            // nil: nobody wants to know
	afterAuth bool                         // the last known command was AUTH, see observe
	intercept func(verb string) (e *Error) // may answer a command instead of the server; nil: nobody does
}

type state uint8

const (
	stateCommand state = iota
	stateResponse
	stateData
	stateChunk
	stateDiscard // a chunk whose BDAT was refused
	stateClosed
)

type transaction uint8

const (
	transactionNone   transaction = iota
	transactionOpen               // MAIL was accepted
	transactionChunks             // BDAT was accepted
	transactionFailed             // a chunk was refused; only RSET and the like help, or the chunk that says LAST. RFC 3030 s2
)

// next works through the input up to the next event.
func (m *machine) next() event {
	for m.state != stateClosed {
		if m.state == stateDiscard {
			if !m.discardChunk() {
				return eventInput
			}
			continue
		}
		line, ok := m.line()
		if !ok {
			break
		}
		m.lineCount++
		m.observe(line)
		if m.event = m.command(line); m.event != eventInput {
			return m.event
		}
	}
	if m.state == stateClosed {
		return eventClosed
	}
	return eventInput
}

// command handles one line. It answers itself what needs no decision.
func (m *machine) command(line []byte) event {
	if m.state == stateResponse {
		return m.authResponse(line)
	}
	v, arg := parseCommand(line)
	if v == verbUnknown && isBDAT(line) {
		v = verbBDAT // though not in a form that says how long the chunk is
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			if v == verbBDAT {
				return m.fail(replyChunkSyntax)
			}
			return m.fail(replySyntax)
		}
	}
	if v != verbRCPT && v != verbBDAT {
		if m.commands++; v != verbQUIT && over(m.commands, m.limits.Commands) {
			return m.fail(replyTooManyCmds)
		}
	}
	var instead *Error
	if m.intercept != nil {
		word, _, _ := bytes.Cut(line, []byte(" "))
		switch instead = m.intercept(strings.ToUpper(string(word))); {
		case m.state == stateClosed:
			return eventClosed
		case instead != nil && v != verbBDAT:
			return m.refuse(instead)
		}
	}
	if m.rejected && v != verbQUIT { // RFC 5321 s3.1
		return m.fail(replyNotNow)
	}
	switch v {
	case verbMAIL, verbRCPT, verbDATA, verbVRFY, verbEXPN:
		if first := m.barred(); first != nil {
			return m.fail(first)
		}
	}
	switch v {
	case verbEHLO, verbHELO, verbLHLO:
		return m.commandHello(v, arg)
	case verbMAIL:
		return m.commandMail(arg)
	case verbRCPT:
		return m.commandRcpt(arg)
	case verbDATA:
		return m.commandData(arg)
	case verbBDAT:
		return m.commandBdat(arg, instead)
	case verbAUTH:
		return m.commandAuth(arg)
	case verbSTARTTLS:
		return m.commandTLS(arg)
	case verbRSET:
		if len(arg) > 0 {
			return m.fail(replyNoArgument)
		}
		return eventReset
	case verbQUIT:
		if len(arg) > 0 {
			return m.fail(replyNoArgument)
		}
		m.say(221, EnhancedCode{2, 0, 0}, "closing connection")
		m.state = stateClosed
		return eventClosed
	case verbNOOP: // RFC 5321 s4.1.1.9: an argument is ignored
		return m.say(250, EnhancedCode{2, 0, 0}, "OK")
	case verbHELP:
		return m.sayHelp()
	case verbXCLIENT:
		return m.commandXClient(arg)
	case verbVRFY:
		return m.commandVerify(arg, m.canVerify, eventVerify)
	case verbEXPN:
		return m.commandVerify(arg, m.canExpand, eventExpand)
	case verbHTTP:
		return m.fail(replyNotSMTP)
	}
	return m.fail(replyUnknown)
}

// say writes a reply.
func (m *machine) say(code int, enhanced EnhancedCode, text string) event {
	moved := code == 251 || code == 551 // what may name a mailbox outside ASCII. RFC 6531 s3.7.4.1
	if moved && !m.utf8 && !isASCII(text) {
		code--
		text = "user not local"
	}
	m.out = appendReply(m.out, code, m.enhanced(enhanced), text, moved && m.utf8)
	return eventInput
}

func (m *machine) enhanced(e EnhancedCode) EnhancedCode {
	if !m.offer.Has(ExtEnhancedStatusCodes) {
		return EnhancedCode{}
	}
	return e
}

// fail answers a command that was wrong in itself. Too many of them end the session.
func (m *machine) fail(err *Error) event {
	if m.errors++; err.Code != 421 && m.limits.BadCommands >= 0 && m.errors >= m.limits.BadCommands {
		err = replyTooManyErrors
	}
	return m.refuse(err)
}

// refuse answers without counting. Code 421 closes (RFC 5321 s3.8).
func (m *machine) refuse(err *Error) event {
	m.say(err.Code, err.Enhanced, err.Text)
	if err.Code == 421 {
		m.state, m.cut = stateClosed, err
		return eventClosed
	}
	return eventInput
}

// close says why and ends the session.
func (m *machine) close(why *Error) {
	if m.state != stateClosed {
		m.refuse(why)
		m.state, m.cut = stateClosed, why
	}
}

// reject gives a reply in place of the greeting. After one that is final the client has its say, which is QUIT. RFC 5321 s3.1
func (m *machine) reject(why *Error) {
	if why.Code/100 != 5 {
		m.close(why)
		return
	}
	m.rejected = true
	m.refuse(why)
}

// answer tells what came of the event; err must be fit to be sent (see session.wireError).
func (m *machine) answer(err *Error) {
	e := m.event
	m.event = eventInput
	if err != nil {
		switch e {
		case eventMail, eventRcpt:
			if m.refusals++; err.Code != 421 && over(m.refusals, m.limits.Refusals) {
				err = replyTooManyRefuse
			}
		}
		m.refuse(err)
		m.utf8 = m.utf8 && m.transaction != transactionNone
		return
	}
	switch e {
	case eventInput:
	case eventHello:
		m.sayHello()
	case eventMail:
		m.transaction, m.accepted, m.rcpts = transactionOpen, 0, 0
		m.say(250, EnhancedCode{2, 1, 0}, "sender OK")
	case eventRcpt:
		m.accepted++
		m.say(250, EnhancedCode{2, 1, 5}, "recipient OK")
	case eventReset:
		m.reset()
		m.say(250, EnhancedCode{2, 0, 0}, "OK")
	case eventTLS:
		m.reset()
		m.say(220, EnhancedCode{2, 0, 0}, "ready to start TLS")
	case eventData:
		m.say(354, EnhancedCode{}, "start mail input, end with <CRLF>.<CRLF>")
		m.state = stateData
		m.content.begin(m.lines, m.limits.MessageSize, true)
	}
}

// reset forgets the transaction.
func (m *machine) reset() {
	m.transaction, m.accepted, m.rcpts, m.utf8 = transactionNone, 0, 0, false
	m.from, m.to, m.mail, m.rcpt = ReversePath{}, ForwardPath{}, MailParams{}, RcptParams{}
}
