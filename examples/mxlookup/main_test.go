package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

const zones = `
example.org.     MX 10 mx1.example.org.
example.org.     MX 20 mx2.example.org.
example.org.     MX 30 .
mx1.example.org. A 192.0.2.1
mx1.example.org. AAAA 2001:db8::1
null.example.    MX 0 .
signed.example.  MX 10 mx.signed.example.
mx.signed.example. A 192.0.2.5
_25._tcp.mx.signed.example. TLSA 3 1 1 abababababababababababababababababababababababababababababababab
_smtp._tls.signed.example. TXT "v=TLSRPTv1; rua=mailto:tls@signed.example"
_mta-sts.sts.example. TXT "v=STSv1; id=5"
sts.example.     MX 10 mx.sts.example.
sts.example.     MX 20 mx1.example.org.
mx.sts.example.  A 192.0.2.6
own.example.     A 192.0.2.2
`

func lookup(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	s, err := dnstest.Start(zones)
	require.NoError(t, err)
	defer s.Close()
	s.SetSecure("signed.example", true)
	s.SetFault("broken.example", "", dnstest.Fault{Rcode: dnstest.ServFail, Extended: 22, ExtendedText: "ns1 is silent"})
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{"-resolver", s.Addr()}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func TestTree(t *testing.T) {
	t.Parallel()
	code, out, _ := lookup(t, "alice@example.org")
	require.Equal(t, 0, code)
	require.Regexp(t, `^example.org: mail can be delivered
├─ DNSSEC: not secured: no AD bit: the zone is not signed, or the name server does not validate
│  └─ name server 127.0.0.1:\d+ does not validate DNSSEC: .*
├─ valid for \dm?\d*s?
├─ to try, in this order
│  └─ 10 mx1.example.org
│     ├─ \[2001:db8::1\]:25
│     ├─ 192.0.2.1:25
│     └─ TLS: opportunistic
└─ not used
   ├─ 20 mx2.example.org: has no address
   │  └─ .*no such host
   └─ 30 \.: null target beside other MX records
$`, out)
}

func TestDANE(t *testing.T) {
	t.Parallel()
	code, out, _ := lookup(t, "signed.example")
	require.Equal(t, 0, code)
	require.Contains(t, out, "DNSSEC: secure\n")
	require.Contains(t, out, "TLS: DANE 3 1 1 abab")
	require.Contains(t, out, "TLSA 3 1 1 "+strings.Repeat("ab", 32))
	require.Contains(t, out, "TLS reports go to mailto:tls@signed.example")

	_, out, _ = lookup(t, "-json", "signed.example")
	var p jsonPlan
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.True(t, p.Secure && p.Hosts[0].Mandatory)
	require.Equal(t, []string{"3 1 1 " + strings.Repeat("ab", 32)}, p.Hosts[0].TLSA)
	require.Equal(t, "mx.signed.example", p.Hosts[0].ServerName)
	require.Equal(t, []string{"mailto:tls@signed.example"}, p.Reports)
}

func TestMTASTS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sts.example.sts"), []byte(
		"mta-sts-policy 1\ndomain sts.example\nid 5\nfetched "+time.Now().UTC().Format(time.RFC3339)+
			"\n\nversion: STSv1\nmode: enforce\nmx: *.sts.example\nmax_age: 86400\n"), 0o600))
	code, out, _ := lookup(t, "-sts-dir", dir, "sts.example")
	require.Equal(t, 0, code)
	require.Contains(t, out, "MTA-STS: enforce, id 5, until 20")
	require.Contains(t, out, "mx *.sts.example")
	require.Contains(t, out, "TLS: MTA-STS: mandatory with a valid certificate for mx.sts.example")
	require.Contains(t, out, "20 mx1.example.org: not allowed by the MTA-STS policy")

	_, out, _ = lookup(t, "-json", "-sts-dir", dir, "sts.example")
	var p jsonPlan
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Equal(t, "enforce", p.Policy.Mode)
	require.Equal(t, "validation-failure", string(p.Failures[0].Result))
	require.False(t, p.Upstreams[0].Validates)

	code, out, _ = lookup(t, "-v", "sts.example") // without the directory: there is no policy host
	require.Equal(t, 0, code)
	require.Contains(t, out, "TLS failure: sts-policy-fetch-error")
	_, out, _ = lookup(t, "-sts=false", "sts.example")
	require.NotContains(t, out, "STS")
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		says string // on standard output, or error for wrong usage
	}{
		{[]string{"own.example"}, 0, "own mail host"},
		{[]string{"[192.0.2.9]"}, 0, "address literal"},
		{[]string{"null.example"}, 1, "bounce, 556 5.1.10"},
		{[]string{"gone.example"}, 1, "no such domain"},
		{[]string{"a..b"}, 1, "empty label"},
		{[]string{"-self", "mx1.example.org,192.0.2.77", "example.org"}, 1, "loops back"},
		{[]string{"broken.example"}, 75, "ns1 is silent"},
		{[]string{"-timeout", "1ns", "example.org"}, 75, "deadline"},
		{[]string{"-h"}, 0, "Exit codes"},
		{[]string{}, 2, "want one domain"},
		{[]string{"a", "b"}, 2, "want one domain"},
		{[]string{"-network", "ip5", "a"}, 2, "ip5"},
		{[]string{"-nonsense"}, 2, "-nonsense"},
	} {
		code, out, errs := lookup(t, c.args...)
		require.Equal(t, c.code, code, c.args)
		if code == 2 {
			out = errs
		}
		require.Contains(t, out, c.says)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	code, out, errs := lookup(t, "-json", "-v", "example.org")
	require.Equal(t, 0, code)
	var p jsonPlan
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Equal(t, "mx1.example.org", p.Hosts[0].Name)
	require.Equal(t, "opportunistic", p.Hosts[0].TLS)
	require.Equal(t, "has no address", p.Skipped[0].Reason)
	require.Contains(t, errs, "> example.org MX to 127.0.0.1")
	require.Contains(t, errs, "< example.org MX: NOERROR after")

	code, out, _ = lookup(t, "-json", "null.example")
	require.Equal(t, 1, code)
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Equal(t, "5.1.10", p.Error.Enhanced)
}
