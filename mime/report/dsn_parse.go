package report

import (
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// ParseDSN reads a delivery status notification, or returns [ErrNone].
func ParseDSN(m *mime.Message) (*DSN, error) {
	p, err := cut(m, "message/delivery-status", "message/global-delivery-status")
	if err != nil {
		return nil, err
	}
	l := readLetter(m)
	d := &DSN{
		From: l.from, To: l.to, Subject: l.subject, Date: l.date, MessageID: l.id, InReplyTo: l.inReplyTo, References: l.references,
		Text: p.text, Original: p.original, OriginalUTF8: p.utf8, HeadersOnly: p.headersOnly,
	}
	groups(p.machine, func(h mime.Header) bool {
		// RFC 3464 s2.1: the first group is of the message. Some programs leave it out, or write everything in one.
		d.message(h)
		if h.Has("Final-Recipient") || h.Has("Action") || h.Has("Original-Recipient") {
			d.Recipients = append(d.Recipients, readRecipient(h))
		}
		return len(d.Recipients) < maxRecipients
	})
	d.UTF8 = !isASCII(string(p.machine))
	return d, nil
}

func (d *DSN) message(h mime.Header) {
	for f := range h.Fields() {
		switch v := f.Value(); strings.ToLower(f.Name()) {
		case "original-envelope-id":
			d.EnvelopeID = v
		case "reporting-mta":
			_, d.ReportingMTA = typed(v)
		case "dsn-gateway":
			_, d.Gateway = typed(v)
		case "received-from-mta":
			_, d.ReceivedFromMTA = typed(v)
		case "arrival-date":
			d.Arrived = readDate(v)
		}
	}
}

func readRecipient(h mime.Header) (r DSNRecipient) {
	for f := range h.Fields() {
		switch v := f.Value(); strings.ToLower(f.Name()) {
		case "original-recipient":
			kind, addr := typedAddress(v)
			if kind == "" {
				kind = "rfc822"
			}
			r.Original = kind + ";" + addr
		case "final-recipient":
			if r.FinalType, r.Final = typedAddress(v); r.FinalType == "rfc822" || r.FinalType == "utf-8" {
				r.FinalType = ""
			}
		case "action":
			v, _, _ = strings.Cut(v, " ") // "failed (permanent)"
			r.Action = DSNAction(strings.ToLower(v))
		case "status":
			r.Status, _, _ = strings.Cut(v, " ") // "5.1.1 (no such user)"
		case "remote-mta":
			_, r.RemoteMTA = typed(v)
		case "diagnostic-code":
			if r.DiagType, r.Diagnostic = typed(v); r.DiagType == "smtp" {
				r.DiagType = ""
			}
		case "last-attempt-date":
			r.LastTried = readDate(v)
		case "will-retry-until":
			r.RetryUntil = readDate(v)
		case "final-log-id":
			r.FinalLogID = v
		}
	}
	return r
}
