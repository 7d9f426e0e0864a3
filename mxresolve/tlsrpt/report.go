package tlsrpt

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Media types of reports (RFC 8460 s6).
const (
	TypeJSON = "application/tlsrpt+json"
	TypeGzip = "application/tlsrpt+gzip"
)

// A Sender is who reports.
type Sender struct {
	Organization string
	Contact      string // a mail address; its domain is the submitter
}

// A Report is what happened to sessions with one domain on one day, UTC. It is read only.
type Report struct {
	Domain     string
	ID         string
	Sender     Sender
	Start, End time.Time // both inside the day
	policies   []*tally
}

// Take hands out reports about all days that ended before now, and forgets them. Those of a domain follow each other by day.
func (c *Collector) Take(now time.Time, s Sender) []*Report {
	today := now.Unix() / secondsOfDay
	var out []*Report
	c.mu.Lock()
	for day, domains := range c.days {
		if day >= today {
			continue
		}
		delete(c.days, day)
		start := time.Unix(day*secondsOfDay, 0).UTC()
		for domain, policies := range domains {
			r := &Report{Domain: domain, Sender: s, Start: start, End: start.Add(secondsOfDay*time.Second - time.Second)}
			for _, t := range policies {
				r.policies = append(r.policies, t)
			}
			out = append(out, r)
		}
	}
	c.mu.Unlock()
	slices.SortFunc(out, func(a, b *Report) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), a.Start.Compare(b.Start))
	})
	for _, r := range out {
		r.ID = r.Start.Format("2006-01-02") + "." + strings.ToLower(rand.Text())
		slices.SortFunc(r.policies, func(a, b *tally) int {
			return cmp.Or(cmp.Compare(b.policy.Type, a.policy.Type), slices.Compare(a.policy.Strings, b.policy.Strings))
		})
	}
	return out
}

// Totals are the numbers of sessions that went well, and of those that did not.
func (r *Report) Totals() (successful, failed int64) {
	for _, t := range r.policies {
		successful += t.good
		failed += t.bad
	}
	return successful, failed
}

type jsonReport struct {
	Organization string       `json:"organization-name"`
	DateRange    jsonRange    `json:"date-range"`
	Contact      string       `json:"contact-info"`
	ID           string       `json:"report-id"`
	Policies     []jsonPolicy `json:"policies"`
}

type jsonRange struct {
	Start string `json:"start-datetime"`
	End   string `json:"end-datetime"`
}

type jsonPolicy struct {
	Policy struct {
		Type    PolicyType `json:"policy-type"`
		Strings []string   `json:"policy-string,omitempty"`
		Domain  string     `json:"policy-domain"`
		MX      []string   `json:"mx-host,omitempty"`
	} `json:"policy"`
	Summary struct {
		Good int64 `json:"total-successful-session-count"`
		Bad  int64 `json:"total-failure-session-count"`
	} `json:"summary"`
	Failures []jsonFailure `json:"failure-details,omitempty"`
}

type jsonFailure struct {
	Result      Result `json:"result-type"`
	SendingIP   string `json:"sending-mta-ip,omitempty"`
	MX          string `json:"receiving-mx-hostname,omitempty"`
	Helo        string `json:"receiving-mx-helo,omitempty"`
	ReceivingIP string `json:"receiving-ip,omitempty"`
	Count       int64  `json:"failed-session-count"`
	Info        string `json:"additional-information,omitempty"`
	Reason      string `json:"failure-reason-code,omitempty"`
}

// JSON is the report as RFC 8460 s4.4 has it.
func (r *Report) JSON() ([]byte, error) {
	out := jsonReport{Organization: r.Sender.Organization, Contact: r.Sender.Contact, ID: r.ID, Policies: []jsonPolicy{},
		DateRange: jsonRange{r.Start.Format(time.RFC3339), r.End.Format(time.RFC3339)}}
	for _, t := range r.policies {
		var p jsonPolicy
		p.Policy.Type, p.Policy.Strings, p.Policy.Domain, p.Policy.MX = t.policy.Type, t.policy.Strings, t.policy.Domain, t.policy.MX
		p.Summary.Good, p.Summary.Bad = t.good, t.bad
		for f, n := range t.failures {
			p.Failures = append(p.Failures, jsonFailure{f.result, ipText(f.sending), f.mx, f.helo, ipText(f.receiving), n, f.info, f.reason})
		}
		slices.SortFunc(p.Failures, func(a, b jsonFailure) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
		})
		out.Policies = append(out.Policies, p)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(out)
	return b.Bytes(), err
}

func ipText(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}

// Gzip is the report compressed, which is how it should travel (RFC 8460 s5.2).
func (r *Report) Gzip() ([]byte, error) {
	plain, err := r.JSON()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(plain)
	err = w.Close()
	return b.Bytes(), err
}

// submitter is the domain of the contact's address.
func (r *Report) submitter() string {
	return r.Sender.Contact[strings.LastIndexByte(r.Sender.Contact, '@')+1:]
}

// Filename is the name of the compressed report: sender!domain!begin!end!id.json.gz (RFC 8460 s5.1).
func (r *Report) Filename() string {
	_, id, _ := strings.Cut(r.ID, ".")
	return fmt.Sprintf("%s!%s!%d!%d!%s.json.gz", r.submitter(), r.Domain, r.Start.Unix(), r.End.Unix(), id)
}

// Subject is the subject of a mail with the report (RFC 8460 s5.3).
func (r *Report) Subject() string {
	return fmt.Sprintf("Report Domain: %s Submitter: %s Report-ID: <%s@%s>", r.Domain, r.submitter(), r.ID, r.submitter())
}

// Header has the two fields, in order, that such a mail must have beside the subject (RFC 8460 s5.3).
func (r *Report) Header() [2][2]string {
	return [2][2]string{{"TLS-Report-Domain", r.Domain}, {"TLS-Report-Submitter", r.submitter()}}
}
