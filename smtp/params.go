package smtp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	maxEnvelopeID = 100       // characters of ENVID. RFC 3461 s5.4
	maxORCPT      = 500       // characters of ORCPT. RFC 3461 s5.4
	maxSeconds    = 999999999 // of BY and HOLDFOR: nine digits. RFC 2852 s4, RFC 4865 s4
)

// appendMailParams writes the parameters of MAIL, each after a space. It refuses values that the syntax cannot carry,
// so that nothing in p can add a parameter or a command.
func appendMailParams(b []byte, p *MailParams) ([]byte, error) {
	if p.Size > 0 {
		b = strconv.AppendInt(append(b, " SIZE="...), p.Size, 10)
	}
	switch p.Body {
	case "":
	case Body7Bit, Body8BitMIME, BodyBinaryMIME:
		b = append(append(b, " BODY="...), p.Body...)
	default:
		return b, fmt.Errorf("smtp: unknown body type %q", p.Body)
	}
	if p.UTF8 {
		b = append(b, " SMTPUTF8"...)
	}
	if p.RequireTLS {
		b = append(b, " REQUIRETLS"...)
	}
	if p.Auth != nil {
		if b = append(b, " AUTH="...); *p.Auth == "" {
			b = append(b, "<>"...)
		} else {
			b = appendXtext(b, *p.Auth)
		}
	}
	switch p.Return {
	case "":
	case ReturnFull, ReturnHeaders:
		b = append(append(b, " RET="...), p.Return...)
	default:
		return b, fmt.Errorf("smtp: unknown value %q of RET", p.Return)
	}
	if p.EnvelopeID != "" {
		if !isPrintable(p.EnvelopeID) {
			return b, errors.New("smtp: envelope identifier is not printable ASCII") // RFC 3461 s4.4
		}
		b = append(b, " ENVID="...)
		start := len(b)
		if b = appendXtext(b, p.EnvelopeID); len(b)-start > maxEnvelopeID {
			return b, errors.New("smtp: envelope identifier is longer than 100 octets, as it is written")
		}
	}
	if p.Priority != nil {
		if *p.Priority < -9 || *p.Priority > 9 {
			return b, fmt.Errorf("smtp: priority %d is not within -9 and 9", *p.Priority)
		}
		b = strconv.AppendInt(append(b, " MT-PRIORITY="...), int64(*p.Priority), 10)
	}
	if d := p.DeliverBy; d != nil {
		seconds := int64(d.Within / time.Second)
		if seconds > maxSeconds || seconds < -maxSeconds || d.Return && seconds <= 0 { // RFC 2852 s4
			return b, fmt.Errorf("smtp: no message can be asked to be delivered within %v", d.Within)
		}
		b = appendDeliverBy(b, d)
	}
	if p.HoldFor > 0 {
		seconds := int64((p.HoldFor + time.Second - 1) / time.Second)
		if seconds > maxSeconds || !p.HoldUntil.IsZero() { // RFC 4865 s4: one of the two
			return b, errors.New("smtp: a message is held for a time or until a date, and no longer than 999999999 seconds")
		}
		b = strconv.AppendInt(append(b, " HOLDFOR="...), seconds, 10)
	}
	if !p.HoldUntil.IsZero() {
		b = p.HoldUntil.UTC().AppendFormat(append(b, " HOLDUNTIL="...), time.RFC3339)
	}
	return b, nil
}

func appendDeliverBy(b []byte, d *DeliverBy) []byte {
	b = strconv.AppendInt(append(b, " BY="...), int64(d.Within/time.Second), 10)
	if d.Return {
		b = append(b, ";R"...)
	} else {
		b = append(b, ";N"...)
	}
	if d.Trace {
		b = append(b, 'T')
	}
	return b
}

var notifyNames = [...]string{"SUCCESS", "FAILURE", "DELAY", "NEVER"}

// appendRcptParams writes the parameters of RCPT as appendMailParams does those of MAIL.
func appendRcptParams(b []byte, p *RcptParams) ([]byte, error) {
	if p.Notify != 0 {
		if p.Notify&NotifyNever != 0 && p.Notify != NotifyNever {
			return b, errors.New("smtp: NOTIFY=NEVER excludes other keywords") // RFC 3461 s4.1
		}
		b = append(b, " NOTIFY="...)
		for i, name := range notifyNames {
			if p.Notify&(1<<i) != 0 {
				if b[len(b)-1] != '=' {
					b = append(b, ',')
				}
				b = append(b, name...)
			}
		}
	}
	if o := p.OriginalRecipient; o != (OriginalRecipient{}) {
		if !isKeyword(o.Type) || o.Address == "" {
			return b, fmt.Errorf("smtp: original recipient %q;%q is not of the form type;address", o.Type, o.Address)
		}
		b = append(append(append(b, " ORCPT="...), o.Type...), ';')
		if strings.EqualFold(o.Type, "utf-8") {
			b = appendUnitext(b, o.Address)
		} else if isPrintable(o.Address) {
			b = appendXtext(b, o.Address)
		} else {
			return b, fmt.Errorf("smtp: original recipient of type %q is not printable ASCII", o.Type)
		}
	}
	if !p.RequireSince.IsZero() {
		b = p.RequireSince.UTC().AppendFormat(append(b, " RRVS="...), time.RFC3339)
		if p.RequireContinue {
			b = append(b, ";C"...)
		}
	}
	return b, nil
}

// isKeyword is esmtp-keyword (RFC 5321 s4.1.2).
func isKeyword[T string | []byte](s T) bool {
	if len(s) == 0 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}
