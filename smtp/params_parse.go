package smtp

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// What is wrong with a parameter. RFC 5321 s4.1.1.11 gives 555 for those that are not known, 501 for bad ones.
var (
	replyParamUnknown = &Error{Code: 555, Enhanced: EnhancedCode{5, 5, 4}, Text: "parameter not recognized or not offered"}
	replyParamSyntax  = &Error{Code: 501, Enhanced: EnhancedCode{5, 5, 4}, Text: "parameter is malformed"}
	replyParamTwice   = &Error{Code: 501, Enhanced: EnhancedCode{5, 5, 4}, Text: "parameter given twice"}
)

// nextParam cuts the next KEYWORD or KEYWORD=value off rest. key is upper case; it is a slice of rest.
func nextParam(rest []byte) (key, value []byte, hasValue bool, next []byte, err *Error) {
	rest = bytes.TrimLeft(rest, " ")
	word := rest
	if i := bytes.IndexByte(rest, ' '); i >= 0 {
		word, next = rest[:i], rest[i:]
	}
	// The value may itself hold "=", which RFC 5321 forbids and some senders of ORCPT do.
	key, value, hasValue = bytes.Cut(word, []byte("="))
	if !isKeyword(key) || hasValue && len(value) == 0 {
		return nil, nil, false, nil, replyParamSyntax
	}
	for i, c := range key {
		if 'a' <= c && c <= 'z' {
			key[i] = c - 'a' + 'A'
		}
	}
	return key, value, hasValue, next, nil
}

// parseMailParams reads what follows the path of MAIL. It changes the case of keywords in rest.
func parseMailParams(rest []byte, offered Extensions) (p MailParams, _ *Error) {
	var seen Extensions // by the extension that brought the parameter; those that bring two are told apart below
	for rest = trimSpace(rest); len(rest) > 0; {
		key, value, hasValue, next, err := nextParam(rest)
		if err != nil {
			return p, err
		}
		rest = next
		ext, twice := Extensions(0), false
		ok := hasValue
		switch string(key) {
		case "SIZE":
			ext, twice = ExtSize, seen.Has(ExtSize)
			n, digits := parseSize(value)
			if !digits && len(value) <= 20 && isNumber(value) { // RFC 1870 s4: up to 20 digits, more than anyone takes
				n, digits = math.MaxInt64, true
			}
			p.Size, ok = n, ok && digits
		case "BODY":
			ext, twice = Ext8BitMIME, p.Body != ""
			if p.Body = oneOf(value, Body7Bit, Body8BitMIME, BodyBinaryMIME); p.Body == BodyBinaryMIME {
				ext = ExtBinaryMIME
			}
			ok = p.Body != ""
		case "SMTPUTF8":
			ext, twice, ok = ExtSMTPUTF8, p.UTF8, !hasValue
			p.UTF8 = true
		case "REQUIRETLS":
			ext, twice, ok = ExtRequireTLS, p.RequireTLS, !hasValue
			p.RequireTLS = true
		case "AUTH":
			ext, twice = ExtAuth, p.Auth != nil
			s := string(value)
			if s == "<>" {
				s = ""
			} else if d, e := decodeXtext(s); e == nil {
				s = d
			} else {
				ok = false
			}
			p.Auth = &s
		case "RET":
			ext, twice = ExtDSN, p.Return != ""
			p.Return = oneOf(value, ReturnFull, ReturnHeaders)
			ok = p.Return != ""
		case "ENVID":
			ext, twice = ExtDSN, p.EnvelopeID != ""
			d, e := decodeXtext(string(value))
			p.EnvelopeID, ok = d, ok && e == nil && len(appendXtext(nil, d)) <= maxEnvelopeID // what can be handed on
		case "MT-PRIORITY":
			ext, twice = ExtPriority, p.Priority != nil
			p.Priority = parsePriority(string(value))
			ok = ok && p.Priority != nil
		case "BY":
			ext, twice = ExtDeliverBy, p.DeliverBy != nil
			p.DeliverBy = parseDeliverBy(string(value))
			ok = ok && p.DeliverBy != nil
		case "HOLDFOR": // RFC 4865 s4: one to nine digits; not together with HOLDUNTIL
			ext, twice = ExtFutureRelease, p.HoldFor != 0 || !p.HoldUntil.IsZero()
			n, e := strconv.ParseUint(string(value), 10, 31)
			p.HoldFor, ok = time.Duration(n)*time.Second, ok && e == nil && n > 0 && len(value) <= 9
		case "HOLDUNTIL":
			ext, twice = ExtFutureRelease, p.HoldFor != 0 || !p.HoldUntil.IsZero()
			t, e := time.Parse(time.RFC3339, string(value))
			p.HoldUntil, ok = t, ok && e == nil
		}
		switch {
		case !offered.Has(ext) || ext == 0:
			return p, replyParamUnknown
		case twice:
			return p, replyParamTwice
		case !ok:
			return p, replyParamSyntax
		}
		seen |= ext
	}
	return p, nil
}

