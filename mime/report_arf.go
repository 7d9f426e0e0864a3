package mime

import (
	"net/netip"
	"strconv"
	"time"
)

// An ARF is an abuse report (RFC 5965) that a mailbox provider sends to where a message came from.
type ARF struct {
	From, To  Address
	Subject   string // default: "Abuse report"
	Date      time.Time
	MessageID string
	Text      string // what people read

	FeedbackType string // abuse (default), fraud, virus, not-spam, auth-failure, other
	UserAgent    string // required: the program that reports

	EnvelopeID            string
	OriginalMailFrom      string
	OriginalRcptTo        []string
	Arrived               time.Time
	ReportingMTA          string
	SourceIP              netip.Addr
	Incidents             int
	AuthenticationResults []string
	ReportedDomains       []string
	ReportedURIs          []string

	Original    Content // required: the message reported
	HeadersOnly bool
}

// Compose makes the report for a 7-bit way.
func (a ARF) Compose() (*Composed, error) { return a.ComposeFor(Capabilities{}) }

// ComposeFor makes the report for a way that can carry more.
func (a ARF) ComposeFor(caps Capabilities) (*Composed, error) {
	if a.Original == nil {
		return nil, &FieldError{"Original", "is missing"} // RFC 5965 s2
	}
	if a.UserAgent == "" {
		return nil, &FieldError{"UserAgent", "is empty"} // RFC 5965 s3.1
	}
	kind := a.FeedbackType
	if kind == "" {
		kind = "abuse"
	}
	if !isToken(kind) {
		return nil, &FieldError{"FeedbackType", "is not a token: " + kind}
	}
	w := reportWriter{}
	w.field("Feedback-Type", kind)
	w.field("User-Agent", a.UserAgent)
	w.field("Version", "1")
	w.field("Original-Envelope-Id", a.EnvelopeID)
	if a.OriginalMailFrom != "" {
		w.field("Original-Mail-From", "<"+a.OriginalMailFrom+">")
	}
	for _, rcpt := range a.OriginalRcptTo {
		w.field("Original-Rcpt-To", "<"+rcpt+">")
	}
	w.date("Arrival-Date", a.Arrived)
	w.typed("Reporting-MTA", "dns", a.ReportingMTA)
	if a.SourceIP.IsValid() {
		w.field("Source-IP", a.SourceIP.Unmap().String())
	}
	if a.Incidents > 0 {
		w.field("Incidents", strconv.Itoa(a.Incidents))
	}
	for _, result := range a.AuthenticationResults {
		w.field("Authentication-Results", result)
	}
	for _, domain := range a.ReportedDomains {
		w.field("Reported-Domain", domain)
	}
	for _, uri := range a.ReportedURIs {
		w.field("Reported-URI", uri)
	}
	n := notice{
		from: a.From, to: a.To, subject: a.Subject, id: a.MessageID, date: a.Date, autoSubmitted: "auto-generated",
		reportType: "feedback-report", text: a.Text, machineType: "message/feedback-report", machine: w.buf,
		original: a.Original, headersOnly: a.HeadersOnly,
	}
	if n.subject == "" {
		n.subject = "Abuse report"
	}
	if n.text == "" {
		n.text = "This is a report about a message that came from your system. It is attached.\n"
	}
	return n.compose(caps)
}
