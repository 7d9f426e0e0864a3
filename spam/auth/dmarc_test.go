package auth

import (
	"testing"

	"github.com/gomailroom/mailroom/spam"
	"github.com/stretchr/testify/require"
)

func txt(records ...string) map[string][]any {
	var values []any
	for _, r := range records {
		values = append(values, r)
	}
	return map[string][]any{"TXT": values}
}

func spfPass(domain string) spam.SPFResult {
	return spam.SPFResult{Result: spam.AuthPass, Domain: domain}
}

func dkimPass(domain string) []spam.DKIMResult {
	return []spam.DKIMResult{{Result: spam.AuthPass, Domain: domain}}
}

func TestDMARC(t *testing.T) {
	t.Parallel()
	timeout := map[string][]any{"TIMEOUT": {true}}
	for _, c := range []struct {
		name   string
		zone   suiteZone
		author string
		spf    spam.SPFResult
		dkim   []spam.DKIMResult
		want   spam.DMARCResult
	}{
		{name: "no record", zone: suiteZone{}, author: "example.com", want: spam.DMARCResult{Result: "none", Domain: "example.com"}},
		{name: "spf aligned", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; p=reject")}, author: "Example.COM", spf: spfPass("bounce.example.com"),
			want: spam.DMARCResult{Result: "pass", Domain: "example.com", Policy: "reject", Found: "example.com", By: "spf"}},
		{name: "spf strict", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; p=reject; aspf=s")}, author: "example.com", spf: spfPass("bounce.example.com"),
			want: spam.DMARCResult{Result: "fail", Domain: "example.com", Policy: "reject", Found: "example.com"}},
		{name: "dkim aligned by sibling", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; p=quarantine; sp=none")}, author: "a.example.com", dkim: dkimPass("b.example.com"),
			want: spam.DMARCResult{Result: "pass", Domain: "a.example.com", Policy: "none", Found: "example.com", By: "dkim"}},
		{name: "someone else's signature", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; p=quarantine")}, author: "example.com", dkim: dkimPass("example.net"),
			want: spam.DMARCResult{Result: "fail", Domain: "example.com", Policy: "quarantine", Found: "example.com"}},
		{name: "suffix is not shared", zone: suiteZone{"_dmarc.com": txt("v=DMARC1; p=reject; psd=y")}, author: "a.com", dkim: dkimPass("b.com"),
			want: spam.DMARCResult{Result: "fail", Domain: "a.com", Policy: "reject", Found: "com"}},
		{name: "psd=n separates", zone: suiteZone{"_dmarc.mail.example.com": txt("v=DMARC1; p=reject; psd=n"), "_dmarc.example.com": txt("v=DMARC1; p=none")}, author: "mail.example.com", dkim: dkimPass("example.com"),
			want: spam.DMARCResult{Result: "fail", Domain: "mail.example.com", Policy: "reject", Found: "mail.example.com"}},
		{name: "np for what does not exist", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; p=none; sp=quarantine; np=reject")}, author: "nothing.example.com",
			want: spam.DMARCResult{Result: "fail", Domain: "nothing.example.com", Policy: "reject", Found: "example.com"}},
		{name: "sp for what exists", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; p=none; sp=quarantine; np=reject"), "some.example.com": {"A": {"192.0.2.1"}}}, author: "some.example.com",
			want: spam.DMARCResult{Result: "fail", Domain: "some.example.com", Policy: "quarantine", Found: "example.com"}},
		{name: "test mode", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; p=reject; t=y")}, author: "example.com",
			want: spam.DMARCResult{Result: "fail", Domain: "example.com", Policy: "quarantine", Found: "example.com"}},
		{name: "two records are none", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; p=reject", "v=DMARC1; p=none")}, author: "example.com",
			want: spam.DMARCResult{Result: "none", Domain: "example.com"}},
		{name: "other texts do not count", zone: suiteZone{"_dmarc.example.com": txt("hello", "v=DMARC1;p=reject", "v=dmarc1; p=none")}, author: "example.com",
			want: spam.DMARCResult{Result: "fail", Domain: "example.com", Policy: "reject", Found: "example.com"}},
		{name: "no p, with reports", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; rua=mailto:a@example.com")}, author: "example.com",
			want: spam.DMARCResult{Result: "fail", Domain: "example.com", Policy: "none", Found: "example.com"}},
		{name: "no p, no reports", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; sp=reject")}, author: "example.com",
			want: spam.DMARCResult{Result: "none", Domain: "example.com"}},
		{name: "policy with a bad sp", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; p=reject; sp=never; rua=mailto:a@example.com")}, author: "example.com",
			want: spam.DMARCResult{Result: "fail", Domain: "example.com", Policy: "none", Found: "example.com"}},
		{name: "spf not known now", zone: suiteZone{"_dmarc.example.com": txt("v=DMARC1; p=reject")}, author: "example.com", spf: spam.SPFResult{Result: spam.AuthTempError},
			want: spam.DMARCResult{Result: "temperror", Domain: "example.com", Policy: "reject", Found: "example.com"}},
		{name: "u-labels", zone: suiteZone{"_dmarc.xn--bcher-kva.example": txt("v=DMARC1; p=reject")}, author: "Bücher.example", spf: spfPass("xn--bcher-kva.example"),
			want: spam.DMARCResult{Result: "pass", Domain: "xn--bcher-kva.example", Policy: "reject", Found: "xn--bcher-kva.example", By: "spf"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, DMARC(t.Context(), c.zone, c.author, c.spf, c.dkim))
		})
	}
	got := DMARC(t.Context(), suiteZone{"_dmarc.example.com": timeout}, "example.com", spam.SPFResult{}, nil)
	require.Equal(t, spam.AuthTempError, got.Result)
	require.Error(t, got.Err)
}

func TestTreeWalk(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com", "i.j.mail.example.com",
		"j.mail.example.com", "mail.example.com", "example.com", "com"}, walk("a.b.c.d.e.f.g.h.i.j.mail.example.com"))
	require.Equal(t, []string{"a.example.com", "example.com", "com"}, walk("a.example.com"))
}
