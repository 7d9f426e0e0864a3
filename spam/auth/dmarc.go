package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gomailroom/mailroom/spam"
	"golang.org/x/net/idna"
)

// maxWalk is how many queries a tree walk may take (RFC 9989 s4.10).
const maxWalk = 8

// DMARC judges whether the author domain of a message is authenticated, by what SPF and DKIM found (RFC 9989). The policy that it gives is the one that the domain asks for if the result is fail,
// one step milder where its record says t=y.
func DMARC(ctx context.Context, r spam.Resolver, author string, spf spam.SPFResult, dkim []spam.DKIMResult) spam.DMARCResult {
	d := &dmarc{ctx: ctx, resolver: r, records: map[string]*dmarcRecord{}}
	out := spam.DMARCResult{Domain: normal(author)}
	record, at, err := d.policy(out.Domain)
	switch {
	case err != nil:
		out.Result, out.Err = spam.AuthTempError, err
		return out
	case record == nil:
		out.Result = spam.AuthNone
		return out
	}
	out.Found = at
	out.Policy = d.requested(record, out.Domain, at)
	if record.test {
		out.Policy = map[string]string{"reject": "quarantine", "quarantine": "none", "none": "none"}[out.Policy]
	}
	out.Result = spam.AuthFail
	temporary := spf.Result == spam.AuthTempError
	if spf.Result == spam.AuthPass && d.aligned(out.Domain, spf.Domain, record.strictSPF) {
		out.Result, out.By = spam.AuthPass, "spf"
	}
	for _, s := range dkim {
		temporary = temporary || s.Result == spam.AuthTempError
		if s.Result == spam.AuthPass && d.aligned(out.Domain, s.Domain, record.strictDKIM) {
			out.Result, out.By = spam.AuthPass, "dkim"
		}
	}
	if d.err != nil {
		temporary = true
	}
	if out.Result == spam.AuthFail && temporary {
		// What could not be looked up may have passed: no policy is applied on half an answer (RFC 9989 s5.3.5).
		out.Result, out.Err = spam.AuthTempError, d.err
	}
	return out
}

type dmarc struct {
	ctx      context.Context
	resolver spam.Resolver
	records  map[string]*dmarcRecord // by domain; nil: none
	err      error                   // the last failed lookup
}

// dmarcRecord is a policy record (RFC 9989 s4.7).
type dmarcRecord struct {
	p, sp, np             string
	psd                   string
	strictDKIM, strictSPF bool
	test                  bool
}

// policy finds the record that applies to an author domain, and where it stands (RFC 9989 s4.10.1).
func (d *dmarc) policy(author string) (*dmarcRecord, string, error) {
	if !isName(author) {
		return nil, "", nil
	}
	record, err := d.record(author)
	if record != nil || err != nil {
		return record, author, err
	}
	organization, suffix, err := d.organization(author)
	if err != nil {
		return nil, "", err
	}
	for _, at := range []string{organization, suffix} {
		if at == "" {
			continue
		}
		if record, err := d.record(at); record != nil || err != nil {
			return record, at, err
		}
	}
	return nil, "", nil
}

// organization walks the tree to a domain's organizational domain and, where one is declared, the public suffix above it (RFC 9989 s4.10.2).
func (d *dmarc) organization(start string) (organization, suffix string, err error) {
	organization = start
	below := ""
	for _, domain := range walk(start) {
		record, err := d.record(domain)
		if err != nil {
			return "", "", err
		}
		if record != nil {
			switch {
			case record.psd == "n":
				return domain, "", nil
			case record.psd == "y" && domain != start:
				return below, domain, nil
			}
			organization = domain // the one with the fewest labels counts
		}
		below = domain
	}
	return organization, "", nil
}

// walk gives the names to ask, the longest first: at most eight.
func walk(domain string) []string {
	labels := strings.Split(domain, ".")
	names := []string{domain}
	from := 1
	if len(labels) >= maxWalk {
		from = len(labels) - (maxWalk - 1)
	}
	for ; from < len(labels); from++ {
		names = append(names, strings.Join(labels[from:], "."))
	}
	return names
}

// record gives a domain's own record, or nil.
func (d *dmarc) record(domain string) (*dmarcRecord, error) {
	if r, ok := d.records[domain]; ok {
		return r, nil
	}
	texts, err := d.resolver.LookupTXT(d.ctx, "_dmarc."+domain)
	if err != nil && !notFound(err) {
		d.err = err
		return nil, err
	}
	texts = slices.DeleteFunc(slices.Clone(texts), func(t string) bool { return !isDMARC(t) })
	var r *dmarcRecord
	if len(texts) == 1 { // several are as good as none
		r = parseDMARC(texts[0])
	}
	d.records[domain] = r
	return r, nil
}

// isDMARC tells whether a text is a record of this version: v=DMARC1 stands first.
func isDMARC(text string) bool {
	version, _, _ := strings.Cut(text, ";")
	name, value, ok := strings.Cut(version, "=")
	return ok && strings.TrimSpace(name) == "v" && strings.TrimSpace(value) == "DMARC1"
}

// parseDMARC gives nil for a record that must not be applied: it has no valid policy and asks for no reports (RFC 9989 s4.10.1).
func parseDMARC(text string) *dmarcRecord {
	r := &dmarcRecord{psd: "u"}
	valid, reports := true, false
	policy := func(value string) string {
		switch value {
		case "none", "quarantine", "reject":
			return value
		}
		valid = false
		return ""
	}
	for tag := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(tag, "=")
		value = strings.TrimSpace(value)
		switch lower := strings.ToLower(value); strings.TrimSpace(name) {
		case "p":
			r.p = policy(lower)
		case "sp":
			r.sp = policy(lower)
		case "np":
			r.np = policy(lower)
		case "psd":
			r.psd = lower
		case "t":
			r.test = lower == "y"
		case "adkim":
			r.strictDKIM = lower == "s"
		case "aspf":
			r.strictSPF = lower == "s"
		case "rua":
			reports = strings.Contains(value, ":")
		}
	}
	if r.p != "" && valid {
		return r
	}
	if !reports {
		return nil
	}
	r.p, r.sp, r.np = "none", "", ""
	return r
}

// requested gives the policy for a failing message: p for the domain itself, sp or np for those below it.
func (d *dmarc) requested(r *dmarcRecord, author, at string) string {
	switch {
	case author == at:
		return r.p
	case r.np != "" && !d.exists(author):
		return r.np
	case r.sp != "":
		return r.sp
	}
	return r.p
}

// exists tells whether a domain has anything that mail needs (RFC 9989 s3.2.13). In doubt it does.
func (d *dmarc) exists(domain string) bool {
	if _, err := d.resolver.LookupNetIP(d.ctx, "ip", domain); err == nil || !notFound(err) {
		return true
	}
	_, err := d.resolver.LookupMX(d.ctx, domain)
	return err == nil || !notFound(err)
}

// aligned tells whether an authenticated domain stands for the author domain.
func (d *dmarc) aligned(author, other string, strict bool) bool {
	other = normal(other)
	if author == other {
		return true
	}
	if strict || !isName(other) {
		return false
	}
	a, _, err := d.organization(author)
	if err != nil {
		return false
	}
	b, _, err := d.organization(other)
	return err == nil && a == b
}

// normal gives a domain in the form that is compared: lower case, A-labels.
func normal(domain string) string {
	domain = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(domain), "."))
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		return ascii
	}
	return domain
}

// describe gives what a policy asks for, in words.
func describe(r spam.DMARCResult) string {
	return fmt.Sprintf("%s asks for %s", r.Found, r.Policy)
}
