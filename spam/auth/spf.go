package auth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/gomailroom/mailroom/spam"
)

// Limits of RFC 7208 s4.6.4. They count for a whole evaluation, with all that it includes.
const (
	maxLookups = 10 // terms that ask DNS: include, a, mx, ptr, exists, redirect
	maxVoid    = 2  // lookups that find nothing
	maxNames   = 10 // hosts of one mx or ptr term
)

// SPFQuery is what SPF looks at.
type SPFQuery struct {
	Remote   netip.Addr
	Hello    string // the argument of EHLO
	From     string // the reverse-path without brackets; empty for <>, for which postmaster at Hello stands (RFC 7208 s2.4)
	Hostname string // of the receiving server, for explanations
}

// SPF evaluates the policy of a sender's domain (RFC 7208 s4). It asks at most 10 terms' worth of DNS lookups.
func SPF(ctx context.Context, r spam.Resolver, q SPFQuery) spam.SPFResult {
	from := q.From
	if from == "" {
		from = "@" + q.Hello
	}
	at := strings.LastIndexByte(from, '@')
	e := &evaluation{ctx: ctx, resolver: r, query: q, ip: q.Remote.Unmap().WithZone(""), local: "postmaster", sender: from[at+1:]}
	if at > 0 {
		e.local = from[:at]
	}
	e.sender = strings.TrimSuffix(e.sender, ".")
	result, domain, record := e.checkHost(e.sender)
	out := spam.SPFResult{Result: result, Domain: e.sender, Mechanism: e.matched, Err: e.err}
	if result == spam.AuthFail && record != nil && record.exp != "" {
		out.Explanation = e.explanation(record.exp, domain)
	}
	return out
}

// evaluation is the state of one check.
type evaluation struct {
	ctx           context.Context
	resolver      spam.Resolver
	query         SPFQuery
	ip            netip.Addr
	local, sender string
	lookups, void int
	matched       string
	err           error
	validated     string // cache of the p macro
}

// A spfError ends an evaluation with a result.
type spfError struct {
	result spam.AuthResult
	err    error
}

func (e *spfError) Error() string { return e.err.Error() }

func permError(format string, args ...any) error {
	return &spfError{spam.AuthPermError, fmt.Errorf(format, args...)}
}

// checkHost is check_host() of RFC 7208 s4. The record is the one whose exp counts, for the domain given with it.
func (e *evaluation) checkHost(domain string) (spam.AuthResult, string, *spfRecord) {
	result, of, record, err := e.check(domain)
	if s, ok := errors.AsType[*spfError](err); ok {
		e.err = s.err
		return s.result, of, nil
	}
	return result, of, record
}

func (e *evaluation) check(domain string) (spam.AuthResult, string, *spfRecord, error) {
	if !isDomain(domain) {
		return spam.AuthNone, domain, nil, nil // RFC 7208 s4.3
	}
	text, err := e.record(domain)
	if err != nil || text == "" {
		return spam.AuthNone, domain, nil, err
	}
	record, err := parseSPF(text)
	if err != nil {
		return "", domain, nil, permError("record of %s: %w", domain, err)
	}
	for _, t := range record.terms {
		match, err := e.match(t, domain)
		if err != nil {
			return "", domain, nil, err
		}
		if match {
			e.matched = t.text
			return t.result, domain, record, nil
		}
	}
	if record.redirect == "" {
		return spam.AuthNeutral, domain, nil, nil // RFC 7208 s4.7
	}
	if err := e.count("redirect"); err != nil {
		return "", domain, nil, err
	}
	target, err := e.domainSpec(record.redirect, domain)
	if err != nil {
		return "", domain, nil, err
	}
	result, of, r, err := e.check(target)
	if err == nil && result == spam.AuthNone {
		err = permError("redirect to %s, which has no policy", target) // RFC 7208 s6.1
	}
	return result, of, r, err
}

// record gives the one policy of a domain, or "" when it has none (RFC 7208 s4.4, s4.5).
func (e *evaluation) record(domain string) (string, error) {
	texts, err := e.resolver.LookupTXT(e.ctx, domain)
	if err != nil && !notFound(err) {
		return "", &spfError{spam.AuthTempError, err}
	}
	found := ""
	for _, t := range texts {
		version, _, _ := strings.Cut(t, " ")
		if !strings.EqualFold(version, "v=spf1") {
			continue
		}
		if found != "" {
			return "", permError("%s has more than one policy", domain)
		}
		found = t
	}
	return found, nil
}

