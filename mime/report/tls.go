package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gomailroom/mailroom/mime"
)

// A TLS report says how the sessions of a day went in which an organization sent mail to a domain (RFC 8460 s4.4).
type TLS struct {
	OrganizationName string
	ContactInfo      string
	ReportID         string
	Start, End       time.Time
	Policies         []TLSPolicy
}

// A TLSPolicy is what a domain asked for, and how it went.
type TLSPolicy struct {
	Type      string   // tlsa, sts, no-policy-found
	Policy    []string // the policy as found, line by line
	Domain    string
	MXHosts   []string
	Succeeded int64 // sessions
	Failed    int64
	Failures  []TLSFailure
}

// A TLSFailure is one way in which sessions failed (RFC 8460 s4.3).
type TLSFailure struct {
	ResultType            string // starttls-not-supported, certificate-expired, ...
	SendingMTAIP          string
	ReceivingMXHostname   string
	ReceivingMXHelo       string
	ReceivingIP           string
	Sessions              int64
	AdditionalInformation string
	FailureReasonCode     string
}

// ParseTLS reads the TLS report that is attached to a message, or returns [ErrNone].
func ParseTLS(m *mime.Message) (*TLS, error) {
	failed := ErrNone
	for b, err := range attached(m, ".json", "application/tlsrpt+json", "application/tlsrpt+gzip", "application/tlsrpt", "application/json") {
		if err == nil {
			var r *TLS
			if r, err = decodeTLS(b); err == nil {
				return r, nil
			}
		}
		if !errors.Is(err, ErrNone) && isTLS(m) { // an archive of another kind is no mistake
			failed = err
		}
	}
	return nil, failed
}

// isTLS reports whether the header says that the message is a TLS report (RFC 8460 s5.3).
func isTLS(m *mime.Message) bool {
	h := m.Header()
	return h.Has("TLS-Report-Domain") || h.ContentType().Params.Get("report-type") == "tlsrpt"
}

// ReadTLS reads a TLS report as it is posted (RFC 8460 s5.4): JSON, or in gzip.
func ReadTLS(r io.Reader) (*TLS, error) {
	b, err := unpack(r)
	if err != nil {
		return nil, err
	}
	return decodeTLS(b)
}

// tlsJSON is the document. Lists take one string for a list of one, which older drafts had.
type tlsJSON struct {
	OrganizationName string `json:"organization-name"`
	DateRange        struct {
		Start string `json:"start-datetime"`
		End   string `json:"end-datetime"`
	} `json:"date-range"`
	ContactInfo string             `json:"contact-info"`
	ReportID    string             `json:"report-id"`
	Policies    list[tlsPolicyRow] `json:"policies"`
}

type tlsPolicyRow struct {
	Policy struct {
		Type   string       `json:"policy-type"`
		String list[string] `json:"policy-string"`
		Domain string       `json:"policy-domain"`
		MXHost list[string] `json:"mx-host"`
	} `json:"policy"`
	Summary struct {
		Succeeded int64 `json:"total-successful-session-count"`
		Failed    int64 `json:"total-failure-session-count"`
	} `json:"summary"`
	Failures list[tlsFailureRow] `json:"failure-details"`
}

type tlsFailureRow struct {
	ResultType  string `json:"result-type"`
	SendingIP   string `json:"sending-mta-ip"`
	MXHostname  string `json:"receiving-mx-hostname"`
	MXHelo      string `json:"receiving-mx-helo"`
	ReceivingIP string `json:"receiving-ip"`
	Sessions    int64  `json:"failed-session-count"`
	Additional  string `json:"additional-information"`
	ReasonCode  string `json:"failure-reason-code"`
}

// list is a JSON array, or one value for an array of one. What is empty is left out, so that no document becomes much larger in memory than it is.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		b = append(append([]byte{'['}, b...), ']')
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		if len(raw) < len(`{"a":1}`) && raw[0] != '"' || string(raw) == `""` {
			continue
		}
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		*l = append(*l, v)
	}
	return nil
}

func decodeTLS(b []byte) (*TLS, error) {
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '{' {
		return nil, ErrNone
	}
	var doc tlsJSON
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("report: TLS report: %w", err)
	}
	if doc.Policies == nil && doc.ReportID == "" {
		return nil, ErrNone
	}
	r := &TLS{OrganizationName: doc.OrganizationName, ContactInfo: doc.ContactInfo, ReportID: doc.ReportID,
		Start: readDate(doc.DateRange.Start), End: readDate(doc.DateRange.End)}
	for _, row := range doc.Policies {
		p := TLSPolicy{Type: row.Policy.Type, Policy: row.Policy.String, Domain: row.Policy.Domain, MXHosts: row.Policy.MXHost,
			Succeeded: row.Summary.Succeeded, Failed: row.Summary.Failed}
		for _, f := range row.Failures {
			p.Failures = append(p.Failures, TLSFailure{f.ResultType, f.SendingIP, f.MXHostname, f.MXHelo, f.ReceivingIP, f.Sessions, f.Additional, f.ReasonCode})
		}
		r.Policies = append(r.Policies, p)
	}
	return r, nil
}