// oneOf gives the word that value is, in whatever case; empty when it is none.
func oneOf[T ~string](value []byte, words ...T) T {
	for _, w := range words {
		if bytes.EqualFold(value, []byte(w)) {
			return w
		}
	}
	return ""
}

// parsePriority is priority-value (RFC 6710 s6): 0, or a digit with or without a minus; nil when it is malformed.
func parsePriority(s string) *int {
	digit := strings.TrimPrefix(s, "-")
	if len(digit) != 1 || digit < "0" || digit > "9" || s == "-0" {
		return nil
	}
	n := int(digit[0] - '0')
	if digit != s {
		n = -n
	}
	return &n
}

// parseDeliverBy is by-value (RFC 2852 s4): a sign or none, one to nine digits, and the mode; nil when it is malformed.
func parseDeliverBy(s string) *DeliverBy {
	seconds, mode, ok := strings.Cut(s, ";")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if !ok || err != nil || len(strings.TrimLeft(seconds, "+-")) > 9 {
		return nil
	}
	d := &DeliverBy{Within: time.Duration(n) * time.Second}
	mode = strings.ToUpper(mode)
	mode, d.Trace = strings.CutSuffix(mode, "T")
	d.Return = mode == "R"
	if mode != "R" && mode != "N" || d.Return && n <= 0 {
		return nil
	}
	return d
}

// parseRcptParams reads what follows the path of RCPT.
func parseRcptParams(rest []byte, offered Extensions) (p RcptParams, _ *Error) {
	for rest = trimSpace(rest); len(rest) > 0; {
		key, value, ok, next, err := nextParam(rest)
		if err != nil {
			return p, err
		}
		rest = next
		ext, twice := Extensions(0), false
		switch string(key) {
		case "NOTIFY":
			ext, twice = ExtDSN, p.Notify != 0
			p.Notify = parseNotify(value)
			ok = ok && p.Notify != 0
		case "ORCPT":
			ext, twice = ExtDSN, p.OriginalRecipient != (OriginalRecipient{})
			var good bool
			p.OriginalRecipient, good = parseOriginalRecipient(string(value))
			ok = ok && good
		case "RRVS": // RFC 7293 s3.1
			ext, twice = ExtRRVS, !p.RequireSince.IsZero()
			stamp, action, has := strings.Cut(string(value), ";")
			t, e := time.Parse(time.RFC3339, stamp)
			p.RequireSince, p.RequireContinue = t, strings.EqualFold(action, "C")
			ok = ok && e == nil && (!has || p.RequireContinue || strings.EqualFold(action, "R"))
		}
		switch {
		case !offered.Has(ext) || ext == 0:
			return p, replyParamUnknown
		case twice:
			return p, replyParamTwice
		case !ok:
			return p, replyParamSyntax
		}
	}
	return p, nil
}

// parseNotify is the value of NOTIFY (RFC 3461 s4.1); 0 when it is malformed.
func parseNotify(value []byte) (n Notify) {
words:
	for word := range bytes.SplitSeq(value, []byte(",")) {
		for i, name := range notifyNames {
			if bytes.EqualFold(word, []byte(name)) {
				n |= 1 << i
				continue words
			}
		}
		return 0
	}
	if n&NotifyNever != 0 && n != NotifyNever {
		return 0
	}
	return n
}

// parseOriginalRecipient is the value of ORCPT (RFC 3461 s4.2, RFC 6533 s3).
func parseOriginalRecipient(s string) (o OriginalRecipient, ok bool) {
	kind, address, _ := strings.Cut(s, ";")
	if !isKeyword(kind) || address == "" || len(s) > maxORCPT {
		return o, false
	}
	if strings.EqualFold(kind, "utf-8") {
		address, err := decodeUnitext(address)
		return OriginalRecipient{Type: kind, Address: address}, err == nil
	}
	plain, err := decodeXtext(address)
	if err != nil && strings.EqualFold(kind, "rfc822") { // Postfix 3.7 has UTF-8 within xtext, where RFC 6533 s3 has another type
		if plain, err = xtextOctets(address); err == nil {
			plain, err = decodeUnitext(plain)
			kind = "utf-8"
		}
	}
	return OriginalRecipient{Type: kind, Address: plain}, err == nil
}
