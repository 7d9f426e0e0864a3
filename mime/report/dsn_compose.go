package report

import (
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// Compose makes the report for a 7-bit way back.
func (d DSN) Compose() (*mime.Composed, error) { return d.ComposeFor(mime.Capabilities{}) }

// ComposeFor makes the report for a way back that can carry more. What other systems wrote (addresses, diagnostics) never makes it fail: octets that
// a field cannot hold are replaced.
func (d DSN) ComposeFor(caps mime.Capabilities) (*mime.Composed, error) {
	switch {
	case len(d.Recipients) == 0:
		return nil, &mime.FieldError{Field: "Recipients", Reason: "is empty"}
	case d.ReportingMTA == "":
		return nil, &mime.FieldError{Field: "ReportingMTA", Reason: "is empty"}
	}
	for _, r := range d.Recipients {
		if r.Final == "" || r.Action == "" || r.Status == "" {
			return nil, &mime.FieldError{Field: "Recipients", Reason: "has one without Final, Action or Status"}
		}
	}
	utf8 := d.UTF8 || caps.UTF8
	n := mime.Report{
		From: d.From, To: d.To, Subject: d.Subject, MessageID: d.MessageID, Date: d.Date, InReplyTo: d.InReplyTo, References: d.References,
		AutoSubmitted: "auto-replied", // RFC 3834 s3.1.7
		Type:          "delivery-status", Text: d.Text, MachineType: "message/delivery-status",
		Machine: d.fields(utf8), Original: d.Original, HeadersOnly: d.HeadersOnly, OriginalUTF8: d.OriginalUTF8,
	}
	if utf8 && !isASCII(string(n.Machine)) {
		n.MachineType = "message/global-delivery-status" // RFC 6533 s4.1
	}
	if n.Subject == "" {
		n.Subject = d.subject()
	}
	if n.Text == "" {
		n.Text = d.text()
	}
	caps.UTF8 = utf8
	return n.ComposeFor(caps)
}

// fields is the body of message/delivery-status (RFC 3464 s2.2, s2.3).
func (d *DSN) fields(utf8 bool) []byte {
	w := writer{utf8: utf8}
	w.field("Original-Envelope-Id", d.EnvelopeID)
	w.typed("Reporting-MTA", "dns", d.ReportingMTA)
	w.typed("DSN-Gateway", "dns", d.Gateway)
	w.typed("Received-From-MTA", "dns", d.ReceivedFromMTA)
	w.date("Arrival-Date", d.Arrived)
	for _, r := range d.Recipients {
		w.blank()
		if kind, addr, ok := strings.Cut(r.Original, ";"); ok && isToken(kind) {
			if strings.EqualFold(kind, "utf-8") && !utf8 && !isASCII(addr) {
				addr = xtext8(addr)
			}
			w.typed("Original-Recipient", kind, addr)
		}
		w.address("Final-Recipient", r.FinalType, r.Final)
		w.field("Action", string(r.Action))
		w.field("Status", r.Status)
		w.typed("Remote-MTA", "dns", r.RemoteMTA)
		kind := r.DiagType
		if kind == "" {
			kind = "smtp"
		}
		w.typed("Diagnostic-Code", kind, r.Diagnostic)
		w.date("Last-Attempt-Date", r.LastTried)
		w.field("Final-Log-Id", r.FinalLogID)
		if r.Action == ActionDelayed {
			w.date("Will-Retry-Until", r.RetryUntil)
		}
	}
	return w.buf
}

// worst is the action that matters most to who reads the report.
func (d *DSN) worst() DSNAction {
	for _, action := range []DSNAction{ActionFailed, ActionDelayed, ActionDelivered, ActionRelayed} {
		for _, r := range d.Recipients {
			if r.Action == action {
				return action
			}
		}
	}
	return ActionExpanded
}

func (d *DSN) subject() string {
	switch d.worst() {
	case ActionFailed:
		return "Undelivered mail returned to sender"
	case ActionDelayed:
		return "Delayed mail: still being tried"
	}
	return "Your mail was delivered"
}

var actionText = []struct {
	action DSNAction
	text   string
}{
	{ActionFailed, "Your message could not be delivered to these recipients, and will not be tried again:"},
	{ActionDelayed, "Your message has not been delivered to these recipients yet. You need not send it again:"},
	{ActionDelivered, "Your message was delivered to these recipients:"},
	{ActionRelayed, "Your message was passed on for these recipients, to a system that sends no such reports:"},
	{ActionExpanded, "Your message was delivered to these addresses, which pass it on to several people:"},
}

func (d *DSN) text() string {
	var b strings.Builder
	b.WriteString("This is the mail system at " + oneLine(d.ReportingMTA) + ".\n")
	for _, a := range actionText {
		first := true
		for _, r := range d.Recipients {
			if r.Action != a.action {
				continue
			}
			if first {
				b.WriteString("\n" + a.text + "\n")
				first = false
			}
			b.WriteString("\n  " + oneLine(r.Final) + "\n")
			if r.Diagnostic != "" {
				by := ""
				if r.RemoteMTA != "" {
					by = oneLine(r.RemoteMTA) + " said: "
				}
				b.WriteString("    " + by + oneLine(r.Diagnostic) + "\n")
			}
			if r.Action == ActionDelayed && !r.RetryUntil.IsZero() {
				b.WriteString("    It will be tried until " + r.RetryUntil.Format(dateLayout) + ".\n")
			}
		}
	}
	return b.String()
}
