package report

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/gomailroom/mailroom/mime"
)

// An ARF is an abuse report (RFC 5965) that a mailbox provider sends to where a message came from, or of an authentication that failed (RFC 6591) to the
// owner of a domain.
type ARF struct {
	From, To  mime.Address
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
	SourcePort            uint16 // RFC 6692
	Incidents             int    // 0 is 1
	AuthenticationResults []string
	ReportedDomains       []string
	ReportedURIs          []string

	Failure *AuthFailure // of an auth-failure report

	Original     mime.Content // required: the message reported
	OriginalUTF8 bool         // Original has UTF-8 in its header
	HeadersOnly  bool
}

// An AuthFailure is what an ARF says of an authentication that failed (RFC 6591 s3.2, RFC 9991).
type AuthFailure struct {
	Kind              string // required: adsp, bodyhash, revoked, signature, spf, dmarc
	DeliveryResult    string // delivered, spam, policy, reject, other
	IdentityAlignment string // of DMARC: none, or spf, dkim or both with a comma between

	DKIMDomain, DKIMIdentity, DKIMSelector string
	DKIMCanonicalizedHeader                string // base64
	DKIMCanonicalizedBody                  string // base64
	DKIMSelectorDNS, DKIMADSPDNS           string // records as found
	SPFDNS                                 string
}

// Compose makes the report for a 7-bit way.
func (a ARF) Compose() (*mime.Composed, error) { return a.ComposeFor(mime.Capabilities{}) }

// ComposeFor makes the report for a way that can carry more.
func (a ARF) ComposeFor(caps mime.Capabilities) (*mime.Composed, error) {
	if a.Original == nil {
		return nil, &mime.FieldError{Field: "Original", Reason: "is missing"} // RFC 5965 s2
	}
	if a.UserAgent == "" {
		return nil, &mime.FieldError{Field: "UserAgent", Reason: "is empty"} // RFC 5965 s3.1
	}
	if a.FeedbackType == "" {
		a.FeedbackType = "abuse"
	}
	if !isToken(a.FeedbackType) {
		return nil, &mime.FieldError{Field: "FeedbackType", Reason: "is not a token: " + a.FeedbackType}
	}
	if (a.Failure != nil) != (a.FeedbackType == "auth-failure") || a.Failure != nil && a.Failure.Kind == "" {
		return nil, &mime.FieldError{Field: "Failure", Reason: "is of auth-failure reports, and needs a Kind"} // RFC 6591 s3.1
	}
	n := mime.Report{
		From: a.From, To: a.To, Subject: a.Subject, MessageID: a.MessageID, Date: a.Date, AutoSubmitted: "auto-generated",
		Type: "feedback-report", Text: a.Text, MachineType: "message/feedback-report", Machine: a.fields(),
		Original: a.Original, OriginalUTF8: a.OriginalUTF8, HeadersOnly: a.HeadersOnly,
	}
	if n.Subject == "" {
		n.Subject = "Abuse report"
	}
	if n.Text == "" {
		n.Text = "This is a report about a message that came from your system. It is attached.\n"
	}
	return n.ComposeFor(caps)
}

func (a *ARF) fields() []byte {
	w := writer{}
	w.field("Feedback-Type", a.FeedbackType)
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
	if a.SourcePort > 0 {
		w.field("Source-Port", strconv.Itoa(int(a.SourcePort)))
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
	if a.Failure != nil {
		for _, f := range a.Failure.pairs() {
			w.field(f.name, *f.value)
		}
	}
	return w.buf
}

type pair struct {
	name  string
	value *string
}

// pairs are the fields of an AuthFailure.
func (f *AuthFailure) pairs() []pair {
	return []pair{
		{"Auth-Failure", &f.Kind}, {"Delivery-Result", &f.DeliveryResult}, {"Identity-Alignment", &f.IdentityAlignment}, {"DKIM-Domain", &f.DKIMDomain},
		{"DKIM-Identity", &f.DKIMIdentity}, {"DKIM-Selector", &f.DKIMSelector}, {"DKIM-Canonicalized-Header", &f.DKIMCanonicalizedHeader},
		{"DKIM-Canonicalized-Body", &f.DKIMCanonicalizedBody}, {"DKIM-Selector-DNS", &f.DKIMSelectorDNS}, {"DKIM-ADSP-DNS", &f.DKIMADSPDNS}, {"SPF-DNS", &f.SPFDNS},
	}
}
