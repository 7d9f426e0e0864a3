package main

import (
	"encoding/json"
	"io"
	"net/netip"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/tlsrpt"
)

type jsonHost struct {
	Name       string       `json:"name"`
	Preference uint16       `json:"preference"`
	Canonical  string       `json:"canonical,omitempty"`
	Addrs      []netip.Addr `json:"addresses,omitempty"`
	Secure     bool         `json:"secure,omitempty"`
	TLS        string       `json:"tls,omitempty"`
	Mandatory  bool         `json:"tls_mandatory,omitempty"`
	ServerName string       `json:"tls_server_name,omitempty"`
	TLSA       []string     `json:"tlsa,omitempty"`
	Reason     string       `json:"reason,omitempty"`
	Error      string       `json:"error,omitempty"`
}

type jsonError struct {
	Kind      string `json:"kind"`
	Code      int    `json:"code"`
	Enhanced  string `json:"enhanced"`
	Temporary bool   `json:"temporary"`
	Detail    string `json:"detail,omitempty"`
	Extended  string `json:"extended,omitempty"`
	Advice    string `json:"advice"`
}

type jsonPolicy struct {
	ID      string    `json:"id"`
	Mode    string    `json:"mode"`
	MX      []string  `json:"mx"`
	MaxAge  int       `json:"max_age"`
	Fetched time.Time `json:"fetched"`
	Expires time.Time `json:"expires"`
}

type jsonFailure struct {
	Result tlsrpt.Result     `json:"result"`
	Policy tlsrpt.PolicyType `json:"policy"`
	MX     string            `json:"mx,omitempty"`
	Reason string            `json:"reason,omitempty"`
}

type jsonUpstream struct {
	Addr      string `json:"address"`
	Answers   bool   `json:"answers"`
	Validates bool   `json:"validates"`
	Trusted   bool   `json:"trusted"`
	Text      string `json:"text"`
}

type jsonPlan struct {
	Domain    string         `json:"domain"`
	ASCII     string         `json:"ascii,omitempty"`
	Canonical string         `json:"canonical,omitempty"`
	Literal   bool           `json:"literal,omitempty"`
	Implicit  bool           `json:"implicit,omitempty"`
	Secure    bool           `json:"secure"`
	Insecure  string         `json:"insecure,omitempty"`
	Upstreams []jsonUpstream `json:"name_servers,omitempty"`
	Expires   *time.Time     `json:"expires,omitempty"`
	Policy    *jsonPolicy    `json:"mta_sts,omitempty"`
	Hosts     []jsonHost     `json:"hosts"`
	Skipped   []jsonHost     `json:"skipped,omitempty"`
	Failures  []jsonFailure  `json:"tls_failures,omitempty"`
	Reports   []string       `json:"tls_reports,omitempty"`
	Error     *jsonError     `json:"error,omitempty"`
}

// printJSON shows a decision to programs.
func printJSON(w io.Writer, d decision) error {
	out := jsonPlan{Domain: d.domain, Hosts: []jsonHost{}, Reports: d.reports}
	var skipped []mxresolve.SkippedHost
	var failures []tlsrpt.Outcome
	if e := d.err; e != nil {
		out.Error = &jsonError{e.Kind.String(), e.Code, e.Enhanced, e.Temporary, e.Detail, e.Extended, advice(e)}
		skipped, failures = e.Skipped, e.Failures
	} else {
		out.fill(d.plan)
		skipped, failures = d.plan.Skipped, d.plan.Failures
	}
	for _, u := range d.upstreams {
		_, text := u.DNSSEC()
		out.Upstreams = append(out.Upstreams, jsonUpstream{u.Addr, u.Answers, u.Validates, u.Trusted, text})
	}
	for _, h := range skipped {
		out.Skipped = append(out.Skipped, jsonHost{Name: h.Name, Preference: h.Preference, Addrs: h.Addrs,
			Reason: h.Reason.String(), Error: errorText(h.Err)})
	}
	for _, f := range failures {
		out.Failures = append(out.Failures, jsonFailure{f.Result, f.Policy.Type, f.MX, f.Reason})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (out *jsonPlan) fill(p *mxresolve.Plan) {
	out.ASCII, out.Canonical, out.Literal, out.Implicit, out.Secure = p.ASCII, p.Canonical, p.Literal, p.Implicit, p.Secure
	if !p.Secure && !p.Literal {
		out.Insecure = p.Insecure.String()
	}
	if !p.Expires.IsZero() {
		out.Expires = &p.Expires
	}
	if s := p.Policy; s != nil {
		out.Policy = &jsonPolicy{s.ID, s.Mode, s.MX, int(s.MaxAge.Seconds()), s.Fetched, s.Expires}
	}
	for _, h := range p.Hosts {
		config, mandatory := h.TLS.Config(nil)
		out.Hosts = append(out.Hosts, jsonHost{Name: h.Name, Preference: h.Preference, Canonical: h.Canonical,
			Addrs: h.Addrs, Secure: h.Secure, TLS: h.TLS.String(), Mandatory: mandatory, ServerName: config.ServerName,
			TLSA: h.TLS.TLSA(), Error: errorText(h.Partial)})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
