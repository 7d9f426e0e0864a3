package mxresolve

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

// The modes of an MTA-STS policy (RFC 8461 s5).
const (
	STSEnforce = "enforce" // only to hosts in the policy, and only with verified TLS
	STSTesting = "testing" // failures are reported, mail is sent nevertheless
	STSNone    = "none"    // as if there were no policy
)

// maxSTSAge is one year (RFC 8461 s3.2).
const maxSTSAge = 31557600

// STSPolicy is an MTA-STS policy (RFC 8461 s3.2). It is read only.
type STSPolicy struct {
	Domain  string        // in lower-case A-labels
	ID      string        // from the TXT record when it was fetched
	Mode    string        // STSEnforce, STSTesting or STSNone
	MX      []string      // patterns in lower case: a name, or *. before one; see Matches
	MaxAge  time.Duration // at most one year, whatever the policy says
	Text    string        // as the policy host sent it
	Fetched time.Time
	Expires time.Time // Fetched and MaxAge
}

// ParseSTSPolicy reads the text of a policy. Domain, ID, Fetched and Expires are left empty.
func ParseSTSPolicy(text string) (*STSPolicy, error) {
	p := &STSPolicy{Text: text}
	seen := map[string]bool{}
	version := ""
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || key == "" || strings.ContainsAny(key, " \t") {
			return nil, fmt.Errorf("line %d is not of the form key: value", n+1)
		}
		if key != "mx" && seen[key] { // all entries except for the first SHALL be ignored
			continue
		}
		seen[key] = true
		value = strings.TrimLeft(value, " \t")
		switch key {
		case "version":
			version = value
		case "mode":
			p.Mode = value
		case "mx":
			pattern := lower(value)
			if checkName(strings.TrimPrefix(pattern, "*.")) != "" {
				return nil, fmt.Errorf("mx %q is not a domain name in A-labels or *. before one", value)
			}
			p.MX = append(p.MX, pattern)
		case "max_age":
			age, err := strconv.ParseUint(value, 10, 64)
			if err != nil || len(value) > 10 {
				return nil, fmt.Errorf("max_age %q is not a number of seconds", value)
			}
			p.MaxAge = time.Duration(min(age, maxSTSAge)) * time.Second
		}
	}
	switch {
	case version != "STSv1":
		return nil, fmt.Errorf("version is %q, not STSv1", version)
	case p.Mode != STSEnforce && p.Mode != STSTesting && p.Mode != STSNone:
		return nil, fmt.Errorf("mode is %q, not enforce, testing or none", p.Mode)
	case !seen["max_age"]:
		return nil, errors.New("max_age is missing")
	case len(p.MX) == 0 && p.Mode != STSNone:
		return nil, errors.New("mx is missing")
	}
	return p, nil
}

// Matches says whether a host is among the MX patterns: a name, or *. for exactly one label (RFC 8461 s4.1). host is in
// lower-case A-labels.
func (p *STSPolicy) Matches(host string) bool {
	for _, pattern := range p.MX {
		if pattern == host {
			return true
		}
		if suffix, ok := strings.CutPrefix(pattern, "*."); ok {
			if label, rest, _ := strings.Cut(host, "."); label != "" && rest == suffix {
				return true
			}
		}
	}
	return false
}

// due says whether it is time for a fresh copy.
func (p *STSPolicy) due(now time.Time) bool {
	return now.Sub(p.Fetched) >= min(stsRefresh, p.MaxAge/2)
}

// maxSTSReport is how many lines and patterns of a policy reports tell. Real ones have ten.
const maxSTSReport = 100

// report is the policy in the terms of TLS reports.
func (p *STSPolicy) report() tlsrpt.Policy {
	r := tlsrpt.Policy{Type: tlsrpt.STS, Domain: p.Domain, MX: p.MX[:min(len(p.MX), maxSTSReport)]}
	for line := range strings.Lines(p.Text) {
		if line = strings.TrimSpace(line); line != "" && len(r.Strings) < maxSTSReport {
			r.Strings = append(r.Strings, strings.ToValidUTF8(line, "?"))
		}
	}
	return r
}

// An stsError is a failure to find a policy.
type stsError struct {
	Result tlsrpt.Result
	text   string
	err    error
}

func (e *stsError) Error() string {
	if e.err == nil {
		return e.text
	}
	return e.text + ": " + e.err.Error()
}

func (e *stsError) Unwrap() error { return e.err }

// stsID reads the id of the policy from the TXT records of _mta-sts and a domain (RFC 8461 s3.1).
func stsID(txt *answer) (string, *stsError) {
	fail := func(text string, err error) (string, *stsError) {
		return "", &stsError{tlsrpt.STSPolicyFetchError, text, err}
	}
	switch txt.outcome {
	case failed:
		return fail("the _mta-sts record cannot be looked up", txt.err)
	case noData, nxDomain:
		return fail("there is no _mta-sts record", nil)
	}
	record := ""
	for _, t := range txt.texts() {
		if version, _, _ := strings.Cut(t, ";"); strings.TrimRight(version, " \t") != "v=STSv1" {
			continue
		}
		if record != "" {
			return fail("there is more than one _mta-sts record", nil)
		}
		record = t
	}
	if record == "" {
		return fail("there is no _mta-sts record", nil)
	}
	id := ""
	for i, f := range strings.Split(record, ";") {
		name, value, ok := strings.Cut(strings.Trim(f, " \t"), "=")
		switch {
		case i == 0 || name == "" && !ok:
		case name == "" || !ok || value == "":
			return "", &stsError{tlsrpt.STSPolicyInvalid, "the _mta-sts record is malformed", nil}
		case name == "id" && id == "":
			id = value
		}
	}
	if len(id) == 0 || len(id) > 32 || strings.Trim(lower(id), "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return "", &stsError{tlsrpt.STSPolicyInvalid, "the id in the _mta-sts record is not 1 to 32 letters and digits", nil}
	}
	return id, nil
}
