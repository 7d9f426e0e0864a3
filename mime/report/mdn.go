package report

import (
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
)

// An MDN is a message disposition notification (RFC 8098): it tells the sender that a recipient has seen, deleted or otherwise
// processed a message. It goes out with an empty reverse path (RFC 8098 s3).
type MDN struct {
	From, To   mime.Address // To is what Disposition-Notification-To asked for
	Subject    string       // default: "Read receipt"
	Date       time.Time
	MessageID  string
	Text       string // what people read; default: by the disposition
	References []string

	ReportingUA       string // "host; product"
	Gateway           string
	FinalRecipient    string // required: the address that received the message
	OriginalRecipient string // as "type;address"
	OriginalMessageID string // with or without angle brackets
	Automatic         bool   // no person did what is reported (automatic-action)
	SentAutomatically bool   // no person agreed to this report (MDN-sent-automatically)
	Disposition       string // displayed (default), deleted, dispatched or processed
	Modifiers         []string
	Errors            []string

	Original     mime.Content // nil sends nothing back
	OriginalUTF8 bool         // Original has UTF-8 in its header
	HeadersOnly  bool
}

// Compose makes the report for a 7-bit way back.
func (m MDN) Compose() (*mime.Composed, error) { return m.ComposeFor(mime.Capabilities{}) }

// ComposeFor makes the report for a way back that can carry more.
func (m MDN) ComposeFor(caps mime.Capabilities) (*mime.Composed, error) {
	if m.FinalRecipient == "" {
		return nil, &mime.FieldError{Field: "FinalRecipient", Reason: "is empty"}
	}
	disposition := m.Disposition
	if disposition == "" {
		disposition = "displayed"
	}
	for _, token := range append([]string{disposition}, m.Modifiers...) {
		if !isToken(token) {
			return nil, &mime.FieldError{Field: "Disposition", Reason: "is not made of tokens: " + token} // RFC 8098 s3.2.6
		}
	}
	action, sent := "manual-action", "MDN-sent-manually"
	if m.Automatic {
		action = "automatic-action"
	}
	if m.SentAutomatically {
		sent = "MDN-sent-automatically"
	}
	modifiers := ""
	if len(m.Modifiers) > 0 {
		modifiers = "/" + strings.Join(m.Modifiers, ",")
	}
	w := writer{utf8: caps.UTF8}
	w.field("Reporting-UA", m.ReportingUA)
	w.typed("MDN-Gateway", "dns", m.Gateway)
	w.field("Original-Recipient", m.OriginalRecipient)
	w.address("Final-Recipient", "", m.FinalRecipient)
	id := strings.TrimSuffix(strings.TrimPrefix(m.OriginalMessageID, "<"), ">")
	if id != "" {
		w.field("Original-Message-ID", "<"+id+">")
	}
	w.field("Disposition", action+"/"+sent+"; "+disposition+modifiers)
	for _, e := range m.Errors {
		w.field("Error", e)
	}
	n := mime.Report{
		From: m.From, To: m.To, Subject: m.Subject, MessageID: m.MessageID, Date: m.Date, InReplyTo: id, References: m.References,
		AutoSubmitted: "auto-replied", Type: "disposition-notification", Text: m.Text,
		MachineType: "message/disposition-notification", Machine: w.buf, Original: m.Original, OriginalUTF8: m.OriginalUTF8, HeadersOnly: m.HeadersOnly,
	}
	if !isASCII(string(w.buf)) {
		n.MachineType = "message/global-disposition-notification" // RFC 6533 s5
	}
	if n.Subject == "" {
		n.Subject = "Read receipt"
	}
	if n.Text == "" {
		n.Text = "The message that you sent to " + oneLine(m.FinalRecipient) + " has been " + disposition + ".\n" +
			"This does not mean that it was read or understood.\n"
	}
	return n.ComposeFor(caps)
}

// ParseMDN reads a message disposition notification, or returns [ErrNone].
func ParseMDN(msg *mime.Message) (*MDN, error) {
	p, err := cut(msg, "message/disposition-notification", "message/global-disposition-notification")
	if err != nil {
		return nil, err
	}
	l := readLetter(msg)
	m := &MDN{
		From: l.from, To: l.to, Subject: l.subject, Date: l.date, MessageID: l.id, References: l.references,
		Text: p.text, Original: p.original, OriginalUTF8: p.utf8, HeadersOnly: p.headersOnly,
	}
	groups(p.machine, func(h mime.Header) bool {
		for f := range h.Fields() {
			m.read(strings.ToLower(f.Name()), f.Value())
		}
		return true
	})
	return m, nil
}

func (m *MDN) read(name, v string) {
	switch name {
	case "reporting-ua":
		m.ReportingUA = v
	case "mdn-gateway":
		_, m.Gateway = typed(v)
	case "original-recipient":
		kind, addr := typedAddress(v)
		m.OriginalRecipient = kind + ";" + addr
	case "final-recipient":
		_, m.FinalRecipient = typedAddress(v)
	case "original-message-id":
		if ids := mime.ParseMessageIDs(v); len(ids) > 0 {
			m.OriginalMessageID = ids[0]
		}
	case "disposition":
		mode, rest, ok := strings.Cut(strings.ToLower(v), ";")
		if !ok {
			mode, rest = "", v
		}
		m.Automatic = strings.Contains(mode, "automatic-action")
		m.SentAutomatically = strings.Contains(mode, "sent-automatically")
		kind, modifiers, _ := strings.Cut(strings.TrimSpace(rest), "/")
		m.Disposition = strings.TrimSpace(kind)
		for modifier := range strings.SplitSeq(modifiers, ",") {
			if modifier = strings.TrimSpace(modifier); modifier != "" {
				m.Modifiers = append(m.Modifiers, modifier)
			}
		}
	case "error":
		m.Errors = append(m.Errors, v)
	}
}
