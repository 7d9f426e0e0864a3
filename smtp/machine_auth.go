package smtp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/gomailroom/mailroom/internal/sasl"
)

// commandTLS is STARTTLS (RFC 3207). What stands behind it in the input was sent before the handshake, perhaps by
// somebody else than who holds the keys, so it ends the session.
func (m *machine) commandTLS(arg []byte) event {
	switch {
	case len(arg) > 0:
		return m.fail(replyNoArgument)
	case !m.offer.Has(ExtStartTLS) || !m.canTLS:
		return m.fail(replyNotOffered)
	case m.secure:
		return m.fail(replyNotNow)
	case len(m.in.pending()) > 0:
		return m.fail(replyPipelinedTLS)
	}
	return eventTLS
}

// secured tells that TLS is on. The client begins anew (RFC 3207 s4.2).
func (m *machine) secured() {
	m.in.clear()
	m.secure, m.authenticated, m.hello = true, false, ""
}

func (m *machine) commandAuth(arg []byte) event {
	switch {
	case !m.canAuth || !m.offer.Has(ExtAuth):
		return m.fail(replyNotOffered)
	case m.hello == "":
		return m.fail(replyNeedHello)
	case m.authenticated, m.transaction != transactionNone: // RFC 4954 s4
		return m.fail(replyNotNow)
	case !m.secure && !m.plainAuth:
		return m.fail(replyAuthTLS)
	}
	if len(arg) == 0 {
		return m.fail(replySyntaxArgument)
	}
	name, initial, has := bytes.Cut(arg, []byte(" "))
	m.text = strings.ToUpper(string(name))
	if !slices.Contains(m.mechanisms, m.text) {
		return m.fail(replyAuthMechanism)
	}
	m.response = nil
	if has && m.text == "CRAM-MD5" { // the server speaks first. So it does in LOGIN, where many clients send the name at once
		return m.fail(replyAuthInitial)
	}
	if has {
		var err error
		if m.response, err = sasl.DecodeInitial(trimSpace(initial)); err != nil {
			return m.fail(replyAuthBase64)
		}
	}
	return eventAuth
}

func (m *machine) authResponse(line []byte) event {
	m.state = stateCommand
	response, err := sasl.DecodeResponse(line)
	switch {
	case errors.Is(err, sasl.ErrCanceled):
		return m.fail(replyAuthCancelled)
	case err != nil:
		return m.fail(replyAuthBase64)
	}
	m.response = response
	return eventResponse
}

// challenge sends a SASL challenge and waits for the response.
func (m *machine) challenge(b []byte) {
	m.out = append(m.out, "334 "...)
	m.out = base64.StdEncoding.AppendEncode(m.out, b)
	m.out = append(m.out, '\r', '\n')
	m.state = stateResponse
}

// authDone tells the outcome of AUTH.
func (m *machine) authDone(err *Error) {
	if err == nil {
		m.authenticated = true
		m.say(235, EnhancedCode{2, 7, 0}, "authentication succeeded")
		return
	}
	if err == replyAuthFailed {
		if m.authFails++; m.limits.AuthFailures >= 0 && m.authFails >= m.limits.AuthFailures {
			err = replyAuthTooMany
		}
	}
	m.fail(err)
}
