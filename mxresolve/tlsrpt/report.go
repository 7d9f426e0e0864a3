package tlsrpt

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	Organization string // the name of who is responsible for the report
	Contact      string // a mail address; its domain is the submitter
}

// A Report is what happened to sessions with one domain on one day, UTC. It is read only.
type Report struct {
	Domain     string    // that mail was for, in A-labels
	ID         string    // the same each time that the report is made, so that who gets it twice can tell
	Sender     Sender    // who reports
	Start, End time.Time // both inside the day
	policies   []jsonPolicy
}

// report makes one, or nil when there is nothing to report.
func (c *Collector) report(k key, s Sender) *Report {
	start, err := time.Parse(dateFormat, k.date)
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.days[k.date]
	if err != nil || d == nil || len(d.domains[k.domain]) == 0 {
		return nil
	}
	id := sha256.Sum256([]byte(d.secret + " " + k.domain))
	return &Report{Domain: k.domain, ID: k.date + "." + hex.EncodeToString(id[:12]), Sender: s,
		Start: start, End: start.Add(day - time.Second), policies: rows(d.domains[k.domain])}
}

// Totals are the numbers of sessions that went well, and of those that did not.
func (r *Report) Totals() (successful, failed int64) {
	for i := range r.policies {
		successful += r.policies[i].Summary.Good
		failed += r.policies[i].Summary.Bad
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

// rows are the policies of a domain as a report tells them, in a steady order: what failed most comes first.
func rows(list []*tally) []jsonPolicy {
	out := make([]jsonPolicy, len(list))
	for i, t := range list {
		p := &out[i]
		p.Policy.Type, p.Policy.Strings, p.Policy.Domain, p.Policy.MX = t.policy.Type, t.policy.Strings, t.policy.Domain, t.policy.MX
		p.Summary.Good, p.Summary.Bad = t.good, t.bad
		for f, n := range t.failures {
			p.Failures = append(p.Failures, jsonFailure{f.result, ipText(f.sending), f.mx, f.helo, ipText(f.receiving), n, f.info, f.reason})
		}
		slices.SortFunc(p.Failures, func(a, b jsonFailure) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
		})
	}
	slices.SortFunc(out, func(a, b jsonPolicy) int {
		return cmp.Or(cmp.Compare(b.Policy.Type, a.Policy.Type), slices.Compare(a.Policy.Strings, b.Policy.Strings))
	})
	return out
}

// tally is what a row was made of.
func (p *jsonPolicy) tally() (*tally, error) {
	t := &tally{policy: Policy{p.Policy.Type, p.Policy.Domain, p.Policy.Strings, p.Policy.MX},
		good: p.Summary.Good, bad: p.Summary.Bad, failures: map[failure]int64{}}
	for _, f := range p.Failures {
		sending, err := ipOf(f.SendingIP)
		receiving, err2 := ipOf(f.ReceivingIP)
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		t.failures[failure{f.Result, f.MX, f.Helo, f.Info, f.Reason, sending, receiving}] += f.Count
	}
	return t, nil
}

// JSON is the report as RFC 8460 s4.4 has it.
func (r *Report) JSON() ([]byte, error) {
	out := jsonReport{Organization: r.Sender.Organization, Contact: r.Sender.Contact, ID: r.ID, Policies: r.policies,
		DateRange: jsonRange{r.Start.Format(time.RFC3339), r.End.Format(time.RFC3339)}}
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

func ipOf(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(text)
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
