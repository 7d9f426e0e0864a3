package report

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// ParseARF reads an abuse report, or returns [ErrNone].
func ParseARF(m *mime.Message) (*ARF, error) {
	p, err := cut(m, "message/feedback-report")
	if err != nil {
		return nil, err
	}
	l := readLetter(m)
	a := &ARF{
		From: l.from, To: l.to, Subject: l.subject, Date: l.date, MessageID: l.id, Text: p.text,
		Original: p.original, OriginalUTF8: p.utf8, HeadersOnly: p.headersOnly,
	}
	var failure AuthFailure
	groups(p.machine, func(h mime.Header) bool {
		for f := range h.Fields() {
			a.read(strings.ToLower(f.Name()), f.Value(), &failure)
		}
		return true
	})
	if failure != (AuthFailure{}) {
		a.Failure = &failure
	}
	return a, nil
}

func (a *ARF) read(name, v string, failure *AuthFailure) {
	switch name {
	case "feedback-type":
		a.FeedbackType = strings.ToLower(v)
	case "user-agent":
		a.UserAgent = v
	case "original-envelope-id":
		a.EnvelopeID = v
	case "original-mail-from":
		a.OriginalMailFrom = bare(v)
	case "original-rcpt-to":
		a.OriginalRcptTo = append(a.OriginalRcptTo, bare(v))
	case "arrival-date", "received-date": // RFC 5965 s3.2
		a.Arrived = readDate(v)
	case "reporting-mta":
		_, a.ReportingMTA = typed(v)
	case "source-ip":
		v, _, _ = strings.Cut(v, " ") // "192.0.2.1 (host.example)"
		if ip, err := netip.ParseAddr(v); err == nil {
			a.SourceIP = ip
		}
	case "source-port":
		if n, err := strconv.ParseUint(v, 10, 16); err == nil {
			a.SourcePort = uint16(n)
		}
	case "incidents":
		if n, err := strconv.ParseUint(v, 10, 31); err == nil {
			a.Incidents = int(n)
		}
	case "authentication-results":
		a.AuthenticationResults = append(a.AuthenticationResults, v)
	case "reported-domain":
		a.ReportedDomains = append(a.ReportedDomains, v)
	case "reported-uri":
		a.ReportedURIs = append(a.ReportedURIs, v)
	}
	for _, f := range failure.pairs() {
		if strings.EqualFold(f.name, name) {
			*f.value = v
			if name == "dkim-canonicalized-header" || name == "dkim-canonicalized-body" {
				*f.value = strings.Join(strings.Fields(v), "")
			}
		}
	}
}