// match tells whether a mechanism applies.
func (e *evaluation) match(t spfTerm, domain string) (bool, error) {
	switch t.kind {
	case "all":
		return true, nil
	case "ip4", "ip6":
		return t.prefix.Contains(e.ip), nil
	}
	if err := e.count(t.text); err != nil {
		return false, err
	}
	target := domain
	if t.spec != "" {
		var err error
		if target, err = e.domainSpec(t.spec, domain); err != nil {
			return false, err
		}
	}
	switch t.kind {
	case "include":
		return e.include(target)
	case "a":
		addrs, err := e.addrs(target, e.family())
		return e.contains(addrs, t), err
	case "mx":
		return e.mx(target, t)
	case "exists":
		addrs, err := e.addrs(target, "ip4") // RFC 7208 s5.7: always A
		return len(addrs) > 0, err
	default: // ptr
		return e.ptr(target), nil
	}
}

// count keeps the limit of terms that ask DNS.
func (e *evaluation) count(term string) error {
	if e.lookups++; e.lookups > maxLookups {
		return permError("more than %d terms that need DNS, at %q", maxLookups, term)
	}
	return nil
}

func (e *evaluation) include(domain string) (bool, error) {
	matched := e.matched
	result, _, _, err := e.check(domain)
	e.matched = matched
	if err == nil && result == spam.AuthNone {
		err = permError("include of %s, which has no policy", domain) // RFC 7208 s5.2
	}
	return result == spam.AuthPass, err
}

func (e *evaluation) mx(domain string, t spfTerm) (bool, error) {
	hosts, err := e.resolver.LookupMX(e.ctx, domain)
	if err := e.outcome(len(hosts), err); err != nil {
		return false, err
	}
	if len(hosts) > maxNames {
		return false, permError("%s has more than %d MX hosts", domain, maxNames)
	}
	for _, h := range hosts {
		addrs, err := e.addrs(strings.TrimSuffix(h.Host, "."), e.family())
		if err != nil {
			return false, err
		}
		if e.contains(addrs, t) {
			return true, nil
		}
	}
	return false, nil
}

// ptr tells whether one of the client's confirmed names is the domain or below it. Failures are no match (RFC 7208 s5.5).
func (e *evaluation) ptr(domain string) bool {
	for _, name := range e.confirmedNames() {
		if isBelow(name, domain) {
			return true
		}
	}
	return false
}

// confirmedNames gives the names of the client's address that lead back to it.
func (e *evaluation) confirmedNames() []string {
	names, err := e.resolver.LookupAddr(e.ctx, e.ip.String())
	if err != nil {
		return nil
	}
	var confirmed []string
	for _, name := range names[:min(len(names), maxNames)] {
		addrs, err := e.resolver.LookupNetIP(e.ctx, e.family(), name)
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if a.Unmap() == e.ip {
				confirmed = append(confirmed, strings.TrimSuffix(name, "."))
				break
			}
		}
	}
	return confirmed
}

// addrs looks up addresses. A name that cannot exist is one that does not.
func (e *evaluation) addrs(name, family string) ([]netip.Addr, error) {
	if !isName(name) {
		return nil, e.outcome(0, nil)
	}
	addrs, err := e.resolver.LookupNetIP(e.ctx, family, name)
	return addrs, e.outcome(len(addrs), err)
}

// outcome turns the error of a lookup into the result that it means, and keeps the limit of lookups without an answer.
func (e *evaluation) outcome(found int, err error) error {
	if err != nil && !notFound(err) {
		return &spfError{spam.AuthTempError, err}
	}
	if found == 0 {
		if e.void++; e.void > maxVoid {
			return permError("more than %d lookups found nothing", maxVoid)
		}
	}
	return nil
}

func (e *evaluation) family() string {
	if e.ip.Is4() {
		return "ip4"
	}
	return "ip6"
}

func (e *evaluation) contains(addrs []netip.Addr, t spfTerm) bool {
	bits := t.bits4
	if e.ip.Is6() {
		bits = t.bits6
	}
	want, err := e.ip.Prefix(bits)
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if want.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// explanation gives the domain's own words, or "" when they cannot be had (RFC 7208 s6.2).
func (e *evaluation) explanation(spec, domain string) string {
	name, err := e.domainSpec(spec, domain)
	if err != nil {
		return ""
	}
	texts, err := e.resolver.LookupTXT(e.ctx, name)
	if err != nil || len(texts) != 1 || !isPrintable(texts[0]) || checkMacros(texts[0], true) != nil {
		return ""
	}
	return e.expand(texts[0], domain)
}

func notFound(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}

// isBelow tells whether name is domain or a subdomain of it.
func isBelow(name, domain string) bool {
	name, domain = strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(strings.TrimSuffix(domain, "."))
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// isName tells whether DNS can be asked for a name.
func isName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// isDomain tells whether a policy can be asked for: a name with more than one label, and no address literal (RFC 7208 s4.3).
func isDomain(name string) bool {
	return isName(name) && strings.Contains(strings.TrimSuffix(name, "."), ".") && !strings.HasPrefix(name, "[")
}
