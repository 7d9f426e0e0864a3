package mime

import (
	"strings"
	"time"
)

// An MDN is a message disposition notification (RFC 8098): it tells the sender that a recipient has seen, deleted or otherwise
// processed a message. It goes out with an empty reverse path (RFC 8098 s3).
type MDN struct {
	From, To   Address // To is what Disposition-Notification-To asked for
	Subject    string  // default: "Read receipt"
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

	Original    Content // nil sends nothing back
	HeadersOnly bool
}

// Compose makes the report for a 7-bit way back.
func (m MDN) Compose() (*Composed, error) { return m.ComposeFor(Capabilities{}) }

// ComposeFor makes the report for a way back that can carry more.
func (m MDN) ComposeFor(caps Capabilities) (*Composed, error) {
	if m.FinalRecipient == "" {
		return nil, &FieldError{"FinalRecipient", "is empty"}
	}
	disposition := m.Disposition
	if disposition == "" {
		disposition = "displayed"
	}
	for _, token := range append([]string{disposition}, m.Modifiers...) {
		if !isToken(token) {
			return nil, &FieldError{"Disposition", "is not made of tokens: " + token} // RFC 8098 s3.2.6
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
	w := reportWriter{utf8: caps.UTF8}
	w.field("Reporting-UA", m.ReportingUA)
	w.typed("MDN-Gateway", "dns", m.Gateway)
	w.field("Original-Recipient", m.OriginalRecipient)
	w.address("Final-Recipient", m.FinalRecipient)
	id := strings.TrimSuffix(strings.TrimPrefix(m.OriginalMessageID, "<"), ">")
	if id != "" {
		w.field("Original-Message-ID", "<"+id+">")
	}
	w.field("Disposition", action+"/"+sent+"; "+disposition+modifiers)
	for _, e := range m.Errors {
		w.field("Error", e)
	}
	n := notice{
		from: m.From, to: m.To, subject: m.Subject, id: m.MessageID, date: m.Date, inReplyTo: id, references: m.References,
		autoSubmitted: "auto-replied", reportType: "disposition-notification", text: m.Text,
		machineType: "message/disposition-notification", machine: w.buf, original: m.Original, headersOnly: m.HeadersOnly,
	}
	if !isASCII(w.buf) {
		n.machineType = "message/global-disposition-notification" // RFC 6533 s5
	}
	if n.subject == "" {
		n.subject = "Read receipt"
	}
	if n.text == "" {
		n.text = "The message that you sent to " + oneLine(m.FinalRecipient) + " has been " + disposition + ".\n" +
			"This does not mean that it was read or understood.\n"
	}
	return n.compose(caps)
}
