package auth

import (
	"context"
	"fmt"
	"strings"

	"github.com/gomailroom/mailroom/mime/dkim"
	"github.com/gomailroom/mailroom/spam"
)

// Checks gives the checks of this package, for spam.Engine.First: SPF when the sender is known, DKIM and DMARC when the
// message is there. They fill in Mail.Authentication. Mail of authenticated users is not looked at.
func Checks(r spam.Resolver) []spam.Check {
	return []spam.Check{spfCheck{r}, dkimCheck{r}, dmarcCheck{r}}
}

type spfCheck struct{ r spam.Resolver }

func (spfCheck) Name() string      { return "spf" }
func (spfCheck) Stage() spam.Stage { return spam.StageSender }
func (c spfCheck) Check(ctx context.Context, m *spam.Mail) ([]spam.Symbol, error) {
	if m.Identity != "" || !m.Remote.IsValid() {
		return nil, nil
	}
	r := SPF(ctx, c.r, SPFQuery{Remote: m.Remote, Hello: m.Hello, From: m.From, Hostname: m.Hostname})
	m.Authentication.SPF = r
	detail := r.Domain
	if r.Mechanism != "" {
		detail += " by " + r.Mechanism
	}
	if r.Err != nil {
		detail += ": " + r.Err.Error()
	}
	return []spam.Symbol{{Name: "SPF_" + strings.ToUpper(string(r.Result)), Detail: detail}}, nil
}

type dkimCheck struct{ r spam.Resolver }

func (dkimCheck) Name() string      { return "dkim" }
func (dkimCheck) Stage() spam.Stage { return spam.StageBody }
func (c dkimCheck) Check(ctx context.Context, m *spam.Mail) ([]spam.Symbol, error) {
	if m.Identity != "" || m.Content == nil {
		return nil, nil
	}
	results, err := dkim.Verify(ctx, m.Content, c.r)
	if err != nil {
		return nil, err
	}
	m.Authentication.DKIM = nil
	if len(results) == 0 {
		return []spam.Symbol{{Name: "DKIM_NONE"}}, nil
	}
	// One symbol for the best of the results: a message with a bad signature beside a good one is no worse for it (RFC 6376 s6.1).
	best, details := spam.AuthResult(""), map[spam.AuthResult][]string{}
	for _, r := range results {
		result := spam.AuthResult(r.Status)
		m.Authentication.DKIM = append(m.Authentication.DKIM, spam.DKIMResult{Result: result, Domain: r.Domain, Selector: r.Selector, Err: r.Err})
		text := r.Domain
		if r.Err != nil {
			text += ": " + r.Err.Error()
		}
		details[result] = append(details[result], text)
		if best == "" || rank(result) < rank(best) {
			best = result
		}
	}
	return []spam.Symbol{{Name: "DKIM_" + strings.ToUpper(string(best)), Detail: strings.Join(details[best], ", ")}}, nil
}

// rank orders results, the best first.
func rank(r spam.AuthResult) int {
	for i, v := range []spam.AuthResult{spam.AuthPass, spam.AuthTempError, spam.AuthNeutral, spam.AuthPolicy, spam.AuthPermError, spam.AuthFail} {
		if r == v {
			return i
		}
	}
	return 100
}

type dmarcCheck struct{ r spam.Resolver }

func (dmarcCheck) Name() string      { return "dmarc" }
func (dmarcCheck) Stage() spam.Stage { return spam.StageBody }
func (c dmarcCheck) Check(ctx context.Context, m *spam.Mail) ([]spam.Symbol, error) {
	if m.Identity != "" || m.Message == nil {
		return nil, nil
	}
	author, n := authorDomain(m)
	switch {
	case n == 0:
		return []spam.Symbol{{Name: "FROM_MISSING"}}, nil
	case n > 1: // RFC 9989 s5.3.1: DMARC has nothing to say, and nobody honest does this
		return []spam.Symbol{{Name: "FROM_MULTIPLE"}}, nil
	}
	r := DMARC(ctx, c.r, author, m.Authentication.SPF, m.Authentication.DKIM)
	m.Authentication.DMARC = r
	switch r.Result {
	case spam.AuthPass:
		return []spam.Symbol{{Name: "DMARC_PASS", Detail: r.Domain + " by " + r.By}}, nil
	case spam.AuthFail:
		return []spam.Symbol{{Name: "DMARC_" + strings.ToUpper(r.Policy), Detail: describe(r)}}, nil
	case spam.AuthTempError:
		return []spam.Symbol{{Name: "DMARC_TEMPERROR", Detail: r.Domain}}, nil
	}
	return []spam.Symbol{{Name: "DMARC_NA", Detail: r.Domain}}, nil
}

// authorDomain gives the domain of the From field, and how many different ones stand there.
func authorDomain(m *spam.Mail) (string, int) {
	domain, n := "", 0
	for _, a := range m.Message.Header().Addresses("From").All() {
		_, d := a.Split()
		if d = normal(d); d != "" && d != domain {
			domain = d
			n++
		}
	}
	return domain, n
}

// ResultsHeader gives the Authentication-Results field (RFC 8601) for what was found, CRLF at its end. hostname is the authentication service's
// identifier; fields that carry the same one and came from outside have to be removed before (s5).
func ResultsHeader(hostname string, m *spam.Mail) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Authentication-Results: %s", token(hostname))
	a := m.Authentication
	n := b.Len()
	if a.SPF.Result != "" {
		property := "smtp.mailfrom"
		if m.From == "" {
			property = "smtp.helo"
		}
		fmt.Fprintf(&b, ";\r\n\tspf=%s %s=%s", a.SPF.Result, property, token(a.SPF.Domain))
	}
	for _, d := range a.DKIM {
		fmt.Fprintf(&b, ";\r\n\tdkim=%s", d.Result)
		if d.Domain != "" {
			fmt.Fprintf(&b, " header.d=%s", token(d.Domain))
		}
		if d.Selector != "" {
			fmt.Fprintf(&b, " header.s=%s", token(d.Selector))
		}
	}
	if a.DMARC.Result != "" {
		fmt.Fprintf(&b, ";\r\n\tdmarc=%s header.from=%s", a.DMARC.Result, token(a.DMARC.Domain))
		if a.DMARC.Policy != "" {
			fmt.Fprintf(&b, " policy.dmarc=%s", a.DMARC.Policy)
		}
	}
	if b.Len() == n {
		b.WriteString("; none")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// token quotes a value that comes from outside.
func token(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?=`, r)
	})
	if plain {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
